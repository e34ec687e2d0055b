"""The family of a checkpoint file is told from the names of its tensors, and its modes from their shapes."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from dgen.families.checkpoints import parts_in
from dgen.families.inspection import inspect_file, safetensors_header
from dgen.families.rows import FAMILIES
from dgen.schema import BadValue

UNET = "model.diffusion_model.input_blocks.0.0.weight"
CLIP, XL = "cond_stage_model.x", "conditioner.embedders.0.x"
UNET_OF_ITS_OWN = {
    "time_embedding.linear_1.weight": [1], "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight": [1],
}  # fmt: skip
FLUX_OF_ITS_OWN = {
    "context_embedder.weight": [1], "time_text_embed.text_embedder.linear_1.weight": [1],
    "single_transformer_blocks.0.proj_mlp.weight": [1],
}  # fmt: skip
FLUX2 = {"single_stream_modulation.lin.weight": [1]}
PIXART = {"t_block.1.weight": [1], "y_embedder.y_embedding": [1], "blocks.0.cross_attn.kv_linear.weight": [1]}
SANA = {
    "blocks.0.cross_attn.q_linear.weight": [1], "attention_y_norm.weight": [1],
    "blocks.0.mlp.inverted_conv.conv.weight": [1],
}  # fmt: skip
FLUX = "double_blocks.0.img_attn.norm.key_norm.scale"


def checkpoint(path: Path, tensors: dict[str, list[int]]) -> Path:
    """Write a file of zeros: tensors of one byte a number."""
    end, header = 0, dict[str, object]()
    for name, shape in tensors.items():
        size = 1
        for side in shape:
            size *= side
        header[name] = {"dtype": "I8", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(end))
    return path


@pytest.mark.parametrize(
    ("tensors", "family", "modes"),
    [
        ({UNET: [2, 4, 3, 3], CLIP: [1]}, "sd", {"txt2img", "img2img", "inpaint"}),
        ({UNET: [2, 9, 3, 3], CLIP: [1]}, "sd", {"inpaint"}),
        ({UNET: [2, 8, 3, 3], CLIP: [1]}, "pix2pix", {"img2img", "inpaint"}),
        ({UNET: [2, 7, 3, 3], CLIP: [1]}, "upscaler-x4", {"img2img"}),
        ({UNET: [2, 4, 3, 3], XL: [1]}, "sdxl", {"txt2img", "img2img", "inpaint"}),
        ({UNET: [2, 9, 3, 3], XL: [1]}, "sdxl", {"inpaint"}),
        ({UNET: [2, 8, 3, 3], XL: [1]}, "sdxl-pix2pix", {"img2img", "inpaint"}),
        ({FLUX: [2], "img_in.weight": [2, 64]}, "flux", {"txt2img", "img2img", "inpaint"}),
        ({f"model.diffusion_model.{FLUX}": [2]}, "flux", {"txt2img", "img2img", "inpaint"}),
        ({FLUX: [2], "img_in.weight": [2, 384]}, "flux-fill", {"inpaint"}),
        ({FLUX: [2], "img_in.weight": [2, 128], **FLUX2, "guidance_in.in_layer.weight": [1]}, "flux2", None),
        ({FLUX: [2], "img_in.weight": [2, 128], **FLUX2}, "flux2-klein", None),
        ({"early_stream_modulations.image.lin.weight": [1]}, "flux3", None),
        ({"model.diffusion_model.patchify_proj.weight": [1], "audio_patchify_proj.weight": [1]}, "ltx2", None),
        ({**PIXART, "blocks.0.mlp.fc1.weight": [1]}, "pixart-sigma", None),
        ({**PIXART, "blocks.0.mlp.fc1.weight": [1], "csize_embedder.mlp.0.weight": [1]}, "pixart-alpha", None),
        ({**PIXART, **SANA}, "sana", None),
        ({"txt_in.individual_token_refiner.x": [1], "byt5_in.x": [1]}, "hunyuan-image", None),
        ({"txt_in.individual_token_refiner.x": [1], "byt5_in.x": [1], "vision_in.x": [1]}, "hunyuan-video-1.5", None),
        ({"txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1.bias": [1]}, "hunyuan-video", None),
        ({"clip_txt_mapper.weight": [1], "clip_txt_pooled_mapper.weight": [1]}, "s-cascade", None),
        ({"blocks.0.attn.qkv_x.weight": [1]}, "mochi", None),
        ({"double_stream_blocks.0.block.adaLN_modulation.1.bias": [1]}, "hidream", None),
        ({"double_layers.0.attn.w1q.weight": [1], "cond_seq_linear.weight": [1]}, "auraflow", None),
        ({"conv_in.weight": [2, 9, 3, 3], **UNET_OF_ITS_OWN}, "sd", {"inpaint"}),
        ({"x_embedder.weight": [2, 384], **FLUX_OF_ITS_OWN}, "flux-fill", {"inpaint"}),
        ({"x_embedder.weight": [2, 64], **FLUX_OF_ITS_OWN}, "flux", {"txt2img", "img2img", "inpaint"}),
        ({FLUX: [2], "img_in.weight": [2, 64], "distilled_guidance_layer.in_proj.bias": [1]}, "chroma", None),
        ({"joint_blocks.0.context_block.adaLN_modulation.1.bias": [2]}, "sd3", {"txt2img", "img2img", "inpaint"}),
        ({"model.diffusion_model.joint_blocks.0.context_block.adaLN_modulation.1.bias": [2]}, "sd3", None),
        ({"layers.0.adaLN_modulation.0.weight": [1], "cap_embedder.0.weight": [1]}, "z-image", None),
        ({"layers.0.adaLN_modulation.1.weight": [1], "cap_embedder.0.weight": [1]}, "lumina2", None),
        ({"head.modulation": [1]}, "wan", None),
        ({"head.modulation": [1], "vace_blocks.0.after_proj.bias": [1]}, "wan-vace", None),
        ({"model.diffusion_model.patchify_proj.weight": [1]}, "ltx", None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_tensor_names_tell_the_family(
    tmp_path: Path, tensors: dict[str, list[int]], family: str, modes: set[str] | None
) -> None:
    facts = inspect_file(checkpoint(tmp_path / "model.safetensors", tensors))
    assert facts.family.name == family
    if modes is not None:
        assert {mode for mode in facts.family.pipelines if facts.has_mode(mode)} == modes
        assert facts.pipeline in {facts.family.pipelines[mode] for mode in modes}


def test_file_of_no_family_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="cannot be told"):
        inspect_file(checkpoint(tmp_path / "model.safetensors", {"a.weight": [2]}))


def test_text_encoders_of_a_whole_file_are_told_apart(tmp_path: Path) -> None:
    names = ("clip_l.transformer.x", "clip_g.transformer.x", "t5xxl.transformer.x")
    tensors = {"model.diffusion_model.joint_blocks.0.context_block.adaLN_modulation.1.bias": [2]}
    tensors |= {f"text_encoders.{name}": [1] for name in names} | {"first_stage_model.x": [1]}
    header = safetensors_header(checkpoint(tmp_path / "model.safetensors", tensors))
    every = {"transformer", "vae", "text_encoder", "text_encoder_2", "text_encoder_3"}
    assert set(parts_in(header, FAMILIES["sd3"])) == every
    assert set(parts_in(header, FAMILIES["flux"])) == every - {"text_encoder_3"}


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_model_that_names_a_pipeline_of_a_row_is_of_its_family(name: str, tmp_path: Path) -> None:
    from dgen.families.inspection import inspect_folder

    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": FAMILIES[name].pipeline}))
    found = inspect_folder(tmp_path).family
    assert FAMILIES[name].pipeline in found.classes
    assert inspect_folder(tmp_path, FAMILIES[name]).family.name == name
