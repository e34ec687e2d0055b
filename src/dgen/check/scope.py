"""The variables of a script that is followed: which are unknown, which were read, which never."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from dgen.check.unknown import Oracle, holds_unknown
from dgen.diagnostic import Diagnostic, Span
from dgen.lang.scope import Scope

_NAME = re.compile(r"[A-Za-z_]\w*")
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class State:
    """The variables at one moment: those of the script, and those that dgen provides."""

    own: dict[str, Any]
    provided: dict[str, Any]


@dataclass(slots=True)
class Uses:
    """Which variables a script set, where first, and which it read."""

    set_at: dict[str, Span] = field(default_factory=dict[str, Span])
    read: set[str] = field(default_factory=set[str])
    all_read: bool = False  # something may have read them that cannot be followed

    def note(self, text: str) -> None:
        """Take every name in a text that was not evaluated for read."""
        self.read.update(_NAME.findall(text))

    def unused(self) -> list[Diagnostic]:
        """Return a warning for each variable that nothing reads."""
        return [
            Diagnostic(
                code="unused-variable", message=f"`{name}` is set but never used", span=span, severity="warning",
                help="remove the statement, or use the variable",
            )
            for name, span in self.set_at.items()
            if not self.all_read and name not in self.read
        ]  # fmt: skip


class FollowedScope(Scope):
    """Variables of which some are unknown."""

    def __init__(self, oracle: Oracle, uses: Uses) -> None:
        """Tell `uses` what is set and read."""
        super().__init__()
        self._oracle, self.uses = oracle, uses

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        self.uses.read.add(name)
        if holds_unknown(value):
            self._oracle.touched += 1
        return value

    def set(self, name: str, value: object, span: Span | None) -> None:
        """Set a variable; a text with something unknown in it is unknown.

        Raises:
            DgenError: `bad-name`, `read-only-variable`.
        """
        super().set(name, self._oracle.seen(value), span)
        if span is not None:
            self.uses.set_at.setdefault(name, span)

    def unset(self, name: str, span: Span | None) -> None:
        """Forget a variable, also one that is only supposed to be set.

        Raises:
            DgenError: `read-only-variable`, `unknown-variable`.
        """
        self._set_at.setdefault(name, None)
        self.uses.read.add(name)
        super().unset(name, span)

    def child(self) -> FollowedScope:
        """Return a scope of its own that sees what dgen provides; what it sets can be read through its name."""
        scope = FollowedScope(self._oracle, Uses(all_read=True))
        scope._provided = self._provided
        return scope

    def suppose(self, *names: str) -> None:
        """Let names that are not set stand for something unknown, without counting as variables of the script."""
        for name in names:
            if name not in self._provided:
                self._values.setdefault(name, self._oracle.unknown())

    def forget(self, names: list[str]) -> None:
        """Take back what was supposed."""
        for name in names:
            self._values.pop(name, None)

    def is_set(self, name: str) -> bool:
        """Say whether a name stands for something, without counting as a use."""
        return name in self._values or name in self._provided

    def state(self) -> State:
        """Return the variables as they are."""
        return State(dict(self._values), dict(self._provided))

    def restore(self, state: State) -> None:
        """Let the variables be as they were."""
        self._values.clear()
        self._values.update(state.own)
        self._provided.clear()
        self._provided.update(state.provided)

    def join(self, states: list[State]) -> None:
        """Let the variables be what several paths left: unknown where they differ."""
        own = _joined([s.own for s in states], self._oracle)
        self.restore(State(own, _joined([s.provided for s in states], self._oracle)))


def _joined(layers: list[dict[str, Any]], oracle: Oracle) -> dict[str, Any]:
    names = dict.fromkeys(name for layer in layers for name in layer)
    return {name: _common([layer.get(name, _ABSENT) for layer in layers], oracle) for name in names}


def _common(values: list[Any], oracle: Oracle) -> Any:
    first = values[0]
    same = all(v is first or (type(v) is type(first) and not holds_unknown(v) and v == first) for v in values)
    return first if same else oracle.unknown()
