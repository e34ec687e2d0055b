"""Runs what a template block produces, statement by statement, while the block is being rendered."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dgen.diagnostic import Origin, Source
from dgen.lang.line import Line, LineBuilder
from dgen.lang.nodes import Block
from dgen.lang.parse import template_line

if TYPE_CHECKING:
    from dgen.lang.evaluate import Interpreter

PRODUCED = "produced by this template"
_STATEMENT_END = re.compile(r"\n(?=[ \t\r\f\v]*[^\s-]|[ \t\r\f\v]*\n)")
_CONTINUED = re.compile(r"(?<!\\)(?:\\\\)*\\[ \t\r\f\v]*(?:(?<=[ \t\r\f\v])#[^\n]*)?(?:\n[ \t\r\f\v]*(?:#[^\n]*)?)*\Z")
_NESTED = re.compile(r"\{[%#]")


def run_block(run: Interpreter, block: Block) -> None:
    """Render a block and run its statements; those of one round of a loop run before the next is rendered.

    Raises:
        DgenError: whatever is wrong with the block or with a statement that it produced.
    """
    line = template_line(block)
    assert line is not None
    pending = LineBuilder()
    for part in run.renderer.stream(line):
        if part is None:
            pending = _run_round(run, pending)
        else:
            pending.copy(part, 0, len(part.text))
            if "\n" in part.text:
                pending = _run_complete(run, pending)
    pending = _run_complete(run, pending)
    _run_text(run, pending.line())


def _run_complete(run: Interpreter, pending: LineBuilder) -> LineBuilder:
    """Run the statements that surely have ended; return what is left."""
    line = pending.line()
    if _NESTED.search(line.text):
        return pending
    start = 0
    for match in _STATEMENT_END.finditer(line.text):
        end = match.end()
        if _CONTINUED.search(line.text, start, end - 1):
            continue
        _run_text(run, line.cut(start, end))
        start = end
    return _rest(line, start)


def _run_round(run: Interpreter, pending: LineBuilder) -> LineBuilder:
    """At the end of a round the last statement has ended too, if its line has."""
    line = pending.line()
    ended = "\n" in line.text and not line.text.rpartition("\n")[2].strip()
    if not ended or _NESTED.search(line.text) or _CONTINUED.search(line.text):
        return pending
    _run_text(run, _run_complete(run, pending).line())
    return LineBuilder()


def _rest(line: Line, start: int) -> LineBuilder:
    rest = LineBuilder()
    rest.copy(line, start, len(line.text))
    return rest


def _run_text(run: Interpreter, line: Line) -> None:
    """Parse and run produced text, as a source of its own that knows which piece of the template made it."""
    text = line.text.strip()
    if not text:
        return
    start = line.text.index(text)
    first = text.partition("\n")[0]
    span = line.at(start, start + len(first))
    origin = Origin(span, PRODUCED, lambda low, high: line.at(start + low, start + high))
    source = Source(f"{span.source.name} (produced)", text, origin)
    run.run_source(source)
