"""Makes toy models that come with the index of a modular pipeline."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from toy_families import t5_tokenizer
from toy_models import seeded
from toy_texts import WIDTH, qwen3, qwen3_vl, qwen_tokenizer, save_qwen_reader
from toy_today import flux2_parts, make_z_image, qwen_parts, stir


def make_anima(folder: Path) -> Path:
    """Make an Anima model of eight pixels a cell."""
    from diffusers import AnimaModularPipeline, AnimaTextConditioner, CosmosTransformer3DModel

    seeded(91)
    parts = {name: made for name, made in qwen_parts().items() if name == "vae"}
    conditioner = AnimaTextConditioner(
        source_dim=WIDTH, target_dim=WIDTH, model_dim=WIDTH, num_layers=1, num_attention_heads=2,
        target_vocab_size=100, min_sequence_length=8,
    )  # fmt: skip
    transformer = CosmosTransformer3DModel(
        in_channels=4, out_channels=4, num_attention_heads=2, attention_head_dim=16, num_layers=1, mlp_ratio=2.0,
        text_embed_dim=WIDTH, adaln_lora_dim=4, max_size=(4, 16, 16), extra_pos_embed_type=None,
    )  # fmt: skip
    stir(transformer)
    return saved(
        AnimaModularPipeline(), folder, **parts, text_conditioner=conditioner, transformer=transformer,
        text_encoder=qwen3(), tokenizer=qwen_tokenizer(), t5_tokenizer=t5_tokenizer(), scheduler=_flow(),
    )  # fmt: skip


def make_flux3(folder: Path, is_distilled: bool = False) -> Path:
    """Make a FLUX.3 model, whose prompts a Qwen 3 VL model of 32 layers reads."""
    import diffusers

    seeded(92)
    transformer = diffusers.Flux3Transformer2DModel(
        in_channels=16, cond_in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=8 * WIDTH, timestep_channels=16, mlp_ratio=2.0,
        axes_dims_rope=(4, 4, 4, 4), flow_map=is_distilled,
    )  # fmt: skip
    stir(transformer)
    name = "Flux3DistilledModularPipeline" if is_distilled else "Flux3ModularPipeline"
    pipeline = getattr(diffusers, name)()
    vae = flux2_parts(is_told=False)["vae"]
    saved(pipeline, folder, text_encoder=qwen3_vl(32), transformer=transformer, vae=vae)
    save_qwen_reader(folder / "tokenizer")
    return with_reader(folder, "tokenizer")


def with_reader(folder: Path, kind: str, **said: Any) -> Path:
    """Name the processor of a Qwen model in the index of a model, which cannot be made here, and what else it says."""
    index = folder / "modular_model_index.json"
    named = ["transformers", "Qwen3VLProcessor"]
    spec = {"pretrained_model_name_or_path": None, "subfolder": kind, "type_hint": named}
    told = {**json.loads(index.read_text(encoding="utf-8")), kind: [*named, spec], **said}
    index.write_text(json.dumps(told), encoding="utf-8")
    return folder


def make_modular_z_image(folder: Path) -> Path:
    """Make a Z-Image model with the index of a modular pipeline alone."""
    from diffusers import ZImageModularPipeline, ZImagePipeline

    whole = ZImagePipeline.from_pretrained(make_z_image(folder.with_name(folder.name + "-plain")))
    return saved(ZImageModularPipeline(), folder, **whole.components)


def _flow() -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(shift=3.0)


def saved(pipeline: Any, folder: Path, **parts: Any) -> Path:
    """Write the parts of a modular pipeline into a folder."""
    pipeline.update_components(**parts)
    pipeline.save_pretrained(str(folder))
    return folder


BLOCKS: dict[str, Any] = {
    "anima": make_anima,
    "flux3": make_flux3,
    "flux3-distilled": partial(make_flux3, is_distilled=True),
    "z-image": make_modular_z_image,
}
"""How to make each."""
