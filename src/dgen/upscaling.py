"""Upscales the prompts of an invocation before it is multiplied out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from dgen.diagnostic import Diagnostic, Span, Word
from dgen.engine.protocol import Engine, EngineError
from dgen.plan.bind import Bound, Given, value_error
from dgen.preflight import as_error
from dgen.registry import Chosen
from dgen.schema import BadValue
from dgen.upscalers import UPSCALERS, Row, TextOrder, Writer, upscale
from dgen.values.prompt import Prompt

_PROMPTS = {
    "prompt_upscaler": "prompt", "prompt_2_upscaler": "prompt_2", "prompt_3_upscaler": "prompt_3",
    "second_prompt_upscaler": "second_prompt", "second_prompt_2_upscaler": "second_prompt_2",
}  # fmt: skip
"""The options that name upscalers, and those whose prompts they change."""


class EngineWriter:
    """Lets an engine continue texts."""

    def __init__(self, engine: Engine, device: str | None, *, offline: bool) -> None:
        """Continue on a device, with or without the network."""
        self._engine, self._device, self._offline = engine, device, offline

    def continue_texts(self, order: TextOrder) -> tuple[str, ...]:
        """Return each text with what a model wrote after it."""
        return self._engine.continue_texts(order, self._device, offline=self._offline)


Step = tuple[Chosen[Row], Span]
"""An upscaler, and the words that name it."""


def upscaler_mistakes(bound: Bound) -> Iterator[Diagnostic]:
    """Yield what is wrong with the upscalers of a statement."""
    for held, word, uri in _named(bound):
        if (wrong := _wrong(word, uri, held.flag.text)) is not None:
            yield wrong


def _named(bound: Bound) -> Iterator[tuple[Given, Word, str]]:
    """Yield each upscaler that a statement names: the option, the word, and the URI in it."""
    for option, prompts in _PROMPTS.items():
        if (held := bound.given.get(option)) is not None:
            yield from ((held, word, word.text) for word in held.words)
        if (held := bound.given.get(prompts)) is not None:
            pairs = zip(held.words, held.values, strict=False)
            yield from ((held, word, uri) for word, prompt in pairs for uri in prompt.upscalers)


def _wrong(word: Word, text: str, option: str) -> Diagnostic | None:
    try:
        UPSCALERS.read(text)
    except BadValue as error:
        start = max(0, word.text.find(text))
        error.start, error.end = start + error.start, start + (len(text) if error.end is None else error.end)
        return value_error(error, word, option)
    return None


def upscaled(bound: Bound, writer: Writer) -> Bound:
    """Return a statement with the prompts that become of its own; it is the same when none are upscaled.

    Raises:
        DgenError: an upscaler refuses its arguments or a prompt, or a model cannot write.
    """
    given = dict(bound.given)
    for option, prompts in _PROMPTS.items():
        held = given.get(prompts)
        if held is None or not (option in given or any(p.upscalers for p in held.values)):
            continue
        shared = [(UPSCALERS.read(w.text), w.span) for w in (given[option].words if option in given else ())]
        given[prompts] = Given(held.flag, held.words, tuple(_changed(held, shared, writer)))
    return Bound(given, bound.span, bound.warnings) if given != bound.given else bound


def _changed(held: Given, shared: Sequence[Step], writer: Writer) -> Iterator[Prompt]:
    """Yield what becomes of prompts in their order; those of the same upscalers go through them together."""
    pairs = list(zip(held.words, held.values, strict=True))
    for tags, group in groupby(pairs, key=lambda pair: pair[1].upscalers):
        members = list(group)
        chain = [(UPSCALERS.read(uri), members[0][0].span) for uri in tags] or shared
        prompts = [replace(p, upscalers=(), template=str(p.bare)) for _, p in members]
        for made in run_chain(prompts, chain, writer):
            yield replace(made, template="") if str(made.bare) == made.template else made


def run_chain(prompts: Sequence[Prompt], chain: Sequence[Step], writer: Writer) -> Sequence[Prompt]:
    """Send prompts through upscalers, each of which gets what the one before made.

    Raises:
        DgenError: an upscaler refuses its arguments or a prompt, or a model cannot write.
    """
    for chosen, span in chain:
        try:
            prompts = upscale(prompts, chosen, writer)
        except (BadValue, EngineError) as error:
            raise as_error(Diagnostic(code=error.code, message=error.message, span=span, help=error.help)) from error
    return prompts
