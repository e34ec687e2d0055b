"""Says which characters of a text are what, for colours; text that is wrong or half written is no trouble."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from dgen.lang.directives import directives
from dgen.lang.scan import Shape, Token, scan, terminal


class Kind(StrEnum):
    """What a stretch of text is."""

    COMMENT = "comment"
    PRAGMA = "pragma"
    DIRECTIVE = "directive"
    MODEL = "model"
    OPTION = "option"
    VALUE = "value"
    NUMBER = "number"
    QUOTE = "quote"
    VARIABLE = "variable"  # of a script, of a template, of the environment
    URI_KEY = "uri-key"
    CONTINUATION = "continuation"
    TEMPLATE = "template"  # the braces of a template and what is nothing else inside them
    KEYWORD = "keyword"
    FUNCTION = "function"


class Mark(NamedTuple):
    """The characters `start <= offset < end` of a text are of a kind."""

    start: int
    end: int
    kind: Kind


TAGS = (
    "if", "elif", "else", "endif", "for", "endfor", "set", "endset", "with", "endwith", "macro", "endmacro", "call",
    "endcall", "filter", "endfilter", "raw", "endraw", "do", "break", "continue",
)  # fmt: skip
"""The words that a tag of a template block starts with."""

OPERATORS = ("and", "or", "not", "in", "is", "recursive", "True", "False", "None", "true", "false", "none")
"""The words of template expressions that are no names."""

_ENVIRONMENT = r"\$(?:[A-Za-z_]\w*|\{[A-Za-z_]\w*\})|%[A-Za-z_]\w*%"
_PLAIN = re.compile(rf"\\.|(?P<variable>{_ENVIRONMENT})|(?<=;)(?P<uri_key>[\w-]+)(?==)", re.S)
_OPTION = re.compile(r"--?[A-Za-z][\w-]*")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_INSIDE = re.compile(
    rf"""(?P<quote>"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?)
    |(?P<number>\b\d+(?:\.\d+)?\b)
    |(?P<keyword>(?<=\{{%)[-+]?\s*(?:{"|".join(TAGS)})\b|\b(?:{"|".join(OPERATORS)}|for|if|else)\b)
    |(?P<function>\b[A-Za-z_]\w*(?=\s*\()|(?:\|\s*|(?<=\bis\ )|(?<=\bis\ not\ ))[A-Za-z_]\w*)
    |(?P<variable>\b[A-Za-z_]\w*)""",
    re.X | re.S,
)
_COMMENT = re.compile(r"(?<![^\s\\])#[^\n]*")
_WORD_ENDS = (Shape.NEWLINE, Shape.BLANK, Shape.JOINT, Shape.COMMENT, Shape.PRAGMA, Shape.DIRECTIVE, Shape.END)


def highlight(text: str) -> list[Mark]:
    """Return the marks of a text, in order and without overlaps; white space by itself has none."""
    return [mark for mark in _Marker(text).marks() if text[mark.start : mark.end].strip()]


class _Marker:
    """Walks over the tokens of a text, word by word."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.word: list[Token] = []
        self.count = 0  # words of the statement before this one
        self.names_left = 0  # words of a directive that are names of variables
        self.is_directive = self.is_raw = self.is_expression = False

    def marks(self) -> Iterator[Mark]:
        for token in scan(self.text):
            if token.shape in _WORD_ENDS:
                yield from self._end_word()
                yield from self._between(token)
            elif token.shape is Shape.TEMPLATE and not self._is_inside and self.text.startswith("{%", token.start):
                yield from _template(self.text, token)
            else:
                self.word.append(token)
        yield from self._end_word()

    @property
    def _is_inside(self) -> bool:
        """Whether a statement has begun."""
        return bool(self.word) or self.is_directive or self.count > 0

    def _between(self, token: Token) -> Iterator[Mark]:
        if token.shape in (Shape.NEWLINE, Shape.PRAGMA, Shape.END):
            self.count = self.names_left = 0
            self.is_directive = self.is_raw = self.is_expression = False
        if token.shape is Shape.DIRECTIVE:
            self._begin_directive(self.text[token.start + 1 : token.end])
        if token.shape is Shape.JOINT:
            yield from self._joint(token)
        elif kind := _WHOLE.get(token.shape):
            yield Mark(token.start, token.end, kind)

    def _begin_directive(self, name: str) -> None:
        self.is_directive = True
        row = directives().get(name)
        if row is not None:
            self.is_raw = row.raw
            self.is_expression = any(p.raw and p.name == "expr" for p in row.parameters)
            self.names_left = sum(p.name in ("name", "var") for p in row.parameters[:1])

    def _joint(self, token: Token) -> Iterator[Mark]:
        text = self.text[token.start : token.end]
        if text.startswith("\\"):
            yield Mark(token.start, token.start + 1, Kind.CONTINUATION)
        for comment in _COMMENT.finditer(text):
            yield Mark(token.start + comment.start(), token.start + comment.end(), Kind.COMMENT)

    def _end_word(self) -> Iterator[Mark]:
        if not self.word:
            return
        pieces, self.word = self.word, []
        base = self._role(self.text[pieces[0].start : pieces[-1].end])
        if not self.is_directive or base is not Kind.VARIABLE:
            self.names_left = 0
        self.names_left = max(0, self.names_left - 1)
        self.count += 1
        for piece in pieces:
            yield from self._piece(piece, base)

    def _role(self, word: str) -> Kind:
        """Return what a word is as a whole."""
        if self.is_directive and self.names_left:
            return Kind.VARIABLE
        if not self.is_directive and self.count == 0:
            return Kind.MODEL
        if _OPTION.match(word) and not self.is_raw:
            return Kind.OPTION
        return Kind.NUMBER if _NUMBER.fullmatch(word) and not self.is_raw else Kind.VALUE

    def _piece(self, piece: Token, base: Kind) -> Iterator[Mark]:
        match piece.shape:
            case Shape.TEMPLATE | Shape.OPEN_TEMPLATE:
                yield from _template(self.text, piece)
            case Shape.NOTE | Shape.OPEN_NOTE:
                yield Mark(piece.start, piece.end, Kind.COMMENT)
            case Shape.RAW:
                yield Mark(piece.start, piece.end, Kind.TEMPLATE)
            case Shape.QUOTED | Shape.OPEN_QUOTE:
                yield from _quoted(self.text, piece, Kind.VALUE if self.is_raw else Kind.QUOTE)
            case _:
                yield from self._text(piece, base)

    def _text(self, piece: Token, base: Kind) -> Iterator[Mark]:
        start = piece.start
        if base is Kind.OPTION:
            found = _OPTION.match(self.text, piece.start, piece.end)
            start = found.end() if found else piece.start
            yield Mark(piece.start, start, Kind.OPTION)
            base = Kind.VALUE
        if self.is_expression and base is not Kind.VARIABLE:
            yield from _between_found(_INSIDE.finditer(self.text, start, piece.end), start, piece.end, Kind.VALUE)
            return
        yield from _plain(self.text, start, piece.end, base)


_WHOLE = {
    Shape.COMMENT: Kind.COMMENT, Shape.PRAGMA: Kind.PRAGMA, Shape.DIRECTIVE: Kind.DIRECTIVE, Shape.END: Kind.TEMPLATE,
}  # fmt: skip


def _plain(text: str, start: int, end: int, base: Kind) -> Iterator[Mark]:
    """Mark text outside templates: variables of the environment, keys of URIs, the rest as what it is."""
    yield from _between_found(_PLAIN.finditer(text, start, end), start, end, base)


def _quoted(text: str, piece: Token, base: Kind) -> Iterator[Mark]:
    place = piece.start
    for found in terminal("INLINE").finditer(text, piece.start, piece.end):
        yield from _plain(text, place, found.start(), base)
        yield from _template(text, Token(Shape.TEMPLATE, found.start(), found.end()))
        place = found.end()
    yield from _plain(text, place, piece.end, base)


def _template(text: str, piece: Token) -> Iterator[Mark]:
    yield from _between_found(_INSIDE.finditer(text, piece.start, piece.end), piece.start, piece.end, Kind.TEMPLATE)


def _between_found(matches: Iterable[re.Match[str]], start: int, end: int, base: Kind) -> Iterator[Mark]:
    """Yield a mark for every named match, and marks of the base kind between them."""
    place = start
    for found in matches:
        if found.lastgroup is not None:
            start = found.end() - len(found[0].lstrip("|-+ \t\r\n"))
            yield Mark(place, start, base)
            yield Mark(start, found.end(), Kind(found.lastgroup.replace("_", "-")))
            place = found.end()
    yield Mark(place, end, base)
