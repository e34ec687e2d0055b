"""Counts what one rendering or one expression costs, in steps and in bytes, and stops it when that is too much."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from dgen.lang.limits import MAX_LENGTH, LimitError, check_method, joined

MAX_STEPS = 100_000
MAX_BYTES = 40_000_000
_ITEM_BYTES = 16
_CONTAINERS = (list, tuple, dict, set, frozenset)
# Functions that do not look into the items of what they are given.
_LIGHT = frozenset(
    [
        "append",
        "bool",
        "clear",
        "cycle",
        "default",
        "d",
        "enumerate",
        "first",
        "get",
        "insert",
        "isinstance",
        "items",
        "iter",
        "keys",
        "last",
        "len",
        "length",
        "next",
        "pop",
        "random",
        "range",
        "reversed",
        "setdefault",
        "values",
        "zip",
        "map",
        "select",
        "reject",
        "selectattr",
        "rejectattr",
        "batch",
        "slice",
        "extend",
    ]
)


class ExhaustedError(LimitError):
    """A template or an expression takes too long or needs too much room."""

    code = "limit-exceeded"


class Meter:
    """What was used so far; nothing is given back."""

    __slots__ = ("bytes", "steps", "template_bytes")

    def __init__(self, template_bytes: int = 0) -> None:
        """Start from zero; `template_bytes` is what a call of a macro may write by itself."""
        self.steps = 0
        self.bytes = 0
        self.template_bytes = template_bytes

    def step(self, count: int = 1) -> None:
        """Count steps.

        Raises:
            ExhaustedError: they are too many.
        """
        self.steps += count
        if self.steps > MAX_STEPS:
            raise ExhaustedError(f"this takes more than {MAX_STEPS} steps")

    def charge(self, count: int) -> None:
        """Count bytes.

        Raises:
            ExhaustedError: they are too many.
        """
        self.bytes += count
        if self.bytes > MAX_BYTES:
            raise ExhaustedError(f"this needs more than {MAX_BYTES // 1_000_000} MB")

    def keep(self, value: Any) -> Any:
        """Return a value that was just made, and count what it takes."""
        if isinstance(value, str | bytes | bytearray):
            self.charge(len(value))
        elif _is_container(value):
            self.charge(_ITEM_BYTES * len(value))
        return value

    def weigh(self, value: Any) -> Any:
        """Return a value whose inside is small enough to be written, compared or hashed.

        Raises:
            LimitError: a container holds too much, counted as often as it would be visited.
        """
        if not _is_container(value):
            return value
        total = 0
        stack: list[Any] = [value]
        while stack:
            each = stack.pop()
            total += 1 + (len(each) if isinstance(each, str | bytes) or _is_container(each) else 0)
            if _is_container(each):
                stack.extend(_inside(each))
            if total > MAX_LENGTH:
                raise LimitError(f"a value of more than {MAX_LENGTH} characters and items is too large for this")
        self.step(total // 10)
        return value

    def counted(self, items: Iterable[Any], bytes_each: int = 0) -> Iterator[Any]:
        """Yield items; each is a step."""
        for item in items:
            self.step()
            if bytes_each:
                self.charge(bytes_each)
            yield item

    def run(self, call: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Call a function: neither what it is given nor what it returns may be huge.

        Raises:
            LimitError: it would be, or is.
        """
        self.step()
        given = tuple(self.counted(a) if _is_iterator(a) else a for a in arguments)
        name, owner = getattr(call, "__name__", ""), getattr(call, "__self__", None)
        if name not in _LIGHT:
            for each in (*given, *named.values()):
                self.weigh(each)
        if isinstance(owner, str) and name == "join" and len(given) == 1:
            return self.keep(joined(owner, given[0]))
        if owner is not None:
            check_method(owner, name, (*given, *named.values()))
        return self.keep(call(*given, **named))


def _is_container(value: Any) -> bool:
    return isinstance(value, _CONTAINERS)


def _is_iterator(value: Any) -> bool:
    return isinstance(value, Iterator)


def _inside(value: Any) -> Iterable[Any]:
    return (*value.keys(), *value.values()) if isinstance(value, dict) else value  # pyright: ignore
