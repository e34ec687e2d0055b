"""Turns a source into statements, or into every syntax mistake that it holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dgen.diagnostic import DgenError, Diagnostic, Source, Span, fail
from dgen.lang.grammar import parse_script
from dgen.lang.limits import MAX_SOURCE
from dgen.lang.line import Line, block_line, logical_line
from dgen.lang.nodes import Block, Comment, Directive, Invocation, Pragma, Script, Statement
from dgen.lang.words import open_quote

if TYPE_CHECKING:
    from lark import Token, Tree

_BRING_FILTERS = ("import_plugins", "include")
_TEMPLATE = re.compile(r"\{[{%#]")
_PRAGMA = re.compile(r"#![ \t]*(\w+)[ \t]+v?([0-9][^\s#]*)")


def parse(source: Source) -> Script:
    """Parse a whole source.

    Raises:
        DgenError: `bad-syntax`, `bad-template`, `unknown-function`: every syntax mistake that can be found;
            `limit-exceeded`: the source is too long.
    """
    script, mistakes = parse_with_mistakes(source)
    mistakes += _broken_templates(source, script.statements)
    if mistakes:
        raise DgenError(*mistakes)
    return script


def parse_with_mistakes(source: Source) -> tuple[Script, list[Diagnostic]]:
    """Parse a whole source; return its statements, and the mistakes that lie inside one, but for those of templates.

    Raises:
        DgenError: `bad-syntax`: the statements cannot be told from one another; `limit-exceeded`.
    """
    from lark.exceptions import UnexpectedInput

    if len(source.text) > MAX_SOURCE:
        message = f"a script of {len(source.text)} characters is too long: {MAX_SOURCE} are the most"
        raise fail("limit-exceeded", message)
    try:
        found = parse_script(source.text + "\n")
    except UnexpectedInput:
        from dgen.lang.mistakes import find_mistakes

        mistakes = find_mistakes(source)
        raise DgenError(*mistakes) from None
    statements = tuple(_statement(source, node) for node in found)
    return Script(source, statements), list(_open_quotes(source, found))


def _open_quotes(source: Source, found: list[Tree[Token] | Token]) -> Iterator[Diagnostic]:
    """Yield the quotes that are never closed after directives that take words; raw text may hold them."""
    from dgen.lang.directives import directives

    for node in found:
        if isinstance(node, str) or node.data != "directive":
            continue
        lone = [t for t in node.children if isinstance(t, str) and t.type in ("LONE_DOUBLE", "LONE_SINGLE")]
        row = directives().get(str(node.children[0])[1:]) if lone else None
        if row is not None and not row.raw:
            yield open_quote(_span(source, lone[0], lone[0]))


def _statement(source: Source, node: Tree[Token] | Token) -> Statement:
    if isinstance(node, str):
        span = _span(source, node, node)
        if node.type == "BODY":
            return Invocation(span)
        span = span.part(0, len(span.text.rstrip()))
        return _pragma(span) if node.type == "PRAGMA" else Comment(span)
    tokens = [token for token in node.children if isinstance(token, str)]
    if node.data == "block":
        return _block(source, tokens)
    span = _span(source, tokens[0], tokens[-1])
    name_span = _span(source, tokens[0], tokens[0])
    body = _span(source, tokens[1], tokens[-1]) if len(tokens) > 1 else Span(source, span.end, span.end)
    return Directive(span, str(tokens[0])[1:], name_span, body)


def _block(source: Source, tokens: list[Token]) -> Block:
    body = tokens[:-1] if tokens[-1].type == "END" else tokens
    return Block(_span(source, tokens[0], tokens[-1]), _span(source, body[0], body[-1]))


def _pragma(span: Span) -> Pragma | Comment:
    match = _PRAGMA.match(span.text)
    return Pragma(span, match[1], match[2]) if match else Comment(span)


def _span(source: Source, first: Token, last: Token) -> Span:
    end = min(last.end_pos or 0, len(source.text))
    return Span(source, first.start_pos or 0, end)


def _broken_templates(source: Source, statements: tuple[Statement, ...]) -> Iterator[Diagnostic]:
    """Compile the templates of a source, so that all their mistakes are known before anything runs."""
    if not _TEMPLATE.search(source.text):
        return
    from dgen.lang.template import check_syntax

    may_grow = False
    for statement in statements:
        may_grow = may_grow or (isinstance(statement, Directive) and statement.name in _BRING_FILTERS)
        if _TEMPLATE.search(source.text, statement.span.start, statement.span.end):
            line = template_line(statement)
            yield from check_syntax(line, all_known=not may_grow) if line is not None else ()


def template_line(statement: Statement) -> Line | None:
    """Return the text of a statement that templates may stand in, on one line unless it is a block."""
    if isinstance(statement, Block):
        return block_line(statement.body)
    if isinstance(statement, Directive):
        return logical_line(statement.body)
    return logical_line(statement.span) if isinstance(statement, Invocation) else None
