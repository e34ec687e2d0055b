"""The variables of a session."""

from __future__ import annotations

import keyword
from collections.abc import Iterator, Mapping
from typing import Any

from dgen.diagnostic import DgenError, Span, did_you_mean, fail


class Scope(Mapping[str, Any]):
    """Names and values; the names that dgen provides are read-only to a script."""

    def __init__(self) -> None:
        """Start without variables."""
        self._values: dict[str, Any] = {}
        self._set_at: dict[str, Span | None] = {}
        self._provided: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        return self._provided[name] if name in self._provided else self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self._values.keys() | self._provided.keys())

    def child(self) -> Scope:
        """Return a scope without variables that sees the names which dgen provides, now and later."""
        scope = Scope()
        scope._provided = self._provided
        return scope

    def own(self) -> dict[str, Any]:
        """Return the variables that scripts have set."""
        return dict(self._values)

    def names(self) -> tuple[str, ...]:
        """Return all names, sorted."""
        return tuple(sorted(self._values.keys() | self._provided.keys()))

    def set(self, name: str, value: object, span: Span | None) -> None:
        """Set a variable of the script; `span` is the name in the source.

        Raises:
            DgenError: `bad-name`, `read-only-variable`.
        """
        self.check_name(name, span)
        self._values[name] = value
        self._set_at[name] = span

    def check_name(self, name: str, span: Span | None) -> None:
        """Refuse what a script cannot set.

        Raises:
            DgenError: `bad-name`, `read-only-variable`.
        """
        if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
            raise fail("bad-name", f"`{name}` is not a variable's name", span, _NAME_RULE)
        self._refuse_provided(name, span)

    def unset(self, name: str, span: Span | None) -> None:
        """Forget a variable of the script.

        Raises:
            DgenError: `read-only-variable`, `unknown-variable`.
        """
        self._refuse_provided(name, span)
        if name not in self._values:
            raise unknown_variable(name, span, self._values)
        del self._values[name], self._set_at[name]

    def provide(self, name: str, value: object) -> None:
        """Set a name that dgen itself sets: read-only to the script, in front of a variable of that name."""
        self._provided[name] = value

    def place(self, name: str) -> Span | None:
        """Return where a script set a variable."""
        return self._set_at.get(name)

    def _refuse_provided(self, name: str, span: Span | None) -> None:
        if name in self._provided:
            raise fail("read-only-variable", f"`{name}` is set by dgen and is read-only", span, "choose another name")


_NAME_RULE = "a name is letters, digits and `_`, and starts with a letter"


def unknown_variable(name: str, span: Span | None, legal: Mapping[str, object], noun: str = "variable") -> DgenError:
    """Make the error of a name that nothing has set."""
    return fail("unknown-variable", f"no {noun} named `{name}`", span, did_you_mean(name, legal))
