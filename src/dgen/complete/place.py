"""Finds out where in a statement a cursor stands."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum, auto

from dgen.lang.scan import Shape, Token, scan
from dgen.lang.words import unquote

_ENDS = (Shape.NEWLINE, Shape.PRAGMA, Shape.END)
_GAPS = (Shape.BLANK, Shape.JOINT, Shape.COMMENT)
_OPEN_TEMPLATE = re.compile(r"\{[{%](?:(?!\}\}|%\}).)*\Z", re.S)


class Where(Enum):
    """What the cursor stands in."""

    NOWHERE = auto()  # a comment, a version line, behind a closed quote
    DIRECTIVE = auto()  # the name of a directive
    WORD = auto()
    TEMPLATE = auto()  # {{ … or {% …


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The place of a cursor: `text` is what stands before it of the word or template, from `start` of the source."""

    where: Where
    text: str = ""
    start: int = 0
    quote: str = ""  # that the word stands in
    directive: str | None = None
    before: tuple[str, ...] = ()  # the words of the statement before, without quotes


def place_of(text: str, cursor: int) -> Place:
    """Return where a cursor stands; what is behind it does not matter."""
    head = text[:cursor]
    tokens = _statement(list(scan(head)))
    if not tokens:
        return Place(where=Where.WORD, start=cursor)
    last = tokens[-1]
    if last.shape is Shape.DIRECTIVE or (last.shape is Shape.JOINT and not _words(head, tokens) and head[-1] == "\\"):
        return Place(where=Where.DIRECTIVE, text=head[last.start + 1 :], start=last.start + 1)
    found = _OPEN_TEMPLATE.search(head, last.start) if last.shape in (Shape.OPEN_TEMPLATE, Shape.OPEN_QUOTE) else None
    first, *rest = tokens
    name = head[first.start + 1 : first.end] if first.shape is Shape.DIRECTIVE else None
    place = Place(where=Where.WORD, start=cursor, directive=name)
    if found is not None:
        words = _words(head, rest if name else tokens)
        return replace(place, where=Where.TEMPLATE, text=found[0], start=found.start(), before=tuple(words[:-1]))
    return _word(head, rest if name else tokens, place)


def _statement(tokens: list[Token]) -> list[Token]:
    """Return the tokens of the last statement, without the gap and the template tags before it."""
    begin = max((i for i, t in enumerate(tokens) if t.shape in _ENDS), default=-1) + 1
    while begin < len(tokens) and tokens[begin].shape in (Shape.BLANK, Shape.NOTE, Shape.TEMPLATE):
        begin += 1
    if begin and tokens[-1].shape is Shape.PRAGMA:
        return [tokens[-1]]
    return tokens[begin:]


def _word(head: str, tokens: list[Token], place: Place) -> Place:
    """Return the place in the last word of a statement."""
    words = _words(head, tokens)
    last = tokens[-1] if tokens else None
    if last is None or last.shape in (Shape.BLANK, Shape.JOINT):
        return replace(place, before=tuple(words))
    if last.shape in (Shape.COMMENT, Shape.NOTE, Shape.OPEN_NOTE, Shape.PRAGMA, Shape.QUOTED):
        return replace(place, where=Where.NOWHERE)
    start = next((t.end for t in reversed(tokens[:-1]) if t.shape in _GAPS), tokens[0].start)
    quote = head[start] if last.shape is Shape.OPEN_QUOTE and last.start == start else ""
    start += len(quote)
    return replace(place, text=head[start:], start=start, quote=quote, before=tuple(words[:-1]))


def _words(head: str, tokens: list[Token]) -> list[str]:
    words: list[str] = []
    is_open = False
    for token in tokens:
        if token.shape in _GAPS or token.shape is Shape.DIRECTIVE:
            is_open = False
            continue
        text = head[token.start : token.end]
        if is_open:
            words[-1] += text
        else:
            words.append(unquote(text))
        is_open = True
    return words
