"""Rows of further transformers, of each maker one or two."""

from __future__ import annotations

from functools import partial

from dgen.families.distilled import KREA_TURBO
from dgen.families.family import IMG2IMG, SIGNED, TXT2IMG, Family
from dgen.families.sizes import over_area

_Family = partial(Family, packs=False, default_size=1024, accelerated_dtype="bfloat16", as_signed=SIGNED)

OVIS_IMAGE = _Family(
    name="ovis-image",
    label="Ovis-Image",
    package="ovis_image",
    pipelines={TXT2IMG: "OvisImagePipeline"},
    multiple_of=16,
)

LONGCAT_IMAGE = _Family(
    name="longcat-image",
    label="LongCat-Image",
    package="longcat_image",
    pipelines={TXT2IMG: "LongCatImagePipeline"},
    multiple_of=16,
)

LONGCAT_IMAGE_EDIT = _Family(
    name="longcat-image-edit",
    label="LongCat-Image-Edit",
    package="longcat_image",
    pipelines={IMG2IMG: "LongCatImageEditPipeline"},
    multiple_of=16,
    draws={IMG2IMG: over_area(1024 * 1024, 16)},
)

ERNIE_IMAGE = _Family(
    name="ernie-image",
    label="ERNIE-Image",
    package="ernie_image",
    pipelines={TXT2IMG: "ErnieImagePipeline"},
    modular={"ErnieImageModularPipeline": "ErnieImagePipeline"},
    multiple_of=16,
)

KREA2 = _Family(
    name="krea2",
    label="Krea 2",
    distilled=(KREA_TURBO,),
    package="krea2",
    pipelines={TXT2IMG: "Krea2Pipeline"},
    modular=dict.fromkeys(("Krea2ModularPipeline", "Krea2TurboModularPipeline"), "Krea2Pipeline"),
    modular_says={"Krea2TurboModularPipeline": {"is_distilled": True}},
    multiple_of=16,
)

NUCLEUSMOE_IMAGE = _Family(
    name="nucleusmoe-image",
    label="NucleusMoE-Image",
    package="nucleusmoe_image",
    pipelines={TXT2IMG: "NucleusMoEImagePipeline"},
    multiple_of=16,
)

ROWS = (OVIS_IMAGE, LONGCAT_IMAGE, LONGCAT_IMAGE_EDIT, ERNIE_IMAGE, KREA2, NUCLEUSMOE_IMAGE)
