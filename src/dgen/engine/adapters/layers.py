"""Exchanges layers of modules for the time of a job, and remembers the last exchange, which may have been slow."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any

_KEPT = "_dgen_exchange"
"""The attribute of a module with its last exchange: there it ends with the module, whoever drops it."""


@contextmanager
def as_it_was(module: Any) -> Generator[None]:
    """Give a module its layers, attributes and hooks back after the block, whatever happened to them in it.

    It goes through every module inside it too, and copies no tensor. Nothing may be left out: a text encoder of
    transformers hooks its layers when it is first asked for hidden states, and marks itself. Without the mark but with
    the hooks, it would tell every hidden state twice.
    """
    own = [(each, dict(vars(each)), _tables(each)) for each in module.modules()]
    try:
        yield
    finally:
        for each, attributes, tables in own:
            vars(each).clear()
            vars(each).update(attributes)
            for name, entries in tables.items():
                attributes[name].clear()
                attributes[name].update(entries)


def _tables(module: Any) -> dict[str, dict[Any, Any]]:
    """Return copies of a module's own dictionaries: layers, tensors, hooks."""
    return {n: dict(held) for n, held in vars(module).items() if type(held) in (dict, OrderedDict)}


@contextmanager
def standing_in(holder: Any, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Generator[None]:
    """Let what `make` returns for a method of an object answer in its place; its signature reads like the method's."""
    own = vars(holder).get(name)
    original = getattr(holder, name)
    setattr(holder, name, wraps(original)(make(original)))
    try:
        yield
    finally:
        if own is None:
            vars(holder).pop(name, None)
        else:
            setattr(holder, name, own)


@dataclass(frozen=True, slots=True)
class Exchange:
    """What was put into a module: layers by their parents and names, and attributes of the module itself."""

    key: Any
    layers: tuple[tuple[Any, str, Any], ...]
    attributes: Mapping[str, Any]
    token: object  # the same in all modules that were changed together

    def repeat(self, module: Any) -> None:
        """Put the layers in again."""
        for parent, name, layer in self.layers:
            parent._modules[name] = layer
        vars(module).update(self.attributes)


def exchange(modules: Mapping[str, Any], key: Any, change: Callable[[], Any]) -> Any:
    """Let `change` put layers into modules, or repeat what it did the last time with the same key; return its answer.

    Each module has to be inside `as_it_was`; what is remembered is attached to it afterwards by `keeping`.
    """
    key = (key, *((str(m.device), str(m.dtype)) for m in modules.values()))
    kept = [vars(module).get(_KEPT) for module in modules.values()]
    if kept and all(each is not None and each.key == key and each.token is kept[0].token for each in kept):
        for module, each in zip(modules.values(), kept, strict=True):
            each.repeat(module)
        return kept[0].token.answer
    before = {kind: (dict(vars(m)), _children(m)) for kind, m in modules.items()}
    token = _Token(change())
    for kind, module in modules.items():
        attributes, children = before[kind]
        layers = tuple(
            (parent, name, parent._modules[name])
            for parent, own in children
            for name, layer in own.items()
            if parent._modules.get(name) is not layer
        )
        changed = {k: v for k, v in vars(module).items() if k not in attributes or attributes[k] is not v}
        vars(module)[_KEPT] = Exchange(key, layers, changed, token)
    return token.answer


@dataclass(frozen=True, slots=True, eq=False)
class _Token:
    answer: Any


@contextmanager
def keeping(module: Any) -> Generator[None]:
    """Do as `as_it_was`, but let a module remember what `exchange` did to it in the block."""
    kept = None
    try:
        with as_it_was(module):
            try:
                yield
            finally:
                kept = vars(module).get(_KEPT)
    finally:
        if kept is not None:
            vars(module)[_KEPT] = kept


def forget(module: Any) -> None:
    """Let a module forget its last exchange, and free what that holds."""
    if hasattr(module, "__dict__"):
        vars(module).pop(_KEPT, None)


def _children(module: Any) -> list[tuple[Any, dict[str, Any]]]:
    return [(each, dict(each._modules)) for each in module.modules()]
