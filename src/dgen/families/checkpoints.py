"""Tells which part of a model a tensor of a checkpoint file belongs to, by its name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dgen.families.family import Family
from dgen.families.signatures import parameters

_BY_PART: Mapping[str, tuple[str, ...]] = {
    "vae": ("first_stage_model.", "vae."),
    "text_encoder": ("cond_stage_model.", "conditioner.embedders.0."),
    "text_encoder_2": ("conditioner.embedders.1.",),
}
"""How the names of the tensors of a part begin in the checkpoints of Stable Diffusion 1, 2 and XL."""

_CLIPS, _T5 = ("text_encoders.clip_l.", "text_encoders.clip_g."), "text_encoders.t5xxl."
"""The same for the text encoders in those of Stable Diffusion 3 and FLUX.1, by their class."""

DENOISERS = ("unet", "transformer")


def classes_of(family: Family) -> dict[str, str]:
    """Return the parts of a family's pipeline, and the class that its signature names for each."""
    found = parameters(family.pipeline, "__init__", family.package)
    return {p.name: p.annotation.partition("|")[0].strip() for p in found if p.annotation[:1].isupper()}


def prefixes_of(kind: str, family: Family) -> tuple[str, ...]:
    """Return how the names of the tensors of a part begin in a checkpoint file; () for what holds no weights."""
    classes = classes_of(family)
    own = classes.get(kind, "")
    if kind in DENOISERS:
        return ("model.diffusion_model.",)
    if own.startswith("T5"):
        return (_T5,)
    clips = [name for name, cls in classes.items() if cls.startswith("CLIPText") and "text_encoder" in name]
    further = _CLIPS[clips.index(kind) : clips.index(kind) + 1] if kind in clips else ()
    return (*_BY_PART.get(kind, ()), *further)


def parts_in(header: Mapping[str, Any], family: Family) -> dict[str, list[Any]]:
    """Return the tensors of a checkpoint's header by the part that they belong to; the rest are the denoiser's."""
    prefixes = {kind: prefixes_of(kind, family) for kind in classes_of(family)}
    own = next((kind for kind in prefixes if kind in DENOISERS), DENOISERS[0])
    found: dict[str, list[Any]] = {}
    for name, tensor in header.items():
        if name != "__metadata__":
            found.setdefault(_kind_of(name, prefixes) or own, []).append(tensor)
    return found


def _kind_of(name: str, prefixes: Mapping[str, Iterable[str]]) -> str | None:
    return next((kind for kind, begin in prefixes.items() if any(map(name.startswith, begin))), None)
