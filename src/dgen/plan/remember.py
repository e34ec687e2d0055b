"""The `last_*` variables: what the last invocation said, for the statements after it."""

from __future__ import annotations

from typing import Any

from dgen.options.request import ROWS
from dgen.plan.bind import Bound
from dgen.plan.expand import Expansion
from dgen.schema import Option


def last_variables(bound: Bound | None, expansion: Expansion | None) -> dict[str, Any]:
    """Return the variables of every option: lists for what takes several values, None for what was not said.

    Before the first invocation (None) every list is empty and everything else None.
    """
    variables: dict[str, Any] = {}
    for row in ROWS.values():
        if bound is None or expansion is None:
            value: Any = [] if row.takes_many else None
        else:
            value = _last_value(row, bound, expansion)
        variables.update(dict.fromkeys((row.variable, *row.last), value))
    return variables


def _last_value(row: Option, bound: Bound, expansion: Expansion) -> Any:
    if row.name in bound and not row.takes_value:
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
