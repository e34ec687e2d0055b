"""Scripts in colour wherever Pygments draws: documentation, web pages, terminals, notebooks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pygments.lexer import Lexer
from pygments.token import Comment, Keyword, Literal, Name, Number, Punctuation, String, Text

from dgen.lang.highlight import Kind, highlight

TOKENS: dict[Kind, Any] = {
    Kind.COMMENT: Comment.Single,
    Kind.PRAGMA: Comment.Hashbang,
    Kind.DIRECTIVE: Keyword,
    Kind.MODEL: Name.Class,
    Kind.OPTION: Name.Attribute,
    Kind.VALUE: Literal,
    Kind.NUMBER: Number,
    Kind.QUOTE: String,
    Kind.VARIABLE: Name.Variable,
    Kind.URI_KEY: Name.Tag,
    Kind.CONTINUATION: Punctuation,
    Kind.TEMPLATE: Comment.Preproc,
    Kind.KEYWORD: Keyword.Reserved,
    Kind.FUNCTION: Name.Function,
}
"""The token of Pygments for each kind of text."""


class DgenLexer(Lexer):
    """Marks dgen scripts with the marks that the language itself gives; no text is an error to it."""

    name = "dgen"
    url = ""
    aliases = ["dgen"]  # noqa: RUF012  declared by Pygments
    filenames = ["*.dgen"]  # noqa: RUF012
    mimetypes = ["text/x-dgen"]  # noqa: RUF012

    def get_tokens_unprocessed(self, text: str) -> Iterator[tuple[int, Any, str]]:
        """Yield every stretch of a text with its token."""
        place = 0
        for mark in highlight(text):
            if mark.start > place:
                yield place, Text, text[place : mark.start]
            yield mark.start, TOKENS[mark.kind], text[mark.start : mark.end]
            place = mark.end
        if place < len(text):
            yield place, Text, text[place:]

    @staticmethod
    def analyse_text(text: str) -> float:
        """Recognise a script by its version pragma."""
        return 0.9 if re.match(r"#!\s*dgen(erate)?\s+\d", text) else 0.0
