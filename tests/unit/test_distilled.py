"""Distilled models are known by their settings, and get the steps and the guidance of their cards."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from dgen.cli.main import main
from dgen.families.inspection import inspect_file, inspect_folder
from dgen.families.rows import FAMILIES
from dgen.options.request import ROWS
from dgen.plan.abilities import implied

SCHEDULER, UNET, TRANSFORMER = "scheduler/scheduler_config.json", "unet/config.json", "transformer/config.json"
FLOW = {"_class_name": "FlowMatchEulerDiscreteScheduler", "use_dynamic_shifting": False}
ANCESTRAL = {"_class_name": "EulerAncestralDiscreteScheduler", "timestep_spacing": "trailing"}
EULER = {"_class_name": "EulerDiscreteScheduler", "timestep_spacing": "trailing", "prediction_type": "epsilon"}
LIGHTNING = {**FLOW, "base_shift": 1.0986122886681098, "max_shift": 1.0986122886681098, "shift_terminal": None}
LCM = {SCHEDULER: {"_class_name": "LCMScheduler"}}


def folder_of(place: Path, pipeline: str, told: dict[str, Any], **index: Any) -> Path:
    """Write the settings of a model, without its weights."""
    for name, settings in {"model_index.json": {"_class_name": pipeline, **index}, **told}.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(json.dumps(settings), encoding="utf-8")
    return place


def defaults(facts: Any) -> tuple[Any, ...]:
    """The steps and the guidance of a model when nobody says them."""
    rows = (ROWS[name] for name in ("num_inference_steps", "guidance_scale"))
    return tuple(implied(row, facts.family, facts.family.pipeline) for row in rows)


@pytest.mark.parametrize(
    ("pipeline", "told", "index", "wanted"),
    [
        ("FluxPipeline", {TRANSFORMER: {"guidance_embeds": False}}, {}, (4, 0.0)),
        ("FluxPipeline", {TRANSFORMER: {"guidance_embeds": True}}, {}, (30, 3.5)),
        ("Flux2KleinPipeline", {}, {"is_distilled": True}, (4, 1.0)),
        ("Flux2KleinPipeline", {}, {"is_distilled": False}, (50, 4.0)),
        ("ZImagePipeline", {SCHEDULER: {**FLOW, "shift": 3.0}}, {}, (9, 0.0)),
        ("ZImagePipeline", {SCHEDULER: {**FLOW, "shift": 6.0}}, {}, (50, 5.0)),
        ("QwenImagePipeline", {SCHEDULER: LIGHTNING}, {}, (8, 1.0)),
        ("QwenImagePipeline", {SCHEDULER: {**LIGHTNING, "base_shift": 0.5, "max_shift": 0.9}}, {}, (50, 4.0)),
        ("HunyuanImagePipeline", {TRANSFORMER: {"guidance_embeds": True}}, {}, (8, None)),
        ("HunyuanImagePipeline", {TRANSFORMER: {"guidance_embeds": False}}, {}, (50, None)),
        ("StableDiffusionXLPipeline", {SCHEDULER: ANCESTRAL, UNET: {"sample_size": 64}}, {}, (1, 0.0)),
        ("StableDiffusionXLPipeline", {SCHEDULER: ANCESTRAL, UNET: {"sample_size": 128}}, {}, (30, 5.0)),
        ("StableDiffusionXLPipeline", {**LCM, UNET: {"time_cond_proj_dim": 256}}, {}, (4, 8.0)),
        ("StableDiffusionXLPipeline", {**LCM, UNET: {"time_cond_proj_dim": None}}, {}, (4, 1.0)),
        ("StableDiffusionPipeline", {SCHEDULER: {"_class_name": "TCDScheduler"}}, {}, (4, 0.0)),
        ("StableDiffusionPipeline", {SCHEDULER: {"_class_name": "PNDMScheduler"}}, {}, (30, 5.0)),
        ("StableDiffusionPipeline", {SCHEDULER: EULER, UNET: {"cross_attention_dim": 1024}}, {}, (1, 0.0)),
        ("StableDiffusionPipeline", {SCHEDULER: EULER, UNET: {"cross_attention_dim": 768}}, {}, (30, 5.0)),
        ("PixArtAlphaPipeline", LCM, {}, (4, 1.0)),
        ("LatentConsistencyModelPipeline", LCM, {}, (4, 8.5)),
        ("SanaSprintPipeline", {SCHEDULER: {"_class_name": "SCMScheduler"}}, {}, (2, 4.5)),
    ],
)
def test_distilled_model_has_the_defaults_of_its_card(
    tmp_path: Path, pipeline: str, told: dict[str, Any], index: dict[str, Any], wanted: tuple[Any, ...]
) -> None:
    assert defaults(inspect_folder(folder_of(tmp_path, pipeline, told, **index))) == wanted


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ({"_class_name": "Flux2KleinModularPipeline", "is_distilled": True}, (4, 1.0)),
        ({"_class_name": "Krea2TurboModularPipeline"}, (8, 0.0)),
        ({"_class_name": "Krea2ModularPipeline"}, (28, 4.5)),
    ],
)
def test_modular_index_tells_it_too(tmp_path: Path, told: dict[str, Any], wanted: tuple[Any, ...]) -> None:
    (tmp_path / "modular_model_index.json").write_text(json.dumps(told), encoding="utf-8")
    assert defaults(inspect_folder(tmp_path)) == wanted


def file_of(path: Path, family: str, more: tuple[str, ...], *, is_own: bool = False) -> Path:
    """Write a file with the tensors of a family, in the names of diffusers or in those that were published."""
    keys = FAMILIES[family].denoiser_keys if is_own else FAMILIES[family].checkpoint_keys
    held = {n: {"dtype": "F32", "shape": [1, 64], "data_offsets": [0, 256]} for n in ("img_in.weight", *keys, *more)}
    header = json.dumps(held).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(256))
    return path


@pytest.mark.parametrize(
    ("family", "name", "more", "wanted", "why"),
    [
        ("flux", "x", (), (4, 0.0), "its tensors"),
        ("flux", "schnell", ("guidance_in.in_layer.weight",), (30, 3.5), ""),
        ("sdxl", "sd_xl_turbo_1.0_fp16", (), (1, 0.0), "`sd-xl-turbo` in its name"),
        ("sdxl", "DreamShaperXL_Turbo", (), (30, 5.0), ""),
        ("sdxl", "x", ("time_embedding.cond_proj.weight",), (4, 8.0), "its tensors"),
        ("sd", "sd-turbo", (), (1, 0.0), "`sd-turbo` in its name"),
        ("sd", "sd-turbo", ("model.x.attn2.to_k.weight",), (30, 5.0), ""),  # of another width than that of SD Turbo
        ("sd3", "sd3.5_large_turbo", (), (4, 0.0), "`large-turbo` in its name"),
        ("sd3", "sd3.5_large", (), (30, 5.0), ""),
        ("z-image", "z_image_turbo_bf16", (), (9, 0.0), "`z-image-turbo` in its name"),
        ("flux2-klein", "flux-2-klein-4b-fp8", (), (4, 1.0), "`klein-4b` in its name"),
        ("flux2-klein", "flux-2-klein-base-4b", (), (50, 4.0), ""),
        ("krea2", "krea2_turbo_bf16", (), (8, 0.0), "`krea2-turbo` in its name"),
        ("hidream", "hidream_i1_fast_fp8", (), (16, 0.0), "`hidream-i1-fast` in its name"),
        ("hidream", "hidream_i1_dev_bf16", (), (28, 0.0), "`hidream-i1-dev` in its name"),
        ("ltx", "ltxv-13b-0.9.8-distilled", (), (8, 1.0), "`distilled` in its name"),
        ("hunyuan-image", "x", ("guidance_in.mlp.0.weight",), (8, None), "its tensors"),
    ],
)
def test_distilled_file_is_told_by_its_tensors_or_else_by_its_name(
    tmp_path: Path, family: str, name: str, more: tuple[str, ...], wanted: tuple[Any, ...], why: str
) -> None:
    facts = inspect_file(file_of(tmp_path / f"{name}.safetensors", family, more))
    assert (facts.family.name, defaults(facts), facts.distilled_by) == (family, wanted, why)


@pytest.mark.parametrize(("more", "wanted"), [((), (4, 0.0)), (("time_text_embed.guidance_embedder.x",), (30, 3.5))])
def test_file_of_flux_in_the_names_of_diffusers_is_schnell_without_guidance(
    tmp_path: Path, more: tuple[str, ...], wanted: tuple[Any, ...]
) -> None:
    assert defaults(inspect_file(file_of(tmp_path / "x.safetensors", "flux", more, is_own=True))) == wanted


@pytest.mark.parametrize(
    ("pipeline", "told", "source", "wanted", "why"),
    [
        ("StableDiffusion3Pipeline", {}, "stabilityai/stable-diffusion-3.5-large-turbo", (4, 0.0), "its name"),
        ("StableDiffusion3Pipeline", {}, "stabilityai/stable-diffusion-3.5-large", (30, 5.0), ""),
        ("HiDreamImagePipeline", {}, "HiDream-ai/HiDream-I1-Fast", (16, 0.0), "its name"),
        ("StableDiffusionPipeline", {}, "stabilityai/sd-turbo", (30, 5.0), ""),
    ],
)
def test_name_of_a_folder_tells_what_no_setting_can(
    tmp_path: Path, pipeline: str, told: dict[str, Any], source: str, wanted: tuple[Any, ...], why: str
) -> None:
    facts = inspect_folder(folder_of(tmp_path, pipeline, told), source=source)
    assert defaults(facts) == wanted
    assert facts.distilled_by.endswith(why)
    assert bool(facts.distilled_by) == bool(why)


def test_name_that_an_index_gives_tells_it_too(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "StableDiffusion3Pipeline", {}, _name_or_path="stabilityai/sd3.5-large-turbo")
    assert inspect_folder(folder).distilled_by == "`large-turbo` in the `_name_or_path` of its index"


def test_file_of_turbo_is_made_for_512_pixels(tmp_path: Path) -> None:
    facts = inspect_file(file_of(tmp_path / "sdxl-turbo.safetensors", "sdxl", ()))
    assert str(facts.default_size) == "512x512"


def test_turbo_takes_two_steps_from_a_picture_and_the_model_page_says_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_of(tmp_path, "StableDiffusionXLPipeline", {SCHEDULER: ANCESTRAL, UNET: {"sample_size": 64}})
    family = inspect_folder(folder).family
    steps, strength = (ROWS[name] for name in ("num_inference_steps", "strength"))
    assert [implied(steps, family, family.pipelines[mode]) for mode in ("txt2img", "img2img", "inpaint")] == [1, 2, 2]
    assert implied(strength, family, family.pipelines["img2img"]) == 0.5
    assert main(["model", str(folder), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["options"]
    assert [told[flag]["default"] for flag in ("--inference-steps", "--guidance-scales")] == ["1", "0.0"]
