"""A batch of two has pictures of two seeds, in every mode of every family that makes pictures."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from test_families import CELLS as OF_FAMILIES
from test_families import GUIDED, Cell
from test_todays_families import CELLS as OF_TODAY
from test_todays_families import with_size
from toybench import INPUTS, Bench, mask, picture, pixels

from dgen.engine.protocol import Inputs
from dgen.families.family import PICTURE_MODES
from dgen.families.rows import FAMILIES
from dgen.options.refiner import RefinerUri
from dgen.plan.resolve import Job
from dgen.values.extras import Extra
from dgen.values.image_seed import ImageSeed
from dgen.values.prompt import Prompt
from dgen.values.scalars import Size

EVERY = [
    (name, mode)
    for name, family in FAMILIES.items()
    if not family.makes_video
    for mode in family.pipelines
    if mode in PICTURE_MODES
]
TOYS = {
    "pix2pix": "sd@8", "sd3-pix2pix": "sd3-pix2pix@32", "ifs-img2img": "ifs", "s-cascade": "cascade",
    "kandinsky22-inpaint": "kandinsky22@inpainting",
}  # fmt: skip
"""The toys of families, or of their modes, that are called otherwise."""

FEW = {"num_inference_steps": 1}
OFTEN = {"num_inference_steps": 4}
LARGE = ("hidream", "kandinsky5", "kandinsky5-edit", "longcat-image-edit", "qwen-image-edit")
"""Families that make no small pictures: theirs are not compared with those of each seed alone."""

STAGED = {"image_seed": ImageSeed("seed", floyd="stage1")}
SAID: dict[str, dict[str, Any]] = {
    "sd3-pix2pix": {"model_type": "sd3-pix2pix"},
    "ifs-img2img": {"image_seed": ImageSeed("seed", resize=Size(16, 0)), **FEW},
    "ifs-inpaint": {"image_seed": ImageSeed("seed", mask="mask", floyd="stage1")},
    "ifs-img2img-img2img": {**STAGED, "model_type": "ifs-img2img"},
    "ifs-img2img-inpaint": {"image_seed": ImageSeed("seed", mask="mask", floyd="stage1"), "model_type": "ifs-img2img"},
    "qwen-image-layered": {"layers": 1, **FEW},
    "kandinsky22-img2img": OFTEN,
    "kandinsky3-img2img": OFTEN,
    "longcat-image": {"call": (Extra("enable_prompt_rewrite", "false"),)},
    "glm-image": {"prompt": Prompt("a red circle")},
    "omnigen": {"prompt": Prompt("a red circle")},
    "ideogram4": {"max_sequence_length": 64},
    "qwen-image-21-img2img": {"call": (Extra("output_resolution", "64"),), **FEW},
    "qwen-image-edit-inpaint": {"num_inference_steps": 2},
    "s-cascade": {"second_num_inference_steps": 1},
    **dict.fromkeys(("hidream", "qwen-image-edit-img2img", "qwen-image-edit-plus", "kandinsky5", "sana-sprint"), FEW),
    **dict.fromkeys(("kandinsky5-edit", "longcat-image-edit", "qwen-image-21", "chronoedit"), FEW),
}
PAINTED = {**GUIDED, "width": 64, "height": 64, "strength": 0.8}
IN_TABLES = {f"{c.toy}-{c.mode}": c for c in (*map(with_size, OF_TODAY), *OF_FAMILIES)[::-1]} | {
    "sd-inpaint": Cell("sd", "inpaint", "StableDiffusionInpaintPipeline", PAINTED),
    "sdxl-inpaint": Cell("sdxl", "inpaint", "StableDiffusionXLInpaintPipeline", PAINTED),
}
SEEN_ONCE = (
    "sd-inpaint", "sdxl-inpaint", "sd3-inpaint", "flux-img2img", "flux-inpaint", "flux-fill-inpaint",
    "qwen-image-img2img", "qwen-image-inpaint", "z-image-img2img", "z-image-inpaint", "chroma-img2img",
    "upscaler-x4-img2img",
)  # fmt: skip
"""Where diffusers looks at the picture once, with the generator of the first: the others are not those of their seeds
alone, but those of a plain call."""

OURS = ("kolors-inpaint", "chroma-inpaint")
"""Pipelines that do as much, and are not those of diffusers."""


def size_of(name: str, mode: str, toy: Path) -> dict[str, Any]:
    """What is said of the size: the smallest, where the family does not choose."""
    if name == "s-cascade":
        decoder = {"s_cascade_decoder": RefinerUri(model=str(toy.with_name("cascade-decoder")))}
        big = Size(128, 128)
        return decoder | ({"output_size": big} if mode == "txt2img" else {"image_seed": ImageSeed("seed", resize=big)})
    is_free = mode == "txt2img" and mode not in FAMILIES[name].draws
    return {"output_size": Size(64, 64)} if is_free else {}


def inputs_of(job: Job) -> Inputs:
    """The pictures of a job, of its size."""
    seed = job.request.image_seed
    if seed is None:
        return Inputs()
    stage = picture().resize((16, 16)) if seed.floyd else None
    return Inputs(picture().resize(job.size), mask().resize(job.size) if seed.mask else None, stage=stage)


def rendered(bench: Bench, toy: Path, mode: str, said: dict[str, Any]) -> list[Image.Image]:
    job = bench.job(toy, mode, **said)
    return list(bench.engine.render(job, inputs_of(job), lambda step, of: None).images)


def furthest(one: Image.Image, other: Image.Image) -> int:
    """How far the values of two pictures are apart at most, of 255."""
    return int(np.abs(np.asarray(one, int) - np.asarray(other, int)).max())


@pytest.mark.parametrize(("name", "mode"), [each for each in EVERY if "-".join(each) not in SEEN_ONCE])
def test_second_picture_of_a_batch_is_that_of_the_next_seed(
    shared_bench: Bench, toy_named: Callable[[str], Path], name: str, mode: str
) -> None:
    toy = toy_named(TOYS.get(f"{name}-{mode}", TOYS.get(name, name)))
    if name == "s-cascade":
        toy_named("cascade-decoder")
    said = {**size_of(name, mode, toy), **SAID.get(f"{name}-{mode}", SAID.get(name, {}))}
    both = rendered(shared_bench, toy, mode, {**said, "num_images_per_prompt": 2})
    half = len(both) // 2
    assert half == (2 if name == "marigold-intrinsics" else 1)
    assert [i.tobytes() for i in both[:half]] != [i.tobytes() for i in both[half:]]
    if name not in LARGE:
        seed, place = (7, 0) if f"{name}-{mode}" in OURS else (8, half)
        alone = rendered(shared_bench, toy, mode, {**said, "seed": seed})
        for made, wanted in zip(both[place : place + half], alone, strict=True):
            assert furthest(made, wanted) <= 2  # of 255: sums of several are added in another order


@pytest.mark.parametrize("name", SEEN_ONCE)
def test_batch_that_sees_a_picture_once_is_a_plain_call(
    shared_bench: Bench, toy_named: Callable[[str], Path], name: str
) -> None:
    cell = IN_TABLES[name]
    toy = toy_named(cell.toy)
    steps = {"num_inference_steps": cell.call.get("num_inference_steps", 2)}
    job = shared_bench.job(toy, cell.mode, **{**steps, **cell.said, "num_images_per_prompt": 2})
    made = shared_bench.engine.render(job, INPUTS[cell.mode], lambda step, of: None)
    assert pixels(made) == plainly(toy, cell, [7, 8], **steps)


def plainly(toy: Path, cell: Cell, seeds: list[int], **more: Any) -> list[bytes]:
    """Call the pipeline of a cell as diffusers' documentation says, for a picture of each seed."""
    from test_todays_families import processors

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import diffusers
        import torch

        pipe = getattr(diffusers, cell.pipeline).from_pretrained(toy, **processors(toy))
        pipe.set_progress_bar_config(disable=True)
        given = {"img2img": {"image": picture()}, "inpaint": {"image": picture(), "mask_image": mask()}}
        random = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        call = {**given.get(cell.mode, {}), **more, **cell.call, "num_images_per_prompt": len(seeds)}
        made = pipe(generator=random, **call)
    return [image.convert("RGB").tobytes() for image in made.images]


@pytest.mark.parametrize(("name", "mode"), [("kandinsky22", "img2img"), ("sd3", "img2img"), ("kandinsky3", "img2img")])
def test_pictures_of_a_list_are_each_changed_with_a_seed_of_their_own(
    shared_bench: Bench, toy_named: Callable[[str], Path], name: str, mode: str
) -> None:
    toy, other = toy_named(name), picture().rotate(90)
    seed = {"image_seed": ImageSeed("seed", batch=("seed",)), "num_inference_steps": 4}
    job = shared_bench.job(toy, mode, **seed, num_images_per_prompt=2)
    made = shared_bench.engine.render(job, Inputs(picture(), batch=(other,)), lambda step, of: None).images
    assert len(made) == job.begun == 4
    for number, image in enumerate(made):
        alone = shared_bench.job(toy, mode, seed=7 + number, num_inference_steps=4)
        inputs = Inputs((picture(), other)[number % 2])
        (wanted,) = shared_bench.engine.render(alone, inputs, lambda step, of: None).images
        assert furthest(image, wanted) <= 2


def test_masks_of_a_list_go_with_their_pictures(shared_bench: Bench, toy_named: Callable[[str], Path]) -> None:
    toy, other, turned = toy_named("kandinsky22@inpainting"), picture().rotate(90), mask().rotate(90)
    seed = ImageSeed("seed", mask="mask", batch=("seed",), batch_masks=("mask",))
    job = shared_bench.job(toy, "inpaint", image_seed=seed)
    inputs = Inputs(picture(), mask(), batch=(other,), batch_masks=(turned,))
    made = shared_bench.engine.render(job, inputs, lambda step, of: None)
    alone = shared_bench.job(toy, "inpaint", seed=8)
    wanted = shared_bench.engine.render(alone, Inputs(other, turned), lambda step, of: None)
    assert pixels(made)[1] == pixels(wanted)[0]


def test_jobs_of_a_family_that_makes_one_at_a_time_are_made_in_turn(
    shared_bench: Bench, toy_named: Callable[[str], Path]
) -> None:
    said = {"output_size": Size(64, 64), "num_images_per_prompt": 2}
    jobs = [shared_bench.job(toy_named("kandinsky22"), seed=seed, **said) for seed in (7, 9)]
    alone = [pixels(shared_bench.render(toy_named("kandinsky22"), **{**said, "seed": seed})) for seed in (7, 9)]
    made = shared_bench.engine.render(jobs[0], replace(Inputs(), pack=tuple(jobs)), lambda step, of: None)
    assert (made.parts, pixels(made)) == ((1, 1), [*alone[0], *alone[1]])
