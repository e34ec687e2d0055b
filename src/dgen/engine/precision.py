"""Lets parts of different precisions work together, as a user may have asked for."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

_KNOWN: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def dtype_of(part: Any) -> Any:
    """Return the precision of a network between two jobs, None for what is none; diffusers looks at every layer."""
    try:
        if part not in _KNOWN:
            _KNOWN[part] = getattr(part, "dtype", None)
        return _KNOWN[part]
    except TypeError:  # nothing that can be remembered
        return getattr(part, "dtype", None)


def are_mixed(modules: Iterable[Any]) -> bool:
    """Whether parts, some of which may be None or no networks, have different precisions."""
    return len({str(dtype) for dtype in map(dtype_of, modules) if dtype is not None}) > 1


@contextmanager
def taking_any(network: Any) -> Generator[None]:
    """Let a network take floating tensors of any precision, and answer in that of the first, while the block lasts."""
    import torch
    from torch.utils._pytree import tree_leaves, tree_map

    asked: list[torch.dtype] = []

    def is_floating(value: Any) -> bool:
        return isinstance(value, torch.Tensor) and value.is_floating_point()

    def cast(values: Any, dtype: torch.dtype) -> Any:
        return tree_map(lambda value: value.to(dtype) if is_floating(value) else value, values)

    def before(_: Any, args: Any, named: Any) -> Any:
        first = next((v for v in tree_leaves((args, named)) if is_floating(v)), None)
        asked.append(network.dtype if first is None else first.dtype)
        return cast((args, named), network.dtype)

    def after(_: Any, args: Any, answer: Any) -> Any:
        return cast(answer, asked.pop())

    hooks = [network.register_forward_pre_hook(before, with_kwargs=True), network.register_forward_hook(after)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
