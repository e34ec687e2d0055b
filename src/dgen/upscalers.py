"""The prompt upscalers, as rows: what rewrites prompts before a run, or makes several of one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Protocol

from dgen.registry import Chosen, PluginRow, Registry
from dgen.schema import opt, options
from dgen.values.prompt import Prompt
from dgen.values.scalars import Choice, Text


@options("prompt upscaler")
class Upscaling:
    """What every prompt upscaler takes."""

    name: str = opt(..., positional=True, value=Text(metavar="NAME"), help="Its name.")
    part: str = opt(
        "both", value=Choice(("both", "positive", "negative"), metavar="PART"), help="The part of a prompt to change."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TextOrder:
    """Texts that a language model shall continue, or answer with a text of its own, as one that translates does."""

    texts: tuple[str, ...]
    model: str
    seed: int
    dtype: str = "float32"
    max_length: int = 100  # tokens, with those of the text itself
    temperature: float = 1.0
    top_k: int = 50
    top_p: float = 1.0
    system: str = ""  # what a model that chats is told first; each text is the answer then, without what it answers
    quantizer: Any = None  # as `--quantizer` says one
    answers: bool = False  # the model is one that answers; it draws nothing at random then


class Writer(Protocol):
    """Gives upscalers a language model."""

    def continue_texts(self, order: TextOrder) -> tuple[str, ...]:
        """Return each text with what a model wrote after it, or the answer to it where it answers or chats."""
        ...


Change = Callable[[Any, Sequence[str], Writer], Sequence[Sequence[str]]]
"""Takes the arguments as an instance of the row's class, texts, and a writer; returns what becomes of each text."""


@dataclass(frozen=True, slots=True)
class Row(PluginRow):
    """A prompt upscaler.

    Where the argument that `pairs` names was given, the first text of a positive part joins the first of its negative
    one, and so on; elsewhere each joins each.
    """

    pairs: str = ""


UPSCALERS: Registry[Row] = Registry("prompt upscaler", Upscaling, takes=3)


def prompt_upscaler(name: str, options: type, pairs: str = "") -> Callable[[Change], Change]:
    """Register a function as the prompt upscaler of a name; `options` is a `@record` class that joins `Upscaling`."""
    return UPSCALERS.registering(lambda call: Row(name, options, call, pairs))


def upscale(prompts: Sequence[Prompt], chosen: Chosen[Row], writer: Writer) -> list[Prompt]:
    """Return what becomes of prompts."""
    part = chosen.said.part
    positive = [p.positive for p in prompts]
    negative = [p.negative for p in prompts]
    changed = _changed(positive, chosen, writer) if part != "negative" else [[t] for t in positive]
    opposed = _changed(negative, chosen, writer) if part != "positive" else [[t] for t in negative]
    return [
        replace(prompt, positive=first, negative=second)
        for prompt, one, other in zip(prompts, changed, opposed, strict=True)
        for first, second in _joined(one, other, chosen)
    ]


def _joined(one: Sequence[str], other: Sequence[str], chosen: Chosen[Row]) -> Iterable[tuple[str, str]]:
    pairs = bool(chosen.row.pairs and getattr(chosen.said, chosen.row.pairs))
    return zip(one, other, strict=True) if pairs and len(one) == len(other) else product(one, other)


def _changed(texts: Sequence[str], chosen: Chosen[Row], writer: Writer) -> list[Sequence[str]]:
    """Change the texts that are not empty."""
    made = iter(chosen.row.call(chosen.said, [t for t in texts if t], writer) if any(texts) else ())
    return [next(made) if text else ("",) for text in texts]
