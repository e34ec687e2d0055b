"""Splits a line into words: white space, quotes, escapes, home folders and globs."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from dgen.diagnostic import DgenError, Diagnostic, Piece, Span, Word
from dgen.lang.expand import expand_glob, expand_home
from dgen.lang.grammar import joint
from dgen.lang.line import Line

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n\f\v]+)
    |(?P<escape>\\(?:u\{(?:10|0?[0-9a-fA-F])?[0-9a-fA-F]{1,4}\}|[\\"'\ $%#{]))
    |(?P<quoted>"(?:[^"\\]+|\\.)*+"|'(?:[^'\\]+|\\.)*+')
    |(?P<open>["'])
    |(?P<magic>[*?\[])
    |(?P<text>[^ \t\r\n\f\v\\"'*?\[]+|\\)""",
    re.X | re.S,
)
_ESCAPE = re.compile(r"\\(?:u\{(?P<code>(?:10|0?[0-9a-fA-F])?[0-9a-fA-F]{1,4})\}|(?P<char>[\\\"' $%#{]))")
_OPERATOR = re.compile(r"(?<!\S)2>&1|(?<!\S)2>>?|(?<!\S)&>>?|\|\||&&|>>?|<|\||(?<!\S)&(?!\S)")
_END = r"(?=[ \t\r\f\v\n]|\Z)"


@dataclass(frozen=True, slots=True)
class _Part:
    """A token of a word: its text in the word and its place in the line; `shape` names the kind of token."""

    text: str
    start: int
    end: int
    shape: str


class Operator(Word):
    """A word that is no argument: it joins programs or says where their input and output go."""

    __slots__ = ()


@dataclass(slots=True)
class _Draft:
    """A word while it is put together."""

    parts: list[_Part] = field(default_factory=list[_Part])

    @property
    def start(self) -> int:
        return self.parts[0].start

    @property
    def end(self) -> int:
        return self.parts[-1].end


@cache
def _plain() -> re.Pattern[str]:
    """Return the pattern of a plain statement: joints and blanks, plain quoted words, plain words."""
    return re.compile(
        rf"""(?:{joint().pattern}|[ \t\r\f\v]+)|"([^"\\$%{{\n]*)"{_END}|'([^'\\$%{{\n]*)'{_END}"""
        rf"""|([^\s"'\\$%~*?\[{{]+){_END}|(?P<other>(?s:.))"""
    )


def split_plain(body: Span) -> tuple[Word, ...] | None:
    """Split a body without templates, variables, globs and escapes; None when it holds any of them."""
    words: list[Word] = []
    source = body.source
    for match in _plain().finditer(source.text, body.start, body.end):
        group = match.lastindex
        if group is None:
            continue
        if group == 4:
            return None
        words.append(Word(match[group], Span(source, match.start(), match.end())))
    return tuple(words)


Home = Callable[[str, Span], str]
"""Replaces a leading `~` of a word that stands somewhere."""


def _home(text: str, span: Span) -> str:
    return expand_home(text)


def split(line: Line, *, expand: bool = True, home: Home = _home) -> tuple[Word, ...]:
    """Split a rendered line; `expand` says whether home folders and globs are expanded, `home` how.

    Raises:
        DgenError: `bad-syntax` for a quote that is never closed, `missing-file` for a glob without a match.
    """
    words: list[Word] = []
    draft = _Draft()
    for match in _TOKEN.finditer(line.text):
        shape = match.lastgroup or "text"
        if shape == "open":
            raise DgenError(open_quote(line.at(match.start(), match.end()), line.became))
        if shape != "space":
            draft.parts.append(_Part(_unescape(match[0], shape), match.start(), match.end(), shape))
        elif draft.parts:
            words += _finish(draft, line, home if expand else None)
            draft = _Draft()
    if draft.parts:
        words += _finish(draft, line, home if expand else None)
    return tuple(words)


def split_operators(line: Line, *, home: Home = _home) -> tuple[Word | Operator, ...]:
    """Split a rendered line in which the operators of a shell stand, outside quotes and what `quote()` made.

    Raises:
        DgenError: as for `split`.
    """
    words: list[Word | Operator] = []
    place = 0
    for token in _TOKEN.finditer(line.text):
        found = _OPERATOR.finditer(line.text, token.start(), token.end()) if token.lastgroup == "text" else ()
        for match in found:
            if any(low <= match.start() < high for low, high in line.verbatim):
                continue
            words += split(line.cut(place, match.start()), home=home)
            words.append(Operator(match[0], line.at(match.start(), match.end())))
            place = match.end()
    return (*words, *split(line.cut(place, len(line.text)), home=home))


def unquote(text: str) -> str:
    """Return the text of a word that stands wholly in quotes without them, any other text as it is."""
    match = _TOKEN.fullmatch(text)
    if match is None or match.lastgroup != "quoted":
        return text
    return _ESCAPE.sub(_escaped, text[1:-1])


def open_quote(span: Span, became: str | None = None) -> Diagnostic:
    """Describe a quote that is never closed, in a line that rendering may have changed."""
    notes = ((None, f"the line became: {became}"),) if became is not None else ()
    help = f"close the quote on the same statement, or write `\\{span.text[:1]}` for a literal one"
    if span.text[:1] not in ("'", '"'):
        help = "`quote()` keeps a text that may hold quotes together: `{{ quote(name) }}`"
    return Diagnostic(code="bad-syntax", message="this quote is never closed", span=span, help=help, notes=notes)


def _unescape(text: str, shape: str) -> str:
    if shape == "escape":
        return _ESCAPE.sub(_escaped, text)
    if shape == "quoted":
        return _ESCAPE.sub(_inner_escaped, text)
    return text


def _escaped(match: re.Match[str]) -> str:
    return chr(int(match["code"], 16)) if match["code"] else match["char"]


def _inner_escaped(match: re.Match[str]) -> str:
    r"""Keep `\\`, `\"` and `\'` inside the quotes of a larger word: its own parser reads them."""
    return match[0] if match["char"] in ("\\", '"', "'") else _escaped(match)


def _finish(draft: _Draft, line: Line, expand: Home | None) -> list[Word]:
    parts = draft.parts
    span = line.at(draft.start, draft.end)
    if len(parts) == 1 and parts[0].shape == "quoted":
        return [_quoted_word(parts[0], line, span)]
    text = "".join(part.text for part in parts)
    home = expand is not None and parts[0].shape == "text" and text.startswith("~")
    magic = expand is not None and any(part.shape == "magic" for part in parts) and "://" not in text
    if magic:
        pattern = "".join(_glob_part(part) for part in parts)
        found = expand_glob(expand(pattern, span) if expand and home else pattern, span)
    elif expand and home:
        found = [expand(text, span)]
    else:
        return [Word(text, span, _pieces(parts, line, span), line.became)]
    return [Word(path, span, (Piece(0, len(path), span, exact=False),), line.became) for path in found]


def _quoted_word(part: _Part, line: Line, span: Span) -> Word:
    inner = line.text[part.start + 1 : part.end - 1]
    if "\\" not in inner:
        plain = _Part(inner, part.start + 1, part.end - 1, "text")
        return Word(inner, span, _pieces([plain], line, span), line.became)
    parts: list[_Part] = []
    place, base = 0, part.start + 1
    for match in _ESCAPE.finditer(inner):
        parts.append(_Part(inner[place : match.start()], base + place, base + match.start(), "text"))
        parts.append(_Part(_escaped(match), base + match.start(), base + match.end(), "escape"))
        place = match.end()
    parts.append(_Part(inner[place:], base + place, base + len(inner), "text"))
    return Word("".join(p.text for p in parts), span, _pieces(parts, line, span), line.became)


def _glob_part(part: _Part) -> str:
    """Return a part as a glob pattern: what was quoted or escaped stands for itself, without its quotes."""
    import glob

    if part.shape == "quoted":
        return glob.escape(unquote(part.text))
    return glob.escape(part.text) if part.shape == "escape" else part.text


def _pieces(parts: list[_Part], line: Line, span: Span) -> tuple[Piece, ...]:
    """Map the text of a word to the source; nothing when it stands there as it is, or between its quotes."""
    text = "".join(part.text for part in parts)
    stands_there = span.text in (text, f'"{text}"', f"'{text}'")
    if stands_there and line.is_exact(parts[0].start, parts[-1].end):
        return ()
    pieces: list[Piece] = []
    place = 0
    for part in parts:
        length = part.end - part.start
        if len(part.text) != length:
            pieces.append(Piece(place, place + len(part.text), line.at(part.start, part.end), exact=False))
        else:
            pieces += _moved(line.cut(part.start, part.end), place)
        place += len(part.text)
    return () if stands_there and all(piece.exact for piece in pieces) else tuple(pieces)


def _moved(line: Line, place: int) -> list[Piece]:
    return [Piece(p.start + place, p.end + place, p.span, p.exact) for p in line.pieces]
