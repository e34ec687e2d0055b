"""Makes toy models of the families whose videos have sound, or are made by what came last, as folders."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from toy_models import clip_settings, make_tokenizer, seeded
from toy_texts import (
    WIDTH,
    gemma,
    gemma_reader,
    gemma_tokenizer,
    qwen_tokenizer,
    qwen_vl,
    qwen_vl_texts,
    save_qwen_reader,
)
from toy_today import amended, stir

RATE_HZ, CHANNELS = 24_000, 2
"""Of the sound of the toy LTX-2 model."""


def _ltx2_vae() -> Any:
    """Make a VAE of 32 pixels and 8 frames a latent cell."""
    from diffusers import AutoencoderKLLTX2Video

    return AutoencoderKLLTX2Video(
        latent_channels=4, block_out_channels=(8, 16, 32, 64), decoder_block_out_channels=(8, 16, 32),
        layers_per_block=(1,) * 5, decoder_layers_per_block=(1,) * 4, encoder_causal=True, decoder_causal=False,
        spatial_compression_ratio=32, temporal_compression_ratio=8,
    )  # fmt: skip


def _ltx2_ears() -> dict[str, Any]:
    """Make what turns latents into sound: 25 cells of 4 lines of 8 tones a second, and 240 samples a line."""
    from diffusers import AutoencoderKLLTX2Audio
    from diffusers.pipelines.ltx2 import LTX2Vocoder

    audio_vae = AutoencoderKLLTX2Audio(
        base_channels=4, output_channels=CHANNELS, ch_mult=(1, 1, 1), num_res_blocks=1, in_channels=CHANNELS,
        resolution=32, latent_channels=2, mel_bins=8,
    )  # fmt: skip
    vocoder = LTX2Vocoder(
        in_channels=8 * CHANNELS, hidden_channels=32, out_channels=CHANNELS, resnet_kernel_sizes=[3],
        resnet_dilations=[[1]], output_sampling_rate=RATE_HZ,
    )  # fmt: skip
    vocoder.conv_out.weight.data.normal_(std=1.0)  # else nobody hears it
    return {"audio_vae": audio_vae, "vocoder": vocoder}


def ltx2_parts() -> dict[str, Any]:
    """Make the parts of an LTX-2 model, but for its scheduler."""
    import diffusers
    from diffusers.pipelines.ltx2 import LTX2TextConnectors

    transformer = diffusers.LTX2VideoTransformer3DModel(
        in_channels=4, out_channels=4, num_attention_heads=2, attention_head_dim=8, cross_attention_dim=16,
        audio_in_channels=4, audio_out_channels=4, audio_num_attention_heads=2, audio_attention_head_dim=4,
        audio_cross_attention_dim=8, num_layers=2, caption_channels=WIDTH,
    )  # fmt: skip
    connectors = LTX2TextConnectors(
        caption_channels=WIDTH, text_proj_in_factor=3, video_connector_num_attention_heads=2,
        video_connector_attention_head_dim=8, video_connector_num_layers=1,
        video_connector_num_learnable_registers=None, audio_connector_num_attention_heads=2,
        audio_connector_attention_head_dim=8, audio_connector_num_layers=1,
        audio_connector_num_learnable_registers=None, connector_rope_base_seq_len=32,
    )  # fmt: skip
    return {
        "transformer": transformer, "connectors": connectors, "vae": _ltx2_vae(), "text_encoder": gemma_reader(),
        "tokenizer": gemma_tokenizer(), **_ltx2_ears(),
    }  # fmt: skip


def make_ltx2(folder: Path) -> Path:
    """Make an LTX-2 model, which makes sound with its videos."""
    import diffusers

    seeded(71)
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, base_shift=0.95, max_shift=2.05)
    diffusers.LTX2Pipeline(**ltx2_parts(), scheduler=scheduler).save_pretrained(folder)
    return folder


def _hunyuan_parts(task: str) -> dict[str, Any]:
    """Make a HunyuanVideo 1.5 model of 16 pixels and 4 frames a latent cell; ByT5 reads what is in quotation marks."""
    import diffusers
    from diffusers.guiders import ClassifierFreeGuidance
    from transformers import ByT5Tokenizer, T5Config, T5EncoderModel

    transformer = diffusers.HunyuanVideo15Transformer3DModel(
        in_channels=9, out_channels=4, num_attention_heads=2, attention_head_dim=8, num_layers=1, num_refiner_layers=1,
        text_embed_dim=WIDTH, text_embed_2_dim=WIDTH, image_embed_dim=WIDTH, rope_axes_dim=(2, 2, 4), target_size=32,
        task_type=task,
    )  # fmt: skip
    vae = diffusers.AutoencoderKLHunyuanVideo15(
        latent_channels=4, block_out_channels=(8, 8, 16, 16, 16), layers_per_block=1
    )
    letters = T5EncoderModel(T5Config(vocab_size=384, d_model=WIDTH, d_kv=8, d_ff=16, num_layers=1, num_heads=2))
    return {
        "transformer": transformer, "vae": vae, "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(shift=5.0),
        "text_encoder": qwen_vl_texts(), "tokenizer": qwen_tokenizer(), "text_encoder_2": letters,
        "tokenizer_2": ByT5Tokenizer(), "guider": ClassifierFreeGuidance(guidance_scale=6.0),
    }  # fmt: skip


def make_hunyuan_video_15(folder: Path) -> Path:
    """Make a HunyuanVideo 1.5 model that makes videos from text."""
    from diffusers import HunyuanVideo15Pipeline

    seeded(72)
    HunyuanVideo15Pipeline(**_hunyuan_parts("t2v")).save_pretrained(folder)
    return folder


def make_hunyuan_video_15_i2v(folder: Path) -> Path:
    """Make a HunyuanVideo 1.5 model that starts from a picture, which it sees through SigLIP as well."""
    from diffusers import HunyuanVideo15ImageToVideoPipeline
    from transformers import SiglipImageProcessorPil, SiglipVisionConfig, SiglipVisionModel

    seeded(73)
    eye = SiglipVisionConfig(
        hidden_size=WIDTH, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=32,
        patch_size=16,
    )  # fmt: skip
    HunyuanVideo15ImageToVideoPipeline(
        **_hunyuan_parts("i2v"), image_encoder=SiglipVisionModel(eye),
        feature_extractor=SiglipImageProcessorPil(size={"height": 32, "width": 32}),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def make_skyreels(folder: Path, sees_image: bool = False, sees_end: bool = False) -> Path:
    """Make a SkyReels V2 model; one that starts from pictures sees them beside its latents, and through CLIP."""
    import diffusers
    from toy_families import WIDTH as READ
    from toy_videos import clip_vision, wan_parts

    seeded(74)
    parts: dict[str, Any] = wan_parts()
    eye = clip_vision(projecting=True) if sees_image else {}
    parts["transformer"] = diffusers.SkyReelsV2Transformer3DModel(
        num_attention_heads=2, attention_head_dim=12, in_channels=36 if sees_image else 16, text_dim=READ, freq_dim=32,
        ffn_dim=32, num_layers=1, rope_max_seq_len=32, image_dim=READ if sees_image else None,
        added_kv_proj_dim=24 if sees_image else None, pos_embed_seq_len=10 if sees_end else None,
    )  # fmt: skip
    if sees_image:
        parts |= {"image_encoder": eye["encoder"], "image_processor": eye["processor"]}
    pipeline = diffusers.SkyReelsV2ImageToVideoPipeline if sees_image else diffusers.SkyReelsV2Pipeline
    pipeline(**parts).save_pretrained(folder)
    return folder


def make_skyreels_df(folder: Path) -> Path:
    """Make a SkyReels V2 model of diffusion forcing, which is told how fast its videos are."""
    import diffusers
    from toy_families import WIDTH as READ
    from toy_videos import wan_parts

    seeded(75)
    transformer = diffusers.SkyReelsV2Transformer3DModel(
        num_attention_heads=2, attention_head_dim=12, in_channels=16, text_dim=READ, freq_dim=32, ffn_dim=32,
        num_layers=1, rope_max_seq_len=32, inject_sample_info=True,
    )  # fmt: skip
    diffusers.SkyReelsV2DiffusionForcingPipeline(**wan_parts() | {"transformer": transformer}).save_pretrained(folder)
    return folder


def make_kandinsky5_video(folder: Path, pipeline: str = "Kandinsky5T2VPipeline") -> Path:
    """Make a Kandinsky 5 model of videos."""
    import diffusers
    from transformers import CLIPTextModel

    seeded(75)
    transformer = diffusers.Kandinsky5Transformer3DModel(
        in_visual_dim=4, out_visual_dim=4, in_text_dim=WIDTH, in_text_dim2=WIDTH, time_dim=16, model_dim=16, ff_dim=16,
        num_text_blocks=1, num_visual_blocks=1, axes_dims=(4, 6, 6), patch_size=(1, 2, 2), visual_cond=True,
    )  # fmt: skip
    stir(transformer)
    vae = diffusers.AutoencoderKLHunyuanVideo(
        latent_channels=4, block_out_channels=(8, 8, 8, 8), layers_per_block=1, norm_num_groups=4
    )
    getattr(diffusers, pipeline)(
        transformer=transformer, vae=vae, text_encoder=qwen_vl(), tokenizer=qwen_tokenizer(),
        text_encoder_2=CLIPTextModel(clip_settings(WIDTH)), tokenizer_2=make_tokenizer(),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
    ).save_pretrained(folder)  # fmt: skip
    save_qwen_reader(folder / "tokenizer")
    return amended(folder, _class_name=pipeline, tokenizer=["transformers", "Qwen2VLProcessor"])


def make_sana_video(folder: Path) -> Path:
    """Make a Sana Video model of eight pixels and four frames a latent cell."""
    import diffusers
    from toy_videos import wan_parts

    seeded(76)
    transformer = diffusers.SanaVideoTransformer3DModel(
        in_channels=16, out_channels=16, num_attention_heads=2, attention_head_dim=12, num_layers=1,
        num_cross_attention_heads=2, cross_attention_head_dim=12, cross_attention_dim=24, caption_channels=WIDTH,
        rope_max_seq_len=32,
    )  # fmt: skip
    diffusers.SanaVideoPipeline(
        tokenizer=gemma_tokenizer(), text_encoder=gemma(), vae=wan_parts()["vae"], transformer=transformer,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def make_chronoedit(folder: Path) -> Path:
    """Make a ChronoEdit model, which changes pictures."""
    import diffusers
    from toy_families import WIDTH as READ
    from toy_videos import clip_vision, wan_parts

    seeded(77)
    eye = clip_vision()
    transformer = diffusers.ChronoEditTransformer3DModel(
        num_attention_heads=2, attention_head_dim=12, in_channels=36, text_dim=READ, freq_dim=32, ffn_dim=32,
        num_layers=1, rope_max_seq_len=32, image_dim=READ, added_kv_proj_dim=24,
    )  # fmt: skip
    diffusers.ChronoEditPipeline(
        **wan_parts() | {"transformer": transformer}, image_encoder=eye["encoder"], image_processor=eye["processor"]
    ).save_pretrained(folder)
    return folder


def make_helios(folder: Path, pipeline: str = "HeliosPipeline", is_distilled: bool = False) -> Path:
    """Make a Helios model, which makes 33 frames after another; one of a pyramid begins each part small."""
    import diffusers
    from toy_families import WIDTH as READ
    from toy_videos import wan_parts

    seeded(97)
    transformer = diffusers.HeliosTransformer3DModel(
        num_attention_heads=2, attention_head_dim=12, text_dim=READ, freq_dim=32, ffn_dim=32, num_layers=1,
        rope_dim=(4, 4, 4),
    )  # fmt: skip
    stir(transformer)
    stages = {"gamma": 0.3} if "Pyramid" in pipeline else {"stages": 1, "stage_range": [0, 1]}
    scheduler = (diffusers.HeliosDMDScheduler if is_distilled else diffusers.HeliosScheduler)(**stages)
    parts = wan_parts() | {"transformer": transformer, "scheduler": scheduler}
    said = {"is_distilled": True} if is_distilled else {}
    getattr(diffusers, pipeline)(**parts, **said).save_pretrained(folder)
    return folder


FILM_TOYS: dict[str, Callable[[Path], Path]] = {
    "ltx2": make_ltx2,
    "helios": make_helios,
    "helios-pyramid": partial(make_helios, pipeline="HeliosPyramidPipeline"),
    "helios-distilled": partial(make_helios, pipeline="HeliosPyramidPipeline", is_distilled=True),
    "hunyuan-video-1.5": make_hunyuan_video_15,
    "hunyuan-video-1.5-i2v": make_hunyuan_video_15_i2v,
    "skyreels-v2": make_skyreels,
    "skyreels-v2-image": partial(make_skyreels, sees_image=True),
    "skyreels-v2-ends": partial(make_skyreels, sees_image=True, sees_end=True),
    "skyreels-v2-df": make_skyreels_df,
    "kandinsky5-video": make_kandinsky5_video,
    "kandinsky5-video-i2v": partial(make_kandinsky5_video, pipeline="Kandinsky5I2VPipeline"),
    "sana-video": make_sana_video,
    "chronoedit": make_chronoedit,
}
