"""Colours, completion and the signature line, as the prompt asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from prompt_toolkit.application import get_app
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.formatted_text.utils import split_lines
from prompt_toolkit.lexers import Lexer

from dgen.repl.preparation import Preparation

if TYPE_CHECKING:
    from dgen.complete.candidates import Signature

KEYS = "Tab completes   Alt-Enter new line   Ctrl-R history   Ctrl-X Ctrl-E editor   Ctrl-D leaves   \\help"


class StatementLexer(Lexer):
    """Colours a statement by the grammar."""

    def __init__(self, preparation: Preparation) -> None:
        """Colour nothing before the language is there."""
        self._preparation = preparation

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        """Return what gives the coloured pieces of a line."""
        if not document.text or not self._preparation.has_language:
            return lambda number: [("", document.lines[number])] if number < len(document.lines) else []
        lines = list(split_lines(_coloured(document.text)))
        return lambda number: lines[number] if number < len(lines) else []


def _coloured(text: str) -> StyleAndTextTuples:
    from dgen.lang.highlight import highlight

    pieces: StyleAndTextTuples = []
    place = 0
    for mark in highlight(text):
        pieces += [("", text[place : mark.start]), (f"class:{mark.kind}", text[mark.start : mark.end])]
        place = mark.end
    return [*pieces, ("", text[place:])]


class StatementCompleter(Completer):
    """Offers what may stand at the cursor, with its help."""

    def __init__(self, preparation: Preparation) -> None:
        """Know the variables of the session once it is there."""
        self._preparation = preparation

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Yield completions for the text before the cursor; called in a thread, so it may wait."""
        self._preparation.wait_for_language()
        from dgen.complete.complete import complete

        scope = self._preparation.runner().session.scope if self._preparation.has_session else None
        found = complete(document.text, document.cursor_position, scope)
        for each in found.candidates:
            yield Completion(each.text, found.start - document.cursor_position, display_meta=each.help)


def toolbar(document: Document, preparation: Preparation) -> StyleAndTextTuples:
    """Return the line below the prompt: how what is being typed is written, or where the session stands, and keys."""
    if document.text.strip() and preparation.has_language:
        from dgen.complete.complete import signature

        found = signature(document.text, document.cursor_position)
        if found is not None:
            return _written(found, get_app().output.get_size().columns)
    standing = preparation.runner().standing if preparation.has_session else ""
    return [("", f"{standing}   {KEYS}"[: get_app().output.get_size().columns] if standing else KEYS)]


def _written(signature: Signature, columns: int) -> StyleAndTextTuples:
    """Return a signature with the part that is being typed marked, and within the columns that there are."""
    pieces: StyleAndTextTuples = []
    current = signature.current or 0
    before = sum(len(part) + 1 for part in signature.parts[1 : current + 1])
    for number, part in enumerate(signature.parts):
        if 0 < number < current and before > columns // 2:
            before -= len(part) + 1
            continue
        is_argument = number > 0 and "=" in part
        pieces.append(("", ";" if is_argument else " " if number else ""))
        pieces.append(("class:current" if number == signature.current else "", part))
    return [*pieces, ("", f"   {signature.help}")]
