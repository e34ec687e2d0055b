"""Builds the parser of grammar/dgen.lark, once, when the first script is parsed."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lark import Lark, Token, Tree

BLANKS = " \t\r\f\v"


@cache
def parser() -> Lark:
    """Return the LALR parser of scripts (`script`) and of the bodies of statements (`pieces`)."""
    from lark import Lark

    from dgen.resources import grammar

    return Lark(
        grammar("dgen.lark"),
        cache=_table_file(),
        parser="lalr",
        lexer="contextual",
        start=["script", "pieces", "mistake"],
        maybe_placeholders=False,
    )


def _table_file() -> str | bool:
    """Return where the table of the parser is kept, which takes longer to build than to read; False: nowhere."""
    from dgen.cache import cache_folder

    folder = cache_folder("grammar")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return False
    return str(folder / "dgen.lark.table")


@cache
def joint() -> re.Pattern[str]:
    """Return the pattern of what joins two lines of one statement, outside quotes."""
    return re.compile(parser().get_terminal("JOINT").pattern.to_regexp())


def parse_script(text: str) -> list[Tree[Token] | Token]:
    """Parse a file; the text needs a newline at its end.

    Raises:
        UnexpectedInput: Lark's, where the text stops being a script.
    """
    return _parse(text, "script")


def parse_pieces(text: str) -> list[Token]:
    """Cut the body of a statement into text, quoted text and template pieces; blanks and joints lie between.

    Raises:
        UnexpectedInput: Lark's, at a piece that is never closed.
    """
    return [piece for piece in _parse(text, "pieces") if isinstance(piece, str)]


def _parse(text: str, start: str) -> list[Tree[Token] | Token]:
    lark: Any = parser()
    return lark.parse(text, start=start).children
