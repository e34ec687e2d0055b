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
    denoiser_keys=("caption_norm.weight", "transformer_blocks.0.ff.conv_depth.weight"),
    checkpoint_keys=(
        "blocks.0.cross_attn.q_linear.weight",
        "blocks.0.cross_attn.kv_linear.weight",
        "attention_y_norm.weight",
        "blocks.0.mlp.inverted_conv.",
    ),
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
    like="sana",
    named=("sprint",),
    packs=False,
    label="Sana Sprint",
    denoiser_keys=(
        "caption_norm.weight",
        "transformer_blocks.0.ff.conv_depth.weight",
        "time_embed.guidance_embedder.linear_1.weight",
    ),
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
    denoiser_keys=(
        "pos_embed.proj.weight",
        "adaln_single.emb.timestep_embedder.",
        "caption_projection.",
        "transformer_blocks.0.attn2.to_k.weight",
    ),
    sight="less",
    packs=False,
    label="PixArt-Σ",
    distilled=CONSISTENT,
    checkpoint_keys=(
        "t_block.1.weight",
        "y_embedder.y_embedding",
        "blocks.0.cross_attn.kv_linear.weight",
        "blocks.0.mlp.fc1.weight",
    ),
    package="pixart_alpha",
    pipelines={TXT2IMG: "PixArtSigmaPipeline"},
    default_size=1024,
    as_signed=SIGNED,
    call=_AS_TYPED,
)

PIXART_ALPHA = Family(
    name="pixart-alpha",
    like="pixart-sigma",
    sight="less",
    named=("pixart-alpha", "pixart-xl-2", "pixart-lcm"),
    packs=False,
    label="PixArt-α",
    distilled=CONSISTENT,
    checkpoint_keys=(
        "t_block.1.weight",
        "y_embedder.y_embedding",
        "blocks.0.cross_attn.kv_linear.weight",
        "blocks.0.mlp.fc1.weight",
        "csize_embedder.mlp.0.weight",
    ),
    denoiser_keys=(
        "pos_embed.proj.weight",
        "adaln_single.emb.timestep_embedder.",
        "adaln_single.emb.resolution_embedder.",
        "caption_projection.",
        "transformer_blocks.0.attn2.to_k.weight",
    ),
    package="pixart_alpha",
    pipelines={TXT2IMG: "PixArtAlphaPipeline"},
    default_size=1024,
    as_signed=SIGNED,
    call=_AS_TYPED,
)

ROWS = (SANA, SANA_SPRINT, PIXART_SIGMA, PIXART_ALPHA)
