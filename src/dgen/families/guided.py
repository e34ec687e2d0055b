"""Rows of Kolors, DeepFloyd IF and Stable Cascade."""

from __future__ import annotations

from dgen.families.family import HI_DIFFUSION, IMG2IMG, PAG, TXT2IMG, UNET_CACHES, Family

KOLORS = Family(
    name="kolors",
    label="Kolors",
    package="kolors",
    pipelines={TXT2IMG: "KolorsPipeline", IMG2IMG: "KolorsImg2ImgPipeline"},
    variants={PAG: {TXT2IMG: "KolorsPAGPipeline"}},
    default_size=1024,
    capabilities=(HI_DIFFUSION, *UNET_CACHES),
)

ROWS = (KOLORS,)
