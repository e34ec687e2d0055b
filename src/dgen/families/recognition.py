"""Recognises the family of a checkpoint file: by its tensors, and among families with the same ones by its names."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from dgen.families.family import Family
from dgen.families.names import word_in
from dgen.families.rows import FAMILIES

PREFIX = "model.diffusion_model."
"""What stands before the names of the denoiser's tensors in whole checkpoints, and in files for other programs."""

_NETWORK = "net."
"""And in files of Cosmos."""

_FIRST_LAYERS = (
    "input_blocks.0.0.weight", "img_in.weight", "conv_in.weight", "x_embedder.weight", "patch_embedding.weight",
    "x_embedder.proj.weight", "pos_embed.proj.weight", "patch_embed.proj.weight", "img_in.proj.weight",
    "visual_embeddings.in_layer.weight",
)  # fmt: skip
_LAST_LAYERS = (
    "proj_out.weight", "conv_out.weight", "final_layer.linear.weight", "out_layer.out_layer.weight",
)  # fmt: skip
_BY_TENSORS = "its tensors"


@dataclass(frozen=True, slots=True)
class Recognised:
    """What the tensors and the names of a checkpoint file tell."""

    family: Family | None = None
    channels: int | None = None  # of its denoiser's input; None when unknown
    told_by: str = ""  # what decided


def recognise(header: Mapping[str, Any], names: Mapping[str, str]) -> Recognised:
    """Tell the family whose tensors a checkpoint file has, the most particular one.

    `names` are the texts that name the model, by where they stand. They choose among families with the same tensors,
    and never against those.
    """
    tensors = _tensors(header)
    first, last = (_first_of(layers, tensors) for layers in (_FIRST_LAYERS, _LAST_LAYERS))
    channels = first[1] if len(first) > 1 else None
    sight = _sight(math.prod(first[1:]), last[0]) if channels is not None and last else None
    found = {name: count for name, family in FAMILIES.items() if (count := _likeness(family, tensors))}
    same = [n for n in found if sight is None or FAMILIES[n].sight in ("", sight)] or list(found)
    fitting = [n for n in same if channels in (None, *(FAMILIES[n].checkpoint_inputs or (channels,)))] or same
    most = max((found[n] for n in fitting), default=0)
    best = [FAMILIES[n] for n in fitting if found[n] == most]
    return Recognised(*_chosen(best, names, channels)) if best else Recognised(channels=channels)


def is_like(family: Family, header: Mapping[str, Any]) -> bool:
    """Whether a file has the tensors of a family, as far as its row says them."""
    return not any(_keys(family)) or _likeness(family, _tensors(header)) > 0


def is_own(family: Family, header: Mapping[str, Any]) -> bool:
    """Whether a file has the denoiser of a family in the names of diffusers, as far as its row says them."""
    keys = [family.denoiser_keys, *([FAMILIES[family.like].denoiser_keys] if family.like else [])]
    return not any(keys) or any(each and _begin(each, header) for each in keys)


def _tensors(header: Mapping[str, Any]) -> dict[str, Any]:
    held = ((name, tensor) for name, tensor in header.items() if name != "__metadata__")
    return {name.removeprefix(PREFIX).removeprefix(_NETWORK): tensor for name, tensor in held}


def _chosen(equal: list[Family], names: Mapping[str, str], channels: int | None) -> tuple[Family, int | None, str]:
    """Return the family that the first telling name means, or else the one that needs none."""
    for place, text in names.items():
        told = [(len(word), family, word) for family in equal if (word := word_in(family.named, text)) is not None]
        if told and len(equal) > 1:
            _, family, word = max(told, key=lambda each: each[0])
            return family, channels, f"`{word}` in {place}"
    plain = next((family for family in equal if not family.named), equal[0])
    others = ", ".join(f"`{family.name}`" for family in equal if family is not plain)
    return plain, channels, _BY_TENSORS + (f", which {others} can have as well" if others else "")


def _first_of(layers: tuple[str, ...], tensors: Mapping[str, Any]) -> list[int]:
    """Return the shape of the first of some layers that is there; [] for none, and for what is no shape."""
    found: object = next((tensors[layer].get("shape") for layer in layers if layer in tensors), None)
    sides = cast("list[object]", found) if isinstance(found, list) else []
    whole = [side for side in sides if isinstance(side, int)]
    return whole if len(whole) == len(sides) else []


def _sight(taken: int, given: int) -> str:
    """Compare how many numbers a denoiser is given of each cell and how many it gives."""
    return "same" if taken == given else "more" if taken > given else "less"


def _likeness(family: Family, names: Mapping[str, Any]) -> int:
    """Return how many beginnings of names tell that a file is of a family; 0 when it is not."""
    return max(len(keys) if _begin(keys, names) else 0 for keys in _keys(family))


def _begin(keys: tuple[str, ...], names: Mapping[str, Any]) -> bool:
    return all(any(name.startswith(key) for name in names) for key in keys)


def _keys(family: Family) -> Iterator[tuple[str, ...]]:
    """Yield the sets of beginnings of names of which one tells a family."""
    yield from (family.checkpoint_keys, family.denoiser_keys)
    if family.like:
        yield from _keys(FAMILIES[family.like])
