"""Rows of today's transformers that stand alone: of each maker one family."""

from __future__ import annotations

from dgen.families.family import IMG2IMG, INPAINT, SIGNED, TXT2IMG, Family

Z_IMAGE = Family(
    name="z-image",
    label="Z-Image",
    package="z_image",
    pipelines={TXT2IMG: "ZImagePipeline", IMG2IMG: "ZImageImg2ImgPipeline", INPAINT: "ZImageInpaintPipeline"},
    multiple_of=16,
    default_size=1024,
    accelerated_dtype="bfloat16",
    as_signed=SIGNED,
)

CHROMA = Family(
    name="chroma",
    label="Chroma",
    package="chroma",
    pipelines={TXT2IMG: "ChromaPipeline", IMG2IMG: "ChromaImg2ImgPipeline"},
    also=("ChromaInpaintPipeline",),  # asks the transformer for a setting that it does not have: diffusers 0.42
    multiple_of=16,
    default_size=1024,
    accelerated_dtype="bfloat16",
    as_signed=SIGNED,
    lacks=("ip_adapters",),
)

LUMINA2 = Family(
    name="lumina2",
    label="Lumina Image 2",
    package="lumina2",
    pipelines={TXT2IMG: "Lumina2Pipeline"},
    multiple_of=16,
    default_size=1024,
    accelerated_dtype="bfloat16",
    as_signed=SIGNED,
)

ROWS = (Z_IMAGE, CHROMA, LUMINA2)
