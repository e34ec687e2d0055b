"""Rows of Kolors, DeepFloyd IF and Stable Cascade."""

from __future__ import annotations

from dgen.families.distilled import CONSISTENT
from dgen.families.family import (
    CONTROLNET,
    FLOYD,
    HI_DIFFUSION,
    IMG2IMG,
    INPAINT,
    PAG,
    TXT2IMG,
    UNET_CACHES,
    Family,
)

_OF_CLIP = ("prompt_2", "clip_skip", "aesthetic_score", "negative_aesthetic_score")
"""What SDXL's pipelines take, and ChatGLM has no use for."""

KOLORS = Family(
    name="kolors",
    label="Kolors",
    distilled=CONSISTENT,
    denoiser_keys=(
        "conv_in.weight",
        "encoder_hid_proj.weight",
        "mid_block.attentions.0.transformer_blocks.0.attn2.",
        "add_embedding.linear_1.weight",
        "time_embedding.linear_1.weight",
    ),
    package="kolors",
    pipelines={TXT2IMG: "KolorsPipeline", IMG2IMG: "KolorsImg2ImgPipeline", INPAINT: "KolorsInpaintPipeline"},
    variants={
        CONTROLNET: {
            TXT2IMG: "KolorsControlNetPipeline",
            IMG2IMG: "KolorsControlNetImg2ImgPipeline",
            INPAINT: "KolorsControlNetInpaintPipeline",
        },
        PAG: {TXT2IMG: "KolorsPAGPipeline"},
    },
    default_size=1024,
    call={"negative_prompt": ""},  # without one, its models have pipelines look for states that nobody made
    capabilities=(HI_DIFFUSION, *UNET_CACHES),
    lacks=("textual_inversions", *_OF_CLIP),
)

_AS_TYPED = {"clean_caption": False}
"""Otherwise the words that are read depend on which packages are installed."""

_NO_LORA = ("loras", "lora_fuse_scale")

IF = Family(
    name="if",
    label="DeepFloyd IF",
    denoiser_keys=("conv_in.weight", "encoder_hid_proj.weight", "add_embedding.pool."),
    package="deepfloyd_if",
    pipelines={TXT2IMG: "IFPipeline", IMG2IMG: "IFImg2ImgPipeline", INPAINT: "IFInpaintingPipeline"},
    default_size=64,
    resizes=True,
    call=_AS_TYPED,
    prepares="dgen.engine.particular:in_floyd",
    lacks=_NO_LORA,
)

IFS = Family(
    name="ifs",
    label="the second stage of DeepFloyd IF",
    denoiser_keys=(
        "conv_in.weight",
        "encoder_hid_proj.weight",
        "add_embedding.pool.",
        "class_embedding.linear_1.weight",
    ),
    package="deepfloyd_if",
    pipelines={IMG2IMG: "IFSuperResolutionPipeline", INPAINT: "IFInpaintingSuperResolutionPipeline"},
    variants={
        FLOYD: {IMG2IMG: "IFImg2ImgSuperResolutionPipeline", INPAINT: "IFInpaintingSuperResolutionPipeline"},
    },
    default_size=256,
    resizes=True,
    enlarges=4,
    capabilities=(FLOYD,),
    as_signed=("noise_level",),
    call=_AS_TYPED,
    prepares="dgen.engine.particular:in_floyd",
    lacks=_NO_LORA,
)

IFS_IMG2IMG = Family(
    name="ifs-img2img",
    like="ifs",
    named=("ifs-img2img",),
    label="the second stage of DeepFloyd IF for pictures",
    package="deepfloyd_if",
    pipelines={IMG2IMG: "IFImg2ImgSuperResolutionPipeline", INPAINT: "IFInpaintingSuperResolutionPipeline"},
    also=("IFSuperResolutionPipeline",),
    default_size=256,
    resizes=True,
    capabilities=(FLOYD,),
    defaults={"noise_level": 0},
    call=_AS_TYPED,
    prepares="dgen.engine.particular:in_floyd",
    lacks=_NO_LORA,
)

S_CASCADE = Family(
    name="s-cascade",
    label="Stable Cascade",
    checkpoint_keys=("clip_txt_mapper.weight", "clip_txt_pooled_mapper.weight"),
    package="stable_cascade",
    pipelines={TXT2IMG: "StableCascadePriorPipeline", IMG2IMG: "StableCascadePriorPipeline"},
    decoder="StableCascadeDecoderPipeline",
    decoder_model="stabilityai/stable-cascade",
    multiple_of=128,
    default_size=1024,
    accelerated_dtype="bfloat16",
    capabilities=("decoder",),
    wants=("image_encoder", "feature_extractor"),
    text_layers={"text_encoder": 0},
    last_norm=False,
    tells_padding=True,
    pooled_texts=("text_encoder",),
    defaults={"second_num_inference_steps": 10, "second_guidance_scale": 0.0},
    lacks=("timesteps",),
)

ROWS = (KOLORS, IF, IFS, IFS_IMG2IMG, S_CASCADE)
