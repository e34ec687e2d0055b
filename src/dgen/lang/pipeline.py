"""Runs programs joined by pipes, without a shell, and leaves none behind."""

from __future__ import annotations

import codecs
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import IO

from dgen.diagnostic import DgenError, Span, Word, fail, job_failure
from dgen.lang.directives import bad_arguments
from dgen.lang.words import Operator

# What an operator redirects, as file descriptors, and how the file is opened.
_MODES = {"<": "rb", ">": "wb", ">>": "ab", "2>": "wb", "2>>": "ab", "&>": "wb", "&>>": "ab"}
_PATIENCE_S = 5.0


@dataclass(slots=True)
class Command:
    """One program of a pipeline, its arguments, and where its input and output go, in the order of the line."""

    words: list[Word] = field(default_factory=list[Word])
    redirections: list[tuple[str, Word]] = field(default_factory=list[tuple[str, Word]])


@dataclass(slots=True)
class _Streams:
    """What a program reads and writes: open files or descriptors; None is dgen's own."""

    stdin: IO[bytes] | int | None
    stdout: IO[bytes] | int | None
    stderr: IO[bytes] | int | None = None


def read_pipeline(words: Sequence[Word | Operator], span: Span) -> list[Command]:
    """Take the words of a command line apart.

    Raises:
        DgenError: `bad-arguments`: an operator without its file or program; `missing-file`: no such program.
    """
    commands = [Command()]
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not isinstance(word, Operator):
            commands[-1].words.append(word)
        elif word.text == "|":
            _require_program(commands[-1], word.span)
            commands.append(Command())
        elif word.text == "2>&1":
            commands[-1].redirections.append((word.text, word))
        elif word.text not in _MODES:
            raise bad_arguments("exec", f"does not know `{word.text}`", word.span)
        else:
            if not rest or isinstance(rest[0], Operator):
                raise bad_arguments("exec", f"lacks the file after `{word.text}`", word.span)
            commands[-1].redirections.append((word.text, rest.pop(0)))
    _require_program(commands[-1], words[-1].span)
    for command in commands:
        _find(command.words[0])
    return commands


def _require_program(command: Command, span: Span) -> None:
    if not command.words:
        raise bad_arguments("exec", "lacks a program here", span)


def _find(word: Word) -> str:
    found = shutil.which(word.text) if "\0" not in word.text else None
    if found is None:
        help = "it is neither a path nor in a folder of PATH"
        raise fail("missing-file", f"no program named `{word.text}`", word.span, help)
    return found


def run_pipeline(commands: Sequence[Command], write: Callable[[str], None]) -> None:
    """Run commands at once, each reading what the one before writes; hand on what the last one writes.

    Raises:
        DgenError: `program-failed`; `missing-file` or `file-failed`: a redirection cannot be opened.
    """
    children: list[subprocess.Popen[bytes]] = []
    try:
        with ExitStack() as held:
            output = _start_all(commands, children, held)
        _hand_on(output, write)
        for child in children:
            child.wait()
    except BaseException as error:
        _stop(children, interrupted=isinstance(error, KeyboardInterrupt))
        raise
    _check(commands, children)


def _start_all(commands: Sequence[Command], children: list[subprocess.Popen[bytes]], held: ExitStack) -> int:
    """Start every program; return the descriptor from which the output of the last can be read."""
    previous: int | None = None
    for command in commands:
        reading, writing = os.pipe()
        held.callback(os.close, writing)
        try:
            streams = _open(command, _Streams(previous, writing), held)
            children.append(_start(command, streams))
        except BaseException:
            os.close(reading)
            raise
        previous = reading
        if command is not commands[-1]:
            held.callback(os.close, reading)
    assert previous is not None
    return previous


def _open(command: Command, streams: _Streams, held: ExitStack) -> _Streams:
    """Open the files of the redirections, from left to right as a shell does."""
    for operator, word in command.redirections:
        if operator == "2>&1":
            streams.stderr = streams.stdout
            continue
        try:
            file = held.enter_context(open(word.text, _MODES[operator]))  # noqa: SIM115 - held closes it
        except FileNotFoundError:
            raise fail("missing-file", f"`{word.text}` does not exist", word.span) from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise fail("file-failed", f"`{word.text}` cannot be opened: {reason}", word.span) from None
        if operator == "<":
            streams.stdin = file
        if operator.lstrip("&") in (">", ">>"):
            streams.stdout = file
        if operator[0] in "2&":
            streams.stderr = file
    return streams


def _start(command: Command, streams: _Streams) -> subprocess.Popen[bytes]:
    program = command.words[0]
    line = [_find(program), *(word.text for word in command.words[1:])]
    try:
        return subprocess.Popen(line, stdin=streams.stdin, stdout=streams.stdout, stderr=streams.stderr)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise fail("file-failed", f"`{program.text}` cannot be run: {reason}", program.span) from None


def _hand_on(output: int, write: Callable[[str], None]) -> None:
    """Write what can be read from a descriptor, in whole lines."""
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    rest = ""
    with os.fdopen(output, "rb", buffering=0) as file:
        while chunk := file.read(65536):
            lines, newline, rest = (rest + decode(chunk)).rpartition("\n")
            if newline:
                write(f"{lines}\n".replace("\r\n", "\n"))
    if rest := rest + decode(b"", True):
        write(rest)


def _stop(children: Sequence[subprocess.Popen[bytes]], *, interrupted: bool) -> None:
    """End what still runs: ask first, as the user did, then insist; wait for each, so that none stays behind."""
    for child in children:
        if child.poll() is None:
            ask = signal.SIGINT if interrupted and os.name == "posix" else signal.SIGTERM
            child.send_signal(ask)
    for child in children:
        try:
            child.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _check(commands: Sequence[Command], children: Sequence[subprocess.Popen[bytes]]) -> None:
    """Blame the programs that failed; one that was cut off because its reader had enough did not."""
    failures: list[DgenError] = []
    for index, (command, child) in enumerate(zip(commands, children, strict=True)):
        code = child.returncode
        cut_off = os.name == "posix" and code == -signal.SIGPIPE and index < len(commands) - 1
        if code != 0 and not cut_off:
            failures.append(_failure(command.words[0], code))
    if failures:
        raise DgenError(*(d for each in failures for d in each.diagnostics), exit_code=failures[0].exit_code)


def _failure(program: Word, code: int) -> DgenError:
    if code > 0:
        return job_failure("program-failed", f"`{program.text}` ended with exit code {code}", program.span)
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return job_failure("program-failed", f"`{program.text}` was ended by {name}", program.span)
