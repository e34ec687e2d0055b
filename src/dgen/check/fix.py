"""Applies what is safe to change in a script: a new name for an old spelling, where it stands as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dgen.diagnostic import DgenError, Diagnostic, Source, Span
from dgen.lang.blocks import PRODUCED
from dgen.lang.nodes import Block
from dgen.lang.parse import parse


@dataclass(frozen=True, slots=True)
class Change:
    """A stretch of a script and what is to stand there."""

    span: Span
    text: str

    def __str__(self) -> str:
        """Say what changes, and where."""
        return f"{self.span}: {self.span.text} → {self.text}"


def changes(source: Source, found: Sequence[Diagnostic]) -> list[Change]:
    """Return the changes that are safe, in the order of the script; none in a script that does not parse."""
    try:
        blocks = [s for s in parse(source).statements if isinstance(s, Block)]
    except DgenError:
        return []
    made = {(c.span.start, c.span.end): c for d in found for c in _change(source, d, blocks)}
    return [made[place] for place in sorted(made)]


def apply(source: Source, chosen: Sequence[Change]) -> str:
    """Return the text of a script with its changes made."""
    parts: list[str] = []
    place = 0
    for change in chosen:
        parts += [source.text[place : change.span.start], change.text]
        place = change.span.end
    return "".join([*parts, source.text[place:]])


def _change(source: Source, d: Diagnostic, blocks: Sequence[Block]) -> Iterator[Change]:
    span = d.span
    if d.fix is None or span is None:
        return
    if span.source is source:
        yield Change(span, d.fix)
        return
    place = span
    while place.source.origin is not None and place.source.origin.how == PRODUCED:
        place = place.source.origin.span
    block = next((b for b in blocks if place.source is source and b.span.start <= place.start < b.span.end), None)
    if block is not None:
        yield from _in_block(block, span.text, d.fix)


def _in_block(block: Block, old: str, new: str) -> Iterator[Change]:
    """Yield a change in a template block when the old name stands in it once, as a word."""
    places = list(re.finditer(rf"(?<![^\s]){re.escape(old)}(?![^\s=])", block.span.text))
    if len(places) == 1:
        yield Change(block.span.part(*places[0].span()), new)
