"""A pipeline without a row runs as its signature says, and every parameter of a call can be said."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from toybench import INPUTS, Bench, mask, picture, pixels

from dgen.values.extras import Extra
from dgen.values.prompt import Prompt
from dgen.values.scalars import Size


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the toys of this file."""
    from toy_generic import GENERIC_TOYS

    made = tmp_path_factory.mktemp("generic")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, make in GENERIC_TOYS.items():
            make(made / name)
    return made


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench()


def plain(model: Path, pipeline: str, **call: Any) -> list[bytes]:
    """Call a pipeline as diffusers' documentation says."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import diffusers
        import torch

        pipe = getattr(diffusers, pipeline).from_pretrained(model)
        pipe.set_progress_bar_config(disable=True)
        made = pipe(generator=torch.Generator("cpu").manual_seed(7), num_inference_steps=2, **call)
    return [image.convert("RGB").tobytes() for image in made.images]


TEXT = {"prompt": "a red circle", "guidance_scale": 10.0}
CASES: list[tuple[str, str, str, dict[str, Any], dict[str, Any]]] = [
    ("ddpm", "txt2img", "DDPMPipeline", {}, {"prompt": Prompt("")}),
    ("dit", "txt2img", "DiTPipeline", {"class_labels": [1]}, {"call": (Extra("class_labels", "1"),)}),
    ("amused", "txt2img", "AmusedPipeline", {**TEXT, "width": 32, "height": 32}, {"output_size": Size(32, 32)}),
    ("amused", "img2img", "AmusedImg2ImgPipeline", {**TEXT, "strength": 0.5, "image": picture()}, {}),
    (
        "amused", "inpaint", "AmusedInpaintPipeline",
        {**TEXT, "strength": 1.0, "image": picture(), "mask_image": mask()}, {"prompt": Prompt("a red circle")},
    ),
    (
        "amused", "txt2img", "AmusedPipeline", {**TEXT, "width": 32, "height": 32, "temperature": (1, 0)},
        {"output_size": Size(32, 32), "call": (Extra("temperature", "1,0"),)},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("toy", "mode", "pipeline", "call", "said"), CASES, ids=lambda v: v if type(v) is str else "")
def test_pipeline_without_a_row_makes_what_a_plain_call_makes(
    folder: Path, bench: Bench, toy: str, mode: str, pipeline: str, call: dict[str, Any], said: dict[str, Any]
) -> None:
    job = bench.job(folder / toy, mode, **{"prompt": Prompt("a red circle"), **said})
    made = bench.engine.render(job, INPUTS[mode], lambda step, steps: None)
    assert (job.family, job.pipeline) == ("generic", pipeline)
    assert pixels(made) == plain(folder / toy, pipeline, **call)


def test_size_of_a_model_of_pixels_is_planned(folder: Path, bench: Bench) -> None:
    assert bench.job(folder / "ddpm").size == Size(16, 16)


def test_parameter_that_a_family_sets_can_be_said(toys: Path, bench: Bench, plainly: Any) -> None:
    usual = {"prompt": "a red circle", "num_inference_steps": 2, "width": 64, "height": 64, "guidance_scale": 5.0}
    said = {"prompt": Prompt("a red circle"), "output_size": Size(64, 64), "call": (Extra("eta", "0.9"),)}
    assert pixels(bench.render(toys / "sd", **said)) == plainly("StableDiffusionPipeline", "sd", [7], eta=0.9, **usual)
    without = pixels(bench.render(toys / "sd", **{**said, "call": ()}))
    assert without == plainly("StableDiffusionPipeline", "sd", [7], **usual)
