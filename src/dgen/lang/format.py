"""Writes a text so that it reads back as exactly one word."""

from __future__ import annotations

import re

# Without quotes: nothing that a template, the environment, a glob, a quote or a comment would treat, and quotes only
# inside, around plain text, as sub-model URIs have them.
_BARE = re.compile(
    r"""(?!['"~#!\\])(?:[^\s"'\\$%~*?\[\]{}#\x00-\x20\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufeff\u2028\u2029]
    |(?<=[^\\])"[\w ./:=,+-]*"|(?<=[^\s{])[#~%](?=[\w./-])(?!\w*%)|\\(?=[\w.])(?!u\{))+""",
    re.X,
)
# Inside double quotes: what must stand behind a backslash.
_GUARDED = re.compile(
    r"""(?P<quote>")|(?P<backslash>\\(?:(?=u\{)|(?![\w./-])))|(?P<variable>\$(?=[A-Za-z_{])|%(?=[A-Za-z_]\w*%))
    |(?P<tag>(?<=\{)[{%#])|(?P<code>[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufeff\u2028\u2029])""",
    re.X,
)


def quote(text: str) -> str:
    r"""Return a spelling of a text that reads as one word, exactly that text, wherever a statement may stand.

    It survives templates, the environment, the word rules and the joining of lines. What needs no protection
    stays bare; otherwise it stands in double quotes, with a backslash before `"`, `\`, `$`, `%` and the second
    character of `{{ {% {#` where they would mean something; characters that cannot stand in a line are `\u{hex}`.
    """
    return text if _BARE.fullmatch(text) else in_quotes(text)


def in_quotes(text: str) -> str:
    """Return a text as one word in double quotes."""
    return f'"{_GUARDED.sub(_guard, text)}"'


def _guard(match: re.Match[str]) -> str:
    if match.lastgroup == "code":
        return f"\\u{{{ord(match[0]):x}}}"
    return "\\" + match[0]
