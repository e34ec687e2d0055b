"""Operations of templates and expressions that could eat all memory or time, bounded."""

from __future__ import annotations

import re
from typing import Any

MAX_SOURCE = 10_000_000  # characters of a script
MAX_DEPTH = 30  # files that include one another
MAX_LENGTH = 1_000_000  # characters or items of one value
MAX_BITS = 100_000  # of an integer
MAX_RANGE = 100_000  # numbers of a range
_WIDE = re.compile(r"\d{6,}|\*")


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
        if isinstance(times, int) and isinstance(value, str | bytes | list | tuple):
            size: int = len(value)  # pyright: ignore[reportUnknownArgumentType]
            if size * times > MAX_LENGTH:
                raise LimitError(f"repeating {size} items {times} times is too large")
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() + right.bit_length() > MAX_BITS:
        raise LimitError("the product is too large")
    return left * right


def shift_left(left: Any, right: Any) -> Any:
    """Return `left << right` when its size is reasonable."""
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() + right > MAX_BITS:
        raise LimitError(f"{left} << {right} is too large")
    return left << right


def modulo(left: Any, right: Any) -> Any:
    """Return `left % right`; a format string may not ask for huge widths."""
    if isinstance(left, str | bytes) and _WIDE.search(left if isinstance(left, str) else left.decode("latin-1")):
        raise LimitError("a format string asks for too wide a field")
    return left % right


def bounded_range(*bounds: int) -> range:
    """Return a range of reasonable length."""
    result = range(*bounds)
    if len(result) > MAX_RANGE:
        raise LimitError(f"a range of {len(result)} numbers is too long")
    return result


def check_format(spec: str) -> str:
    """Return a format specification that asks for no huge width."""
    if _WIDE.search(spec):
        raise LimitError("a format asks for too wide a field")
    return spec


def check_method(value: object, name: str, arguments: tuple[Any, ...]) -> None:
    """Refuse a method of a string or of bytes that would pad it, or replace in it, beyond reason."""
    if not isinstance(value, str | bytes | bytearray):
        return
    numbers = [a for a in arguments if isinstance(a, int)]
    if name in ("ljust", "rjust", "center", "zfill", "expandtabs") and any(n > MAX_LENGTH for n in numbers):
        raise LimitError(f"a text of {max(numbers)} characters is too long")
    if name in ("replace", "join", "translate") and sum(_size(a) for a in arguments) * (len(value) + 1) > MAX_LENGTH:
        raise LimitError("the text becomes too long")


def _size(value: object) -> int:
    return len(value) if isinstance(value, str | bytes | list | tuple | dict) else 0  # pyright: ignore[reportUnknownArgumentType]
