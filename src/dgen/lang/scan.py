"""Cuts text into the tokens of the grammar, whatever is wrong with it: for those who look while somebody types."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum, auto
from functools import cache
from typing import NamedTuple

from dgen.lang.directives import directives
from dgen.lang.grammar import BLANKS, parser


class Shape(Enum):
    """What a token is; those that start with OPEN are never closed."""

    NEWLINE = auto()  # ends a statement
    BLANK = auto()
    JOINT = auto()  # joins two lines of a statement
    COMMENT = auto()
    PRAGMA = auto()
    DIRECTIVE = auto()
    TEXT = auto()
    QUOTED = auto()
    TEMPLATE = auto()  # {{ … }} or {% … %}
    NOTE = auto()  # {# … #}
    RAW = auto()  # {% raw %} … {% endraw %}
    END = auto()  # !END
    OPEN_QUOTE = auto()
    OPEN_TEMPLATE = auto()
    OPEN_NOTE = auto()


class Token(NamedTuple):
    """A stretch `start <= offset < end` of a text."""

    shape: Shape
    start: int
    end: int


Rule = tuple[Shape, re.Pattern[str]]


def scan(text: str) -> Iterator[Token]:
    """Yield the tokens of a text, one after the other without a gap."""
    place, is_start, is_raw = 0, True, False
    while place < len(text):
        token = _next(text, place, is_start=is_start, is_raw=is_raw)
        yield token
        if token.shape in (Shape.NEWLINE, Shape.PRAGMA, Shape.END):
            is_start, is_raw = True, False
        elif token.shape is Shape.DIRECTIVE:
            is_start, is_raw = False, _takes_raw_text(text[token.start + 1 : token.end])
        elif token.shape not in (Shape.BLANK, Shape.COMMENT, Shape.NOTE):
            is_start = is_start and text.startswith("{%", token.start)
        place = token.end


def _next(text: str, place: int, *, is_start: bool, is_raw: bool) -> Token:
    for shape, pattern in _start_rules() if is_start else ():
        if found := pattern.match(text, place):
            return Token(shape, place, found.end())
    for shape, pattern in _rules():
        if (found := pattern.match(text, place)) and found.end() > place:
            is_lone = is_raw and shape is Shape.OPEN_QUOTE
            return Token(Shape.TEXT, place, place + 1) if is_lone else Token(shape, place, found.end())
    return Token(Shape.TEXT, place, place + 1)


def _takes_raw_text(name: str) -> bool:
    row = directives().get(name)
    return row is not None and row.raw


@cache
def terminal(name: str) -> re.Pattern[str]:
    """Return the pattern of a terminal of grammar/dgen.lark."""
    return re.compile(parser().get_terminal(name).pattern.to_regexp())


@cache
def _start_rules() -> tuple[Rule, ...]:
    """Return what only the start of a statement can be; tags may span lines there, as they do in a block."""
    tags = "|".join(t.pattern.to_regexp() for t in parser().terminals if _is_tag(t.name))
    return (
        (Shape.PRAGMA, re.compile(r"#![ \t]*(?:dgenerate|dgen)[ \t]+v?[0-9][^\n]*")),
        (Shape.COMMENT, re.compile(r"#[^\n]*")),
        (Shape.DIRECTIVE, terminal("DIRECTIVE")),
        (Shape.END, re.compile(rf"!END(?=[{BLANKS}]*(?:\\[{BLANKS}]*)?(?:\n|\Z))")),
        (Shape.RAW, terminal("RAW")),
        (Shape.TEMPLATE, re.compile(tags)),
    )


def _is_tag(name: str) -> bool:
    return name in ("IF", "FOR", "MACRO", "CALL", "FILTER", "SET", "WITH", "TAG", "ELSE") or name.startswith("END_")


@cache
def _rules() -> tuple[Rule, ...]:
    """Return what may stand in a statement, the more special first."""
    return (
        (Shape.JOINT, terminal("JOINT")),
        (Shape.NEWLINE, re.compile(r"\n")),
        (Shape.BLANK, re.compile(rf"[{BLANKS}\ufeff]+")),
        (Shape.TEXT, terminal("TEXT")),
        (Shape.COMMENT, re.compile(r"#[^\n]*")),
        (Shape.QUOTED, terminal("QUOTED")),
        (Shape.RAW, terminal("RAW")),
        (Shape.TEMPLATE, terminal("INLINE")),
        (Shape.NOTE, terminal("NOTE")),
        (Shape.OPEN_QUOTE, re.compile(rf"[\"'](?:[^\n\\]|\\.|\\[{BLANKS}]*\n|\n(?=[{BLANKS}]*-))*")),
        (Shape.OPEN_TEMPLATE, re.compile(r"\{[{%][^\n]*")),
        (Shape.OPEN_NOTE, re.compile(r"\{#.*", re.S)),
    )
