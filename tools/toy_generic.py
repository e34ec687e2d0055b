"""Makes toy models of pipelines that have no row of their own: real classes with few, random weights, as folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from toy_models import clip_settings, make_tokenizer, seeded, toy_vae


def make_ddpm(folder: Path) -> Path:
    """Make a model that draws 16x16 pixels from nothing."""
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    seeded(61)
    unet = UNet2DModel(
        sample_size=16, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    DDPMPipeline(unet, DDPMScheduler()).save_pretrained(folder)
    return folder


def make_dit(folder: Path) -> Path:
    """Make a model that draws a class of things by its number."""
    from diffusers import DDIMScheduler, DiTPipeline, DiTTransformer2DModel

    seeded(62)
    transformer = DiTTransformer2DModel(
        sample_size=16, num_layers=2, patch_size=4, attention_head_dim=8, num_attention_heads=2, in_channels=4,
        out_channels=8, attention_bias=True, activation_fn="gelu-approximate", num_embeds_ada_norm=1000,
        norm_type="ada_norm_zero", norm_elementwise_affine=False,
    )  # fmt: skip
    DiTPipeline(transformer, toy_vae(), DDIMScheduler(), {0: "fish", 1: "bird"}).save_pretrained(folder)
    return folder


def make_amused(folder: Path) -> Path:
    """Make a model that fills in masked tokens of 32x32 pixels: it has a pipeline for each mode."""
    from diffusers import AmusedPipeline, AmusedScheduler, UVit2DModel, VQModel
    from transformers import CLIPTextModelWithProjection

    seeded(63)
    transformer = UVit2DModel(
        hidden_size=32, use_bias=False, hidden_dropout=0.0, cond_embed_dim=32, micro_cond_encode_dim=2,
        micro_cond_embed_dim=10, encoder_hidden_size=32, vocab_size=32, codebook_size=32, in_channels=32,
        block_out_channels=32, num_res_blocks=1, downsample=True, upsample=True, block_num_heads=1,
        num_hidden_layers=1, num_attention_heads=1, attention_dropout=0.0, intermediate_size=32, layer_norm_eps=1e-6,
        ln_elementwise_affine=True, sample_size=32,
    )  # fmt: skip
    vqvae = VQModel(
        act_fn="silu", block_out_channels=[8], down_block_types=["DownEncoderBlock2D"], in_channels=3,
        latent_channels=8, layers_per_block=1, norm_num_groups=8, num_vq_embeddings=32, out_channels=3, sample_size=32,
        up_block_types=["UpDecoderBlock2D"], mid_block_add_attention=False, lookup_from_codebook=True,
    )  # fmt: skip
    AmusedPipeline(
        vqvae=vqvae, tokenizer=make_tokenizer(), text_encoder=CLIPTextModelWithProjection(clip_settings(32)),
        transformer=transformer, scheduler=AmusedScheduler(mask_token_id=31),
    ).save_pretrained(folder)  # fmt: skip
    return folder


GENERIC_TOYS: dict[str, Callable[[Path], Path]] = {"ddpm": make_ddpm, "dit": make_dit, "amused": make_amused}
