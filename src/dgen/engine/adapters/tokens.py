"""Leaves tokens out of self-attention: what they got in an earlier step is given to them again.

The cache-assisted pruning of SADA (Jiang et al. 2025, arXiv 2507.17135, section 3): only tokens that are not stable
go through a layer, and attend to one another; the others keep what they got there last. Our reading of `sx` and `sy`,
which are those of token merging (Bolya and Hoffman 2023, arXiv 2303.17604): one token of each `sx` by `sy`, always the
same, goes through as well. In a UNet, cells of the latents make a token unstable when one of those it stands for is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dgen.values.sada import Sada


class Regions:
    """Knows which tokens go through the layers in a call; what is made at once has them in common."""

    def __init__(self, said: Sada) -> None:
        self.said = said
        self.cells: Any = None  # (h, w) or, of a transformer, (tokens,) bool: those to compute; None for all
        self.sides: tuple[int, int] = (0, 0)  # of the latents of a UNet, in cells
        self.places: Any = None  # of the tokens of a transformer: (tokens, 3), of which the last two are row and column

    def find(self, measure: Any) -> None:
        """Find the cells that are not stable, at most `max_fix` of them, by a measure of which those are above 0.

        `measure`: (n, channels, h, w) of a UNet, (n, tokens, channels) of a transformer.
        """
        import torch

        if not self.said.max_downsample:
            return
        score = measure.mean(dim=(0, 1)) if measure.ndim == 4 else measure.mean(dim=(0, 2))
        cells = score >= 0
        if int(cells.sum()) > self.said.max_fix:
            cells = torch.zeros_like(cells)
            cells.view(-1)[score.flatten().topk(self.said.max_fix).indices] = True
        self.cells = cells

    def note_latents(self, _: Any, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Keep the height and width of what a UNet gets."""
        self.sides = tuple((args[0] if args else named["sample"]).shape[-2:])

    def note_places(self, _: Any, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Keep where the tokens stand that a transformer gets."""
        self.places = named["img_ids"]

    def of_map(self, height: int, width: int) -> Any:
        """Return the numbers of the tokens of a map of a UNet to compute, rising; None for all."""
        import torch

        times = math.ceil(max(self.sides[0] / height, self.sides[1] / width))
        if self.cells is None or times > self.said.max_downsample:
            return None
        chosen = torch.nn.functional.adaptive_max_pool2d(self.cells[None].float(), (height, width))[0] > 0
        if self.said.sx and self.said.sy:
            chosen[:: self.said.sy, :: self.said.sx] = True
        return chosen.flatten().nonzero().flatten()

    def of_row(self) -> Any:
        """Return the numbers of the picture's tokens of a transformer to compute, rising; None for all.

        Tokens after those that are denoised, of the pictures that Kontext looks at, are always computed.
        """
        import torch

        if self.cells is None:
            return None
        chosen = torch.ones(len(self.places), dtype=torch.bool, device=self.cells.device)
        chosen[: len(self.cells)] = self.cells
        if self.said.sx and self.said.sy:
            row, column = self.places[:, 1].long(), self.places[:, 2].long()
            chosen |= ((row % self.said.sy == 0) & (column % self.said.sx == 0)).to(chosen.device)
        return chosen.nonzero().flatten()


def prune_tokens(denoiser: Any, regions: Regions) -> None:
    """Let tokens be left out of the self-attention of a UNet or of FLUX.1's transformer.

    The caller restores the attributes and hooks of the denoiser and of every module in it.
    """
    if hasattr(denoiser, "single_transformer_blocks"):
        denoiser.register_forward_pre_hook(regions.note_places, with_kwargs=True)
        for block in (*denoiser.transformer_blocks, *denoiser.single_transformer_blocks):
            vars(block.attn)["forward"] = _OfRow(block.attn.forward, regions)
        return
    denoiser.register_forward_pre_hook(regions.note_latents, with_kwargs=True)
    for transformer in denoiser.modules():
        for layer in getattr(transformer, "transformer_blocks", ()):
            if not layer.only_cross_attention:
                pruned = _OfMap(layer.attn1.forward, regions)
                transformer.register_forward_pre_hook(pruned.note, with_kwargs=True)
                vars(layer.attn1)["forward"] = pruned


@dataclass(slots=True)
class _OfMap:
    """Stands in for the `forward` of a self-attention layer of a UNet."""

    forward: Callable[..., Any]
    regions: Regions
    height: int = 0
    width: int = 0
    before: Any = None  # what each token got last: (n, height * width, channels)

    def note(self, _: Any, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Keep the height and width of what becomes a row of tokens."""
        self.height, self.width = (args[0] if args else named["hidden_states"]).shape[-2:]

    def __call__(self, hidden_states: Any, *args: Any, **named: Any) -> Any:
        """Answer a call of the layer. `hidden_states`: (n, height * width, channels)."""
        chosen = self.regions.of_map(self.height, self.width)
        if chosen is None or self.before is None or self.before.shape != hidden_states.shape:
            self.before = self.forward(hidden_states, *args, **named)
        elif len(chosen):
            made = self.forward(hidden_states[:, chosen], *args, **named)
            self.before = self.before.index_copy(1, chosen, made)
        return self.before


@dataclass(slots=True)
class _OfRow:
    """Stands in for the `forward` of an attention layer of FLUX.1, where texts stand before the picture."""

    forward: Callable[..., Any]
    regions: Regions
    before: tuple[Any, ...] = ()  # what each token got last, (n, tokens, width): of the picture, of texts …

    def __call__(self, hidden_states: Any, encoder_hidden_states: Any = None, **named: Any) -> Any:
        """Answer a call of the layer; without texts of their own they are the first of `hidden_states`."""
        chosen = self.regions.of_row()
        if encoder_hidden_states is not None:
            named["encoder_hidden_states"] = encoder_hidden_states
        if chosen is None or not self.before or self.before[0].shape[:2] != hidden_states.shape[:2]:
            made = self.forward(hidden_states, **named)
            self.before = made if isinstance(made, tuple) else (made,)
            return made
        own, every = self._numbers(chosen, hidden_states, encoder_hidden_states)
        named["image_rotary_emb"] = tuple(each[every] for each in named["image_rotary_emb"])
        made = self.forward(hidden_states[:, own], **named)
        parts = made if isinstance(made, tuple) else (made,)
        self.before = tuple(
            new if place == 1 else old.index_copy(1, own, new)
            for place, (old, new) in enumerate(zip(self.before, parts, strict=True))
        )
        return self.before if isinstance(made, tuple) else self.before[0]

    def _numbers(self, chosen: Any, hidden_states: Any, texts: Any) -> tuple[Any, Any]:
        """Return the numbers of the tokens to compute in `hidden_states`, and among texts and picture together."""
        import torch

        count = texts.shape[1] if texts is not None else hidden_states.shape[1] - len(self.regions.places)
        every = torch.cat([torch.arange(count, device=chosen.device), chosen + count])
        return (chosen if texts is not None else every), every
