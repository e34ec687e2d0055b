"""Template functions about items, words and prompts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dgen.diagnostic import Source
from dgen.lang.format import quote as quote_word
from dgen.lang.functions import Quoted, function


def _is_many(value: object) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str | bytes)


@function(examples=(("{{ first([1, 2]) }}", "1"),))
def first(items: Iterable[Any]) -> Any:
    """The first item of a list."""
    for item in items:
        return item
    raise ValueError("the list is empty")


@function(examples=(("{{ last([1, 2]) }}", "2"),))
def last(items: Iterable[Any]) -> Any:
    """The last item of a list."""
    kept = list(items)
    if not kept:
        raise ValueError("the list is empty")
    return kept[-1]


@function(
    examples=(("{{ quote('a b') }}", '"a b"'), ("{{ quote(['a', 'b c']) }}", 'a "b c"')),
)
def quote(text: Any) -> Quoted:
    """A text as one word that reads back exactly; a list as several words."""
    if _is_many(text):
        return Quoted(" ".join(quote_word(str(item)) for item in text))
    return Quoted(quote_word(str(text)))


@function(
    examples=(("{{ unquote('\"a b\" c') }}", "['a b', 'c']"),),
)
def unquote(text: Any, expand: bool = False) -> list[str]:
    """The words of a text, or of several, as a list; `expand` also expands home folders and globs."""
    from dgen.lang.line import source_line
    from dgen.lang.words import split

    texts: list[Any] = list(text) if _is_many(text) else [text]
    lines = [source_line(Source("unquote", str(each))) for each in texts]
    return [word.text for line in lines for word in split(line, expand=expand)]


def _prompt(prompt: Any) -> str:
    positive = getattr(prompt, "positive", None)
    if positive is None:
        return str(prompt)
    negative = getattr(prompt, "negative", None)
    return f"{positive}; {negative}" if negative else str(positive)


@function(
    examples=(("{{ format_prompt('a cat; dog') }}", '"a cat; dog"'),),
)
def format_prompt(prompts: Any) -> Quoted:
    """A prompt, or a list of prompts, as quoted words for `--prompts`."""
    many: list[Any] = list(prompts) if _is_many(prompts) else [prompts]
    return Quoted(" ".join(quote_word(_prompt(prompt)) for prompt in many))


@function(examples=(("{{ csv([1, 2, 3]) }}", "1,2,3"),))
def csv(items: Iterable[Any]) -> str:
    """The items with commas between."""
    return ",".join(str(item) for item in items)


@function(
    examples=(("{{ csv(frange(0, 0.5, 0.25)) }}", "0.0,0.25"), ("{{ len(frange(1)) }}", "10")),
)
def frange(start: float, stop: float | None = None, step: float = 0.1) -> list[float]:
    """Numbers from start to before stop, in steps that may be fractions."""
    import math
    from decimal import Decimal

    from dgen.lang.limits import MAX_RANGE, LimitError

    low, high = (0.0, start) if stop is None else (start, stop)
    if step == 0:
        raise ValueError("the step of frange must not be 0")
    count = max(0, math.ceil((high - low) / step))
    if count > MAX_RANGE:
        raise LimitError(f"a range of {count} numbers is too long")
    origin, width = Decimal(str(low)), Decimal(str(step))
    numbers = [float(origin + width * i) for i in range(count + 1)]
    return [n for n in numbers if (n < high if step > 0 else n > high)]
