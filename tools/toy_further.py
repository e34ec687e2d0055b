"""Makes toy models of further image families: what looks at pictures beside a prompt, refines or decomposes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toy_models import clip_settings, make_tokenizer, seeded, toy_unet, toy_vae
from toy_texts import WIDTH, glm, plain_tokenizer, qwen_tokenizer, qwen_vl
from toy_today import make_chroma, stir


def _flow(**more: Any) -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(**{"shift": 3.0, **more})


def make_omnigen(folder: Path) -> Path:
    """Make an OmniGen model of eight pixels a cell."""
    from diffusers import OmniGenPipeline, OmniGenTransformer2DModel

    from dgen.engine.standins import stand_in

    seeded(95)
    words = plain_tokenizer()
    transformer = OmniGenTransformer2DModel(
        in_channels=4, hidden_size=16, num_attention_heads=2, num_key_value_heads=2, intermediate_size=32, num_layers=1,
        pad_token_id=0, vocab_size=len(words), max_position_embeddings=4096, original_max_position_embeddings=1024,
        rope_scaling={"short_factor": [1.0] * 4, "long_factor": [2.0] * 4}, pos_embed_max_size=16, time_step_dim=16,
    )  # fmt: skip
    stir(transformer)
    stand_in(OmniGenPipeline)(
        transformer=transformer, scheduler=_flow(shift=1.0, invert_sigmas=True), vae=toy_vae((8,) * 4), tokenizer=words
    ).save_pretrained(folder)
    return folder


def make_cogview4_control(folder: Path) -> Path:
    """Make a CogView 4 model that follows a picture, eight pixels a cell."""
    from diffusers import CogView4ControlPipeline, CogView4Transformer2DModel

    seeded(96)
    transformer = CogView4Transformer2DModel(
        in_channels=8, out_channels=4, num_layers=1, attention_head_dim=8, num_attention_heads=2,
        text_embed_dim=WIDTH, time_embed_dim=8, condition_dim=4, sample_size=8, rope_axes_dim=(16, 16),
    )  # fmt: skip
    CogView4ControlPipeline(
        tokenizer=plain_tokenizer(), text_encoder=glm(), vae=toy_vae((8,) * 4, scaling_factor=1.0),
        transformer=transformer, scheduler=_flow(use_dynamic_shifting=True, base_shift=0.25, max_shift=0.75),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def make_hunyuan_refiner(folder: Path) -> Path:
    """Make a refiner of HunyuanImage of sixteen pixels a cell."""
    import diffusers

    seeded(97)
    transformer = diffusers.HunyuanImageTransformer2DModel(
        in_channels=16, out_channels=8, num_attention_heads=2, attention_head_dim=12, num_layers=1, num_single_layers=1,
        num_refiner_layers=1, patch_size=(1, 1, 1), guidance_embeds=True, text_embed_dim=WIDTH, rope_axes_dim=(4, 4, 4),
    )  # fmt: skip
    vae = diffusers.AutoencoderKLHunyuanImageRefiner(
        latent_channels=4, block_out_channels=(32,) * 5, layers_per_block=1, spatial_compression_ratio=16,
    )  # fmt: skip
    diffusers.HunyuanImageRefinerPipeline(
        scheduler=_flow(), vae=vae, text_encoder=qwen_vl(), tokenizer=qwen_tokenizer(), transformer=transformer
    ).save_pretrained(folder)
    return folder


_TARGETS = {
    "target_names": ["albedo", "shading"],
    "albedo": {"prediction_space": "srgb"},
    "shading": {"prediction_space": "linear", "up_to_scale": True},
}


def make_marigold_intrinsics(folder: Path) -> Path:
    """Make a Marigold model that takes pictures apart into two, in two steps at 64 pixels."""
    from diffusers import DDIMScheduler, MarigoldIntrinsicsPipeline
    from transformers import CLIPTextModel

    seeded(98)
    MarigoldIntrinsicsPipeline(
        unet=toy_unet(in_channels=12, out_channels=8), vae=toy_vae(), text_encoder=CLIPTextModel(clip_settings(32)),
        scheduler=DDIMScheduler(prediction_type="v_prediction"), tokenizer=make_tokenizer(),
        prediction_type="intrinsics", target_properties=_TARGETS, default_denoising_steps=2,
        default_processing_resolution=64,
    ).save_pretrained(folder)  # fmt: skip
    return folder


FURTHER: dict[str, Any] = {
    "omnigen": make_omnigen,
    "cogview4-control": make_cogview4_control,
    "hunyuan-image-refiner": make_hunyuan_refiner,
    "marigold-intrinsics": make_marigold_intrinsics,
    "chroma": make_chroma,
}
"""How to make each."""
