"""Directives that write to standard output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dgen.diagnostic import Span, Word
from dgen.lang.directives import directive
from dgen.lang.line import Line

if TYPE_CHECKING:
    from dgen.lang.evaluate import Interpreter

_NO_TEXT = Line("", ())


@directive("print", examples=(("\\print it's {{ 1 + 1 }}", "it's 2\n"),))
def print_text(run: Interpreter, span: Span, text: Line = _NO_TEXT) -> None:
    """Write the rest of the line."""
    run.host.write(f"{text.text}\n")


@directive("echo", examples=(('\\echo a   "b  c"', "a b  c\n"),))
def echo(run: Interpreter, span: Span, *words: Word) -> None:
    """Write words, with one blank between two."""
    run.host.write(" ".join(word.text for word in words) + "\n")
