"""The table of model families, and the look-ups in it."""

from __future__ import annotations

from collections.abc import Sequence

from dgen.diagnostic import did_you_mean
from dgen.families import (
    blocks,
    flux,
    flux2,
    guided,
    hunyuan,
    kandinsky,
    makers,
    marigold,
    qwen,
    sana,
    stability,
    today,
    video,
)
from dgen.families.distilled import CONSISTENT, SD_TURBO, SDXL_TURBO
from dgen.families.family import (
    CONTROLNET,
    CONTROLNET_UNION,
    FLOYD,
    HI_DIFFUSION,
    IMG2IMG,
    IMG2VID,
    INPAINT,
    LAST_FRAME,
    MODES,
    PAG,
    T2I_ADAPTER,
    TXT2IMG,
    TXT2VID,
    UNET_CACHES,
    VID2VID,
    Family,
)
from dgen.families.generic import generic
from dgen.schema import BadValue
from dgen.values.control_modes import SDXL_MODES

__all__ = [
    "CONTROLNET", "CONTROLNET_UNION", "FAMILIES", "FLOYD", "IMG2IMG", "IMG2VID",
    "INPAINT", "LAST_FRAME", "MODES", "PAG", "PIX2PIX", "SD", "SDXL", "T2I_ADAPTER", "TXT2IMG",
    "TXT2VID", "VID2VID", "Family", "family_named", "family_of_class", "family_of_model", "generic",
    "some_of",
]  # fmt: skip

_LATENT_4 = {TXT2IMG: (4,), IMG2IMG: (4,), INPAINT: (4, 9)}

SD = Family(
    name="sd",
    label="Stable Diffusion 1.x and 2.x",
    distilled=(*CONSISTENT, SD_TURBO),
    denoiser_keys=(
        "conv_in.weight",
        "time_embedding.linear_1.weight",
        "mid_block.attentions.0.transformer_blocks.0.attn2.",
    ),
    package="stable_diffusion",
    aliases=("torch", "torch-sd"),
    pipelines={
        TXT2IMG: "StableDiffusionPipeline",
        IMG2IMG: "StableDiffusionImg2ImgPipeline",
        INPAINT: "StableDiffusionInpaintPipeline",
    },
    variants={
        CONTROLNET: {
            TXT2IMG: "StableDiffusionControlNetPipeline",
            IMG2IMG: "StableDiffusionControlNetImg2ImgPipeline",
            INPAINT: "StableDiffusionControlNetInpaintPipeline",
        },
        T2I_ADAPTER: {TXT2IMG: "StableDiffusionAdapterPipeline"},
        PAG: {
            TXT2IMG: "StableDiffusionPAGPipeline",
            IMG2IMG: "StableDiffusionPAGImg2ImgPipeline",
            INPAINT: "StableDiffusionPAGInpaintPipeline",
        },
        f"{CONTROLNET}+{PAG}": {
            TXT2IMG: "StableDiffusionControlNetPAGPipeline",
            INPAINT: "StableDiffusionControlNetPAGInpaintPipeline",
        },
    },
    checkpoint_inputs=(4, 9),
    checkpoint_keys=("input_blocks.0.0.weight", "cond_stage_model."),
    single_file=True,
    denoiser_channels=_LATENT_4,
    steps_preset="StableDiffusion",
    capabilities=(HI_DIFFUSION, *UNET_CACHES),
    text_layers={"text_encoder": 0},
)

SDXL = Family(
    name="sdxl",
    label="Stable Diffusion XL",
    distilled=(SDXL_TURBO, *CONSISTENT),
    denoiser_keys=(
        "conv_in.weight",
        "time_embedding.linear_1.weight",
        "mid_block.attentions.0.transformer_blocks.0.attn2.",
        "add_embedding.linear_1.weight",
    ),
    modular={"StableDiffusionXLModularPipeline": "StableDiffusionXLPipeline"},
    package="stable_diffusion_xl",
    aliases=("torch-sdxl",),
    pipelines={
        TXT2IMG: "StableDiffusionXLPipeline",
        IMG2IMG: "StableDiffusionXLImg2ImgPipeline",
        INPAINT: "StableDiffusionXLInpaintPipeline",
    },
    variants={
        CONTROLNET: {
            TXT2IMG: "StableDiffusionXLControlNetPipeline",
            IMG2IMG: "StableDiffusionXLControlNetImg2ImgPipeline",
            INPAINT: "StableDiffusionXLControlNetInpaintPipeline",
        },
        CONTROLNET_UNION: {
            TXT2IMG: "StableDiffusionXLControlNetUnionPipeline",
            IMG2IMG: "StableDiffusionXLControlNetUnionImg2ImgPipeline",
            INPAINT: "StableDiffusionXLControlNetUnionInpaintPipeline",
        },
        T2I_ADAPTER: {TXT2IMG: "StableDiffusionXLAdapterPipeline"},
        PAG: {
            TXT2IMG: "StableDiffusionXLPAGPipeline",
            IMG2IMG: "StableDiffusionXLPAGImg2ImgPipeline",
            INPAINT: "StableDiffusionXLPAGInpaintPipeline",
        },
        f"{CONTROLNET}+{PAG}": {
            TXT2IMG: "StableDiffusionXLControlNetPAGPipeline",
            IMG2IMG: "StableDiffusionXLControlNetPAGImg2ImgPipeline",
        },
    },
    default_size=1024,
    checkpoint_inputs=(4, 9),
    checkpoint_keys=("input_blocks.0.0.weight", "conditioner.embedders."),
    single_file=True,
    denoiser_channels=_LATENT_4,
    steps_preset="StableDiffusionXL",
    union_modes=SDXL_MODES,
    capabilities=("refiner", HI_DIFFUSION, *UNET_CACHES),
    text_layers={"text_encoder": 1, "text_encoder_2": 1},
    pooled_texts=("text_encoder_2",),
)

PIX2PIX = Family(
    name="pix2pix",
    label="InstructPix2Pix",
    denoiser_keys=(
        "conv_in.weight",
        "time_embedding.linear_1.weight",
        "mid_block.attentions.0.transformer_blocks.0.attn2.",
    ),
    checkpoint_keys=("input_blocks.0.0.weight", "cond_stage_model."),
    checkpoint_inputs=(8,),
    package="stable_diffusion",
    pipelines={
        IMG2IMG: "StableDiffusionInstructPix2PixPipeline",
        INPAINT: "StableDiffusionInstructPix2PixInpaintPipeline",
    },
    denoiser_channels={IMG2IMG: (8,), INPAINT: (8,)},
    capabilities=UNET_CACHES,
    text_layers={"text_encoder": 0},
)

_TABLES = (
    stability,
    flux,
    flux2,
    guided,
    qwen,
    sana,
    today,
    makers,
    hunyuan,
    kandinsky,
    marigold,
    video,
    blocks,
)
"""The files of rows, in the order in which families are listed."""

FAMILIES: dict[str, Family] = {
    f.name: f for f in (SD, SDXL, PIX2PIX, *(row for table in _TABLES for row in table.ROWS))
}


_MOST = 6


def some_of(names: Sequence[str]) -> str:
    """List the families that can do something, the first of them where there are many."""
    more = " and others, which `dgen families` lists" if len(names) > _MOST else ""
    return ", ".join(names[:_MOST]) + more


def family_of_class(pipeline: str) -> Family:
    """Return the family of a pipeline class, or the generic row."""
    for family in FAMILIES.values():
        if pipeline in family.classes:
            return family
    return generic(pipeline)


def family_of_model(pipeline: str, channels: int | None) -> Family:
    """Return the family of a model: that of its pipeline, or the one beside it that its denoiser is made for."""
    declared = family_of_class(pipeline)
    own = [fit for mode, fit in declared.denoiser_channels.items() if declared.pipelines.get(mode) == pipeline]
    first = (declared,) if any(channels in fit for fit in own) else ()
    beside = (f for f in FAMILIES.values() if f.package == declared.package and f is not declared and declared.package)
    every = (*first, *beside, declared)
    fitting = (f for f in every if any(channels in fit for fit in f.denoiser_channels.values()))
    is_odd = channels is not None and declared.denoiser_channels
    return next(fitting, declared) if is_odd else declared


def family_named(name: str) -> Family:
    """Return the family that `--model-type` names, in any spelling since dgenerate 2.0.

    Raises:
        BadValue: `unknown-model-type`, or `removed-feature` for Flax.
    """
    wanted = name.strip().lower()
    if wanted.startswith("flax"):
        raise BadValue(
            f"`{name}` is gone: diffusers no longer has Flax", code="removed-feature",
            help="leave `--model-type` out, or use `sd`",
        )  # fmt: skip
    for family in FAMILIES.values():
        if wanted in (family.name, f"torch-{family.name}", *family.aliases):
            return family
    known = tuple(FAMILIES)
    listed = "known are " + some_of([f"`{n}`" for n in known])
    raise BadValue(
        f"no model type named `{name}`", code="unknown-model-type",
        help=did_you_mean(wanted.removeprefix("torch-"), known, listed),
    )  # fmt: skip
