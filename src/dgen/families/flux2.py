"""Rows of FLUX.2, which draws and edits with one pipeline."""

from __future__ import annotations

from dgen.families.distilled import FLUX2_KLEIN
from dgen.families.family import IMG2IMG, INPAINT, SIGNED, TXT2IMG, Family

DEV = Family(
    name="flux2",
    gathers=True,
    packs=False,
    label="FLUX.2",
    checkpoint_keys=("double_blocks.", "single_stream_modulation.lin.weight", "guidance_in.in_layer.weight"),
    denoiser_keys=(
        "double_stream_modulation_img.linear.weight",
        "single_stream_modulation.linear.weight",
        "time_guidance_embed.guidance_embedder.",
    ),
    modular={"Flux2ModularPipeline": "Flux2Pipeline"},
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
    checkpoint_keys=("double_blocks.", "single_stream_modulation.lin.weight"),
    denoiser_keys=("double_stream_modulation_img.linear.weight", "single_stream_modulation.linear.weight"),
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
