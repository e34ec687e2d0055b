"""Rows of what came after Stable Diffusion and SDXL: editors, upscalers, SD3, Stable Cascade."""

from __future__ import annotations

from dataclasses import replace

from dgen.families.distilled import SD35_TURBO
from dgen.families.family import CONTROLNET, IMG2IMG, INPAINT, PAG, TRANSFORMER_CACHES, TXT2IMG, UNET_CACHES, Family
from dgen.values.step_cache import BATCHED_GUIDANCE

_CACHES = ("deep_cache", "deep_cache_interval", "deep_cache_branch_id")

SDXL_PIX2PIX = Family(
    name="sdxl-pix2pix",
    label="SDXL InstructPix2Pix",
    denoiser_keys=(
        "conv_in.weight",
        "time_embedding.linear_1.weight",
        "mid_block.attentions.0.transformer_blocks.0.attn2.",
        "add_embedding.linear_1.weight",
    ),
    checkpoint_keys=("input_blocks.0.0.weight", "conditioner.embedders."),
    checkpoint_inputs=(8,),
    package="stable_diffusion_xl",
    pipelines={
        IMG2IMG: "StableDiffusionXLInstructPix2PixPipeline",
        INPAINT: "StableDiffusionXLInstructPix2PixInpaintPipeline",
    },
    default_size=768,
    denoiser_channels={IMG2IMG: (8,), INPAINT: (8,)},
    lacks=("freeu",),
    capabilities=UNET_CACHES,
    text_layers={"text_encoder": 1, "text_encoder_2": 1},
    pooled_texts=("text_encoder_2",),
)

UPSCALER_X2 = Family(
    name="upscaler-x2",
    label="the latent upscaler",
    denoiser_keys=("conv_in.weight", "time_proj.weight", "down_blocks.0.resnets.0.norm1.linear.weight"),
    package="stable_diffusion",
    pipelines={IMG2IMG: "StableDiffusionLatentUpscalePipeline"},
    multiple_of=64,
    lacks=("freeu", *_CACHES),
    singly=(IMG2IMG,),
    enlarges=2,
)

UPSCALER_X4 = Family(
    name="upscaler-x4",
    label="the Stable Diffusion upscaler",
    denoiser_keys=(
        "conv_in.weight",
        "time_embedding.linear_1.weight",
        "mid_block.attentions.0.transformer_blocks.0.attn2.",
        "class_embedding.weight",
    ),
    checkpoint_keys=("input_blocks.0.0.weight", "cond_stage_model."),
    checkpoint_inputs=(7,),
    package="stable_diffusion",
    pipelines={IMG2IMG: "StableDiffusionUpscalePipeline"},
    enlarges=4,
    lacks=("loras", "lora_fuse_scale", "freeu"),
    as_signed=("noise_level",),
    text_layers={"text_encoder": 0},
)

SD3 = Family(
    name="sd3",
    distilled=(SD35_TURBO,),
    label="Stable Diffusion 3 and 3.5",
    denoiser_keys=(
        "pos_embed.proj.weight",
        "context_embedder.weight",
        "time_text_embed.text_embedder.linear_1.weight",
        "transformer_blocks.0.norm1_context.",
    ),
    modular={"StableDiffusion3ModularPipeline": "StableDiffusion3Pipeline"},
    checkpoint_keys=("joint_blocks.0.context_block.adaLN_modulation.1.bias",),
    checkpoint_inputs=(16,),
    package="stable_diffusion_3",
    pipelines={
        TXT2IMG: "StableDiffusion3Pipeline",
        IMG2IMG: "StableDiffusion3Img2ImgPipeline",
        INPAINT: "StableDiffusion3InpaintPipeline",
    },
    variants={
        CONTROLNET: {
            TXT2IMG: "StableDiffusion3ControlNetPipeline",
            INPAINT: "StableDiffusion3ControlNetInpaintingPipeline",
        },
        PAG: {TXT2IMG: "StableDiffusion3PAGPipeline", IMG2IMG: "StableDiffusion3PAGImg2ImgPipeline"},
    },
    repeats=(IMG2IMG,),
    multiple_of=16,
    default_size=1024,
    denoiser_channels={TXT2IMG: (16,), IMG2IMG: (16,), INPAINT: (16, 33)},
    controlnet="SD3ControlNetModel",
    text_layers={"text_encoder": 1, "text_encoder_2": 1},
    pooled_texts=("text_encoder", "text_encoder_2"),
    whole_text="text_encoder_3",
    dispensable=("text_encoder_3",),
    capabilities=(*TRANSFORMER_CACHES, BATCHED_GUIDANCE, "ras"),
    lacks=("ip_adapters",),
)

_SEEING = (32, 33, 48)
"""Beside the noise a picture, and perhaps a mask, as one channel or as a picture."""

SD3_PIX2PIX = replace(
    SD3,
    name="sd3-pix2pix",
    label="UltraEdit",
    checkpoint_inputs=_SEEING,
    pipelines={
        IMG2IMG: "StableDiffusion3InstructPix2PixPipeline",
        INPAINT: "StableDiffusion3InstructPix2PixInpaintPipeline",
    },
    variants={},
    modular={},
    distilled=(),
    default_size=512,
    denoiser_channels={IMG2IMG: _SEEING, INPAINT: _SEEING},
    built_on=("sd3",),
    repeats=(),
    capabilities=(*TRANSFORMER_CACHES, "ras"),
)

ROWS = (SDXL_PIX2PIX, UPSCALER_X2, UPSCALER_X4, SD3, SD3_PIX2PIX)
