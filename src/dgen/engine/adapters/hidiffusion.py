"""Lets a UNet draw pictures larger than those it was trained on: HiDiffusion (Zhang et al. 2023, arXiv 2311.17528).

RAU-Net (section 3.2): while the noise is strong, the downsampler below the top attention block shrinks by `2 f` instead
of 2, with a dilation of `f`, and the upsampler beside it grows by as much: the deep blocks, which lay out the picture,
see maps of about the size they were trained on, and nothing is drawn twice. MSW-MSA (section 3.3): self-attention of
the top blocks looks at windows of half the height and width, which are shifted from step to step. The paper chooses the
shift at random; here the shifts take turns, so that a picture depends on nothing but its job.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

STAGES = ((0.4, 2), (0.2, 4))
"""In which fraction of the steps, from the first, the deep blocks may be how many times smaller."""

SHIFTS = 4
"""How many positions windows take: each is a quarter of a window further on."""


@dataclass(slots=True)
class Phase:
    """Where in its job a network is: how many times smaller its deep blocks are, and how far windows are shifted."""

    trained_cells: int  # the side of the latents that the UNet was trained on
    scheduler: Any
    turn: int = 0  # which step of the schedule, from 0
    factor: int = 1
    _seen: Any = None  # the timesteps of the scheduler, and as a list
    _times: list[float] = field(default_factory=list[float])

    def tick(self, _: Any, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Begin a call of the UNet."""
        sample = args[0] if args else named["sample"]
        told = args[1] if len(args) > 1 else named["timestep"]
        self.turn = self._turn(float(told.max() if hasattr(told, "max") else told))
        wanted = fitting_factor(sample.shape[-2:], self.trained_cells)
        done = self.turn / len(self._times)
        self.factor = max((factor for until, factor in STAGES if done < until and factor <= wanted), default=1)

    def _turn(self, timestep: float) -> int:
        """Return the place of a timestep in the schedule, which img2img begins in the middle."""
        if self._seen is not self.scheduler.timesteps:
            self._seen = self.scheduler.timesteps
            self._times = self._seen.tolist()
        return min(range(len(self._times)), key=lambda place: abs(self._times[place] - timestep))


def fitting_factor(cells: Sequence[int], trained_cells: int) -> int:
    """Return the power of two by which latents of a height and a width are larger than those of the training."""
    return 2 ** round(math.log2(max(1.0, math.sqrt(math.prod(cells)) / trained_cells)))


def shrink_depths(network: Any, phase: Phase) -> None:
    """Let the deep blocks of a UNet, or of a ControlNet, be as small as a phase says (RAU-Net).

    The caller restores the attributes and hooks of the network and of every module in it.
    """
    down = [block.downsamplers[0] for block in network.down_blocks if block.downsamplers]
    up = [block.upsamplers[0] for block in getattr(network, "up_blocks", ()) if block.upsamplers]
    place = min(_top(network), len(down) - 1)
    strided = [each for each in down[place].modules() if getattr(each, "stride", None) == (2, 2)]
    network.register_forward_pre_hook(lambda *_: _stretch(strided, phase.factor))
    for above, below in zip(down, reversed(up), strict=False):
        sizes = _Sizes(below.forward)
        above.register_forward_pre_hook(sizes.note, with_kwargs=True)
        vars(below)["forward"] = sizes


def _stretch(layers: Sequence[Any], factor: int) -> None:
    """Let convolutions with a stride of 2 have one of `2 factor`, and reach as much further."""
    for layer in layers:  # attributes, so that LoRAs on a layer, which are layers like it, do the same
        layer.stride, layer.padding, layer.dilation = (2 * factor,) * 2, (factor,) * 2, (factor,) * 2


@dataclass(slots=True)
class _Sizes:
    """Stands in for the `forward` of an upsampler: it grows to what the downsampler beside it shrank."""

    forward: Callable[..., Any]
    size: tuple[int, ...] | None = None

    def note(self, _: Any, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Keep the height and width of what the downsampler gets."""
        self.size = tuple((args[0] if args else named["hidden_states"]).shape[-2:])

    def __call__(self, hidden_states: Any, output_size: Any = None, *args: Any, **named: Any) -> Any:
        """Answer a call of the upsampler."""
        return self.forward(hidden_states, self.size if output_size is None else output_size, *args, **named)


def window_attention(unet: Any, phase: Phase) -> None:
    """Let self-attention of the top blocks of a UNet look at windows (MSW-MSA).

    The caller restores the attributes and hooks of the UNet and of every module in it.
    """
    top = _top(unet)
    for block in (unet.down_blocks[top], unet.up_blocks[len(unet.up_blocks) - 1 - top]):
        for transformer in block.attentions:
            for layer in transformer.transformer_blocks:
                windows = _Windows(layer.attn1.forward, phase)
                transformer.register_forward_pre_hook(windows.note, with_kwargs=True)
                vars(layer.attn1)["forward"] = windows


@dataclass(slots=True)
class _Windows:
    """Stands in for the `forward` of a self-attention layer: it attends to two by two windows, one after another."""

    forward: Callable[..., Any]
    phase: Phase
    height: int = 0
    width: int = 0

    def note(self, _: Any, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Keep the height and width of what becomes a row of tokens."""
        self.height, self.width = (args[0] if args else named["hidden_states"]).shape[-2:]

    def __call__(self, hidden_states: Any, *args: Any, **named: Any) -> Any:
        """Answer a call of the layer. `hidden_states`: (batch, height * width, channels)."""
        if min(self.height, self.width) < 2:
            return self.forward(hidden_states, *args, **named)
        shift = [_shift(side, self.phase.turn) for side in (self.height, self.width)]
        plane = hidden_states.unflatten(1, (self.height, self.width)).roll([-s for s in shift], (1, 2))
        rows = [
            _joined((self._attend(window, args, named) for window in half.tensor_split(2, 2)), 2)
            for half in plane.tensor_split(2, 1)
        ]
        return _joined(iter(rows), 1).roll(shift, (1, 2)).flatten(1, 2)

    def _attend(self, window: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Attend within a window: (batch, height, width, channels)."""
        return self.forward(window.flatten(1, 2), *args, **named).unflatten(1, window.shape[1:3])


def _shift(side: int, turn: int) -> int:
    """Return by how many cells the windows of a turn are shifted along a side."""
    return (side // 2) * (turn % SHIFTS) // SHIFTS


def _joined(parts: Iterator[Any], axis: int) -> Any:
    import torch

    return torch.cat(list(parts), axis)


def _top(network: Any) -> int:
    """Return the place of the first block with attention: the one with the largest maps that has any."""
    return next(place for place, block in enumerate(network.down_blocks) if hasattr(block, "attentions"))
