"""The text of one statement on one line, of which every character knows where it came from."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from dgen.diagnostic import Piece, Source, Span
from dgen.lang.grammar import BLANKS, joint, parse_pieces

_FOLD = re.compile(rf"[{BLANKS}]*(?:\\[{BLANKS}]*\n(?:[{BLANKS}]*(?:#[^\n]*)?\n)*|\n(?=[{BLANKS}]*-))[{BLANKS}]*")
_INNER_END = re.compile(rf"(?<![^\s])!END(?=\s|\Z)(?P<last>[{BLANKS}]*(?:\\[{BLANKS}]*)?(?=\n|\Z))?")


@dataclass(frozen=True, slots=True)
class Line:
    """A text and the pieces that map it to a source; `verbatim` are stretches that `quote()` made.

    `became` is the whole text after rendering, when rendering changed it.
    """

    text: str
    pieces: tuple[Piece, ...]
    verbatim: tuple[tuple[int, int], ...] = ()
    became: str | None = None

    @staticmethod
    def of(span: Span) -> Line:
        """Make a line of a span as it stands in its source."""
        return Line(span.text, (Piece(0, span.end - span.start, span, exact=True),))

    def cut(self, start: int, end: int) -> Line:
        """Return `text[start:end]` as a line."""
        built = LineBuilder(self.became)
        built.copy(self, start, end)
        return built.line()

    def strip(self) -> Line:
        """Return the line without the white space around it."""
        start = len(self.text) - len(self.text.lstrip())
        return self.cut(start, max(start, len(self.text.rstrip())))

    def is_exact(self, start: int, end: int) -> bool:
        """Say whether `text[start:end]` stands in the source, character by character, in one stretch."""
        return any(p.exact and p.start <= start and end <= p.end for p in self.pieces)

    def at(self, start: int, end: int) -> Span:
        """Return the span in the source of `text[start:end]`."""
        touched = [p for p in self.pieces if p.start < max(end, start + 1) and p.end > start]
        if not touched:
            last = self.pieces[-1].span
            return Span(last.source, last.end, last.end)
        first, last = touched[0], touched[-1]
        low = first.span.start + (max(0, start - first.start) if first.exact else 0)
        high = last.span.start + min(end, last.end) - last.start if last.exact else last.span.end
        return Span(first.span.source, low, max(low, high))


@dataclass(slots=True)
class LineBuilder:
    """Joins stretches of other lines and replacements into one line."""

    became: str | None = None
    texts: list[str] = field(default_factory=list[str])
    pieces: list[Piece] = field(default_factory=list[Piece])
    verbatim: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    length: int = 0

    def put(self, text: str, span: Span, exact: bool = False) -> None:
        """Append a text that stands for a span; `exact`: it is the text of the span."""
        if not text:
            return
        last = self.pieces[-1] if self.pieces else None
        if exact and last and last.exact and last.span.source is span.source and last.span.end == span.start:
            grown = Span(span.source, last.span.start, span.end)
            self.pieces[-1] = Piece(last.start, self.length + len(text), grown, exact=True)
        else:
            self.pieces.append(Piece(self.length, self.length + len(text), span, exact))
        self.texts.append(text)
        self.length += len(text)

    def copy(self, line: Line, start: int, end: int) -> None:
        """Append `line.text[start:end]` with its pieces."""
        shift = self.length - start
        for low, high in line.verbatim:
            if low < end and high > start:
                self.verbatim.append((max(low, start) + shift, min(high, end) + shift))
        for piece in line.pieces:
            low, high = max(piece.start, start), min(piece.end, end)
            if low < high:
                span = piece.span.part(low - piece.start, high - piece.start) if piece.exact else piece.span
                self.put(line.text[low:high], span, piece.exact)

    def line(self) -> Line:
        """Return what was joined."""
        return Line("".join(self.texts), tuple(self.pieces), tuple(self.verbatim), self.became)


def logical_line(body: Span) -> Line:
    """Return the body of a statement on one line: each joint becomes one space, and `\r` a blank."""
    text = body.text
    if "\n" not in text and "\r" not in text:
        return Line.of(body)
    built = LineBuilder()
    place = 0
    for piece in parse_pieces(text):
        start, end = piece.start_pos or 0, piece.end_pos or 0
        _put_gap(built, body.part(place, start))
        _put_piece(built, body.part(start, end))
        place = end
    _put_gap(built, body.part(place, len(text)))
    return built.line()


def _put_gap(built: LineBuilder, span: Span) -> None:
    """Append what lies between two pieces: blanks as they are, a joint with the blanks around it as one space."""
    if "\n" in span.text or joint().search(span.text):
        built.put(" ", span)
    else:
        built.put(span.text.replace("\r", " "), span, exact=True)


def _put_piece(built: LineBuilder, span: Span) -> None:
    place = 0
    text = span.text
    for fold in _FOLD.finditer(text):
        built.put(text[place : fold.start()].replace("\r", " "), span.part(place, fold.start()), exact=True)
        built.put(" ", span.part(fold.start(), fold.end()))
        place = fold.end()
    built.put(text[place:].replace("\r", " "), span.part(place, len(text)), exact=True)


def block_line(body: Span) -> Line:
    """Return the text of a template block, character by character: an `!END` inside it is a newline."""
    text = _INNER_END.sub(_newline, body.text).replace("\r", " ")
    return Line(text, (Piece(0, len(text), body, exact=True),))


def _newline(match: re.Match[str]) -> str:
    return " " * len(match[0]) if match["last"] is not None else "\n" + " " * (len(match[0]) - 1)


def source_line(source: Source) -> Line:
    """Return the whole text of a source as a line."""
    return Line.of(Span(source, 0, len(source.text)))
