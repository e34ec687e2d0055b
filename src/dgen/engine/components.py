"""Keeps loaded components, each once, and drops the ones longest unused when memory runs short."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from dgen.events import ComponentDropped, ComponentLoaded, ComponentReused, Listener

Key = tuple[Any, ...]


class Budget(Protocol):
    """Says how much the store may hold."""

    def excess(self, held_bytes: int, wanted_bytes: int) -> int:
        """Return how many bytes have to go before `wanted_bytes` more fit; 0 when they fit."""
        ...


@dataclass(slots=True, kw_only=True, weakref_slot=True)
class Component:
    """A loaded component."""

    kind: str
    source: str
    value: Any  # a module, a tokenizer, a scheduler …
    bytes: int
    key: Key = ()
    device: str = "cpu"
    uses: int = 0
    pins: int = 0
    last_use: int = 0

    def move(self, device: str) -> None:
        """Bring the component to a device, unless it is there or has nothing to bring."""
        if device != self.device and callable(getattr(self.value, "to", None)) and self.bytes:
            self.value.to(device)
            self.device = device


@dataclass(slots=True, kw_only=True)
class Need:
    """What the store is asked for: the key, how it is called in events, how big it will be, how it is loaded."""

    key: Key
    kind: str
    source: str
    load: Callable[[], Any]
    bytes: int = 0  # an estimate


@dataclass(slots=True)
class Store:
    """Components by key."""

    budget: Budget
    emit: Listener
    loads: int = 0
    hits: int = 0
    _held: dict[Key, Component] = field(default_factory=dict[Key, Component])
    _clock: int = 0

    @contextmanager
    def use(self, need: Need) -> Generator[Component]:
        """Give a component, loading it when it is not held; while it is in use it is not dropped."""
        component = self._held.get(need.key)
        if component is None:
            component = self._load(need)
        else:
            self.hits += 1
            self.emit(ComponentReused(kind=component.kind, source=component.source))
        self._clock += 1
        component.uses += 1
        component.last_use = self._clock
        component.pins += 1
        try:
            yield component
        finally:
            component.pins -= 1

    def find(self, key: Key) -> Component | None:
        """Return a component when it is held."""
        return self._held.get(key)

    def _load(self, need: Need) -> Component:
        self.make_room(need.bytes)
        start = time.perf_counter()
        value = need.load()
        made = Component(kind=need.kind, source=need.source, value=value, bytes=size_of(value), key=need.key)
        self._held[need.key] = made
        self.loads += 1
        self.emit(
            ComponentLoaded(
                kind=made.kind, source=made.source, class_name=type(value).__name__, bytes=made.bytes,
                seconds=time.perf_counter() - start,
            )
        )  # fmt: skip
        return made

    def make_room(self, wanted_bytes: int) -> int:
        """Drop the components longest unused until `wanted_bytes` more fit; return the bytes dropped."""
        excess = self.budget.excess(self.bytes, wanted_bytes)
        dropped = 0
        for key in sorted(self._held, key=lambda k: self._held[k].last_use):
            if dropped >= excess:
                break
            held = self._held[key]
            if not held.pins and held.bytes:
                dropped += held.bytes
                self._drop(key)
        return dropped

    @property
    def bytes(self) -> int:
        """The bytes of all components."""
        return sum(c.bytes for c in self._held.values())

    def clear(self, wanted: Callable[[Component], bool] = lambda component: True) -> int:
        """Drop the components that are wanted gone and not in use; return how many."""
        gone = [k for k, c in self._held.items() if wanted(c) and not c.pins]
        for key in gone:
            self._drop(key)
        return len(gone)

    def __iter__(self) -> Iterator[Component]:
        return iter(tuple(self._held.values()))

    def _drop(self, key: Key) -> None:
        gone = self._held.pop(key)
        self.emit(ComponentDropped(kind=gone.kind, source=gone.source))


def size_of(value: Any) -> int:
    """Return the bytes of a module's parameters and buffers, or of what counts them itself; 0 for what has none."""
    if isinstance(getattr(value, "nbytes", None), int):
        return int(value.nbytes)
    if not callable(getattr(value, "parameters", None)):
        return 0
    return sum(t.numel() * t.element_size() for t in (*value.parameters(), *value.buffers()))
