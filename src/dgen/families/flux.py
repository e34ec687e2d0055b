"""Rows of the models of Black Forest Labs."""

from __future__ import annotations

from dgen.families.distilled import SCHNELL
from dgen.families.family import CONTROLNET, IMG2IMG, INPAINT, TRANSFORMER_CACHES, TXT2IMG, Family
from dgen.values.control_modes import FLUX_MODES
from dgen.values.step_cache import MAG_RATIOS

_WORDS = "TextualInversionLoaderMixin"
_CAPABILITIES = (*TRANSFORMER_CACHES, MAG_RATIOS, "tea_cache")

FLUX = Family(
    name="flux",
    label="FLUX.1",
    distilled=(SCHNELL,),
    denoiser_keys=(
        "x_embedder.weight",
        "context_embedder.weight",
        "time_text_embed.text_embedder.linear_1.weight",
        "single_transformer_blocks.0.proj_mlp.weight",
    ),
    modular={"FluxModularPipeline": "FluxPipeline"},
    checkpoint_keys=("double_blocks.0.img_attn.norm.key_norm.scale",),
    checkpoint_inputs=(64,),
    package="flux",
    pipelines={TXT2IMG: "FluxPipeline", IMG2IMG: "FluxImg2ImgPipeline", INPAINT: "FluxInpaintPipeline"},
    variants={
        CONTROLNET: {
            TXT2IMG: "FluxControlNetPipeline",
            IMG2IMG: "FluxControlNetImg2ImgPipeline",
            INPAINT: "FluxControlNetInpaintPipeline",
        },
    },
    multiple_of=16,
    default_size=1024,
    accelerated_dtype="bfloat16",
    capabilities=_CAPABILITIES,
    pooled_texts=("text_encoder",),
    whole_text="text_encoder_2",
    defaults={"guidance_scale": 3.5},
    controlnet="FluxControlNetModel",
    mixes=(_WORDS,),
    union_modes=FLUX_MODES,
)

FLUX_FILL = Family(
    name="flux-fill",
    like="flux",
    named=("fill",),
    label="FLUX.1 Fill",
    checkpoint_inputs=(384,),
    package="flux",
    pipelines={INPAINT: "FluxFillPipeline"},
    multiple_of=16,
    default_size=1024,
    accelerated_dtype="bfloat16",
    capabilities=_CAPABILITIES,
    pooled_texts=("text_encoder",),
    whole_text="text_encoder_2",
    defaults={"guidance_scale": 30.0, "strength": 1.0},
)

FLUX_KONTEXT = Family(
    name="flux-kontext",
    like="flux",
    named=("kontext",),
    checkpoint_inputs=(64,),
    label="FLUX.1 Kontext",
    modular={"FluxKontextModularPipeline": "FluxKontextPipeline"},
    package="flux",
    pipelines={IMG2IMG: "FluxKontextPipeline", INPAINT: "FluxKontextInpaintPipeline"},
    multiple_of=16,
    default_size=1024,
    accelerated_dtype="bfloat16",
    capabilities=_CAPABILITIES,
    pooled_texts=("text_encoder",),
    whole_text="text_encoder_2",
    defaults={"guidance_scale": 3.5, "strength": 1.0},
    call={"_auto_resize": False},
)

ROWS = (FLUX, FLUX_FILL, FLUX_KONTEXT)
