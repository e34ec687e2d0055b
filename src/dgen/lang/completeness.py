"""Says whether what somebody has typed is a whole statement, and how it would go on if not."""

from __future__ import annotations

from typing import Any

from dgen.lang.grammar import parse_script
from dgen.lang.scan import Shape, Token, scan

_GAPS = (Shape.BLANK, Shape.COMMENT, Shape.NEWLINE)


def continuation(text: str) -> str | None:
    r"""Return what joins another line to a text that is not whole: `\n`, or ` \` and `\n` within a line; else None.

    A text that ends in an empty line is whole, lest nobody can end a quote that was opened by mistake: it is for
    the parser to say what is missing. Only a template block goes on over empty lines.
    """
    tokens = list(scan(text))
    last = next((t for t in reversed(tokens) if t.shape not in _GAPS), None)
    if last is None:
        return None
    if _is_open_block(text):
        return "\n"
    if text.endswith("\n"):
        return None
    if last.shape is Shape.OPEN_NOTE or (last.shape is Shape.OPEN_TEMPLATE and _starts_line(text, last)):
        return "\n"
    if last.shape in (Shape.OPEN_QUOTE, Shape.OPEN_TEMPLATE):
        return "\n" if text.rstrip(" \t").endswith("\\") else " \\\n"
    return "\n" if last.shape is Shape.JOINT and last.end == len(text) and text[last.start] == "\\" else None


def _starts_line(text: str, token: Token) -> bool:
    return text.startswith("{%", token.start) and not text[: token.start].rpartition("\n")[2].strip()


def _is_open_block(text: str) -> bool:
    """Whether the text ends inside a template block."""
    from lark.exceptions import UnexpectedToken

    if "{%" not in text:
        return False
    try:
        parse_script(text + "\n")
    except UnexpectedToken as error:
        token: Any = error.token
        return token.type == "$END"
    except Exception:  # anything else that is wrong with it is the parser's to tell
        return False
    return False
