"""The `last_*` variables: what the last invocation said, for the statements after it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from dgen.options.request import ROWS
from dgen.plan.bind import Bound
from dgen.plan.expand import Expansion
from dgen.schema import Option


def last_variables(bound: Bound | None, expansion: Expansion | None) -> dict[str, Any]:
    """Return the variables of every option: lists for what takes several values, None for what was not said.

    Before the first invocation (None) every list is empty and everything else None.
    """
    if bound is None or expansion is None:
        return _named((row, [] if row.takes_many else None) for row in ROWS.values())
    said = {"seed", *bound.given, *expansion.names, *expansion.fixed, *(name for name, _ in expansion.arguments)}
    rows = (ROWS[name] for name in said if name in ROWS)
    return _unsaid() | _named((row, _last_value(row, bound, expansion)) for row in rows)


def _named(values: Iterable[tuple[Option, Any]]) -> dict[str, Any]:
    return {name: value for row, value in values for name in (row.variable, *row.last)}


def _unsaid() -> dict[str, Any]:
    """Return the variables of a statement that says nothing; the lists belong to whoever asked."""
    return {name: [*value] if isinstance(value, list) else value for name, value in _defaults().items()}


@cache
def _defaults() -> dict[str, Any]:
    nothing = Expansion({}, (), ())
    return _named((row, _last_value(row, None, nothing)) for row in ROWS.values())


def _last_value(row: Option, bound: Bound | None, expansion: Expansion) -> Any:
    if bound is not None and row.name in bound and not row.takes_value:
        return True
    said = expansion.values(row.name)
    values = [v for v in (said[0] if row.many and said else said) if v is not None]
    implied = [] if row.implied is None else [row.implied]
    if row.takes_many:
        return [_plain(row, v) for v in values or implied]
    return _plain(row, (values or implied or [row.default])[0])


def _plain(row: Option, value: Any) -> Any:
    """Give numbers, texts, sizes and prompts as they are, and what has a spelling of its own as text."""
    if row.value is None or value is None or isinstance(value, (bool, int, float, str)):
        return value
    keeps_shape = hasattr(value, "positive") or hasattr(value, "width") or hasattr(value, "x")
    return value if keeps_shape else row.value.format(value)
