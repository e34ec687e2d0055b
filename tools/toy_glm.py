"""Makes a toy of GLM-Image, in which a language model plans what a transformer draws."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from toy_models import seeded, toy_vae
from toy_texts import WIDTH, qwen_tokenizer
from toy_today import stir

_CODES = 64
"""How many tokens of pictures there are."""

_MARKS = {"image_token": "<|image|>", "grid_bos_token": "<sop>", "grid_eos_token": "<eop>"}
_CHAT = (
    "{% for m in messages %}{% for part in m.content %}{% if part.type == 'image' %}<|image|>{% else %}"
    "{{ part.text }}{% endif %}{% endfor %}{% endfor %}"
)


def _words() -> Any:
    from transformers import PreTrainedTokenizerFast

    plain = qwen_tokenizer()._tokenizer
    return PreTrainedTokenizerFast(
        tokenizer_object=plain, pad_token="<|endoftext|>", bos_token="<|im_start|>", extra_special_tokens=_MARKS,
        chat_template=_CHAT,
    )  # fmt: skip


def _planner(words: Any) -> Any:
    from transformers import GlmImageConfig, GlmImageForConditionalGeneration

    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]}
    text = {
        "vocab_size": 512, "hidden_size": WIDTH, "intermediate_size": 32, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 1, "vision_vocab_size": _CODES, "pad_token_id": 0,
        "eos_token_id": 500, "rope_parameters": rope, "max_position_embeddings": 2048,
    }  # fmt: skip
    vision = {
        "depth": 1, "hidden_size": 16, "num_heads": 2, "intermediate_size": 32, "image_size": 64, "patch_size": 16,
    }  # fmt: skip
    codes = {"embed_dim": 16, "num_embeddings": _CODES, "latent_channels": 16}
    return GlmImageForConditionalGeneration(
        GlmImageConfig(
            text_config=text, vision_config=vision, vq_config=codes,
            image_token_id=words.convert_tokens_to_ids("<|image|>"), image_start_token_id=498, image_end_token_id=499,
        )
    )  # fmt: skip


def make_glm_image(folder: Path) -> Path:
    """Make a GLM-Image model of eight pixels a cell."""
    import diffusers
    from transformers import ByT5Tokenizer, GlmImageImageProcessorPil, T5Config, T5EncoderModel

    seeded(110)
    words = _words()
    transformer = diffusers.GlmImageTransformer2DModel(
        in_channels=4, out_channels=4, num_layers=1, attention_head_dim=8, num_attention_heads=2,
        text_embed_dim=WIDTH, time_embed_dim=8, condition_dim=4, prior_vq_quantizer_codebook_size=_CODES,
    )  # fmt: skip
    stir(transformer)
    letters = T5EncoderModel(T5Config(vocab_size=384, d_model=WIDTH, d_kv=8, d_ff=16, num_layers=1, num_heads=2))
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(
        use_dynamic_shifting=True, base_shift=0.25, max_shift=0.75, time_shift_type="linear"
    )
    vae = toy_vae((8,) * 4, latents_mean=[0.0] * 4, latents_std=[1.0] * 4)
    parts = {
        "tokenizer": ByT5Tokenizer(), "text_encoder": letters, "vision_language_encoder": _planner(words), "vae": vae,
        "transformer": transformer, "scheduler": scheduler,
    }  # fmt: skip
    for name, part in parts.items():
        part.save_pretrained(folder / name)
    words.save_pretrained(folder / "processor")
    pictures = GlmImageImageProcessorPil(
        min_pixels=32 * 32, max_pixels=64 * 64, patch_size=16, merge_size=1, temporal_patch_size=1
    )
    pictures.save_pretrained(folder / "processor")
    ours = ("vae", "transformer", "scheduler")
    index = {n: ["diffusers" if n in ours else "transformers", type(p).__name__] for n, p in parts.items()}
    index["processor"] = ["transformers", "GlmImageProcessor"]
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "GlmImagePipeline", **index}), encoding="utf-8")
    return folder
