"""Marks in a rendered template that tell which stretch of it came from which piece of the template."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from jinja2 import Environment
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream, ignored_tokens

OPEN, CLOSE, QUOTE_OPEN, QUOTE_CLOSE = "\ufdd0", "\ufdd1", "\ufdd2", "\ufdd3"
MARKS = (OPEN, CLOSE, QUOTE_OPEN, QUOTE_CLOSE)
ROUND = f"{OPEN}!{CLOSE}"
_CLOSED = f"{OPEN}{CLOSE}"

# Bodies that become a value instead of output: a mark would end up in the value.
_VALUES = ("macro", "call", "filter", "set")
_PAIRED = ("if", "for", "with", "block", "autoescape", *_VALUES)


def mark(start: int, end: int, exact: bool) -> str:
    """Return the mark of what follows: it came from `start:end` of the template; `exact`: it is that text."""
    return f"{OPEN}{start}:{end}{':' if exact else ''}{CLOSE}"


def without_marks(text: str) -> str:
    """Return a text that cannot be taken for a mark: noncharacters are not for interchange."""
    for char in MARKS:
        if char in text:
            text = text.replace(char, "\ufffd")
    return text


@dataclass(slots=True)
class _Opened:
    """A block tag that is open: its name, whether its body becomes a value, whether a round ends in its body."""

    name: str
    quiet: bool
    ends_rounds: bool


class MarkExtension(Extension):
    """Inserts the marks."""

    def __init__(self, environment: Environment) -> None:
        """Attach to an environment."""
        super().__init__(environment)
        self._places: list[tuple[int, int]] = []

    @classmethod
    def of(cls, environment: Environment) -> MarkExtension:
        """Return the extension of an environment that has it."""
        found = environment.extensions[cls.identifier]
        assert isinstance(found, cls)
        return found

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Note the place of every token that the parser will see."""
        self._places = list(_token_places(self.environment, source))
        return source

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        """Put a mark before each literal stretch and around each `{{ … }}` that becomes output."""
        tokens = list(stream)
        opened: list[_Opened] = []
        for index, token in enumerate(tokens):
            quiet = any(o.quiet for o in opened)
            if token.type == "block_begin":
                yield from self._before_block(tokens, index, opened)
            elif token.type == "variable_begin" and not quiet:
                yield _text(token, mark(self._places[index][0], self._end(tokens, index, "variable_end"), False))
            if token.type == "data":
                text = without_marks(str(token.value))
                lead = "" if quiet else mark(*self._places[index], exact=True)
                yield Token(token.lineno, "data", lead + text)
                continue
            yield token
            if token.type == "variable_end" and not quiet:
                yield _text(token, _CLOSED)

    def _before_block(self, tokens: list[Token], index: int, opened: list[_Opened]) -> Iterator[Token]:
        """Follow the nesting of blocks; mark what a quiet block gives, and the end of each round of a loop."""
        name = str(tokens[index + 1].value)
        quiet = any(o.quiet for o in opened)
        loop = next((o for o in reversed(opened) if o.name == "for"), None)
        ends_round = name == "endfor" or name in ("continue", "break")
        if ends_round and loop is not None and loop.ends_rounds and not quiet:
            yield _text(tokens[index], ROUND)
        if name.startswith("end") and opened:
            opened.pop()
        elif name in _PAIRED and not (name == "set" and self._has(tokens, index, "assign")):
            value = name in _VALUES or (name == "for" and self._has(tokens, index, "recursive"))
            if value and not quiet:
                yield _text(tokens[index], mark(self._places[index][0], self._end(tokens, index, "block_end"), False))
            opened.append(_Opened(name, value, ends_rounds=not self._continues(tokens, index)))

    def _end(self, tokens: list[Token], index: int, kind: str) -> int:
        """Return where the tag that starts at a token ends."""
        closing = next((i for i in range(index, len(tokens)) if tokens[i].type == kind), len(tokens) - 1)
        return self._places[min(closing, len(self._places) - 1)][1]

    def _has(self, tokens: list[Token], index: int, what: str) -> bool:
        """Say whether the tag at a token holds, outside brackets, a kind of token or a name."""
        for token in tokens[index + 1 :]:
            if token.type in ("block_end", "pipe"):
                return False
            if token.type == what or (token.type == "name" and token.value == what):
                return True
        return False

    def _continues(self, tokens: list[Token], index: int) -> bool:
        """Say whether the body of a loop starts with a dash: its output goes on with the statement before it."""
        after = next((i for i in range(index, len(tokens)) if tokens[i].type == "block_end"), len(tokens) - 1) + 1
        return after < len(tokens) and tokens[after].type == "data" and str(tokens[after].value).lstrip()[:1] == "-"


def _text(token: Token, text: str) -> Token:
    return Token(token.lineno, "data", text)


def _token_places(environment: Environment, source: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of the tokens that Jinja's lexer hands to its parser."""
    place = 0
    for _, kind, value in environment.lexer.tokeniter(source, None):
        start = source.find(value, place)
        end = start + len(value)
        place = end
        if kind in ignored_tokens or kind in ("raw_begin", "raw_end"):
            continue
        stripped = len(value.rstrip()) if kind.endswith("_end") else len(value)
        yield start, start + stripped
