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


def checkpoint(path: Path, tensors: dict[str, list[int]], metadata: object = None) -> Path:
    """Write a file of zeros: tensors of one byte a number."""
    end, header = 0, dict[str, object]({} if metadata is None else {"__metadata__": metadata})
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


DEV = {FLUX: [2], "img_in.weight": [2, 64], "guidance_in.in_layer.weight": [1]}


@pytest.mark.parametrize(
    ("name", "metadata", "wanted", "why"),
    [
        ("flux1-kontext-dev.safetensors", {}, "flux-kontext", "`kontext` in its name"),
        ("flux1-kontextual.safetensors", {}, "flux", "its tensors, which `flux-kontext` can have as well"),
        ("flux1_Kontext_dev-fp8.safetensors", {}, "flux-kontext", "`kontext` in its name"),
        ("flux1-fill-dev.safetensors", {}, "flux", "its tensors, which `flux-kontext` can have as well"),
        (
            "x.safetensors", {"modelspec.architecture": "Flux.1-kontext"}, "flux-kontext",
            "`kontext` in the `modelspec.architecture` of its metadata",
        ),
        (
            "x.safetensors", {"modelspec.title": "My Kontext", "format": "pt"}, "flux-kontext",
            "`kontext` in the `modelspec.title` of its metadata",
        ),
        ("x.safetensors", {"modelspec.title": "Fill"}, "flux", "its tensors, which `flux-kontext` can have as well"),
    ],
)  # fmt: skip
def test_names_choose_among_families_with_the_same_tensors_and_never_against_those(
    tmp_path: Path, name: str, metadata: dict[str, str], wanted: str, why: str
) -> None:
    facts = inspect_file(checkpoint(tmp_path / name, DEV, metadata))
    assert (facts.family.name, facts.told_by) == (wanted, why)
    assert inspect_file(tmp_path / name, FAMILIES["flux"]).family.name == "flux"


@pytest.mark.parametrize(
    ("source", "family"),
    [
        ("x/flux-kontext/transformer/diffusion_pytorch_model.safetensors", "flux-kontext"),
        ("x/models--a--flux-kontext/snapshots/0a/transformer/diffusion_pytorch_model.safetensors", "flux-kontext"),
        ("https://huggingface.co/a/FLUX.1-Kontext-dev/blob/main/transformer/model-00001.safetensors", "flux-kontext"),
        ("https://huggingface.co/a/FLUX.1-Kontext-dev/blob/main/x.safetensors", "flux"),
        ("https://civitai.com/api/download/models/7?type=kontext", "flux"),
        ("x/kontext/flux.safetensors", "flux"),
    ],
)
def test_file_called_as_any_part_has_the_name_of_its_model(tmp_path: Path, source: str, family: str) -> None:
    file = checkpoint(tmp_path / "0a1b.safetensors", DEV)
    assert inspect_file(file, source=source).family.name == family


@pytest.mark.parametrize("said", ["[1]", '{"modelspec.title": 3}', '{"modelspec.architecture": null}', "7"])
def test_strange_metadata_is_passed_over(tmp_path: Path, said: str) -> None:
    assert inspect_file(checkpoint(tmp_path / "x.safetensors", DEV, json.loads(said))).family.name == "flux"


@pytest.mark.parametrize(
    ("pipeline", "channels", "family"),
    [
        ("StableDiffusion3Pipeline", 16, "sd3"),
        ("StableDiffusion3Pipeline", 32, "sd3-pix2pix"),
        ("StableDiffusion3Pipeline", 33, "sd3-pix2pix"),
        ("StableDiffusion3Pipeline", 48, "sd3-pix2pix"),
        ("StableDiffusion3InpaintPipeline", 33, "sd3"),
        ("StableDiffusion3InstructPix2PixPipeline", 33, "sd3-pix2pix"),
        ("WanPipeline", 36, "wan"),
    ],
)
def test_channels_of_a_folder_tell_what_its_index_does_not(
    tmp_path: Path, pipeline: str, channels: int, family: str
) -> None:
    from dgen.families.inspection import inspect_folder

    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": pipeline}))
    (tmp_path / "transformer").mkdir()
    (tmp_path / "transformer" / "config.json").write_text(json.dumps({"in_channels": channels}))
    facts = inspect_folder(tmp_path)
    is_named = pipeline in FAMILIES[family].classes
    assert (facts.family.name, facts.told_by) == (
        family, "its index" if is_named else "the channels of its denoiser",
    )  # fmt: skip
    assert inspect_folder(tmp_path, FAMILIES["sd3"]).family.name == "sd3"


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
