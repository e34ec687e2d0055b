"""The statements of a script, as the parser found them."""

from __future__ import annotations

from dataclasses import dataclass

from dgen.diagnostic import Source, Span


@dataclass(frozen=True, slots=True)
class Invocation:
    """A model and its options: words once it is rendered."""

    span: Span


@dataclass(frozen=True, slots=True)
class Directive:
    r"""A `\name` and what follows it; `name` is without the backslash, `body` what stands after the name."""

    span: Span
    name: str
    name_span: Span
    body: Span


@dataclass(frozen=True, slots=True)
class Block:
    """A template block; `body` is the span without the `!END` that may close it."""

    span: Span
    body: Span


@dataclass(frozen=True, slots=True)
class Pragma:
    """A version line: `language` is `dgenerate` or `dgen`."""

    span: Span
    language: str
    version: str


@dataclass(frozen=True, slots=True)
class Comment:
    """A `# …` to the end of its line, or a line of `{# … #}`."""

    span: Span


Statement = Invocation | Directive | Block | Pragma | Comment


@dataclass(frozen=True, slots=True)
class Script:
    """A parsed source."""

    source: Source
    statements: tuple[Statement, ...]
