"""Makes toy models of what draws in fixed sizes and of what looks at pictures: Kandinsky 5, Marigold."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from toy_models import clip_settings, make_tokenizer, seeded, toy_unet, toy_vae
from toy_texts import WIDTH, qwen_tokenizer, qwen_vl, save_qwen_reader


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
    vae = toy_vae((2,) * 4, norm_num_groups=2, mid_block_add_attention=False)
    Kandinsky5T2IPipeline(
        transformer=transformer, vae=vae, text_encoder=qwen_vl(), tokenizer=qwen_tokenizer(),
        text_encoder_2=CLIPTextModel(clip_settings(WIDTH)), tokenizer_2=make_tokenizer(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    ).save_pretrained(folder)  # fmt: skip
    save_qwen_reader(folder / "tokenizer")
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    index |= {"_class_name": pipeline, "tokenizer": ["transformers", "Qwen2VLProcessor"]}
    (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder


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


LOOKS: dict[str, Any] = {
    "kandinsky5": make_kandinsky5,
    "kandinsky5-edit": partial(make_kandinsky5, pipeline="Kandinsky5I2IPipeline"),
    "marigold-depth": partial(make_marigold, pipeline="MarigoldDepthPipeline", prediction="depth"),
    "marigold-normals": partial(make_marigold, pipeline="MarigoldNormalsPipeline", prediction="normals"),
}
"""How to make each."""
