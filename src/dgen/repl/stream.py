"""Reads statements from a stream that is no terminal, and runs each as soon as it is whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from dgen.diagnostic import Exit
from dgen.lang.completeness import continuation
from dgen.lang.evaluate import Exited
from dgen.repl.runner import Runner


def read_statements(runner: Runner, stream: BinaryIO) -> int:
    """Run what a stream says until it ends; return the exit code, which remembers a failure."""
    try:
        for text in statements(stream):
            runner.run(text)
    except Exited as stop:
        return stop.code
    finally:
        runner.close()
    return Exit.JOB_FAILED if runner.failed else Exit.OK


def statements(stream: BinaryIO) -> Iterator[str]:
    """Yield texts of whole statements.

    A statement is over when the line after it does not start with an option; a blank line says so at once.
    """
    text = ""
    for number, data in enumerate(stream):
        line = data.decode("utf-8-sig" if number == 0 else "utf-8", errors="replace")
        if text and not _goes_on(text, line):
            yield text
            text = ""
        text += line
        if not line.strip() and continuation(text) is None:
            yield text
            text = ""
    if text:
        yield text


def _goes_on(text: str, line: str) -> bool:
    """Whether a line belongs to what was read before it; a blank one ends it, which takes no line of its own."""
    is_open = continuation(text.rstrip("\n")) is not None
    return is_open or not line.strip() or line.lstrip().startswith("-")
