"""The command that writes down what a script depends on, `dgen lock`, and the guard of `--frozen`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dgen.check.follow import surroundings_kept
from dgen.cli.arguments import CommandLine, read_command_line
from dgen.cli.commands import LIMITS, named_scripts, refuse, run_session
from dgen.diagnostic import DgenError, Exit, Source, Word, fail
from dgen.lang.evaluate import Exited
from dgen.lang.files import read_script
from dgen.locking import Lock, LockingSession, drift, read_lock
from dgen.media.publish import publish_text

_MEANINGLESS = (*LIMITS, "resume", "incremental", "save_failed", "keep_going", "frozen", "json")


def run(argv: Sequence[str]) -> int:
    """Run `dgen lock`; return its exit code.

    Raises:
        DgenError: the command line or the script is wrong, a model is not on this machine, or `file-failed`.
    """
    line = read_command_line(argv)
    refuse(line, *_MEANINGLESS)
    path, word = _script(line)
    lock = _made(line, read_script(path, word.span))
    target = _lock_of(path)
    try:
        publish_text(target, lock.as_text())
    except OSError as error:
        raise fail("file-failed", f"`{target}` cannot be written: {error.strerror}", word.span) from None
    print(f"{target}: {len(lock.files)} files, {len(lock.versions)} versions")
    return Exit.OK


def guard(line: CommandLine) -> None:
    """Refuse a script whose lock says something else than what is there now.

    Raises:
        DgenError: `missing-file`, `bad-file`: there is no lock; `drifted`; or whatever is wrong with the script.
    """
    path, word = _script(line)
    target = _lock_of(path)
    if not target.is_file():
        raise fail("missing-file", f"there is no `{target}`", word.span, help=f"`dgen lock {path}` writes it")
    before = read_lock(target.read_text(encoding="utf-8", errors="replace"))
    if before is None:
        raise fail("bad-file", f"`{target}` is no lock", word.span, help=f"`dgen lock {path}` writes it anew")
    found = list(drift(before, _made(line, read_script(path, word.span)), target.name))
    if found:
        raise DgenError(*found)


def _script(line: CommandLine) -> tuple[str, Word]:
    scripts = list(named_scripts(line))
    if len(scripts) != 1:
        what = "`--frozen` needs" if "frozen" in line.asked else "`lock` takes"
        raise fail("bad-arguments", f"{what} 1 script, got {len(scripts)}", line.span)
    return scripts[0]


def _lock_of(script: str) -> Path:
    return Path(f"{script}.lock")


def _made(line: CommandLine, source: Source) -> Lock:
    session = LockingSession(Path(source.name).resolve().parent)
    try:
        with surroundings_kept():
            run_session(session, line, [source])
    except Exited:
        pass
    finally:
        session.close()
    return session.lock
