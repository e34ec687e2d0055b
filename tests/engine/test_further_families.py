"""Families that refine, follow, decompose or repaint pictures make what a plain call of their pipelines makes."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from test_families import SIZE, Cell, plain
from toybench import INPUTS, Bench, developed, mask, picture, pixels

from dgen.cli.main import main
from dgen.engine.protocol import EngineError, Inputs
from dgen.engine.standins import transforms
from dgen.values.extras import Extra
from dgen.values.image_seed import ImageSeed
from dgen.values.prompt import Prompt
from dgen.values.scalars import Size

SAID = {"prompt": "a red circle", "negative_prompt": "blurry"}
ALONE = {"prompt": Prompt("a red circle")}
SEEN = {"prompt": "<img><|image_1|></img> a red circle", "input_images": [picture()], "guidance_scale": 2.5}
CELLS = (
    Cell("omnigen", "txt2img", "OmniGenPipeline", {"prompt": "a red circle", "guidance_scale": 2.5}, ALONE),
    Cell("omnigen", "img2img", "OmniGenPipeline", {**SEEN, "img_guidance_scale": 1.6}, ALONE),
    Cell(
        "omnigen", "img2img", "OmniGenPipeline", {**SEEN, "img_guidance_scale": 3.0},
        {**ALONE, "image_guidance_scale": 3.0},
    ),
    Cell("cogview4-control", "img2img", "CogView4ControlPipeline", {**SAID, "control_image": picture()}),
    Cell("hunyuan-image-refiner", "img2img", "HunyuanImageRefinerPipeline", {**SAID, "image": picture()}),
    Cell(
        "hunyuan-image-refiner", "img2img", "HunyuanImageRefinerPipeline",
        {**SAID, "image": picture(), "distilled_guidance_scale": 5.0}, {"guidance_scale": 5.0},
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a toy model of every family of this file."""
    import toy_further

    made = tmp_path_factory.mktemp("further")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, make in toy_further.FURTHER.items():
            make(made / name)
    return made


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_mode_of_a_family_makes_what_a_plain_call_makes(folder: Path, shared_bench: Bench, cell: Cell) -> None:
    size = {"output_size": Size(64, 64)} if cell.mode == "txt2img" else {}
    job = shared_bench.job(folder / cell.toy, cell.mode, **size, **cell.said)
    made = shared_bench.engine.render(job, INPUTS[cell.mode], lambda step, of: None)
    assert (job.family, job.pipeline) == (cell.toy, cell.pipeline)
    assert pixels(made) == plain(folder, replace(cell, mode="told", call={**SIZE, **cell.call}))


def test_prompt_of_omnigen_says_where_its_pictures_stand(folder: Path, shared_bench: Bench) -> None:
    other = picture().rotate(90)
    said = "like <img><|image_2|></img> but as in <img><|image_1|></img>"
    job = shared_bench.job(
        folder / "omnigen", "img2img", prompt=Prompt(said), image_seed=ImageSeed("seed", batch=("seed",))
    )
    made = shared_bench.engine.render(job, Inputs(picture(), batch=(other,)), lambda step, of: None)
    call = {"prompt": said, "input_images": [picture(), other], **SIZE}
    assert pixels(made) == plain(folder, Cell("omnigen", "told", "OmniGenPipeline", call))


def test_pictures_are_prepared_for_omnigen_as_its_format_says(folder: Path) -> None:
    from diffusers.pipelines.omnigen.processor_omnigen import OmniGenMultiModalProcessor

    odd = Image.fromarray(np.random.default_rng(3).integers(0, 256, (50, 83, 3), np.uint8))
    made = OmniGenMultiModalProcessor(None, max_image_size=64).process_image(odd).numpy()
    small = np.asarray(odd.resize((64, 39), Image.Resampling.BICUBIC), np.float64)[3:35]  # 64 at most, by 16
    assert made.shape == (3, 32, 64)
    assert np.abs(made - (small / 127.5 - 1).transpose(2, 0, 1)).max() < 1e-6


def test_resizing_to_cells_takes_the_nearest_as_numpy_does() -> None:
    import torch

    cells = torch.arange(48.0).view(1, 1, 6, 8)
    assert (transforms.functional.resize(cells, [3, 4], "nearest") == cells[..., ::2, ::2]).all()
    assert (transforms.functional.resize(cells[0], [3, 4], "nearest") == cells[0, :, ::2, ::2]).all()


def chroma(folder: Path) -> Any:
    """The pipeline of diffusers, with the setting that it asks for."""
    import diffusers

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipe = diffusers.ChromaInpaintPipeline.from_pretrained(folder / "chroma")
    pipe.set_progress_bar_config(disable=True)
    pipe.transformer.register_to_config(guidance_embeds=False)
    return pipe


def test_chroma_repaints_as_a_plain_call_that_knows_the_setting_does(folder: Path, shared_bench: Bench) -> None:
    import torch

    job = shared_bench.job(folder / "chroma", "inpaint", num_inference_steps=3)
    made = pixels(shared_bench.engine.render(job, INPUTS["inpaint"], lambda step, of: None))
    call = {**SAID, **SIZE, "guidance_scale": 7.0, "strength": 0.6, "num_inference_steps": 3}
    random = torch.Generator("cpu").manual_seed(7)
    plainly = chroma(folder)(image=picture(), mask_image=mask(), generator=random, **call).images
    assert (job.pipeline, made) == ("ChromaInpaintingPipeline", [image.tobytes() for image in plainly])


def test_chroma_keeps_what_the_mask_does_not_mark(folder: Path, shared_bench: Bench) -> None:
    import torch

    latents: list[Any] = []
    for text in ("a red circle", "a blue square"):
        job = shared_bench.job(folder / "chroma", "inpaint", prompt=Prompt(text), image_format="safetensors")
        (made,) = shared_bench.engine.render(job, INPUTS["inpaint"], lambda step, of: None).latents
        latents.append(made.tensor.view(16, 16, 16))  # four pixels each way, packed
    pipe = chroma(folder)
    seen = pipe.image_processor.preprocess(picture(), 64, 64)
    with torch.no_grad():
        own = pipe.vae.encode(seen).latent_dist.sample(torch.Generator("cpu").manual_seed(7))
    own = (own - pipe.vae.config.shift_factor) * pipe.vae.config.scaling_factor
    packed = pipe._pack_latents(own, 1, 4, 32, 32).view(16, 16, 16)
    for made in latents:
        assert torch.allclose(made[:, :8], packed[:, :8], atol=1e-5)
        assert not torch.isclose(made[:, 8:], packed[:, 8:], atol=1e-2).all(dim=-1).any()
    assert (latents[0][:, :8] == latents[1][:, :8]).all()
    assert not (latents[0][:, 8:] == latents[1][:, 8:]).all()


def test_transformer_of_chroma_says_afterwards_what_it_said_before(folder: Path, shared_bench: Bench) -> None:
    shared_bench.render(folder / "chroma", "inpaint")
    (held,) = shared_bench.engine.save_modules(["transformer"]).values()
    assert "guidance_embeds" not in held.value.config


def test_marigold_takes_a_picture_apart_as_a_plain_call_does(
    folder: Path, shared_bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = intrinsics(folder / "marigold-intrinsics")
    job = shared_bench.job(folder / "marigold-intrinsics", "img2img", prompt=Prompt(), num_inference_steps=None)
    made = shared_bench.engine.render(job, INPUTS["img2img"], lambda step, of: None)
    assert (job.family, job.pictures) == ("marigold-intrinsics", 2)
    assert pixels(made) == [drawn[name].tobytes() for name in ("albedo", "shading")]
    monkeypatch.chdir(tmp_path)
    picture().save("seed.png")
    assert main([str(folder / "marigold-intrinsics"), "--image-seeds", "seed.png", "--output-path", "made"]) == 0
    assert len(list(Path("made").glob("*.png"))) == 2


def intrinsics(model: Path, seed: int = 7) -> dict[str, Any]:
    """What a plain call of diffusers draws of each target."""
    import diffusers
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipe = diffusers.MarigoldIntrinsicsPipeline.from_pretrained(model)
        pipe.set_progress_bar_config(disable=True)
        seen = pipe(picture(), generator=torch.Generator("cpu").manual_seed(seed)).prediction
    return pipe.image_processor.visualize_intrinsics(seen, pipe.target_properties)[0]


def test_processor_draws_one_of_the_intrinsics(folder: Path, shared_bench: Bench) -> None:
    word = f"marigold;mode=intrinsics;model={folder / 'marigold-intrinsics'}"
    drawn = intrinsics(folder / "marigold-intrinsics", 0)
    for name, more in (("albedo", ""), ("shading", ";target=shading")):
        assert (developed(shared_bench, word + more) == np.asarray(drawn[name])).all()
    with pytest.raises(EngineError, match="no target `gloss`"):
        developed(shared_bench, f"{word};target=gloss")
    with pytest.raises(EngineError, match="is for `mode=intrinsics`"):
        developed(shared_bench, "marigold;target=albedo")


def test_size_of_pictures_that_omnigen_looks_at_is_said_with_call(folder: Path, shared_bench: Bench) -> None:
    said = {**ALONE, "call": (Extra("max_input_image_size", "32"),)}
    made = pixels(shared_bench.render(folder / "omnigen", "img2img", **said))
    call = {**SEEN, "img_guidance_scale": 1.6, "max_input_image_size": 32, **SIZE}
    assert made == plain(folder, Cell("omnigen", "told", "OmniGenPipeline", call))
