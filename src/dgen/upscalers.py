"""The prompt upscalers, as rows: what rewrites prompts before a run, or makes several of one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import util
from itertools import product
from types import MappingProxyType
from typing import Any, Protocol

from dgen.diagnostic import did_you_mean
from dgen.resources import folder
from dgen.schema import BadValue, Option, opt, options, rows_of
from dgen.values.prompt import Prompt
from dgen.values.scalars import Choice, Text
from dgen.values.uri import OpenUri, Uri


@options("prompt upscaler")
class Upscaling:
    """What every prompt upscaler takes."""

    name: str = opt(..., positional=True, value=Text(metavar="NAME"), help="Its name.")
    part: str = opt(
        "both", value=Choice(("both", "positive", "negative"), metavar="PART"), help="The part of a prompt to change."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TextOrder:
    """Texts that a language model shall continue, each by one text."""

    texts: tuple[str, ...]
    model: str
    seed: int
    dtype: str = "float32"
    max_length: int = 100  # tokens, with those of the text itself
    temperature: float = 1.0
    top_k: int = 50
    top_p: float = 1.0


class Writer(Protocol):
    """Gives upscalers a language model."""

    def continue_texts(self, order: TextOrder) -> tuple[str, ...]:
        """Return each text with what a model wrote after it."""
        ...


Change = Callable[[Any, Sequence[str], Writer], Sequence[Sequence[str]]]
"""Takes the arguments as an instance of the row's class, texts, and a writer; returns what becomes of each text."""


@dataclass(frozen=True, slots=True)
class Row:
    """A prompt upscaler: its name, the class of its arguments, and its function, of which the docstring is its help.

    Where the argument that `pairs` names was given, the first text of a positive part joins the first of its negative
    one, and so on; elsewhere each joins each.
    """

    name: str
    options: type
    call: Change
    pairs: str = ""

    @property
    def arguments(self) -> dict[str, Option]:
        """Its arguments, by the name that is written."""
        return {n: row for n, row in Uri(self.options).rows().items() if not row.positional}

    @property
    def help(self) -> str:
        """What it does."""
        return str(self.call.__doc__).strip()


@dataclass(frozen=True, slots=True)
class Chosen:
    """An upscaler with its arguments, as a URI names them."""

    row: Row
    said: Any


_ROWS: dict[str, Row] = {}  # a registry


def prompt_upscaler(name: str, options: type, pairs: str = "") -> Callable[[Change], Change]:
    """Register a function as the prompt upscaler of a name; `options` is a `@record` class that joins `Upscaling`."""

    def register(call: Change) -> Change:
        if name in _ROWS:
            raise ValueError(f"the prompt upscaler `{name}` is registered twice")
        if "part" not in rows_of(options):
            raise TypeError(f"the arguments of the prompt upscaler `{name}` do not join `Upscaling`")
        if not call.__doc__:
            raise ValueError(f"the prompt upscaler `{name}` has no docstring, which is its help")
        _ROWS[name] = Row(name, options, call, pairs)
        return call

    return register


def upscalers() -> Mapping[str, Row]:
    """Return all rows by name."""
    _load_first_party()
    return MappingProxyType(_ROWS)


@cache
def _load_first_party() -> None:
    """Run the plugin files that come with dgen."""
    for path in sorted(folder("plugins").glob("*.py")):
        spec = util.spec_from_file_location(f"dgen_plugin_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[spec.name] = util.module_from_spec(spec)
        spec.loader.exec_module(module)


def registered_upscalers() -> frozenset[str]:
    """Return the names that are registered now."""
    return frozenset(_ROWS)


def forget_upscalers(names: frozenset[str]) -> None:
    """Take names back: the plugin that registered them failed."""
    for name in names:
        del _ROWS[name]


def read_upscaler(text: str) -> Chosen:
    """Read `NAME;argument=value`.

    Raises:
        BadValue: `unknown-plugin`, `bad-uri`, `bad-value`, at the characters that are wrong.
    """
    row = find_upscaler(OpenUri().parse(text).name, text)
    return Chosen(row, Uri(row.options).parse(text))


def find_upscaler(name: str, text: str | None = None) -> Row:
    """Return the row of a name, which stands in `text`.

    Raises:
        BadValue: `unknown-plugin`.
    """
    row = upscalers().get(name)
    if row is None:
        start = (text or name).find(name)
        listed = "prompt upscalers are " + ", ".join(f"`{n}`" for n in upscalers())
        raise BadValue(
            f"no prompt upscaler named `{name}`", start, start + len(name), code="unknown-plugin",
            help=did_you_mean(name, upscalers(), listed),
        )  # fmt: skip
    return row


def upscale(prompts: Sequence[Prompt], chosen: Chosen, writer: Writer) -> list[Prompt]:
    """Return what becomes of prompts."""
    part = chosen.said.part
    positive = [p.positive for p in prompts]
    negative = [p.negative for p in prompts]
    changed = _changed(positive, chosen, writer) if part != "negative" else [[t] for t in positive]
    opposed = _changed(negative, chosen, writer) if part != "positive" else [[t] for t in negative]
    return [Prompt(*pair) for one, other in zip(changed, opposed, strict=True) for pair in _joined(one, other, chosen)]


def _joined(one: Sequence[str], other: Sequence[str], chosen: Chosen) -> Iterable[tuple[str, str]]:
    pairs = bool(chosen.row.pairs and getattr(chosen.said, chosen.row.pairs))
    return zip(one, other, strict=True) if pairs and len(one) == len(other) else product(one, other)


def _changed(texts: Sequence[str], chosen: Chosen, writer: Writer) -> list[Sequence[str]]:
    """Change the texts that are not empty."""
    made = iter(chosen.row.call(chosen.said, [t for t in texts if t], writer) if any(texts) else ())
    return [next(made) if text else ("",) for text in texts]


def upscaler_help(names: Sequence[str]) -> Iterator[str]:
    """Yield the lines that describe the upscalers of the given names, or all of them in short.

    Raises:
        BadValue: `unknown-plugin`, with the name.
    """
    for row in [find_upscaler(name) for name in names] or upscalers().values():
        yield row.name
        yield f"    {row.help}"
        for written, argument in row.arguments.items() if names else ():
            default = argument.words(argument.default)[0] if argument.default not in (None, ...) else ""
            metavar = argument.value.metavar if argument.value is not None else ""
            yield f"    {written}={metavar}{f' ({default})' if default else ''}: {argument.help}"
