"""Further transformers make in every mode what a plain call of their diffusers pipeline makes."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_families import SIZE, Cell, plain
from toybench import INPUTS, Bench, picture, pixels

from dgen.engine.processors import load_reader
from dgen.engine.protocol import Inputs
from dgen.options.attachments import LoraUri
from dgen.plan.resolve import made_size
from dgen.values.extras import Extra
from dgen.values.image_seed import ImageSeed
from dgen.values.prompt import Prompt
from dgen.values.scalars import Size

SAID = {"prompt": "a red circle", "negative_prompt": "blurry"}
ONCE = {"num_inference_steps": 1}
AS_TYPED = {"enable_prompt_rewrite": False}
TYPED = {"call": (Extra("enable_prompt_rewrite", "false"),)}
STRONG, ALONE = {"guidance_scale": 3.0}, {"prompt": Prompt("a red circle")}
SMALL, SMALLER = {"output_resolution": 64}, {"call": (Extra("output_resolution", "64"),)}
SHORT, SHORTLY = {"prompt": "a red circle", "max_sequence_length": 64, **SIZE}, {**ALONE, "max_sequence_length": 64}
PLAINLY = {"call": (Extra("use_pe", "false"),)}
CELLS = (
    Cell("ovis-image", "txt2img", "OvisImagePipeline", {**SAID, **SIZE}),
    Cell("longcat-image", "txt2img", "LongCatImagePipeline", {**SAID, **SIZE, **AS_TYPED}, TYPED),
    Cell("longcat-image", "txt2img", "LongCatImagePipeline", {**SAID, **SIZE}),
    Cell("longcat-image-edit", "img2img", "LongCatImageEditPipeline", {**SAID, **ONCE, "image": picture()}, ONCE),
    Cell("ernie-image", "txt2img", "ErnieImagePipeline", {**SAID, **SIZE}),
    Cell("krea2", "txt2img", "Krea2Pipeline", {**SAID, **SIZE}),
    Cell("krea2", "txt2img", "Krea2Pipeline", {**SAID, **SIZE, "guidance_scale": 2.0}, {"guidance_scale": 2.0}),
    Cell("krea2@distilled", "txt2img", "Krea2Pipeline", {**SAID, **SIZE, "guidance_scale": 0.0}),
    Cell("nucleusmoe-image", "txt2img", "NucleusMoEImagePipeline", {**SAID, **SIZE}),
    Cell("qwen-image-21", "txt2img", "QwenImage21Pipeline", {**SAID, **SIZE}),
    Cell("qwen-image-21", "txt2img", "QwenImage21Pipeline", {**SAID, **SIZE, "true_cfg_scale": 3.0}, STRONG),
    Cell("qwen-image-21", "img2img", "QwenImage21Pipeline", {**SAID, **SIZE, **SMALL, "image": picture()}, SMALLER),
    Cell("bria-fibo", "txt2img", "BriaFiboPipeline", {**SAID, **SIZE}),
    Cell("bria-fibo", "txt2img", "BriaFiboPipeline", {"prompt": "a red circle", **SIZE}, ALONE),
    Cell(
        "bria-fibo-edit", "img2img", "BriaFiboEditPipeline",
        {**SIZE, "prompt": '{"edit_instruction": "a red circle"}', "negative_prompt": "blurry", "image": picture()},
    ),
    Cell("ernie-image@rewriting", "txt2img", "ErnieImagePipeline", {**SAID, **SIZE}),
    Cell("ernie-image@rewriting", "txt2img", "ErnieImagePipeline", {**SAID, **SIZE, "use_pe": False}, PLAINLY),
    Cell("glm-image", "txt2img", "GlmImagePipeline", {"prompt": "a red circle", **SIZE}, ALONE),
    Cell("dreamlite", "txt2img", "DreamLitePipeline", {**SAID, **SIZE}),
    Cell("dreamlite", "img2img", "DreamLitePipeline", {**SAID, **SIZE, "image": picture()}),
    Cell(
        "dreamlite", "img2img", "DreamLitePipeline",
        {**SAID, **SIZE, "image": picture(), "image_guidance_scale": 3.0}, {"image_guidance_scale": 3.0},
    ),
    Cell("dreamlite-mobile", "txt2img", "DreamLiteMobilePipeline", {"prompt": "a red circle", **SIZE}, ALONE),
    Cell(
        "dreamlite-mobile", "img2img", "DreamLiteMobilePipeline",
        {"prompt": "a red circle", **SIZE, "image": picture()}, ALONE,
    ),
    Cell("ideogram4", "txt2img", "Ideogram4Pipeline", {**SHORT, "guidance_schedule": [7.0, 7.0]}, SHORTLY),
    Cell(
        "ideogram4", "txt2img", "Ideogram4Pipeline",
        {**SHORT, "guidance_scale": 4.0, "guidance_schedule": None}, {**SHORTLY, "guidance_scale": 4.0},
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a toy model of every family of this file."""
    import toy_makers

    made = tmp_path_factory.mktemp("makers")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, make in toy_makers.MAKERS.items():
            make(made / name)
    return made


def readers(model: Path) -> dict[str, Any]:
    """The parts of a model that diffusers itself can load with torchvision alone."""
    import transformers

    told = json.loads((model / "model_index.json").read_text(encoding="utf-8"))
    found = {
        kind: told[kind][1] for kind in ("processor", "text_processor") if kind in told and "glm" not in model.name
    }
    return {kind: load_reader(getattr(transformers, name), model / kind) for kind, name in found.items()}


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_mode_of_a_family_makes_what_a_plain_call_makes(folder: Path, shared_bench: Bench, cell: Cell) -> None:
    size = {"output_size": Size(64, 64)} if cell.mode == "txt2img" else {}
    job = shared_bench.job(folder / cell.toy, cell.mode, **size, **cell.said)
    made = shared_bench.engine.render(job, INPUTS[cell.mode], lambda step, of: None)
    assert (job.family, job.pipeline) == (cell.toy.partition("@")[0], cell.pipeline)
    assert pixels(made) == plain(folder, replace(cell, mode="told"), **readers(folder / cell.toy))
    assert [image.size for image in made.images] == [tuple(made_size(job))]


def test_instruction_may_be_written_as_the_model_reads_it(folder: Path, shared_bench: Bench) -> None:
    said = ("make it blue", '{"edit_instruction": "make it blue"}', '"edit_instruction"')
    made = [pixels(shared_bench.render(folder / "bria-fibo-edit", "img2img", prompt=Prompt(each))) for each in said]
    assert made[0] == made[1] != made[2]


def test_model_that_rewrites_prompts_draws_something_else(folder: Path, shared_bench: Bench) -> None:
    said = {"output_size": Size(64, 64)}
    model = folder / "ernie-image@rewriting"
    assert pixels(shared_bench.render(model, **said)) != pixels(shared_bench.render(model, **said, **PLAINLY))


def glm_by_hand(bench: Bench, model: Path, images: list[Any]) -> bytes:
    """Call diffusers' pipeline; its planner's maps, (n * 16, h, w), are told apart by the channels of the toy."""
    import diffusers
    import torch

    told = json.loads((model / "model_index.json").read_text(encoding="utf-8"))
    parts = {c.kind: c.value for c in bench.engine.store if c.kind in told}
    pipe = diffusers.GlmImagePipeline(**parts)
    pipe.set_progress_bar_config(disable=True)
    planner = parts["vision_language_encoder"]
    own = planner.get_image_tokens
    planner.get_image_tokens = lambda maps, grids: own(maps.unflatten(0, (-1, 16)), grids)
    try:
        random = torch.Generator("cpu").manual_seed(7)
        made = pipe(prompt="a red circle", image=images, num_inference_steps=2, generator=random, **SIZE)
    finally:
        del planner.get_image_tokens
    return made.images[0].tobytes()


def test_glm_image_looks_at_one_picture_or_several_together(folder: Path) -> None:
    bench, model, other = Bench(), folder / "glm-image", picture().rotate(90)
    drawn: list[bytes] = []
    for batch, given in ((), [picture()]), (("seed",), [picture(), other]):
        job = bench.job(model, "img2img", prompt=Prompt("a red circle"), image_seed=ImageSeed("seed", batch=batch))
        inputs = Inputs(picture(), batch=tuple(given[1:]))
        drawn += pixels(bench.engine.render(job, inputs, lambda step, of: None))
        assert (job.pipeline, job.pictures) == ("GlmImageSeeingPipeline", 1)
        assert drawn[-1] == glm_by_hand(bench, model, given)
    assert drawn[0] != drawn[1]


@pytest.mark.parametrize("toy", ["krea2", "ernie-image", "qwen-image-21", "bria-fibo", "ideogram4"])
def test_lora_acts_as_in_a_plain_call_and_leaves_no_trace(folder: Path, shared_bench: Bench, toy: str) -> None:
    import toy_families

    lora = toy_families.make_transformer_lora(folder / f"{toy}-lora", folder / toy)
    cell = next(cell for cell in CELLS if cell.toy == toy)
    said = {"output_size": Size(64, 64), **cell.said}
    before = pixels(shared_bench.render(folder / toy, **said))
    made = pixels(shared_bench.render(folder / toy, **said, loras=(LoraUri(model=str(lora)),)))
    assert made == plain(folder, replace(cell, mode="told"), lora=lora, **readers(folder / toy)) != before
    assert pixels(shared_bench.render(folder / toy, **said)) == before


def test_distilled_krea_has_the_steps_of_its_card(folder: Path, shared_bench: Bench) -> None:
    jobs = [shared_bench.job(folder / toy, num_inference_steps=None) for toy in ("krea2", "krea2@distilled")]
    assert [(j.request.num_inference_steps, j.request.guidance_scale) for j in jobs] == [(28, 4.5), (8, 0.0)]
