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


@pytest.mark.parametrize(("more", "wanted"), [((), (4, 0.0)), (("guidance_in.in_layer.weight",), (30, 3.5))])
def test_checkpoint_of_flux_without_guidance_is_schnell(
    tmp_path: Path, more: tuple[str, ...], wanted: tuple[Any, ...]
) -> None:
    names = ("img_in.weight", *FAMILIES["flux"].checkpoint_keys, *more)
    held = {n: {"dtype": "F32", "shape": [1, 64], "data_offsets": [0, 256]} for n in names}
    header = json.dumps(held).encode()
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(256))
    assert defaults(inspect_file(tmp_path / "x.safetensors")) == wanted


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
