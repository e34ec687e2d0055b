"""Makes toy models of the families of videos that diffusers has as blocks alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from toy_blocks import saved, with_reader
from toy_families import WIDTH as READ
from toy_films import ltx2_parts
from toy_models import seeded
from toy_texts import WIDTH, qwen3_vl, qwen_tokenizer, save_qwen_reader
from toy_today import stir
from toy_videos import wan_parts


def make_echo(folder: Path) -> Path:
    """Make an Echo model: the parts of LTX-2, and no scheduler."""
    from diffusers import EchoModularPipeline

    seeded(94)
    return saved(EchoModularPipeline(), folder, **ltx2_parts())


def make_ltx25(folder: Path) -> Path:
    """Make an LTX-2.5 model: the parts of LTX-2, and what decodes by denoising."""
    import diffusers

    seeded(98)
    decoder = diffusers.LTX2VideoDiffusionDecoderModel(
        latent_channels=4, decoder_head_dim=8, decoder_stage_channels=(64, 32, 16, 16, 8),
        decoder_stage_depths=(1,) * 5, decoder_t_emb_dim=16, decoder_stage5_kernel=(3, 3, 3),
        decoder_stage_kernels=((1, 1, 1), (1, 1, 1), (3, 3, 3), (3, 3, 3)),
    )  # fmt: skip
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, base_shift=0.95, max_shift=2.05)
    parts = ltx2_parts() | {"diffusion_decoder": decoder, "scheduler": scheduler}
    return saved(diffusers.LTX25ModularPipeline(), folder, **parts)


def make_wan_animate(folder: Path, pipeline: str = "WanAnimate2ModularPipeline") -> Path:
    """Make a Wan-Animate 2 model, which needs a CLIP image encoder of the width of the real one."""
    import diffusers
    from transformers import CLIPVisionConfig, CLIPVisionModel

    seeded(95)
    eye = CLIPVisionConfig(
        hidden_size=1280, intermediate_size=32, num_hidden_layers=1, num_attention_heads=20, image_size=224,
        patch_size=28,
    )  # fmt: skip
    transformer = diffusers.WanAnimate2Transformer3DModel(
        dim=32, ffn_dim=32, freq_dim=32, text_dim=READ, num_heads=2, num_layers=1
    )
    stir(transformer)
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=5.0)
    parts = wan_parts() | {"transformer": transformer, "scheduler": scheduler, "image_encoder": CLIPVisionModel(eye)}
    return saved(getattr(diffusers, pipeline)(), folder, **parts)


def _minimax_transformer() -> Any:
    from diffusers import MiniMaxH3Transformer3DModel

    made = MiniMaxH3Transformer3DModel(
        num_attention_heads=2, attention_head_dim=32, rope_freq_dim=4, hidden_size=32, num_layers=1,
        num_refiner_layers=1, ffn_dim=32, in_channels=4, audio_in_channels=4, text_dim=WIDTH, freq_dim=32,
        time_embed_hidden_dim=32, time_embed_dim=16,
    )  # fmt: skip
    stir(made)
    return made


def make_minimax(folder: Path) -> Path:
    """Make a MiniMax-H3 model: of the layers of Qwen 3 VL it reads the fiftieth; pictures are seen 64 pixels wide."""
    import diffusers

    seeded(96)
    vae = diffusers.AutoencoderKLMiniMaxH3(
        latent_channels=4, block_out_channels=(4,) * 6, layers_per_block=1, norm_num_groups=2, decoder_num_layers=1,
        decoder_num_attention_heads=1, decoder_attention_head_dim=32, decoder_num_register_tokens=1,
        decoder_ffn_mult=1, latents_mean=(0.0,) * 4, latents_std=(1.0,) * 4,
    )  # fmt: skip
    audio_vae = diffusers.AutoencoderKLMiniMaxH3Audio(
        encoder_dim=2, latent_dim=16, latent_channels=4, num_attention_heads=2, decoder_dim=128,
        latents_mean=[0.0] * 4, latents_std=[1.0] * 4, resblock_kernel_sizes=(3,), resblock_dilation_sizes=((1,),),
    )  # fmt: skip
    schedulers = {"scheduler": 12.0, "audio_scheduler": 3.0}
    saved(
        diffusers.MiniMaxH3ModularPipeline(), folder, text_encoder=qwen3_vl(51), tokenizer=qwen_tokenizer(), vae=vae,
        audio_vae=audio_vae, transformer=_minimax_transformer(), transformer_ref=_minimax_transformer(),
        **{name: diffusers.MiniMaxH3Scheduler(shift) for name, shift in schedulers.items()},
    )  # fmt: skip
    save_qwen_reader(folder / "processor", 16)
    return with_reader(folder, "processor", reference_image_short_edge=64)


FILM_BLOCKS: dict[str, Callable[[Path], Path]] = {
    "echo": make_echo,
    "minimax-h3": make_minimax,
    "ltx2.5": make_ltx25,
    "wan-animate-2": make_wan_animate,
    "wan-animate-2-distilled": partial(make_wan_animate, pipeline="WanAnimate2DistilledModularPipeline"),
}
"""How to make each."""
