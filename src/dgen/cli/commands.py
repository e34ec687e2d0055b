"""Runs what the command line asks for: scripts, one invocation, a replay."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain, count, pairwise
from pathlib import Path

from dgen import __version__
from dgen.calibration import Stopwatch
from dgen.cli.arguments import CommandLine, command_table, command_words, is_script, read_command_line, script_paths
from dgen.cli.fronts import Front, make_front
from dgen.cli.interrupts import Interrupts
from dgen.cli.unmade import check, settle_failures
from dgen.diagnostic import DgenError, Exit, Source, Word, fail, suggest
from dgen.engine.render import LocalEngine
from dgen.events import serial
from dgen.lang.evaluate import Exited
from dgen.lang.files import read_script
from dgen.lang.permissions import Permissions
from dgen.options.commands import COMMANDS
from dgen.plan.bind import request_table
from dgen.session import Session

_ANY_NAME = ("run", "repl")
"""Commands of which every positional word is a script."""

REPLAYED = "replayed"
"""The folder of replayed pictures; a number follows when it is there."""

UNTRUSTED = ("replay", "verify")
"""Commands that run what a picture says: it reaches no plugin but those that the user names."""

LIMITS = {"max_images", "max_gb", "max_minutes"}
"""Options that have a run planned before it starts."""

LANGUAGE_HELP = {
    "directives_help": "directives_help", "functions_help": "functions_help", "templates_help": "templates_help",
    "detector_help": "detector_help",
    "latents_processor_help": "latents_processor_help", "prompt_weighter_help": "prompt_weighter_help",
    "prompt_upscaler_help": "prompt_upscaler_help",
    "image_processor_help": "image_processor_help", "quantizer_help": "quantizer_help",
}  # fmt: skip


def run(argv: Sequence[str]) -> int:
    """Run a command line; return its exit code.

    Raises:
        DgenError: something in it or in a script is wrong, or a job failed.
    """
    line = read_command_line(argv)
    if misplaced := {"sub_command", "sub_command_help"} & set(line.asked):
        raise fail("bad-arguments", f"`--{misplaced.pop().replace('_', '-')}` stands first", line.span)
    if "version" in line.asked:
        print(f"dgen {__version__}")
        return Exit.OK
    check(line)
    sources = list(sources_of(line))
    if "frozen" in line.asked:
        from dgen.cli import lock

        lock.guard(line)
    if LIMITS & set(line.asked):
        from dgen.cli.planning import guard

        guard(line, sources)
    with front_of(line) as front:
        interrupts = Interrupts(serial(Stopwatch(front.listen).listen), front.show)
        session = Session(LocalEngine(interrupts.listen), interrupts.listen)
        try:
            with interrupts.heeded(session):
                code = run_session(session, line, sources)
            settle_failures(line, session, front)
            return code
        finally:
            session.close()


def refuse(line: CommandLine, *names: str) -> None:
    """Refuse options of the program that mean nothing to a command.

    Raises:
        DgenError: `bad-arguments`.
    """
    for name in names:
        if name in line.asked:
            flag = command_table().rows[name].flag
            raise fail("bad-arguments", f"`{line.command or 'repl'}` takes no `{flag}`", line.span)


def front_of(line: CommandLine) -> Front:
    """Choose the display that a command line asks for."""
    is_verbose = any(w.text in {"-v", "--verbose"} for w in line.rest)
    return make_front(quiet="quiet" in line.asked, json="json" in line.asked, verbose=is_verbose)


def run_session(session: Session, line: CommandLine, sources: list[Source]) -> int:
    """Run what a command line names in a session; return the exit code.

    Raises:
        DgenError: something is wrong, or a job failed.
    """
    if line.command == "replay":
        line.rest += _new_folder(line)
    settle(session, line)
    try:
        if line.command == "replay":
            for source in sources:
                session.replay(source, network="net" in _allowed(line))
        elif sources:
            for source in sources:
                session.run(source, keep_going="keep_going" in line.asked)
        else:
            with _meaning_a_command(line):
                session.invoke((*line.positional, *line.rest), line.span)
    except Exited as stop:
        return stop.code
    return Exit.JOB_FAILED if session.failed else Exit.OK


@contextmanager
def _meaning_a_command(line: CommandLine) -> Generator[None]:
    """Where an invocation is wrong whose model is none, say which command is called nearly so."""
    try:
        yield
    except DgenError as error:
        first = line.positional[0].text if line.positional else ""
        is_model = not first or "/" in first or Path(first).exists()  # or a repository of the hub
        near = None if is_model else suggest(first, COMMANDS)
        if near is None:
            raise
        told = replace(error.diagnostics[0], help=f"did you mean the command `{near}`?")
        raise DgenError(told, *error.diagnostics[1:], exit_code=error.exit_code) from error.__cause__


def settle(session: Session, line: CommandLine) -> None:
    """Prepare a session as a command line says: words that join every invocation, permissions, variables.

    Raises:
        DgenError: a variable cannot be set.
    """
    session.inject(line.rest)
    if "retries" in line.asked:
        session.patience.retries = command_table().rows["retries"].parse(line.asked["retries"][-1].text)
    if {"resume", "incremental"} & set(line.asked):
        session.resume(any_name="incremental" in line.asked)
    if line.command == "replay" or {"sandbox", "allow"} & set(line.asked):
        session.permissions = Permissions.sandbox(_output_folder(line), _allowed(line))
    _bring_plugins(session, line)
    _assign(session, line)


def _allowed(line: CommandLine) -> set[str]:
    """Return what a sandbox lets through, as the command line says."""
    parse = command_table().rows["allow"].parse
    return {door for word in line.asked.get("allow", ()) for door in parse(word.text)}


def _bring_plugins(session: Session, line: CommandLine) -> None:
    """Load the plugins of installed packages, unless what runs is not to be trusted, and those that are named."""
    from dgen.lang.modules import load_installed, load_plugins

    if session.permissions.plugins and line.command not in UNTRUSTED:
        for wrong in load_installed():
            session.warn(wrong)
    named = line.asked.get("plugin_modules", ())
    for word in named:
        session.permissions.require("plugins", word.span, "load plugins")
        load_plugins(word)
    session.provide(injected_plugin_modules=[word.text for word in named])


def _output_folder(line: CommandLine) -> Path:
    """Return the output folder that the command line names, or the usual one: a script in a sandbox writes there."""
    return Path(_named_folder(line) or request_table().rows["output_path"].default)


def _named_folder(line: CommandLine) -> str | None:
    row = request_table().rows["output_path"]
    texts = [w.text for w in line.rest]
    named = [after for text, after in pairwise(texts) if text in row.spellings]
    return named[-1] if named else None


def _new_folder(line: CommandLine) -> tuple[Word, ...]:
    """Return the words that let a replay write into a folder that is not there yet, unless it was told where."""
    if _named_folder(line) is not None:
        return ()
    names = chain([REPLAYED], (f"{REPLAYED}_{number}" for number in count(2)))
    return command_words(["--output-path", next(name for name in names if not Path(name).exists())])


def _assign(session: Session, line: CommandLine) -> None:
    """Run `--set` and `--setp` as the directives they are, in their order."""
    for directive, word in line.assignments:
        name, equals, text = word.text.partition("=")
        if not equals:
            raise fail("bad-arguments", f"`--{directive}` takes NAME=VALUE, found `{word.text}`", word.span)
        session.run(Source(f"--{directive}", f"\\{directive} {name} {text}"))


def sources_of(line: CommandLine) -> Iterator[Source]:
    """Yield the scripts that a command line names, or standard input."""
    for name in LANGUAGE_HELP:
        if name in line.asked:
            names = " ".join(w.text for w in line.asked[name])
            yield Source("command line", f"\\{LANGUAGE_HELP[name]} {names}\n")
            return
    if line.command and not line.positional + line.files:
        raise fail("bad-arguments", f"`{line.command}` takes at least 1 file, got 0", line.span)
    if line.command == "replay":
        for path, word in script_paths(line.positional):
            yield replay_source(path, word)
        return
    scripts = list(named_scripts(line))
    if scripts:
        for path, word in scripts:
            yield read_script(path, word.span)
    elif not line.positional:
        yield _standard_input(line)


def named_scripts(line: CommandLine) -> Iterator[tuple[str, Word]]:
    """Yield the scripts that a command line names.

    Raises:
        DgenError: `missing-file`, `unexpected-word`.
    """
    scripts = [*line.files, *(w for w in line.positional if line.command in _ANY_NAME or is_script(w.text))]
    if scripts:
        _only_scripts(line)
        yield from script_paths(scripts)


def _only_scripts(line: CommandLine) -> None:
    odd = [w for w in line.positional if line.command not in _ANY_NAME and not is_script(w.text)]
    if odd:
        near = suggest(odd[0].text, COMMANDS) if odd[0] is line.positional[0] else None
        help = f"did you mean the command `{near}`?" if near is not None else "scripts end in `.dgen`"
        raise fail("unexpected-word", f"`{odd[0].text}` is no script", odd[0].span, help=help)


def _standard_input(line: CommandLine) -> Source:
    if "no_stdin" in line.asked or sys.stdin is None or sys.stdin.isatty():
        if line.rest:
            raise _no_model(line)
        from dgen.help import short_page

        raise fail("missing-model", "nothing to do: no script and no model", help="try one of these\n\n" + short_page())
    text = sys.stdin.buffer.read().decode("utf-8-sig", errors="replace")
    if line.rest and not text.strip():
        raise _no_model(line)
    return Source("<stdin>", text)


def _no_model(line: CommandLine) -> DgenError:
    return fail("missing-model", "an invocation starts with a model", line.span, help="as in `builtin:shapes`")


def replay_source(path: str, word: Word) -> Source:
    """Return the config of a picture, or the one that lies in a file of its own.

    Raises:
        DgenError: `missing-file`, `bad-file`, `not-replayable`.
    """
    if is_script(path):
        return read_script(path, word.span)
    from dgen.media.metadata import read_config
    from dgen.schema import BadValue

    try:
        return Source(path, read_config(Path(path)))
    except BadValue as error:
        raise fail(error.code, error.message, word.span, error.help) from None


__all__ = ["DgenError", "run"]
