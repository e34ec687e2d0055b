"""Options that prompts name for themselves: `<seed: 5>`, `<weighter: compel>`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from dgen.diagnostic import DgenError, Diagnostic, Word
from dgen.options.request import ROWS
from dgen.plan.bind import Bound, Given, request_table, value_error
from dgen.schema import BadValue, Option, Stage
from dgen.values.image_seed import ImageSeedText
from dgen.values.prompt import Prompt, PromptText, without
from dgen.values.scalars import Flag

_TAG = re.compile(r"<\s*([A-Za-z][\w-]*)\s*:\s*([^<>]*?)\s*>")
_SHORT = {"weighter": "prompt_weighter"}
"""Names that are no option's."""

PROMPTS = tuple(name for name, row in ROWS.items() if isinstance(row.value, PromptText))
"""The options whose values are prompts."""


@cache
def names() -> Mapping[str, Option]:
    """Return the options that a prompt can name, by every name: one value each that concerns the call alone."""
    found = {n: ROWS[field] for n, field in _SHORT.items()}
    for spelling, row in request_table().flags.items():
        if spelling.startswith("--") and _is_own(row):
            found[spelling[2:]] = found[row.name.replace("_", "-")] = row
    return found


def _is_own(row: Option) -> bool:
    concerns_call = row.stage is Stage.CALL or row.name == "scheduler"
    return concerns_call and not row.many and not isinstance(row.value, PromptText | ImageSeedText)


def with_arguments(bound: Bound) -> Bound:
    """Return a statement in which what prompts name is taken out of their texts, and read.

    Raises:
        DgenError: `bad-value`, `bad-uri`: every value that cannot be read.
    """
    given, wrong = dict(bound.given), list[Diagnostic]()
    for name in PROMPTS:
        held = given.get(name)
        if held is not None:
            pairs = zip(held.words, held.values, strict=False)
            given[name] = Given(held.flag, held.words, tuple(_read(word, value, wrong) for word, value in pairs))
    if wrong:
        raise DgenError(*wrong)
    return Bound(given, bound.span, bound.warnings)


def said_in(bound: Bound) -> Iterator[tuple[Option, Any, Word]]:
    """Yield each option that a prompt of a statement names, with its value and the word of the prompt."""
    for name in PROMPTS:
        held = bound.given.get(name)
        for word, prompt in zip(held.words, held.values, strict=False) if held is not None else ():
            yield from ((ROWS[field], value, word) for field, value in getattr(prompt, "arguments", ()))


def _read(word: Word, prompt: Any, wrong: list[Diagnostic]) -> Any:
    if not isinstance(prompt, Prompt) or not (prompt.said or "<" in prompt.positive + prompt.negative):
        return prompt
    inline = [*_tags(prompt.positive), *_tags(prompt.negative)]
    said = (*prompt.said, *((name, text) for name, text, _ in inline))
    arguments: dict[str, Any] = {}
    for name, text in said:
        row = _named(name)
        try:
            arguments[row.name] = _value(row, text)
        except BadValue as error:
            wrong.append(_mistake(error, word, name, text))
    positive, negative = (_less(text, inline) for text in (prompt.positive, prompt.negative))
    return replace(prompt, positive=positive, negative=negative, said=said, arguments=tuple(arguments.items()))


def _tags(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield the name and the value of each tag that names an option, and the tag; what else looks like one is text."""
    for tag in _TAG.finditer(text):
        if tag[1].replace("_", "-") in names():
            yield tag[1], tag[2], tag[0]


def _named(name: str) -> Option:
    return names()[name.replace("_", "-")]


def _less(text: str, tags: list[tuple[str, str, str]]) -> str:
    return without("|".join(re.escape(tag) for _, _, tag in tags), text) if tags else text


def _value(row: Option, text: str) -> Any:
    if text == "None":
        return row.default
    return Flag().parse(text) if row.value is None else row.parse(text)


def _mistake(error: BadValue, word: Word, name: str, text: str) -> Diagnostic:
    """Point at the value in a word, wherever it stands there."""
    tag = re.search(rf"<\s*{re.escape(name)}\s*:\s*{re.escape(text)}", word.text)
    start = tag.end() - len(text) if tag else 0
    end = tag.end() if tag else len(word.text)
    placed = BadValue(error.message, start + error.start if tag else 0, end, code=error.code, help=error.help)
    if tag and error.end is not None:
        placed.end = start + error.end
    return value_error(placed, word, f"<{name}: …>")
