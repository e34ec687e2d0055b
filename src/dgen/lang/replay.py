"""Reads a config as plain words: whatever it holds, nothing in it is evaluated."""

from __future__ import annotations

from dgen.diagnostic import Source, Word, fail
from dgen.lang.line import logical_line
from dgen.lang.nodes import Comment, Invocation, Pragma
from dgen.lang.parse import parse
from dgen.lang.words import split, split_plain


def _found(count: int, odd: object) -> str:
    if count == 1 and odd is not None:
        return f"a {type(odd).__name__.lower()}"
    return f"{count or 'no'} statements"


def replay_words(source: Source) -> tuple[Word, ...]:
    """Return the words of the one invocation of a config; templates, variables and globs stay text.

    Raises:
        DgenError: `not-replayable`: it holds something else; `bad-syntax`.
    """
    statements = [s for s in parse(source).statements if not isinstance(s, (Comment, Pragma))]
    odd = next((s for s in statements if not isinstance(s, Invocation)), None)
    if odd is not None or len(statements) != 1:
        span = odd.span if odd is not None else (statements[-1].span if statements else source.span(0, 0))
        message = f"a config is one invocation and nothing else, found {_found(len(statements), odd)}"
        raise fail(
            "not-replayable", message, span,
            help="run it as a script, if you trust it: `dgen FILE.dgen`",
        )  # fmt: skip
    body = statements[0].span
    plain = split_plain(body)
    return plain if plain is not None else split(logical_line(body), expand=False)
