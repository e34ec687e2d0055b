"""Makes toy models of Kolors, DeepFloyd IF and Stable Cascade: real classes with few, random weights, as folders."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from toy_families import t5_encoder, t5_tokenizer
from toy_models import clip_settings, make_tokenizer, seeded, toy_unet, toy_vae


def _glm_tokenizer(folder: Path) -> Any:
    """Make a ChatGLM tokenizer that knows single characters."""
    import sentencepiece
    from diffusers.pipelines.kolors import ChatGLMTokenizer

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a red circle", "a blue star", "blurry"]), model_writer=model, vocab_size=24,
        model_type="char", hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.model").write_bytes(model.getvalue())
    return ChatGLMTokenizer(str(folder / "tokenizer.model"))


def make_kolors(folder: Path) -> Path:
    """Make a Kolors model of 64x64 pixels."""
    from diffusers import EulerDiscreteScheduler, KolorsPipeline
    from diffusers.pipelines.kolors import ChatGLMModel
    from diffusers.pipelines.kolors.text_encoder import ChatGLMConfig

    tokenizer = _glm_tokenizer(folder / "tokenizer")
    seeded(64)
    config = ChatGLMConfig(
        num_layers=2, padded_vocab_size=64, hidden_size=32, ffn_hidden_size=32, kv_channels=8, num_attention_heads=4,
        multi_query_attention=True, multi_query_group_num=2, add_qkv_bias=True, seq_length=256, original_rope=True,
    )  # fmt: skip
    text_encoder = ChatGLMModel(config)
    for name, values in text_encoder.named_parameters():
        values.data.fill_(1.0) if "layernorm" in name else values.data.normal_(std=0.1)  # it leaves them as they were
    unet = toy_unet(
        addition_embed_type="text_time", addition_time_embed_dim=8, cross_attention_dim=32,
        projection_class_embeddings_input_dim=80, encoder_hid_dim=32, encoder_hid_dim_type="text_proj",
        transformer_layers_per_block=(1, 1),
    )  # fmt: skip
    KolorsPipeline(
        vae=toy_vae(), text_encoder=text_encoder, tokenizer=tokenizer, unet=unet,
        scheduler=EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.014, beta_schedule="scaled_linear",
                                         steps_offset=1),
        force_zeros_for_empty_prompt=True,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def _floyd_unet(channels: int, **more: Any) -> Any:
    """Make a UNet of pixels that is told T5's words."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=32, layers_per_block=1, block_out_channels=(32, 64), in_channels=channels, out_channels=6,
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"), cross_attention_dim=32,
        mid_block_type="UNetMidBlock2DSimpleCrossAttn", up_block_types=("SimpleCrossAttnUpBlock2D",
        "ResnetUpsampleBlock2D"), encoder_hid_dim=32, attention_head_dim=8, addition_embed_type="text",
        addition_embed_type_num_heads=2, cross_attention_norm="group_norm", resnet_time_scale_shift="scale_shift",
        act_fn="gelu", norm_num_groups=8, **more,
    )  # fmt: skip


def _floyd_parts(**more: Any) -> dict[str, Any]:
    from diffusers import DDPMScheduler
    from diffusers.pipelines.deepfloyd_if import IFWatermarker

    scheduler = DDPMScheduler(
        beta_schedule="squaredcos_cap_v2", beta_start=0.0001, beta_end=0.02, thresholding=True, sample_max_value=1.0,
        dynamic_thresholding_ratio=0.95, prediction_type="epsilon", variance_type="learned_range",
    )  # fmt: skip
    return {
        "tokenizer": t5_tokenizer(), "text_encoder": t5_encoder(), "scheduler": scheduler,
        "safety_checker": None, "feature_extractor": None, "watermarker": IFWatermarker(),
        "requires_safety_checker": False, **more,
    }  # fmt: skip


def make_if(folder: Path) -> Path:
    """Make a first stage of DeepFloyd IF, of 32x32 pixels."""
    from diffusers import IFPipeline

    seeded(65)
    IFPipeline(unet=_floyd_unet(3), **_floyd_parts()).save_pretrained(folder)
    return folder


def make_ifs(folder: Path) -> Path:
    """Make a second stage of DeepFloyd IF."""
    from diffusers import DDPMScheduler, IFSuperResolutionPipeline

    seeded(65)  # the same text encoder as that of the first stage
    parts = _floyd_parts(image_noising_scheduler=DDPMScheduler(beta_schedule="squaredcos_cap_v2"))
    unet = _floyd_unet(
        6, class_embed_type="timestep", mid_block_scale_factor=1.414, time_embedding_act_fn="gelu",
    )  # fmt: skip
    IFSuperResolutionPipeline(unet=unet, **parts).save_pretrained(folder)
    return folder


def _cascade_unet(**more: Any) -> Any:
    from diffusers.models import StableCascadeUNet

    return StableCascadeUNet(
        conditioning_dim=32, clip_text_pooled_in_channels=32, block_out_channels=(32, 32), num_attention_heads=(2, 2),
        down_num_layers_per_block=(1, 1), up_num_layers_per_block=(1, 1), switch_level=(False,), dropout=(0.1, 0.1),
        block_types_per_layer=(("SDCascadeResBlock", "SDCascadeTimestepBlock", "SDCascadeAttnBlock"),) * 2,
        **{"in_channels": 16, "out_channels": 16, **more},
    )  # fmt: skip


def make_cascade(folder: Path) -> Path:
    """Make a prior of Stable Cascade, which sees pictures too."""
    from diffusers import DDPMWuerstchenScheduler, StableCascadePriorPipeline
    from transformers import (
        CLIPImageProcessor,
        CLIPTextModelWithProjection,
        CLIPVisionConfig,
        CLIPVisionModelWithProjection,
    )

    seeded(66)
    prior = _cascade_unet(clip_text_in_channels=32, clip_image_in_channels=24)
    vision = CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, projection_dim=24, num_hidden_layers=1, num_attention_heads=2,
        image_size=32, patch_size=16,
    )  # fmt: skip
    sizes = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    StableCascadePriorPipeline(
        tokenizer=make_tokenizer(), text_encoder=CLIPTextModelWithProjection(clip_settings(32)), prior=prior,
        scheduler=DDPMWuerstchenScheduler(), feature_extractor=CLIPImageProcessor(**sizes),
        image_encoder=CLIPVisionModelWithProjection(vision),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def make_cascade_decoder(folder: Path) -> Path:
    """Make a decoder of Stable Cascade."""
    from diffusers import DDPMWuerstchenScheduler, StableCascadeDecoderPipeline
    from diffusers.pipelines.deprecated.wuerstchen.modeling_paella_vq_model import PaellaVQModel
    from transformers import CLIPTextModelWithProjection

    seeded(67)
    StableCascadeDecoderPipeline(
        decoder=_cascade_unet(in_channels=4, out_channels=4, effnet_in_channels=16), tokenizer=make_tokenizer(),
        text_encoder=CLIPTextModelWithProjection(clip_settings(32)), scheduler=DDPMWuerstchenScheduler(),
        vqgan=PaellaVQModel(bottleneck_blocks=1, num_vq_embeddings=8, embed_dim=8),
    ).save_pretrained(folder)  # fmt: skip
    index = folder / "model_index.json"
    held = json.loads(index.read_text(encoding="utf-8"))
    index.write_text(json.dumps({**held, "vqgan": ["wuerstchen", "PaellaVQModel"]}), encoding="utf-8")  # as published
    return folder


GUIDED_TOYS: dict[str, Callable[[Path], Path]] = {
    "kolors": make_kolors,
    "if": make_if,
    "ifs": make_ifs,
    "cascade": make_cascade,
    "cascade-decoder": make_cascade_decoder,
}
