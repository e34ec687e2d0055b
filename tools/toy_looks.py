"""Makes toy models of what draws in fixed sizes and of what looks at pictures: Kandinsky 5, Marigold."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from toy_models import clip_settings, make_tokenizer, seeded, toy_unet, toy_vae
from toy_texts import WIDTH, gemma_tokenizer, qwen3, qwen_tokenizer, qwen_vl, save_qwen_reader
from toy_today import amended, stir, toy_dc


def make_kandinsky5(folder: Path, pipeline: str = "Kandinsky5T2IPipeline") -> Path:
    """Make a Kandinsky 5 model of eight pixels a cell, whose pictures are of 1024x1024 pixels or about as many."""
    from diffusers import FlowMatchEulerDiscreteScheduler, Kandinsky5T2IPipeline, Kandinsky5Transformer3DModel
    from transformers import CLIPTextModel

    seeded(81)
    transformer = Kandinsky5Transformer3DModel(
        in_visual_dim=4, out_visual_dim=4, in_text_dim=WIDTH, in_text_dim2=WIDTH, time_dim=16, model_dim=16, ff_dim=16,
        num_text_blocks=1, num_visual_blocks=1, axes_dims=(4, 6, 6), patch_size=(1, 2, 2),
        visual_cond=pipeline == "Kandinsky5I2IPipeline",
    )  # fmt: skip
    stir(transformer)
    vae = toy_vae((2,) * 4, norm_num_groups=2, mid_block_add_attention=False)
    Kandinsky5T2IPipeline(
        transformer=transformer, vae=vae, text_encoder=qwen_vl(), tokenizer=qwen_tokenizer(),
        text_encoder_2=CLIPTextModel(clip_settings(WIDTH)), tokenizer_2=make_tokenizer(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    ).save_pretrained(folder)  # fmt: skip
    save_qwen_reader(folder / "tokenizer")
    return amended(folder, _class_name=pipeline, tokenizer=["transformers", "Qwen2VLProcessor"])


def make_marigold(folder: Path, pipeline: str, prediction: str) -> Path:
    """Make a Marigold model that takes two steps at 64 pixels."""
    import diffusers
    from transformers import CLIPTextModel

    seeded(82)
    getattr(diffusers, pipeline)(
        unet=toy_unet(in_channels=8), vae=toy_vae(), scheduler=diffusers.DDIMScheduler(prediction_type="v_prediction"),
        text_encoder=CLIPTextModel(clip_settings(32)), tokenizer=make_tokenizer(), prediction_type=prediction,
        default_denoising_steps=2, default_processing_resolution=64,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def make_prx(folder: Path) -> Path:
    """Make a PRX model of 512x512 pixels, 32 a cell."""
    from diffusers import FlowMatchEulerDiscreteScheduler, PRXPipeline, PRXTransformer2DModel
    from diffusers.pipelines.prx import T5GemmaEncoder
    from transformers import T5GemmaConfig

    seeded(83)
    sizes = {
        "vocab_size": len(gemma_tokenizer()), "hidden_size": WIDTH, "intermediate_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 64,
    }  # fmt: skip
    whole = T5GemmaConfig(encoder=sizes, decoder=sizes, is_encoder_decoder=False, vocab_size=sizes["vocab_size"])
    transformer = PRXTransformer2DModel(
        in_channels=4, patch_size=1, context_in_dim=WIDTH, hidden_size=16, mlp_ratio=2.0, num_heads=2, depth=1,
        axes_dim=[4, 4],
    )  # fmt: skip
    stir(transformer)
    tokenizer = gemma_tokenizer()
    tokenizer.model_max_length = 32
    PRXPipeline(
        transformer=transformer, scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0), vae=toy_dc(),
        text_encoder=T5GemmaEncoder(whole.encoder), tokenizer=tokenizer, default_sample_size=512,
    ).save_pretrained(folder)  # fmt: skip
    whole.save_pretrained(folder / "text_encoder")
    return amended(folder, text_encoder=["prx", "T5GemmaEncoder"])


def make_z_image_omni(folder: Path) -> Path:
    """Make a Z-Image Omni model, which looks at a picture through a SigLIP 2 encoder."""
    from diffusers import FlowMatchEulerDiscreteScheduler, ZImageOmniPipeline, ZImageTransformer2DModel
    from transformers import Siglip2ImageProcessorPil, Siglip2VisionConfig, Siglip2VisionModel

    seeded(84)
    transformer = ZImageTransformer2DModel(
        in_channels=16, dim=32, n_layers=1, n_refiner_layers=1, n_heads=2, n_kv_heads=2, cap_feat_dim=WIDTH,
        siglip_feat_dim=16, axes_dims=[8, 4, 4], axes_lens=[512, 32, 32],
    )  # fmt: skip
    eyes = Siglip2VisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, num_patches=16, patch_size=16
    )
    ZImageOmniPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0), text_encoder=qwen3(), tokenizer=qwen_tokenizer(),
        vae=toy_vae((8, 8), latent_channels=16, shift_factor=0.1), transformer=transformer,
        siglip=Siglip2VisionModel(eyes), siglip_processor=Siglip2ImageProcessorPil(max_num_patches=16),
    ).save_pretrained(folder)  # fmt: skip
    return amended(folder, siglip_processor=["transformers", "Siglip2ImageProcessor"])


LOOKS: dict[str, Any] = {
    "kandinsky5": make_kandinsky5,
    "kandinsky5-edit": partial(make_kandinsky5, pipeline="Kandinsky5I2IPipeline"),
    "prx": make_prx,
    "z-image-omni": make_z_image_omni,
    "marigold-depth": partial(make_marigold, pipeline="MarigoldDepthPipeline", prediction="depth"),
    "marigold-normals": partial(make_marigold, pipeline="MarigoldNormalsPipeline", prediction="normals"),
}
"""How to make each."""
