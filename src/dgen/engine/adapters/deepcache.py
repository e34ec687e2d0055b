"""Computes the depths of a UNet only in every few calls: DeepCache (Ma et al. 2023, section 3.2).

With `U_m`, the decoder's layer beside the skip connection `m`, and `D_m`, the encoder's: in every `interval`-th call
the input `F` that `U_m` gets from below is kept; in those between, only `D_0 … D_m` and `U_m … U_0` are computed, and
`U_m` gets `Concat(D_m, F)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

Block = tuple[Any, list[list[Any]]]
"""A block of a UNet, and its layers in their order, each with the modules that it consists of."""


@dataclass(slots=True)
class _Clock:
    """Counts the calls of a UNet, and says which are whole."""

    interval: int
    phase: Callable[[], object]
    calls: int = 0
    is_whole: bool = True
    shape: tuple[object, ...] = ()

    def tick(self, _: Any, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Begin a call; one of another shape, or phase, than the last whole one is whole."""
        shape = (*(args[0] if args else named["sample"]).shape, self.phase())
        self.is_whole = self.calls % self.interval == 0 or shape != self.shape
        self.calls = 1 if self.is_whole else self.calls + 1
        self.shape = shape


@dataclass(slots=True)
class _Remembered:
    """Stands in for the `forward` of a module: asks it in whole calls, and repeats its answer in the others."""

    clock: _Clock
    forward: Callable[..., Any]
    is_used: bool  # else only the shape of the answer matters
    answer: Any = field(default=None)

    def __call__(self, *args: Any, **named: Any) -> Any:
        """Answer a call of the module."""
        if not self.clock.is_whole:
            return _each(_copy, self.answer) if self.is_used else self.answer
        made = self.forward(*args, **named)
        self.answer = _each(_copy if self.is_used else _hollow, made)
        return made


def _each(change: Callable[[Any], Any], answer: Any) -> Any:
    """Change every tensor of an answer."""
    if isinstance(answer, (tuple, list)):
        return type(answer)(_each(change, each) for each in answer)
    return change(answer) if hasattr(answer, "new_zeros") else answer


def _copy(tensor: Any) -> Any:
    return tensor.clone()  # FreeU changes what it gets in place


def _hollow(tensor: Any) -> Any:
    """Return a tensor of the same shape that takes no memory."""
    return tensor.new_zeros(()).expand(tensor.shape)


def remember_depths(unet: Any, interval: int, branch: int, phase: Callable[[], object] = lambda: None) -> None:
    """Let a UNet compute what lies below skip connection `branch` only in every `interval`-th call.

    It computes all of it as well when `phase` answers otherwise than before: the maps there are of another size. The
    caller restores the attributes and hooks of the UNet and of every module in it.
    """
    clock = _Clock(interval, phase)
    unet.register_forward_pre_hook(clock.tick, with_kwargs=True)
    for module, is_used in _depths(unet, branch):
        vars(module)["forward"] = _Remembered(clock, module.forward, is_used)


def branches(unet: Any) -> int:
    """Count the skip connections of a UNet."""
    return sum(len(layers) for _, layers in _down(unet)) + 1


def _depths(unet: Any, branch: int) -> Iterator[tuple[Any, bool]]:
    """Yield the modules that lie below a skip connection, and whether what they answer is used."""
    down = list(_down(unet))
    up = [(block, list(_layers(block))) for block in unet.up_blocks]
    last = branches(unet) - 1
    yield from ((module, False) for module in _far(down, lambda place: place >= branch))
    yield unet.mid_block, True
    yield from ((module, True) for module in _far(up, lambda place: place < last - branch))


def _far(blocks: Sequence[Block], is_deep: Callable[[int], bool]) -> Iterator[Any]:
    """Yield the blocks of which all layers are deep, and the deep modules of the one that is deep in part."""
    place = 0
    for block, layers in blocks:
        deep = [is_deep(place + index) for index in range(len(layers))]
        place += len(layers)
        if all(deep):
            yield block
        else:
            yield from (module for layer, far in zip(layers, deep, strict=True) if far for module in layer)


def _down(unet: Any) -> Iterator[Block]:
    for block in unet.down_blocks:
        yield block, [*_layers(block), *([list(block.downsamplers)] if block.downsamplers else [])]


def _layers(block: Any) -> Iterator[list[Any]]:
    attentions = getattr(block, "attentions", None) or [None] * len(block.resnets)
    for resnet, attention in zip(block.resnets, attentions, strict=True):
        yield [resnet] if attention is None else [resnet, attention]
