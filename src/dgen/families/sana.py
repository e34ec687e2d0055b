"""Rows of Sana and of PixArt, from which it comes."""

from __future__ import annotations

from dgen.families.distilled import CONSISTENT
from dgen.families.family import CONTROLNET, IMG2IMG, SIGNED, TXT2IMG, Family

_AS_TYPED = {"clean_caption": False}
"""Otherwise the words that are read depend on which packages are installed."""

SANA = Family(
    name="sana",
    packs=False,
    label="Sana",
    checkpoint_keys=("blocks.0.cross_attn.q_linear.weight", "blocks.0.cross_attn.kv_linear.weight"),
    package="sana",
    pipelines={TXT2IMG: "SanaPipeline"},
    variants={CONTROLNET: {TXT2IMG: "SanaControlNetPipeline"}},
    controlnet="SanaControlNetModel",
    multiple_of=32,
    default_size=1024,
    accelerated_dtype="bfloat16",
    as_signed=SIGNED,
    call=_AS_TYPED,
)

SANA_SPRINT = Family(
    name="sana-sprint",
    packs=False,
    label="Sana Sprint",
    package="sana",
    pipelines={TXT2IMG: "SanaSprintPipeline", IMG2IMG: "SanaSprintImg2ImgPipeline"},
    multiple_of=32,
    default_size=1024,
    accelerated_dtype="bfloat16",
    as_signed=SIGNED,
    call=_AS_TYPED,
    prepares="dgen.engine.particular:in_sana_sprint",
    lacks=("timesteps",),
)

PIXART_SIGMA = Family(
    name="pixart-sigma",
    packs=False,
    label="PixArt-Σ",
    distilled=CONSISTENT,
    package="pixart_alpha",
    pipelines={TXT2IMG: "PixArtSigmaPipeline"},
    default_size=1024,
    as_signed=SIGNED,
    call=_AS_TYPED,
)

PIXART_ALPHA = Family(
    name="pixart-alpha",
    packs=False,
    label="PixArt-α",
    distilled=CONSISTENT,
    package="pixart_alpha",
    pipelines={TXT2IMG: "PixArtAlphaPipeline"},
    default_size=1024,
    as_signed=SIGNED,
    call=_AS_TYPED,
)

ROWS = (SANA, SANA_SPRINT, PIXART_SIGMA, PIXART_ALPHA)
