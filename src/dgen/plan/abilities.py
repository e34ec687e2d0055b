"""Says what each model family can do: its modes, and what can be attached in which of them."""

from __future__ import annotations

from dgen.families.rows import Family
from dgen.options.request import ROWS
from dgen.plan.resolve import modes_with

ADD_ONS = {
    "LoRA": "loras",
    "textual inversion": "textual_inversions",
    "ControlNet": "control_nets",
    "T2I adapter": "t2i_adapters",
    "IP-adapter": "ip_adapters",
    "PAG": "pag",
    "FreeU": "freeu",
    "DeepCache": "deep_cache",
    "HiDiffusion": "hi_diffusion",
    "TeaCache": "tea_cache",
    "weighted prompts": "prompt_weighter",
    "refiner": "sdxl_refiner",
}
"""What can be attached to a model, and the option that does."""


def add_ons(family: Family) -> dict[str, list[str]]:
    """Return what can be attached to a model of a family, and in which modes."""
    able = {name: modes_with(family, ROWS[option]) for name, option in ADD_ONS.items() if _is_told(family, option)}
    return {name: modes for name, modes in able.items() if modes}


def _is_told(family: Family, option: str) -> bool:
    """Whether signatures tell: every pipeline takes encoded prompts, but only known encoders can be made to weigh."""
    return option != "prompt_weighter" or family.weighs


def in_words(family: Family) -> str:
    """Return what can be attached to a model of a family, as a list; modes are named where it is not all of them."""
    every = list(family.pipelines)
    said = (name if modes == every else f"{name} ({', '.join(modes)})" for name, modes in add_ons(family).items())
    return ", ".join(said)
