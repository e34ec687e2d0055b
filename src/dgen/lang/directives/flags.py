"""Reads the flags of a directive, such as `-r -f` or `-o PATH`, from among its words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dgen.diagnostic import Word
from dgen.lang.directives import bad_arguments


@dataclass(slots=True)
class Given:
    """The words of a directive: its flags by letter, each with its value or itself, and the other words."""

    flags: dict[str, Word] = field(default_factory=dict[str, Word])
    words: list[Word] = field(default_factory=list[Word])

    def __contains__(self, letter: str) -> bool:
        return letter in self.flags


def read_flags(name: str, words: tuple[Word, ...], letters: str, long: Mapping[str, str] | None = None) -> Given:
    """Take the flags out of the words of a directive; a letter before `:` takes a value, `--` ends the flags.

    `long` maps long spellings to letters.

    Raises:
        DgenError: `bad-arguments`: a flag that the directive does not have, or one without its value.
    """
    given = Given()
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word.text == "--":
            given.words += rest
            break
        if len(word.text) < 2 or not word.text.startswith("-") or word.span.text[:1] in ("'", '"'):
            given.words.append(word)
            continue
        for letter in (long or {}).get(word.text, word.text[1:] if word.text[1] != "-" else "-"):
            given.flags[letter] = _value(name, letter, word, rest, letters)
    return given


def _value(name: str, letter: str, word: Word, rest: list[Word], letters: str) -> Word:
    if letter not in letters.replace(":", ""):
        raise bad_arguments(name, f"has no flag `{word.text}`", word.span)
    if f"{letter}:" not in letters:
        return word
    if not rest:
        raise bad_arguments(name, f"lacks the value of `{word.text}`", word.span)
    return rest.pop(0)
