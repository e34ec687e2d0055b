"""Operations of templates and expressions that could eat all memory or time, bounded."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

MAX_SOURCE = 10_000_000  # characters of a script
MAX_DEPTH = 30  # files that include one another
MAX_LENGTH = 1_000_000  # characters or items of one value
MAX_BITS = 100_000  # of an integer
MAX_RANGE = 100_000  # numbers of a range
MAX_WIDTH = 100_000  # of all the fields of a format together
_WIDTH = re.compile(r"\d{3,}")
_STAR = re.compile(r"%[^%a-zA-Z]*\*")


class LimitError(ValueError):
    """An operation would make a value that is too large."""


def power(left: Any, right: Any) -> Any:
    """Return `left ** right` when its size is reasonable."""
    if isinstance(left, int) and isinstance(right, int) and abs(left) > 1 and left.bit_length() * right > MAX_BITS:
        raise LimitError(f"{left} ** {right} is too large")
    return left**right


def multiply(left: Any, right: Any) -> Any:
    """Return `left * right` when its size is reasonable."""
    for value, times in ((left, right), (right, left)):
        if isinstance(times, int) and _size(value) * times > MAX_LENGTH:
            raise LimitError(f"repeating {_size(value)} items {times} times is too large")
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() + right.bit_length() > MAX_BITS:
        raise LimitError("the product is too large")
    return left * right


def add(left: Any, right: Any) -> Any:
    """Return `left + right` when its size is reasonable."""
    if _size(left) + _size(right) > MAX_LENGTH:
        raise LimitError(f"joining {_size(left)} and {_size(right)} items is too large")
    return left + right


def joined(separator: str, items: Iterable[Any]) -> str:
    """Return texts with a separator between, when that is not too long.

    Raises:
        LimitError: it is; TypeError: an item is no text.
    """
    texts: list[str] = []
    length = 0
    for item in items:
        if not isinstance(item, str):
            raise TypeError(f"expected texts to join, found a value of type {type(item).__name__}")
        length += len(item) + len(separator)
        if length > MAX_LENGTH:
            raise LimitError("the text becomes too long")
        texts.append(item)
    return separator.join(texts)


def total(items: Iterable[Any], start: Any = 0) -> Any:
    """Return the sum of numbers."""
    result = start
    for item in items:
        if not isinstance(item, int | float | complex) or not isinstance(result, int | float | complex):
            raise TypeError("sum() adds numbers")
        result += item
    return result


def rounded(number: Any, digits: int | None = None) -> Any:
    """Return a number rounded to some digits."""
    if digits is not None and abs(digits) > 1000:
        raise LimitError(f"rounding to {digits} digits is too much")
    return round(number, digits)


def bounded_bytes(*arguments: Any) -> bytes:
    """Return bytes of a list of integers, of so many zeros, or of a text and its encoding."""
    if arguments and isinstance(arguments[0], int) and arguments[0] > MAX_LENGTH:
        raise LimitError(f"{arguments[0]} bytes are too many")
    return bytes(*arguments)


def modular_power(base: int, exponent: int, modulus: int) -> int:
    """Return `base ** exponent % modulus` for numbers of reasonable size."""
    if max(abs(n).bit_length() for n in (base, exponent, modulus)) > 4096:
        raise LimitError("the numbers of pow() are too large")
    return pow(base, exponent, modulus)


def shift_left(left: Any, right: Any) -> Any:
    """Return `left << right` when its size is reasonable."""
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() + right > MAX_BITS:
        raise LimitError(f"{left} << {right} is too large")
    return left << right


def modulo(left: Any, right: Any) -> Any:
    """Return `left % right`; a format string may not ask for huge widths."""
    if isinstance(left, str | bytes):
        text = left if isinstance(left, str) else left.decode("latin-1")
        check_format(text)
        values: Any = (right,)
        if isinstance(right, tuple | dict):
            values = right if isinstance(right, tuple) else right.values()  # pyright: ignore
        longest = max((_size(value) for value in values), default=0)
        if len(text) + text.count("%") * longest > MAX_LENGTH:
            raise LimitError("the text becomes too long")
    return left % right


def bounded_range(*bounds: int) -> range:
    """Return a range of reasonable length."""
    result = range(*bounds)
    if len(result) > MAX_RANGE:
        raise LimitError(f"a range of {len(result)} numbers is too long")
    return result


def check_format(spec: str) -> str:
    """Return a format that asks for no huge width, neither in one field nor in all of them."""
    if "*" in spec and _STAR.search(spec):
        raise LimitError("a format takes its width from a value")
    if sum(int(width[-7:]) for width in _WIDTH.findall(spec)) > MAX_WIDTH:
        raise LimitError("a format asks for too wide a field")
    return spec


def check_method(value: object, name: str, arguments: tuple[Any, ...]) -> None:
    """Refuse a method that would pad, repeat or replace beyond reason."""
    numbers = [a for a in arguments if isinstance(a, int)]
    if name == "to_bytes" and any(n > MAX_LENGTH for n in numbers):
        raise LimitError(f"{max(numbers)} bytes are too many")
    if name == "extend" and isinstance(value, list):
        add(value, arguments[0] if arguments and isinstance(arguments[0], list | tuple | str) else [])  # pyright: ignore
    if not isinstance(value, str | bytes | bytearray):
        return
    if name in ("ljust", "rjust", "center", "zfill") and any(n > MAX_LENGTH for n in numbers):
        raise LimitError(f"a text of {max(numbers)} characters is too long")
    if name == "expandtabs" and any(n * (len(value) + 1) > MAX_LENGTH for n in numbers):
        raise LimitError("the text becomes too long")
    if name in ("replace", "translate", "join") and _longest(arguments) * (len(value) + 1) > MAX_LENGTH:
        raise LimitError("the text becomes too long")


def check_filter(value: object, arguments: tuple[Any, ...]) -> None:
    """Refuse a filter whose arguments ask for huge widths, counts or repetitions."""
    numbers = [abs(a) for a in arguments if isinstance(a, int)]
    if max(numbers, default=0) > MAX_RANGE:
        raise LimitError(f"{max(numbers)} is too large for this filter")
    size = max(1, _size(value))
    if isinstance(value, str) and max([_longest(arguments), *numbers]) * size > 100 * MAX_LENGTH:
        raise LimitError("the text becomes too long")


def _longest(arguments: tuple[Any, ...]) -> int:
    """Return the length of the longest text among arguments, or among the values of a table."""
    lengths = [0]
    for each in arguments:
        lengths += [_size(v) for v in each.values()] if isinstance(each, dict) else [_size(each)]  # pyright: ignore
    return max(lengths)


def _size(value: object) -> int:
    return len(value) if isinstance(value, str | bytes | list | tuple | dict) else 0  # pyright: ignore[reportUnknownArgumentType]
