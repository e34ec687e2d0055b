"""Prompts: `positive; negative`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from dgen.schema import Kind

_TAGS = ("upscaler", "weighter", "scheduler", "template")
"""The names of the `<name: value>` in which a `;` may stand, so that they are taken out before a prompt is split."""
_TAG = rf"""<\s*({"|".join(_TAGS)})\s*:\s*((?:[^<>"']|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')+?)\s*>"""
_MARK = r"(\\*)([;\"'])"  # a run of backslashes and what it may escape


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the picture shall show, and what it shall not."""

    positive: str = ""
    negative: str = ""
    upscalers: tuple[str, ...] = field(default=(), repr=False)  # the URIs of its `<upscaler: URI>`
    said: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # other options it names, as written
    arguments: tuple[tuple[str, Any], ...] = field(default=(), repr=False)  # what they mean: fields and values
    template: str = field(default="", repr=False)  # the prompt that it was made from

    @property
    def bare(self) -> Prompt:
        """The prompt with nothing but its two texts."""
        return Prompt(self.positive, self.negative)

    def __str__(self) -> str:
        """Write the prompt as one word; quotes are escaped only where they would hide the `;`."""
        tags = [*(("upscaler", uri) for uri in self.upscalers), *self.said]
        if self.template:
            quoted = self.template.replace("\\", "\\\\").replace('"', '\\"')
            tags.append(("template", f'"{quoted}"'))
        if tags:
            return " ".join((*(f"<{name}: {text}>" for name, text in tags), str(self.bare))).strip()
        plain = self._written(escape_quotes=False)
        return plain if read_prompt(plain) == self else self._written(escape_quotes=True)

    def _written(self, *, escape_quotes: bool) -> str:
        positive = _escape(self.positive, escape_quotes)
        if not self.negative:
            return positive
        run = positive[len(positive.rstrip("\\")) :]
        return f"{positive}{run}; {_escape(self.negative, escape_quotes)}"


def _escape(text: str, quotes: bool) -> str:
    return re.sub(_MARK, lambda m: m[1] * 2 + ("\\" if quotes or m[2] == ";" else "") + m[2], text)


def _unescape(text: str) -> str:
    return re.sub(_MARK, lambda m: "\\" * (len(m[1]) // 2) + m[2], text)


def read_prompt(text: str) -> Prompt:
    r"""Split a prompt at its first `;` outside quotes.

    A quote opens only where no letter or digit stands before it, and only when it is closed later, so that an
    apostrophe is none. `\;`, `\"` and `\'` are literal; a backslash before them is written twice.
    """
    tags = [(found[1], found[2]) for found in re.finditer(_TAG, text)] if "<" in text else []
    if tags:
        plain = read_prompt(without(_TAG, text))
        upscalers = tuple(value for name, value in tags if name == "upscaler")
        template = next((_unquote(value) for name, value in tags if name == "template"), "")
        said = tuple(tag for tag in tags if tag[0] in ("weighter", "scheduler"))
        return Prompt(plain.positive, plain.negative, upscalers, said, template=template)
    position = _separator(text)
    if position is None:
        return Prompt(_unescape(text).strip(), "")
    run = len(text[:position]) - len(text[:position].rstrip("\\"))
    positive = _unescape(text[: position - run]) + "\\" * (run // 2)
    return Prompt(positive.strip(), _unescape(text[position + 1 :]).strip())


def without(pattern: str, text: str) -> str:
    """Return a text without what a pattern matches, white space in it being single blanks then."""
    return " ".join(re.sub(pattern, "", text).split())


def _unquote(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return re.sub(r"\\([\\\"'])", r"\1", text[1:-1])
    return text


def _separator(text: str) -> int | None:
    """Find the `;` that splits a prompt."""
    closed = -1
    for found in re.finditer(_MARK, text):
        place = found.end() - 1
        if len(found[1]) % 2 or place <= closed:
            continue
        if found[2] == ";":
            return place
        if place == 0 or not text[place - 1].isalnum():
            closed = _closing(text, place)
    return None


def _closing(text: str, place: int) -> int:
    """Return where the quote that opens at `place` is closed, before no letter or digit; -1 when it is not."""
    end = text.find(text[place], place + 1)
    while end >= 0 and end + 1 < len(text) and text[end + 1].isalnum():
        end = text.find(text[place], end + 1)
    return end


class PromptText(Kind):
    """A prompt in one word."""

    metavar: str = '"PROMPT; NEGATIVE"'

    def parse(self, text: str) -> Prompt:
        """Read a prompt; every text is one."""
        return read_prompt(text)

    def format(self, value: Prompt) -> str:
        """Write a prompt."""
        return str(value)
