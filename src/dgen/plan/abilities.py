"""Says what each model family can do: its modes, and what can be attached in which of them."""

from __future__ import annotations

from typing import Any

from dgen.families.rows import MODES, Family
from dgen.families.signatures import accepts, components, default_of, mixes_in
from dgen.options.request import ROWS
from dgen.schema import Option, Stage

ADD_ONS = {
    "LoRA": "loras",
    "textual inversion": "textual_inversions",
    "ControlNet": "control_nets",
    "T2I adapter": "t2i_adapters",
    "IP-adapter": "ip_adapters",
    "PAG": "pag",
    "ADetailer": "adetailer_detectors",
    "FreeU": "freeu",
    "DeepCache": "deep_cache",
    "HiDiffusion": "hi_diffusion",
    "TeaCache": "tea_cache",
    "RAS": "ras",
    "weighted prompts": "prompt_weighter",
    "compel": "prompt_weighter",
    "refiner": "sdxl_refiner",
}
"""What can be attached to a model, and the option that does."""


def add_ons(family: Family) -> dict[str, list[str]]:
    """Return what can be attached to a model of a family, and in which modes."""
    of_clip = not family.whole_text  # compel weighs for CLIP alone
    able = {name: modes_with(family, ROWS[option]) for name, option in ADD_ONS.items() if of_clip or name != "compel"}
    return {name: modes for name, modes in able.items() if modes}


def in_words(family: Family) -> str:
    """Return what can be attached to a model of a family, as a list; modes are named where it is not all of them."""
    every = list(family.pipelines)
    said = (name if modes == every else f"{name} ({', '.join(modes)})" for name, modes in add_ons(family).items())
    return ", ".join(said)


def takes(family: Family, pipeline: str, row: Option) -> bool:
    """Whether a pipeline of a family can use an option."""
    if row.capability:
        return family.can(row.capability)
    if row.name == "num_images_per_prompt" and family.singly:
        return True
    if row.name in family.lacks or row.name in family.adds:
        return row.name in family.adds
    if row.needs:
        return row.needs in family.mixes or mixes_in(pipeline, row.needs, family.package)
    if row.stage is Stage.CALL and row.keyword:
        return accepts(pipeline, family.keyword(row.name, row.keyword), family.package)
    if row.stage is Stage.LOAD and row.parts:
        return any(p in components(pipeline, family.package) for p in row.parts)
    return True


def modes_with(family: Family, row: Option) -> list[str]:
    """List the modes in which a family can use an option."""
    every = [*family.pipelines.items(), *(pair for v in family.variants.values() for pair in v.items())]
    return [mode for mode in MODES if any(takes(family, pipeline, row) for m, pipeline in every if m == mode)]


def implied(row: Option, family: Family, pipeline: str) -> Any:
    """Return the value of an option that nobody gave: the family's, or the one that its pipeline's signature has."""
    if row.name in family.as_signed:
        signed = default_of(pipeline, family.keyword(row.name, str(row.keyword)), family.package)
        return row.implied if signed is None else signed
    if row.name in family.started and accepts(pipeline, "strength", family.package):
        return family.started[row.name]
    return family.defaults.get(row.name, row.implied) if takes(family, pipeline, row) else row.implied
