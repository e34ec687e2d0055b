"""Makes toy models of further transformers: real classes with few, random weights, as a user's folder would be."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from toy_glm import make_glm_image
from toy_models import seeded, toy_vae
from toy_texts import WIDTH, mistral, qwen3, qwen3_vl, qwen_tokenizer, qwen_vl, save_qwen_reader
from toy_today import amended, flux2_parts, qwen_parts, stir


def _flow(**more: Any) -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(**{"shift": 3.0, **more})


def make_ovis_image(folder: Path) -> Path:
    """Make an Ovis-Image model of two pixels a cell."""
    from diffusers import OvisImagePipeline, OvisImageTransformer2DModel

    seeded(101)
    transformer = OvisImageTransformer2DModel(
        in_channels=16, out_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=WIDTH, axes_dims_rope=(4, 4, 8),
    )  # fmt: skip
    stir(transformer)
    OvisImagePipeline(
        scheduler=_flow(use_dynamic_shifting=True), vae=toy_vae((8, 8), shift_factor=0.1), text_encoder=qwen3(),
        tokenizer=qwen_tokenizer(), transformer=transformer,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def make_longcat_image(folder: Path, pipeline: str, widths: tuple[int, ...] = (8, 8)) -> Path:
    """Make a LongCat-Image model; each further width of its VAE halves pictures once more."""
    from diffusers import LongCatImageTransformer2DModel, OvisImagePipeline

    seeded(102)
    transformer = LongCatImageTransformer2DModel(
        in_channels=64, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=1,
        joint_attention_dim=WIDTH, pooled_projection_dim=WIDTH, axes_dims_rope=[4, 4, 8],
    )  # fmt: skip
    stir(transformer)
    vae = toy_vae(widths, latent_channels=16, shift_factor=0.1, norm_num_groups=2, mid_block_add_attention=False)
    OvisImagePipeline(  # which has the same parts but the one that needs torchvision
        scheduler=_flow(use_dynamic_shifting=True), vae=vae, text_encoder=qwen_vl(), tokenizer=qwen_tokenizer(),
        transformer=transformer,
    ).save_pretrained(folder)  # fmt: skip
    save_qwen_reader(folder / "text_processor")
    return amended(folder, _class_name=pipeline, text_processor=["transformers", "Qwen2VLProcessor"])


def make_ernie_image(folder: Path, rewrites: bool = False) -> Path:
    """Make an ERNIE-Image model; one that `rewrites` prompts has a language model for that."""
    from diffusers import ErnieImagePipeline, ErnieImageTransformer2DModel

    seeded(103)
    transformer = ErnieImageTransformer2DModel(
        hidden_size=32, num_attention_heads=2, num_layers=1, ffn_hidden_size=32, in_channels=16, out_channels=16,
        text_in_dim=WIDTH, rope_axes_dim=(4, 6, 6),
    )  # fmt: skip
    stir(transformer)
    ErnieImagePipeline(
        transformer=transformer, vae=flux2_parts(is_told=False)["vae"], text_encoder=mistral(2, speaks=False),
        tokenizer=qwen_tokenizer(), scheduler=_flow(), **(_ernie_writer() if rewrites else {}),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def _ernie_writer() -> dict[str, Any]:
    """Make a language model that writes sixteen tokens, and its tokenizer."""
    from transformers import Ministral3Config, Ministral3ForCausalLM

    config = Ministral3Config(
        vocab_size=512, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8, max_position_embeddings=512,
    )  # fmt: skip
    words = qwen_tokenizer()
    words.model_max_length = 16
    words.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}Output:"
    return {"pe": Ministral3ForCausalLM(config), "pe_tokenizer": words}


def make_krea2(folder: Path, is_distilled: bool = False) -> Path:
    """Make a Krea 2 model of eight pixels a cell."""
    from diffusers import Krea2Pipeline, Krea2Transformer2DModel

    seeded(104)
    transformer = Krea2Transformer2DModel(
        in_channels=16, num_layers=1, attention_head_dim=16, num_attention_heads=2, num_key_value_heads=1,
        intermediate_size=32, timestep_embed_dim=16, text_hidden_dim=WIDTH, num_text_layers=2,
        text_num_attention_heads=2, text_num_key_value_heads=2, text_intermediate_size=32,
        num_layerwise_text_blocks=1, num_refiner_text_blocks=1, axes_dims_rope=(4, 6, 6),
    )  # fmt: skip
    stir(transformer)
    Krea2Pipeline(
        scheduler=_flow(use_dynamic_shifting=True), vae=qwen_parts()["vae"], text_encoder=qwen3_vl(speaks=False),
        tokenizer=qwen_tokenizer(), transformer=transformer, text_encoder_select_layers=(1, 2),
        is_distilled=is_distilled,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def make_nucleusmoe_image(folder: Path) -> Path:
    """Make a NucleusMoE-Image model of eight pixels a cell, whose fourth layer has experts."""
    from diffusers import NucleusMoEImageTransformer2DModel, QwenImagePipeline

    seeded(105)
    transformer = NucleusMoEImageTransformer2DModel(
        in_channels=16, out_channels=4, num_layers=5, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=WIDTH, axes_dims_rope=(4, 6, 6), num_experts=4, moe_intermediate_dim=16,
        capacity_factors=2.0,
    )  # fmt: skip
    for name, values in transformer.named_parameters():
        if "experts." in name:
            values.data.normal_(std=0.1)  # they are left as the memory was
    stir(transformer)
    QwenImagePipeline(  # which has the same parts but the one that needs torchvision
        scheduler=_flow(use_dynamic_shifting=True), vae=qwen_parts()["vae"], text_encoder=qwen3_vl(9),
        tokenizer=qwen_tokenizer(), transformer=transformer,
    ).save_pretrained(folder)  # fmt: skip
    save_qwen_reader(folder / "processor")
    return amended(folder, _class_name="NucleusMoEImagePipeline", processor=["transformers", "Qwen3VLProcessor"])


def make_qwen_image_21(folder: Path) -> Path:
    """Make a Qwen-Image 2.1 model of sixteen pixels a cell."""
    from diffusers import AutoencoderKLQwenImage21, QwenImage21Transformer2DModel, QwenImagePipeline

    seeded(106)
    transformer = QwenImage21Transformer2DModel(
        in_channels=8, out_channels=8, num_layers=2, attention_head_dim=16, num_attention_heads=2,
        context_in_dim=WIDTH, axes_dims_rope=(4, 6, 6),
    )  # fmt: skip
    stir(transformer)
    vae = AutoencoderKLQwenImage21(
        base_dim=4, decoder_base_dim=4, z_dim=8, dim_mult=[1] * 5, num_res_blocks=1, latents_mean=[0.0] * 8,
        latents_std=[1.0] * 8,
    )  # fmt: skip
    QwenImagePipeline(  # which has the same parts but the one that needs torchvision
        scheduler=_flow(use_dynamic_shifting=True), vae=vae, text_encoder=qwen3_vl(), tokenizer=qwen_tokenizer(),
        transformer=transformer,
    ).save_pretrained(folder)  # fmt: skip
    save_qwen_reader(folder / "processor", 16)
    return amended(folder, _class_name="QwenImage21Pipeline", processor=["transformers", "Qwen3VLProcessor"])


def make_bria_fibo(folder: Path) -> Path:
    """Make a Bria FIBO model of sixteen pixels a cell."""
    from diffusers import AutoencoderKLWan, BriaFiboPipeline, BriaFiboTransformer2DModel
    from transformers import SmolLM3Config, SmolLM3ForCausalLM

    seeded(107)
    transformer = BriaFiboTransformer2DModel(
        in_channels=4, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=2 * WIDTH, axes_dims_rope=[4, 4, 8], text_encoder_dim=WIDTH,
    )  # fmt: skip
    stir(transformer)
    vae = AutoencoderKLWan(
        base_dim=4, decoder_base_dim=4, z_dim=4, dim_mult=[1] * 4, num_res_blocks=1, is_residual=True, in_channels=12,
        out_channels=12, patch_size=2, scale_factor_spatial=16, latents_mean=[0.0] * 4, latents_std=[1.0] * 4,
    )  # fmt: skip
    words = SmolLM3Config(
        vocab_size=128001, hidden_size=WIDTH, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, pad_token_id=0, bos_token_id=None, eos_token_id=None, tie_word_embeddings=True,
    )  # fmt: skip
    BriaFiboPipeline(
        transformer=transformer, scheduler=_flow(use_dynamic_shifting=True), vae=vae,
        text_encoder=SmolLM3ForCausalLM(words), tokenizer=qwen_tokenizer(),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def make_ideogram4(folder: Path) -> Path:
    """Make an Ideogram 4 model, whose prompts a Qwen 3 VL model of 36 layers reads."""
    from diffusers import Ideogram4Pipeline, Ideogram4Transformer2DModel

    seeded(108)
    transformers = [
        Ideogram4Transformer2DModel(
            in_channels=16, num_layers=1, attention_head_dim=16, num_attention_heads=2, intermediate_size=32,
            adaln_dim=8, llm_features_dim=13 * WIDTH, mrope_section=(4, 2, 2),
        )
        for _ in range(2)
    ]  # fmt: skip
    for transformer in transformers:
        stir(transformer)
    Ideogram4Pipeline(
        scheduler=_flow(), vae=flux2_parts(is_told=False)["vae"], text_encoder=qwen3_vl(36, speaks=False),
        tokenizer=qwen_tokenizer(), transformer=transformers[0], unconditional_transformer=transformers[1],
    ).save_pretrained(folder)  # fmt: skip
    return folder


def make_dreamlite(folder: Path, pipeline: str = "DreamLitePipeline") -> Path:
    """Make a DreamLite model of eight pixels a cell."""
    import diffusers

    seeded(109)
    unet = diffusers.DreamLiteUNetModel(
        block_out_channels=(16, 16, 16), layers_per_block=1, norm_num_groups=4, cross_attention_dim=WIDTH,
        attention_head_dim=8, addition_embed_type="time", addition_time_embed_dim=8, ff_mult=2,
        projection_class_embeddings_input_dim=16,
    )  # fmt: skip
    stir(unet)
    widths = {f"{side}_block_out_channels": (8,) * 4 for side in ("encoder", "decoder")}
    blocks = {"num_encoder_blocks": (1,) * 4, "num_decoder_blocks": (1,) * 4}
    parts = {
        "text_encoder": qwen3_vl(), "tokenizer": qwen_tokenizer(), "vae": diffusers.AutoencoderTiny(**widths, **blocks),
        "unet": unet, "scheduler": _flow(use_dynamic_shifting=True),
    }  # fmt: skip
    for name, part in parts.items():
        part.save_pretrained(folder / name)
    save_qwen_reader(folder / "processor", 16)
    index = {name: ["diffusers", type(part).__name__] for name, part in parts.items()}
    index |= {name: ["transformers", type(parts[name]).__name__] for name in ("text_encoder", "tokenizer")}
    index["processor"] = ["transformers", "Qwen3VLProcessor"]
    (folder / "model_index.json").write_text(json.dumps({"_class_name": pipeline, **index}), encoding="utf-8")
    return folder


MAKERS: dict[str, Any] = {
    "ovis-image": make_ovis_image,
    "longcat-image": partial(make_longcat_image, pipeline="LongCatImagePipeline"),
    "longcat-image-edit": partial(make_longcat_image, pipeline="LongCatImageEditPipeline", widths=(2,) * 4),
    "ernie-image": make_ernie_image,
    "ernie-image@rewriting": partial(make_ernie_image, rewrites=True),
    "krea2": make_krea2,
    "krea2@distilled": partial(make_krea2, is_distilled=True),
    "nucleusmoe-image": make_nucleusmoe_image,
    "qwen-image-21": make_qwen_image_21,
    "bria-fibo": make_bria_fibo,
    "bria-fibo-edit": lambda folder: amended(make_bria_fibo(folder), _class_name="BriaFiboEditPipeline"),
    "ideogram4": make_ideogram4,
    "glm-image": make_glm_image,
    "dreamlite": make_dreamlite,
    "dreamlite-mobile": partial(make_dreamlite, pipeline="DreamLiteMobilePipeline"),
}
"""How to make each."""
