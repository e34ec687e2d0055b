"""Applies what is safe to change in a script: a new name for an old spelling, where it stands as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dgen.diagnostic import DgenError, Diagnostic, Source, Span
from dgen.lang.blocks import PRODUCED
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
        parse(source)
    except DgenError:
        return []
    made = {(c.span.start, c.span.end): c for d in found if (c := _change(source, d)) is not None}
    return [made[place] for place in sorted(made)]


def apply(source: Source, chosen: Sequence[Change]) -> str:
    """Return the text of a script with its changes made."""
    parts: list[str] = []
    place = 0
    for change in chosen:
        parts += [source.text[place : change.span.start], change.text]
        place = change.span.end
    return "".join([*parts, source.text[place:]])


def _change(source: Source, d: Diagnostic) -> Change | None:
    """Return the change that mends a diagnostic; None when what it points at does not stand in the script itself."""
    place = d.span
    if d.fix is None or d.span is None or place is None:
        return None
    while place.source.origin is not None and place.source.origin.how == PRODUCED:
        place = place.source.origin.of(place)
    return Change(place, d.fix) if place.source is source and place.text == d.span.text else None
