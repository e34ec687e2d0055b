"""Keeps loaded components, each once, and drops the ones longest unused when memory runs short."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from dgen.engine.failures import too_big
from dgen.engine.memory import HOST, Budget, budgets
from dgen.events import ComponentDropped, ComponentLoaded, ComponentMoved, ComponentReused, Listener

Key = tuple[Any, ...]


@dataclass(slots=True, kw_only=True, weakref_slot=True)
class Component:
    """A loaded component."""

    kind: str
    source: str
    value: Any  # a module, a tokenizer, a scheduler …
    bytes: int
    key: Key = ()
    device: str = HOST
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
    """Components by key, within a budget for the host and one for each device."""

    emit: Listener
    budgets: Callable[[str], Budget] = field(default_factory=budgets)
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
            self.emit(ComponentReused(kind=component.kind, source=need.source))
        self._clock += 1
        component.uses += 1
        component.last_use = self._clock
        with _pinned(component):
            yield component

    def find(self, key: Key) -> Component | None:
        """Return a component when it is held."""
        return self._held.get(key)

    def gather(self, stack: ExitStack, needs: Sequence[Need]) -> list[Component]:
        """Give components that are used together, until the stack closes.

        Those that are held are pinned before room is made for all the others, so that none of them has to go for
        another one and be loaded again.

        Raises:
            EngineError: `out-of-memory`: they are bigger together than the budget, whatever else goes.
        """
        with ExitStack() as pins:
            here = {n.key: pins.enter_context(_pinned(c)) for n in needs if (c := self._held.get(n.key)) is not None}
            missing = {n.key: n for n in needs if n.key not in here}
            if missing:
                stays = {c.kind: c.bytes for c in here.values() if c.device == HOST}
                self._check_size({n.kind: n.bytes for n in missing.values()} | stays)
                self.make_room(sum(n.bytes for n in missing.values()))
            return [stack.enter_context(self.use(need)) for need in needs]

    def _check_size(self, sizes: dict[str, int]) -> None:
        budget = self.budgets(HOST)
        most = budget.most(self.held_bytes(HOST))
        if sum(sizes.values()) > most:
            raise too_big(sizes, most, "host_memory" if most == budget.limit_bytes else None)

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

    def make_room(self, wanted_bytes: int, device: str = HOST) -> int:
        """Let the components longest unused leave a device until `wanted_bytes` more fit; return the bytes that left.

        From the host they are dropped; from another device they go to the host, when they fit there.
        """
        excess = self.budgets(device).excess(self.held_bytes(device), wanted_bytes)
        left = 0
        for component in sorted(self, key=lambda c: c.last_use):
            if left >= excess:
                break
            if component.device == device and component.bytes and not component.pins:
                left += component.bytes
                self._put_away(component)
        return left

    def vacate(self, device: str, since: int) -> int:
        """Let what no one has used since a time of the `clock` leave a device; return the bytes that left."""
        gone = [c for c in self if c.device == device and c.last_use <= since and c.bytes and not c.pins]
        for component in gone:
            self._put_away(component)
        return sum(c.bytes for c in gone)

    @property
    def clock(self) -> int:
        """How many times components have been used."""
        return self._clock

    def _put_away(self, component: Component) -> None:
        if component.device != HOST:
            self.make_room(component.bytes, HOST)
        if component.device == HOST or self.budgets(HOST).excess(self.held_bytes(HOST), component.bytes):
            self._drop(component.key)
        else:
            self.bring(component, HOST)

    def bring(self, component: Component, device: str) -> None:
        """Bring a component to a device, after making room there."""
        if component.device == device or not component.bytes:
            return
        self.make_room(component.bytes, device)
        component.move(device)
        self.emit(ComponentMoved(kind=component.kind, source=component.source, device=device))

    def held_bytes(self, device: str) -> int:
        """Count the bytes of the components on a device."""
        return sum(c.bytes for c in self if c.device == device)

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


@contextmanager
def _pinned(component: Component) -> Generator[Component]:
    component.pins += 1
    try:
        yield component
    finally:
        component.pins -= 1


def size_of(value: Any) -> int:
    """Return the bytes of a module's parameters and buffers, or of what counts them itself; 0 for what has none."""
    if isinstance(getattr(value, "nbytes", None), int):
        return int(value.nbytes)
    if not callable(getattr(value, "parameters", None)):
        return 0
    return sum(map(_bytes_of, (*value.parameters(), *value.buffers())))


def _bytes_of(tensor: Any) -> int:
    """Return the bytes of a tensor; one of a quantizer is made of others."""
    if hasattr(tensor, "__tensor_flatten__"):
        return sum(_bytes_of(getattr(tensor, name)) for name in tensor.__tensor_flatten__()[0])
    return tensor.numel() * tensor.element_size()
