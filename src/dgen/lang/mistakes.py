"""Finds every syntax mistake of a source and words it by the rows of grammar/mistakes.toml."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from dgen.diagnostic import Diagnostic, Source, Span
from dgen.lang.grammar import parse_script, parser

if TYPE_CHECKING:
    from lark import Token
    from lark.exceptions import UnexpectedInput

_OPENERS = ("IF", "FOR", "MACRO", "CALL", "FILTER", "SET", "WITH")
_MOST = 100  # mistakes that are looked for: each costs reading the rest of the source
_OPEN_ROWS = {"{{": "open-output", "{%": "open-tag", "{#": "open-note"}
_OPENER = re.compile(r"\{[{%#]")
_BROKEN_OPENERS = ("OPEN_TAG", "LONE_IF", "LONE_FOR", "UNKNOWN_TAG")


@dataclass(frozen=True, slots=True)
class Mistake:
    """A row of the table; `token` begins the name of the terminal that the samples stumble over, if it matters."""

    name: str
    samples: tuple[str, ...]
    code: str
    message: str
    help: str
    token: str = ""


@cache
def mistakes() -> tuple[Mistake, ...]:
    """Return the rows of grammar/mistakes.toml."""
    import tomllib

    from dgen.resources import grammar

    rows: list[dict[str, Any]] = tomllib.loads(grammar("mistakes.toml"))["mistake"]
    return tuple(Mistake(samples=tuple(row.pop("samples")), **row) for row in rows)


def find_mistakes(source: Source) -> list[Diagnostic]:
    """Return the first syntax mistakes of a source: after each, parsing goes on at the next statement."""
    from lark.exceptions import UnexpectedInput

    found: list[Diagnostic] = []
    text, start, unclosed = source.text, 0, 0
    for _ in range(_MOST):
        if start > len(text):
            break
        try:
            _parse_sample(" " * start + text[start:])
        except UnexpectedInput as error:
            kind, follows = _kind(error), unclosed > 0 and _opened(error) is None
            if not (follows and kind.startswith(("END_", "ELSE"))):
                found.append(_describe(error, source))
                unclosed += len(_open_tags(error)) + (kind in _BROKEN_OPENERS)
            elif kind.startswith("END_"):
                unclosed -= 1
            start = _next_statement(text, max(start, _place(error)[0]))
        else:
            break
    return found or [Diagnostic(code="bad-syntax", message="this is not a script", span=Span(source, 0, 1))]


_AHEAD = 1


def _parse_sample(text: str) -> Any:
    """Parse after a newline: a parser that has seen a line is in the same state wherever a statement starts."""
    return parse_script(f"\n{text}\n")


def _kind(error: UnexpectedInput) -> str:
    """Return the name of the terminal that was not expected."""
    token = _token(error)
    return token.type if token is not None else ""


def _token(error: UnexpectedInput) -> Token | None:
    return getattr(error, "token", None)


def _next_statement(text: str, position: int) -> int:
    """Return where the statement after the one at a position starts."""
    match = re.compile(r"(?<![\\ \t\r])[ \t\r]*\n(?![ \t]*-)").search(text, position)
    return match.end() if match else len(text) + 1


def _describe(error: UnexpectedInput, source: Source) -> Diagnostic:
    row = _matching_row(error)
    start, end = _place(error)
    if _kind(error) in ("LONE_DOUBLE", "LONE_SINGLE") and (opener := _open_template(source.text, start)):
        row, start, end = _row_named(_OPEN_ROWS[opener[0]]), opener.start(), opener.end()
    span = Span(source, min(start, len(source.text)), min(end, len(source.text)))
    opened = _opened(error)
    fields = {"text": span.text, "opened": str(opened or ""), "closing": _closing(opened)}
    if row is None:
        return Diagnostic(code="bad-syntax", message=f"`{span.text[:20]}` is not expected here", span=span)
    return Diagnostic(code=row.code, message=_fill(row.message, fields), span=span, help=_fill(row.help, fields))


def _open_template(text: str, start: int) -> re.Match[str] | None:
    """Return what opens a template and is never closed behind a quote: the quote may be closed inside it."""
    terminals = (parser().get_terminal(name).pattern.to_regexp() for name in ("RAW", "INLINE", "NOTE"))
    whole = re.compile("|".join(f"(?:{each})" for each in terminals))
    end = _next_statement(text, start)
    while (opener := _OPENER.search(text, start, end)) is not None:
        closed = whole.match(text, opener.start())
        if closed is None:
            return opener
        start = closed.end()
    return None


def _row_named(name: str) -> Mistake:
    return next(row for row in mistakes() if row.name == name)


def _fill(text: str, fields: dict[str, str]) -> str:
    return re.sub(r"\{(text|opened|closing)\}", lambda m: fields[m[1]], text)


def _matching_row(error: UnexpectedInput) -> Mistake | None:
    kind = _kind(error)
    rows = [row for row in mistakes() if _may_be(row, kind, _opened(error) is not None)]
    match: Any = getattr(error, "match_examples")  # noqa: B009 - Lark leaves it untyped
    named = match(
        _parse_sample, [(row.name, row.samples) for row in rows], token_type_match_fallback=True, use_accepts=False
    )
    fitting = [row for row in rows if kind in _sample_kinds(row)]
    by_state = next((row for row in fitting if row.name == named), None)
    return by_state or (fitting[0] if fitting else None)


def _may_be(row: Mistake, kind: str, opened: bool) -> bool:
    needs_open = "{opened}" in row.message
    return kind.startswith(row.token) and (not row.token or needs_open == opened)


@cache
def _sample_kinds(row: Mistake) -> frozenset[str]:
    """Return the names of the terminals that the samples of a row stumble over."""
    from lark.exceptions import UnexpectedInput

    kinds: set[str] = set()
    for sample in row.samples:
        try:
            _parse_sample(sample)
        except UnexpectedInput as error:
            kinds.add(_kind(error))
    return frozenset(kinds)


def _place(error: UnexpectedInput) -> tuple[int, int]:
    """Return start and end of what to point at: the unexpected piece, or the opening tag that lacks its end."""
    token = _token(error)
    if token is not None and token.type == "$END":
        token = _opened(error) or token
    if token is None or token.start_pos is None:
        start, end = error.pos_in_stream or 0, (error.pos_in_stream or 0) + 1
    else:
        start, end = token.start_pos, token.end_pos or token.start_pos + 1
    return start - _AHEAD, end - _AHEAD


def _opened(error: UnexpectedInput) -> Token | None:
    """Return the innermost opening tag that was not closed before the error."""
    tags = _open_tags(error)
    return tags[-1] if tags else None


def _open_tags(error: UnexpectedInput) -> list[Token]:
    from lark import Token

    state: Any = getattr(getattr(error, "interactive_parser", None), "parser_state", None)
    tags: list[Token] = []
    for value in state.value_stack if state is not None else ():
        if isinstance(value, Token) and value.type in _OPENERS:
            tags.append(value)
        elif isinstance(value, Token) and value.type.startswith("END_") and tags:
            tags.pop()
    return tags


def _closing(opened: Token | None) -> str:
    return f"{{% end{opened.type.lower()} %}}" if opened is not None else ""
