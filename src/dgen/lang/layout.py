"""Lays a script out in one way: the model on its own line, one option a line, comments kept, nothing else changed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from dgen.diagnostic import Source, Span
from dgen.lang.directives import directives
from dgen.lang.grammar import parse_pieces
from dgen.lang.nodes import Block, Comment, Directive, Invocation, Script, Statement
from dgen.lang.parse import parse

_OPTION = re.compile(r"--?[A-Za-z]")
_DYNAMIC = re.compile(r"\{[{%#]|[$%]")
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
_GAP_LINE = re.compile(r"\s*\\?\s*(#.*?)?\s*\Z")


@dataclass(frozen=True, slots=True)
class _Word:
    """A word as it is written, and the gap before it.

    `is_free`: the gap is white space between words, however much; otherwise a template or a variable before it may
    have opened a quote, and every blank counts. `tail` and `comments` stand in the gap: after the word before, and
    on lines of their own.
    """

    text: str
    gap: str = ""
    is_free: bool = True
    tail: str = ""
    comments: tuple[str, ...] = ()

    @property
    def is_joined(self) -> bool:
        """Whether the word stands on another line than the one before."""
        return "\n" in self.gap

    @property
    def may_break(self) -> bool:
        """Whether the gap may become the end of a line."""
        return self.is_free or self.is_joined or self.gap == " "

    @property
    def meaning(self) -> tuple[str, str]:
        """What the word and its gap say, however they are laid out."""
        return (" " if self.may_break else self.gap, self.text)


def lay_out(source: Source) -> str:
    """Return the text of a script in its one layout; a script that cannot be laid out without doubt stays as it is.

    Raises:
        DgenError: whatever is wrong with its syntax.
    """
    script = parse(source)
    text = _layout(script)
    return text if _meaning(parse(Source(source.name, text))) == _meaning(script) else source.text


def _layout(script: Script) -> str:
    parts: list[str] = []
    place = 0
    for statement in script.statements:
        between = script.source.text[place : statement.span.start]
        place = statement.span.end
        if parts and "\n" not in between and isinstance(statement, Comment):
            parts[-1] = f"{parts[-1]}  {statement.span.text.rstrip()}"
            continue
        if parts and _BLANK_LINE.search(between):
            parts.append("")
        parts += _loose_comments(between)
        parts.append(_laid_out(statement))
    parts += _loose_comments(script.source.text[place:])
    return "".join(f"{part}\n" for part in parts)


def _loose_comments(between: str) -> list[str]:
    """Return the comments that a backslash which joins nothing has swallowed."""
    gap = _word("", between, True)
    return [each for each in (gap.tail, *gap.comments) if each]


def _laid_out(statement: Statement) -> str:
    if isinstance(statement, Block):
        return _lead(statement.span) + statement.span.text.rstrip()
    if not isinstance(statement, Invocation | Directive):
        return statement.span.text.rstrip()
    words = list(_words(statement))
    return "\n".join(_lines(words, breaks_options=isinstance(statement, Invocation)))


def _lead(span: Span) -> str:
    """Return the blanks before a template block, of which the inner lines keep theirs."""
    line = span.source.text.rfind("\n", 0, span.start) + 1
    lead = span.source.text[line : span.start]
    return lead if not lead.strip() else ""


def _lines(words: list[_Word], *, breaks_options: bool) -> Iterator[str]:
    line = ""
    for index, word in enumerate(words):
        is_option = bool(_OPTION.match(word.text))
        wants_break = bool(word.tail or word.comments) or (is_option and breaks_options)
        wants_break = wants_break or (word.is_joined and not breaks_options)
        ends_in_blank = line[-1:].isspace()
        if index == 0:
            line = word.text
        elif not word.text:
            yield line + (f"  {word.tail}" if word.tail else "")
            line = "\n".join(word.comments)
        elif not wants_break or not word.may_break or ends_in_blank:
            line += (" " if word.may_break else word.gap) + word.text
        else:
            needs_backslash = bool(word.comments) or not is_option
            yield line + (" \\" if needs_backslash else "") + (f"  {word.tail}" if word.tail else "")
            yield from word.comments
            line = word.text
    if line:
        yield line


def _words(statement: Invocation | Directive) -> Iterator[_Word]:
    """Yield the words of a statement; an empty last one holds the comments after it."""
    text = statement.span.text
    free_gaps = _free_gaps(statement)
    word, gap = "", ""
    place, is_free = 0, True
    for piece in parse_pieces(text):
        start, end = piece.start_pos or 0, piece.end_pos or 0
        if start > place and word:
            yield _word(word, gap, is_free)
            is_free = is_free and free_gaps > 0 and not _DYNAMIC.search(word)
            free_gaps -= 1
            gap, word = text[place:start], ""
        word += text[start:end]
        place = end
    yield _word(word, gap, is_free)
    last = _word("", text[place:], True)
    if last.tail or last.comments:
        yield last


def _free_gaps(statement: Invocation | Directive) -> float:
    """Count the gaps that are white space between words; those inside the raw text of a directive are not."""
    if isinstance(statement, Invocation):
        return math.inf
    row = directives().get(statement.name)
    if row is None or not row.raw:
        return 0 if row is None else math.inf
    return 1 + [parameter.raw for parameter in row.parameters].index(True)


def _word(text: str, gap: str, is_free: bool) -> _Word:
    first, *rest = gap.split("\n")
    found = [match[1] or "" for line in (first, *rest) if (match := _GAP_LINE.match(line))]
    tail, comments = (found[0], tuple(c for c in found[1:] if c)) if found else ("", ())
    return _Word(text, gap, is_free, tail, comments)


def _meaning(script: Script) -> tuple[list[object], list[str]]:
    """Return what a script says, however it is laid out, and its comments."""
    said: list[object] = []
    comments: list[str] = []
    place = 0
    for statement in script.statements:
        comments += _loose_comments(script.source.text[place : statement.span.start])
        place = statement.span.end
        if isinstance(statement, Comment):
            comments.append(statement.span.text.rstrip())
        elif isinstance(statement, Invocation | Directive):
            words = list(_words(statement))
            comments += [c for w in words for c in (w.tail, *w.comments) if c]
            said.append((type(statement), [w.meaning for w in words if w.text]))
        else:
            said.append((type(statement), statement.span.text.rstrip()))
    return said, comments + _loose_comments(script.source.text[place:])
