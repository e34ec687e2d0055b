"""The command that says why pictures would be rendered again: `dgen why`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from dgen.check.follow import surroundings_kept
from dgen.cli.arguments import CommandLine, command_words, is_script, read_command_line, script_paths
from dgen.cli.commands import LIMITS, refuse, replay_source, run_session, settle, sources_of
from dgen.diagnostic import Exit
from dgen.explaining import Answer, ExplainingSession
from dgen.lang.evaluate import Exited

_MEANINGLESS = (*LIMITS, "frozen", "resume", "incremental", "save_failed", "keep_going")


def run(argv: Sequence[str]) -> int:
    """Run `dgen why`; return its exit code: 0 when nothing would be rendered, 1 otherwise.

    Raises:
        DgenError: something in the command line, a script or a config is wrong.
    """
    line = read_command_line(argv)
    refuse(line, *_MEANINGLESS)
    answers = list(_answers(line))
    for answer in answers:
        print(json.dumps(as_object(answer)) if "json" in line.asked else as_line(answer))
    return Exit.JOB_FAILED if any(answer.reasons for answer in answers) else Exit.OK


def _answers(line: CommandLine) -> Iterator[Answer]:
    pictures = [w for w in line.positional if not is_script(w.text) and Path(w.text).is_file()]
    if not pictures or len(pictures) < len(line.positional):
        yield from _of_scripts(line)
        return
    for path, word in script_paths(pictures):
        session = ExplainingSession()
        try:
            settle(session, line)
            session.inject((*session.injected, *command_words(["--output-path", str(Path(path).parent)])))
            session.replay(replay_source(path, word))
        finally:
            session.close()
        yield from session.answers()


def _of_scripts(line: CommandLine) -> Iterator[Answer]:
    session = ExplainingSession()
    try:
        with surroundings_kept():
            run_session(session, line, list(sources_of(line)))
    except Exited:
        pass
    finally:
        session.close()
    yield from session.answers()


def as_object(answer: Answer) -> dict[str, object]:
    """Return an answer as JSON has it."""
    nearest = str(answer.nearest) if answer.nearest is not None else None
    return {"path": str(answer.path), "kept": not answer.reasons, "reasons": list(answer.reasons), "nearest": nearest}


def as_line(answer: Answer) -> str:
    """Return an answer as a line, with a line for each reason."""
    if not answer.reasons:
        return f"{answer.path}: kept"
    if answer.nearest is None:
        return f"{answer.path}: {answer.reasons[0]}"
    told = [f"{answer.path}: rendered; beside {answer.nearest.name},", *answer.reasons]
    return "\n  ".join(told)
