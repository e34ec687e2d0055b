"""Values that are not known before a script runs, and the decisions that depend on them."""

from __future__ import annotations

import sys
from collections.abc import Generator, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

MARK = "\ufdd4"  # a noncharacter: no text of a user holds it
_MOST_PATHS = 24
_JINJA_ASKS = ("unsafe_callable", "alters_data", "jinja_pass_arg")

Site = Hashable


class Unknown:
    """A value of which nothing is known, but perhaps some of its text; what is made of it is unknown too."""

    __slots__ = ("_oracle", "_text")

    def __init__(self, oracle: Oracle, text: str = MARK) -> None:
        """Ask `oracle` whenever a decision depends on the value; `text` holds a mark where it is unknown."""
        self._oracle, self._text = oracle, text

    def _more(self, *_args: Any, **_kwargs: Any) -> Any:
        return self._oracle.unknown()

    __call__ = __getitem__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _more
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = _more
    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = __lshift__ = __rshift__ = _more
    __lt__ = __le__ = __gt__ = __ge__ = __neg__ = __pos__ = __abs__ = __invert__ = __round__ = _more

    def __eq__(self, other: object) -> Any:
        return self._oracle.unknown()

    def __ne__(self, other: object) -> Any:
        return self._oracle.unknown()

    def __hash__(self) -> int:
        return id(self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in _JINJA_ASKS:
            raise AttributeError(name)
        return self._oracle.unknown()

    def __setitem__(self, key: object, value: object) -> None:
        """Take an item, of which nothing is known afterwards."""

    def __bool__(self) -> bool:
        return self._oracle.decide(sys._getframe(1))  # pyright: ignore[reportPrivateUsage]

    def __contains__(self, item: object) -> bool:
        return self._oracle.decide(sys._getframe(1))  # pyright: ignore[reportPrivateUsage]

    def __iter__(self) -> Iterator[Any]:
        self._oracle.has_looped = True
        return iter((self._oracle.unknown(),))

    def __len__(self) -> int:
        return 1

    def __str__(self) -> str:
        return self._text

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return self._text

    def _refuse(self, *_args: Any) -> NoReturn:
        raise TypeError("the value is not known yet")

    __int__ = __float__ = __index__ = _refuse


def holds_unknown(value: object, depth: int = 4) -> bool:
    """Say whether a value is unknown, or a text or collection with something unknown in it."""
    if isinstance(value, Unknown):
        return True
    if isinstance(value, str):
        return MARK in value
    if depth == 0 or not isinstance(value, list | tuple | set | frozenset | dict):
        return False
    items: Any = (*value, *value.values()) if isinstance(value, dict) else value  # pyright: ignore[reportUnknownVariableType]
    return any(holds_unknown(item, depth - 1) for item in items)


@dataclass(slots=True)
class _Trip:
    """One run through a statement: the decisions that are given, and those that were made."""

    given: tuple[bool, ...] = ()
    made: list[tuple[Site, bool]] = field(default_factory=list[tuple[Site, bool]])
    counts: dict[Site, int] = field(default_factory=dict[Site, int])


class Oracle:
    """Decides what depends on unknown values, each way once, and notes that something did."""

    def __init__(self) -> None:
        """Know nothing."""
        self._trips: list[_Trip] = []
        self.has_looped = False
        self.touched = 0  # how often something unknown was read

    def unknown(self, text: str = MARK) -> Unknown:
        """Make an unknown value."""
        self.touched += 1
        return Unknown(self, text)

    def seen(self, value: Any) -> Any:
        """Return a value; a text with something unknown in it becomes an unknown value, also in lists."""
        if isinstance(value, str):
            return self.unknown(value) if MARK in value else value
        if isinstance(value, list):
            return [self.seen(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        return value

    def decide(self, frame: Any) -> bool:
        """Answer a question that depends on something unknown; `frame` asks it."""
        self.touched += 1
        if not self._trips:
            return True
        trip, place = self._trips[-1], (frame.f_code, frame.f_lasti)
        number = trip.counts.get(place, 0)
        trip.counts[place] = number + 1
        site = place if frame.f_code.co_filename == "<template>" else (*place, number)
        step = len(trip.made)
        answer = trip.given[step] if step < len(trip.given) else True
        trip.made.append((site, answer))
        return answer

    def paths(self) -> Iterator[bool]:
        """Yield once for every run that a statement needs so that each decision falls each way; True for the first."""
        waiting: list[tuple[tuple[Site, bool] | None, tuple[bool, ...]]] = [(None, ())]
        covered: set[tuple[Site, bool]] = set()
        for number in range(_MOST_PATHS):
            waiting = [(turn, given) for turn, given in waiting if turn not in covered]
            if not waiting:
                return
            trip = _Trip(waiting.pop()[1])
            with self._taking(trip):
                yield number == 0
            covered.update(trip.made)
            answers = tuple(answer for _, answer in trip.made)
            for index, (site, answer) in enumerate(trip.made):
                waiting.append(((site, not answer), (*answers[:index], not answer)))

    @contextmanager
    def _taking(self, trip: _Trip) -> Generator[None]:
        self._trips.append(trip)
        try:
            yield
        finally:
            self._trips.remove(trip)
