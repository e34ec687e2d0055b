"""What tells that a model was distilled, and what it is then meant to be used with, as its card says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SOMETHING = "*"
"""Stands for any value but none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distilled:
    """What tells that a model of a family was distilled, and the defaults that its card gives."""

    defaults: Mapping[str, Any]  # fields of options -> their values when nobody says one
    says: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """Parts, or "" for the index -> settings -> their values."""

    started: Mapping[str, Any] = field(default_factory=dict[str, Any])  # the same where pictures are started from
    lacks: tuple[str, ...] = ()  # parts of names of tensors of which a checkpoint file of it has none
    holds: tuple[str, ...] = ()  # and one of which it has
    named: tuple[str, ...] = ()
    """Words in the names of its models, in lower case and joined by `-`, where nothing above tells it."""

    reads: int | None = None  # the width of the texts that it reads, where a name alone could mislead
    size: int | None = None  # pixels each way that its checkpoint files are made for, where it is another size
    config: str = ""  # the repository whose configuration its checkpoint files have, where it is another one


HELIOS_DISTILLED = Distilled(says={"": {"is_distilled": True}}, defaults={"guidance_scale": 1.0})
SCHNELL = Distilled(
    says={"transformer": {"guidance_embeds": False}},
    lacks=("guidance_in.", "guidance_embedder."),
    defaults={"num_inference_steps": 4, "guidance_scale": 0.0, "max_sequence_length": 256},
)
FLUX2_KLEIN = Distilled(
    says={"": {"is_distilled": True}},
    named=("klein-4b", "klein-9b"),  # the others are called `klein-base-4b`
    defaults={"num_inference_steps": 4, "guidance_scale": 1.0},
)
KREA_TURBO = Distilled(
    says={"": {"is_distilled": True}},
    named=("krea-2-turbo", "krea2-turbo"),
    defaults={"num_inference_steps": 8, "guidance_scale": 0.0},
)
Z_TURBO = Distilled(
    says={"scheduler": {"shift": 3.0, "use_dynamic_shifting": False}},  # the other one's shift is 6
    named=("z-image-turbo", "zimage-turbo", "zimageturbo"),
    defaults={"num_inference_steps": 9, "guidance_scale": 0.0},
)
LIGHTNING = Distilled(
    says={"scheduler": {"base_shift": 1.0986122886681098, "max_shift": 1.0986122886681098, "shift_terminal": None}},
    defaults={"num_inference_steps": 8, "guidance_scale": 1.0},
)
HUNYUAN = Distilled(
    says={"transformer": {"guidance_embeds": True}},
    holds=("guidance_in.", "guidance_embedder."),
    defaults={"num_inference_steps": 8},
)
SD_TURBO = Distilled(
    says={
        "scheduler": {
            "_class_name": "EulerDiscreteScheduler", "timestep_spacing": "trailing", "prediction_type": "epsilon",
        },
        "unet": {"cross_attention_dim": 1024},
    },
    named=("sd-turbo",),
    reads=1024,
    config="stabilityai/sd-turbo",
    defaults={"num_inference_steps": 1, "guidance_scale": 0.0, "strength": 0.5},
    started={"num_inference_steps": 2},
)  # fmt: skip
SD35_TURBO = Distilled(
    named=("large-turbo",),
    config="stabilityai/stable-diffusion-3.5-large-turbo",
    defaults={"num_inference_steps": 4, "guidance_scale": 0.0},
)
HIDREAM_DISTILLED = (
    Distilled(named=("hidream-i1-dev",), defaults={"num_inference_steps": 28, "guidance_scale": 0.0}),
    Distilled(named=("hidream-i1-fast",), defaults={"num_inference_steps": 16, "guidance_scale": 0.0}),
)
LTX_DISTILLED = Distilled(named=("distilled",), defaults={"num_inference_steps": 8, "guidance_scale": 1.0})
SDXL_TURBO = Distilled(
    says={
        "scheduler": {"_class_name": "EulerAncestralDiscreteScheduler", "timestep_spacing": "trailing"},
        "unet": {"sample_size": 64},
    },
    named=("sdxl-turbo", "sd-xl-turbo"),
    config="stabilityai/sdxl-turbo",
    size=512,
    defaults={"num_inference_steps": 1, "guidance_scale": 0.0, "strength": 0.5},
    started={"num_inference_steps": 2},
)
CONSISTENT = (
    Distilled(
        says={"unet": {"time_cond_proj_dim": SOMETHING}, "scheduler": {"_class_name": "LCMScheduler"}},
        holds=("time_embedding.cond_proj.",),
        defaults={"num_inference_steps": 4, "guidance_scale": 8.0},
    ),
    Distilled(
        says={"scheduler": {"_class_name": "LCMScheduler"}}, defaults={"num_inference_steps": 4, "guidance_scale": 1.0}
    ),
    Distilled(
        says={"scheduler": {"_class_name": "TCDScheduler"}}, defaults={"num_inference_steps": 4, "guidance_scale": 0.0}
    ),
)
"""Latent consistency (Luo et al. 2023) with guidance as an input, and without; trajectory consistency."""
