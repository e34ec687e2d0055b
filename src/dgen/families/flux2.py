"""Rows of FLUX.2, which draws and edits with one pipeline."""

from __future__ import annotations

from dgen.families.distilled import FLUX2_KLEIN
from dgen.families.family import IMG2IMG, INPAINT, SIGNED, TXT2IMG, Family

DEV = Family(
    name="flux2",
    gathers=True,
    packs=False,
    label="FLUX.2",
    modular={"Flux2ModularPipeline": "Flux2Pipeline"},
    checkpoint_keys=("double_blocks.", "single_stream_modulation.lin.weight"),
    package="flux2",
    pipelines={TXT2IMG: "Flux2Pipeline", IMG2IMG: "Flux2Pipeline"},
    multiple_of=16,
    default_size=1024,
    accelerated_dtype="bfloat16",
    as_signed=SIGNED,
)

KLEIN = Family(
    name="flux2-klein",
    gathers=True,
    packs=False,
    label="FLUX.2 klein",
    distilled=(FLUX2_KLEIN,),
    modular=dict.fromkeys(("Flux2KleinModularPipeline", "Flux2KleinBaseModularPipeline"), "Flux2KleinPipeline"),
    package="flux2",
    pipelines={
        TXT2IMG: "Flux2KleinPipeline",
        IMG2IMG: "Flux2KleinPipeline",
        INPAINT: "Flux2KleinInpaintPipeline",
    },
    multiple_of=16,
    default_size=1024,
    accelerated_dtype="bfloat16",
    as_signed=SIGNED,
)

ROWS = (DEV, KLEIN)
