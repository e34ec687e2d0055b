"""Makes toy models of Kolors, DeepFloyd IF and Stable Cascade: real classes with few, random weights, as folders."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from toy_models import seeded, toy_unet, toy_vae


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


GUIDED_TOYS: dict[str, Callable[[Path], Path]] = {"kolors": make_kolors}
