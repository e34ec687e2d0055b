"""Makes toy models of today's image families: real classes with few, random weights, as a user's folder would be."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from toy_families import t5_encoder, t5_tokenizer
from toy_models import seeded, toy_vae
from toy_texts import WIDTH, gemma, gemma_tokenizer, qwen3, qwen_tokenizer, qwen_vl


def _flow(**more: Any) -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(**{"shift": 3.0, **more})


def _vae(channels: int = 4, widths: tuple[int, ...] = (8, 8), **more: Any) -> Any:
    return toy_vae(widths, latent_channels=channels, use_quant_conv=False, use_post_quant_conv=False, **more)


def _qwen_parts(**more: Any) -> dict[str, Any]:
    from diffusers import AutoencoderKLQwenImage, QwenImageTransformer2DModel

    seeded(51)
    transformer = QwenImageTransformer2DModel(
        patch_size=2, in_channels=16, out_channels=4, num_layers=2, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=WIDTH, axes_dims_rope=(4, 6, 6), **more,
    )  # fmt: skip
    vae = AutoencoderKLQwenImage(
        base_dim=8, z_dim=4, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True],
        latents_mean=[0.0] * 4, latents_std=[1.0] * 4,
    )  # fmt: skip
    return {
        "scheduler": _flow(use_dynamic_shifting=True), "vae": vae, "text_encoder": qwen_vl(),
        "tokenizer": qwen_tokenizer(), "transformer": transformer,
    }  # fmt: skip


def make_qwen_image(folder: Path) -> Path:
    """Make a Qwen-Image model of eight pixels a cell."""
    from diffusers import QwenImagePipeline

    QwenImagePipeline(**_qwen_parts()).save_pretrained(folder)
    return folder


def make_z_image(folder: Path) -> Path:
    """Make a Z-Image model."""
    from diffusers import ZImagePipeline, ZImageTransformer2DModel

    seeded(52)
    transformer = ZImageTransformer2DModel(
        in_channels=16, dim=32, n_layers=2, n_refiner_layers=1, n_heads=2, n_kv_heads=2, cap_feat_dim=WIDTH,
        axes_dims=[8, 4, 4], axes_lens=[256, 32, 32],
    )  # fmt: skip
    ZImagePipeline(
        scheduler=_flow(),
        vae=_vae(16, shift_factor=0.1),
        text_encoder=qwen3(),
        tokenizer=qwen_tokenizer(),
        transformer=transformer,
    ).save_pretrained(folder)
    return folder


def make_flux2_klein(folder: Path, is_distilled: bool = False) -> Path:
    """Make a FLUX.2 klein model; one that `is_distilled` is not guided."""
    import diffusers

    seeded(53)
    transformer = diffusers.Flux2Transformer2DModel(
        in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=3 * WIDTH, timestep_guidance_channels=32, axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=False,
    )  # fmt: skip
    vae = diffusers.AutoencoderKLFlux2(
        block_out_channels=(8, 8), latent_channels=4, norm_num_groups=4, layers_per_block=1, sample_size=64,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    )  # fmt: skip
    diffusers.Flux2KleinPipeline(
        scheduler=_flow(use_dynamic_shifting=True), vae=vae, text_encoder=qwen3(28, speaks=True),
        tokenizer=qwen_tokenizer(), transformer=transformer, is_distilled=is_distilled,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def make_chroma(folder: Path) -> Path:
    """Make a Chroma model."""
    from diffusers import ChromaPipeline, ChromaTransformer2DModel

    seeded(54)
    transformer = ChromaTransformer2DModel(
        in_channels=16, out_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=32, axes_dims_rope=(4, 4, 8), approximator_num_channels=8,
        approximator_hidden_dim=32, approximator_layers=1,
    )  # fmt: skip
    ChromaPipeline(
        scheduler=_flow(), vae=_vae(shift_factor=0.06, scaling_factor=1.5), text_encoder=t5_encoder(),
        tokenizer=t5_tokenizer(), transformer=transformer,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def _sana_parts(scheduler: Any, cells: int, **more: Any) -> dict[str, Any]:
    from diffusers import AutoencoderDC, SanaTransformer2DModel

    seeded(55)
    transformer = SanaTransformer2DModel(
        in_channels=4, out_channels=4, num_layers=1, num_attention_heads=2, attention_head_dim=4,
        num_cross_attention_heads=2, cross_attention_head_dim=4, cross_attention_dim=8, caption_channels=WIDTH,
        sample_size=cells, patch_size=1, **more,
    )  # fmt: skip
    widths, blocks = (4,) * 6, ("ResBlock",) * 6
    vae = AutoencoderDC(
        latent_channels=4, attention_head_dim=2, encoder_block_types=blocks, decoder_block_types=blocks,
        encoder_block_out_channels=widths, decoder_block_out_channels=widths, encoder_layers_per_block=(1,) * 6,
        decoder_layers_per_block=(1,) * 6, encoder_qkv_multiscales=((),) * 6, decoder_qkv_multiscales=((),) * 6,
        downsample_block_type="conv", upsample_block_type="interpolate", scaling_factor=0.4,
    )  # fmt: skip
    return {
        "tokenizer": gemma_tokenizer(), "text_encoder": gemma(), "vae": vae, "transformer": transformer,
        "scheduler": scheduler,
    }  # fmt: skip


def make_sana(folder: Path) -> Path:
    """Make a Sana model of 32 pixels a cell."""
    from diffusers import DPMSolverMultistepScheduler, SanaPipeline

    scheduler = DPMSolverMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0)
    SanaPipeline(**_sana_parts(scheduler, 16)).save_pretrained(folder)
    return folder


def make_sana_sprint(folder: Path) -> Path:
    """Make a Sana Sprint model of 32 pixels a cell."""
    from diffusers import SanaSprintPipeline, SCMScheduler

    parts = _sana_parts(SCMScheduler(), 32, guidance_embeds=True, qk_norm="rms_norm_across_heads")
    SanaSprintPipeline(**parts).save_pretrained(folder)
    return folder


def make_pixart_sigma(folder: Path, pipeline: str = "PixArtSigmaPipeline") -> Path:
    """Make a PixArt model of 256x256 pixels, eight a cell."""
    import diffusers

    seeded(56)
    transformer = diffusers.PixArtTransformer2DModel(
        num_attention_heads=2, attention_head_dim=8, num_layers=1, cross_attention_dim=16, caption_channels=32,
        sample_size=32, use_additional_conditions=False,
    )  # fmt: skip
    getattr(diffusers, pipeline)(
        tokenizer=t5_tokenizer(), text_encoder=t5_encoder(), vae=toy_vae((8, 8, 8, 8)), transformer=transformer,
        scheduler=diffusers.DPMSolverMultistepScheduler(),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def make_lumina2(folder: Path) -> Path:
    """Make a Lumina Image 2 model."""
    from diffusers import Lumina2Pipeline, Lumina2Transformer2DModel

    seeded(57)
    transformer = Lumina2Transformer2DModel(
        sample_size=8, in_channels=4, hidden_size=24, num_layers=1, num_refiner_layers=1, num_attention_heads=3,
        num_kv_heads=1, multiple_of=2, scaling_factor=1.0, axes_dim_rope=(4, 2, 2), axes_lens=(300, 64, 64),
        cap_feat_dim=WIDTH,
    )  # fmt: skip
    Lumina2Pipeline(
        transformer=transformer, scheduler=_flow(), vae=_vae(widths=(8, 8, 8, 8), shift_factor=0.1),
        text_encoder=gemma(), tokenizer=gemma_tokenizer(),
    ).save_pretrained(folder)  # fmt: skip
    return folder


TODAY: dict[str, Callable[[Path], Path]] = {
    "qwen-image": make_qwen_image,
    "z-image": make_z_image,
    "flux2-klein": make_flux2_klein,
    "chroma": make_chroma,
    "sana": make_sana,
    "sana-sprint": make_sana_sprint,
    "pixart-sigma": make_pixart_sigma,
    "pixart-alpha": partial(make_pixart_sigma, pipeline="PixArtAlphaPipeline"),
    "lumina2": make_lumina2,
}
