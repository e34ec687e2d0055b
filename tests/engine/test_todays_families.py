"""Today's image families make in every mode what a plain call of their diffusers pipeline makes."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from test_families import SIZE, Cell, plain
from toybench import INPUTS, Bench, mask, picture, pixels

from dgen.check.follow import check_source
from dgen.cli.main import main
from dgen.diagnostic import Source
from dgen.engine.processors import load_reader
from dgen.engine.protocol import Inputs
from dgen.families.rows import FAMILIES
from dgen.options.attachments import ControlNetUri, LoraUri, TextualInversionUri
from dgen.options.refiner import RefinerUri
from dgen.options.request import ROWS
from dgen.plan.abilities import modes_with
from dgen.plan.resolve import made_size
from dgen.values.extras import Extra
from dgen.values.image_seed import ImageSeed
from dgen.values.prompt import Prompt
from dgen.values.scalars import Size

SAID = {"prompt": "a red circle", "negative_prompt": "blurry"}
ALONE = {"prompt": "a red circle"}
SPRINT = {**ALONE, "guidance_scale": 4.5}
ONCE, TWICE = {"num_inference_steps": 1}, {"num_inference_steps": 2}
CELLS = (
    Cell("qwen-image", "txt2img", "QwenImagePipeline", {**SAID, "true_cfg_scale": 4.0}),
    Cell("qwen-image", "img2img", "QwenImageImg2ImgPipeline", {**SAID, "true_cfg_scale": 4.0, "strength": 0.6}),
    Cell("qwen-image", "inpaint", "QwenImageInpaintPipeline", {**SAID, "true_cfg_scale": 4.0, "strength": 0.6}),
    Cell(
        "qwen-image", "txt2img", "QwenImagePipeline",
        {**ALONE, "negative_prompt": " ", "true_cfg_scale": 2.0},
        {"prompt": Prompt("a red circle"), "guidance_scale": 2.0},
    ),
    Cell("qwen-image-edit", "img2img", "QwenImageEditPipeline", {**SAID, "true_cfg_scale": 4.0, **ONCE}, ONCE),
    Cell("qwen-image-edit", "inpaint", "QwenImageEditInpaintPipeline", {**SAID, **TWICE, "strength": 0.6}, TWICE),
    Cell("qwen-image-edit-plus", "img2img", "QwenImageEditPlusPipeline", {**SAID, "true_cfg_scale": 4.0, **ONCE}, ONCE),
    Cell("z-image", "txt2img", "ZImagePipeline", {**SAID, "guidance_scale": 5.0}),
    Cell("z-image", "img2img", "ZImageImg2ImgPipeline", {**SAID, "guidance_scale": 5.0, "strength": 0.6}),
    Cell("z-image", "inpaint", "ZImageInpaintPipeline", {**SAID, "guidance_scale": 5.0, "strength": 1.0}),
    Cell("flux2", "txt2img", "Flux2Pipeline", {**ALONE, "guidance_scale": 4.0}),
    Cell("flux2", "img2img", "Flux2Pipeline", {**ALONE, "guidance_scale": 4.0}),
    Cell("flux2-klein", "txt2img", "Flux2KleinPipeline", {**ALONE, "guidance_scale": 4.0}),
    Cell("flux2-klein", "img2img", "Flux2KleinPipeline", {**ALONE, "guidance_scale": 4.0}),
    Cell("flux2-klein", "inpaint", "Flux2KleinInpaintPipeline", {**ALONE, "guidance_scale": 8.0, "strength": 0.8}),
    Cell("chroma", "txt2img", "ChromaPipeline", {**SAID, "guidance_scale": 5.0}),
    Cell("chroma", "img2img", "ChromaImg2ImgPipeline", {**SAID, "guidance_scale": 5.0, "strength": 0.9}),
    Cell("sana", "txt2img", "SanaPipeline", {**SAID, "guidance_scale": 4.5}),
    Cell("sana-sprint", "txt2img", "SanaSprintPipeline", {**SPRINT, "intermediate_timesteps": None}),
    Cell(
        "sana-sprint", "txt2img", "SanaSprintPipeline",
        {**SPRINT, "num_inference_steps": 2}, {"num_inference_steps": 2},
    ),
    Cell(
        "sana-sprint", "img2img", "SanaSprintImg2ImgPipeline",
        {**SPRINT, "strength": 0.6, "intermediate_timesteps": None},
    ),
    Cell("pixart-sigma", "txt2img", "PixArtSigmaPipeline", {**SAID, "guidance_scale": 4.5}),
    Cell("pixart-alpha", "txt2img", "PixArtAlphaPipeline", {**SAID, "guidance_scale": 4.5}),
    Cell("lumina2", "txt2img", "Lumina2Pipeline", {**SAID, "guidance_scale": 4.0}),
    Cell("auraflow", "txt2img", "AuraFlowPipeline", {**SAID, "guidance_scale": 3.5}),
    Cell("cogview4", "txt2img", "CogView4Pipeline", {**SAID, "guidance_scale": 5.0}),
    Cell(
        "hidream", "txt2img", "HiDreamImagePipeline",
        {**SAID, "guidance_scale": 5.0, "num_inference_steps": 1}, {"num_inference_steps": 1},
    ),
    Cell("bria", "txt2img", "BriaPipeline", {**SAID, "guidance_scale": 5}),
    Cell("latent-consistency", "txt2img", "LatentConsistencyModelPipeline", {**ALONE, "guidance_scale": 8.5}),
    Cell("latent-consistency", "img2img", "LatentConsistencyModelImg2ImgPipeline", {**ALONE, "strength": 0.8}),
    Cell("hunyuan-image", "txt2img", "HunyuanImagePipeline", SAID),
    Cell(
        "hunyuan-image@distilled", "txt2img", "HunyuanImagePipeline",
        {**SAID, "distilled_guidance_scale": 2.0}, {"guidance_scale": 2.0},
    ),
    Cell("hunyuan-dit", "txt2img", "HunyuanDiTPipeline", {**SAID, "use_resolution_binning": False}),
    Cell("kandinsky22", "txt2img", "KandinskyV22CombinedPipeline", {**SAID, "guidance_scale": 4.0}),
    Cell(
        "kandinsky22", "txt2img", "KandinskyV22CombinedPipeline",
        {**SAID, "prior_num_inference_steps": 3, "prior_guidance_scale": 2.0},
        {"call": (Extra("prior_num_inference_steps", "3"), Extra("prior_guidance_scale", "2"))},
    ),
    Cell(
        "kandinsky22", "img2img", "KandinskyV22Img2ImgCombinedPipeline",
        {**SAID, "strength": 0.3, "num_inference_steps": 4}, {"num_inference_steps": 4},
    ),
    Cell("kandinsky22@inpainting", "inpaint", "KandinskyV22InpaintCombinedPipeline", SAID),
    Cell("kandinsky3", "txt2img", "Kandinsky3Pipeline", {**SAID, "guidance_scale": 3.0}),
    Cell(
        "kandinsky3", "img2img", "Kandinsky3Img2ImgPipeline",
        {**SAID, "strength": 0.3, "num_inference_steps": 4}, {"num_inference_steps": 4},
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a toy model of every family of this file."""
    import toy_today

    made = tmp_path_factory.mktemp("today")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, make in (toy_today.TODAY | toy_today.NETS).items():
            make(made / name)
    return made


@pytest.fixture(scope="module")
def bench() -> Bench:
    """An engine that all cells share: what a family leaves behind would show in the next one."""
    return Bench()


def said_of(cell: Cell) -> dict[str, Any]:
    """What a cell says to dgen: a size where no picture has one, and what stands in it."""
    size = {"output_size": Size(64, 64)} if cell.mode == "txt2img" else {}
    return {"num_inference_steps": 3, **size, **cell.said}


def processors(model: Path) -> dict[str, Any]:
    """The processor of a model, which diffusers itself can load with torchvision alone."""
    from transformers import Qwen2VLProcessor

    place = model / "processor"
    return {"processor": load_reader(Qwen2VLProcessor, place)} if place.is_dir() else {}


def test_processor_without_torchvision_reads_pictures_and_text(folder: Path) -> None:
    from transformers import AutoImageProcessor, AutoTokenizer

    place = folder / "qwen-image-edit" / "processor"
    reader = processors(place.parent)["processor"]
    made = reader(text=["<|vision_start|><|image_pad|><|vision_end|>a"], images=picture(), return_tensors="pt")
    wanted = AutoImageProcessor.from_pretrained(place)(images=picture(), return_tensors="pt")
    text = "<|vision_start|>" + "<|image_pad|>" * 4 + "<|vision_end|>a"  # 56x56 pixels: 4 patches of 28x28
    assert (made["pixel_values"] == wanted["pixel_values"]).all()
    assert made["image_grid_thw"].tolist() == [[1, 4, 4]]
    assert made["input_ids"].tolist() == AutoTokenizer.from_pretrained(place)([text])["input_ids"]


def with_size(cell: Cell) -> Cell:
    """The cell with the size and the steps that every plain call is given, on a model that it can load."""
    toy = {"flux2": "flux2@plain"}.get(cell.toy, cell.toy)
    return replace(cell, toy=toy, call={**SIZE, "num_inference_steps": 3, **cell.call})


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_mode_of_a_family_makes_what_a_plain_call_makes(folder: Path, bench: Bench, cell: Cell) -> None:
    job = bench.job(folder / cell.toy, cell.mode, **said_of(cell))
    made = bench.engine.render(job, INPUTS[cell.mode], lambda step, steps: None)
    assert (job.family, job.pipeline) == (cell.toy.partition("@")[0], cell.pipeline)
    assert pixels(made) == plain(folder, with_size(cell), **processors(folder / cell.toy))
    assert {image.size for image in made.images} == {tuple(made_size(job))}


def first_of(toy: str) -> Cell:
    """The first cell of a family: what it draws from text, or else from a picture."""
    return next(cell for cell in CELLS if cell.toy == toy)


def learning(option: str) -> list[str]:
    """The families of this file that can use an option."""
    toys = [toy for toy in dict.fromkeys(cell.toy for cell in CELLS) if "@" not in toy]
    return [toy for toy in toys if modes_with(FAMILIES[toy], ROWS[option])]


@pytest.mark.parametrize("toy", learning("loras"))
def test_lora_acts_as_in_a_plain_call_and_leaves_no_trace(folder: Path, bench: Bench, toy: str) -> None:
    import toy_adapters
    import toy_families

    is_unet = (folder / toy / "unet").is_dir()
    make = toy_adapters.make_kohya_lora if is_unet else toy_families.make_transformer_lora
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lora, cell = make(folder / f"{toy}-lora{'.safetensors' * is_unet}", folder / toy), first_of(toy)
    before = pixels(bench.render(folder / toy, cell.mode, **said_of(cell)))
    made = pixels(bench.render(folder / toy, cell.mode, loras=(LoraUri(model=str(lora)),), **said_of(cell)))
    assert made == plain(folder, with_size(cell), lora=lora, **processors(folder / toy))
    assert pixels(bench.render(folder / toy, cell.mode, **said_of(cell))) == before != made


def test_guidance_reaches_the_guiders_of_a_model_and_leaves_no_trace_in_them(folder: Path, bench: Bench) -> None:
    size = {"output_size": Size(64, 64)}
    own = pixels(bench.render(folder / "hunyuan-image", **size))
    strong = pixels(bench.render(folder / "hunyuan-image", guidance_scale=9.0, **size))
    assert own == pixels(bench.render(folder / "hunyuan-image", **size)) != strong
    from diffusers.guiders import AdaptiveProjectedMixGuidance

    cell = Cell("hunyuan-image", "txt2img", "HunyuanImagePipeline", {**SAID, **SIZE})
    guided = AdaptiveProjectedMixGuidance(guidance_scale=9.0)
    assert strong == plain(folder, cell, guider=guided, ocr_guider=guided.new())


def test_layers_of_a_picture_keep_their_transparency_as_in_a_plain_call(folder: Path, bench: Bench) -> None:
    import diffusers
    import torch

    toy = folder / "qwen-image-layered"
    pipe = diffusers.QwenImageLayeredPipeline.from_pretrained(toy, **processors(toy))
    pipe.set_progress_bar_config(disable=True)
    call = {**SAID, **ONCE, "true_cfg_scale": 4.0, "layers": 2, "image": picture().convert("RGBA")}
    plainly = pipe(generator=torch.Generator("cpu").manual_seed(7), **call).images[0]
    job = bench.job(toy, "img2img", layers=2, **ONCE)
    made = bench.engine.render(job, INPUTS["img2img"], lambda step, steps: None)
    assert (job.family, job.pipeline, job.pictures) == (toy.name, "QwenImageLayeredPipeline", 2)
    assert [image.mode for image in made.images] == ["RGBA"] * 2
    assert pixels(made) == [image.tobytes() for image in plainly]
    assert {image.size for image in made.images} == {tuple(made_size(job))}
    assert len({image.getchannel("A").tobytes() for image in made.images}) == 2


def test_layers_of_a_batch_are_those_of_each_picture_in_order(folder: Path, bench: Bench) -> None:
    toy, said = folder / "qwen-image-layered", {"layers": 2, **ONCE}
    both = bench.render(toy, "img2img", num_images_per_prompt=2, **said).images
    alone = [bench.render(toy, "img2img", seed=seed, **said).images for seed in (7, 8)]
    assert len(both) == 4
    for made, wanted in zip(both, [*alone[0], *alone[1]], strict=True):
        difference = np.abs(np.asarray(made, np.int16) - np.asarray(wanted, np.int16))
        assert difference.max() <= 2  # of 255: a batch sums in another order


def test_layers_are_written_with_their_transparency_and_on_white_where_there_is_none(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    picture().save("seed.png")
    said = ["--prompts", "a", "--image-seeds", "seed.png", "--layers", "2", "--inference-steps", "1", "--seeds", "7"]
    for ending in ("png", "jpg"):
        words = [str(folder / "qwen-image-layered"), *said, "--image-format", ending, "--output-path", "made"]
        assert main(words) == 0
    drawn, plain = ([Image.open(p) for p in sorted(Path("made").glob(f"*.{e}"))] for e in ("png", "jpg"))
    assert [each.mode for each in (*drawn, *plain)] == ["RGBA", "RGBA", "RGB", "RGB"]
    for layer, made in zip(drawn, plain, strict=True):
        paper = Image.new("RGBA", layer.size, "white")
        paper.alpha_composite(layer)
        wanted = np.asarray(paper.convert("RGB"), np.int16)
        assert np.abs(np.asarray(made, np.int16) - wanted).mean() < 4  # of 255: JPEG loses a little


def test_prior_beside_a_model_of_kandinsky_makes_what_both_in_one_make(folder: Path, bench: Bench) -> None:
    cell = first_of("kandinsky22")
    one, other = (RefinerUri(model=str(folder / f"kandinsky22-prior{name}")) for name in ("", "@other"))
    both = plain(folder, with_size(cell))
    assert pixels(bench.render(folder / "kandinsky22@alone", prior=one, **said_of(cell))) == both
    assert pixels(bench.render(folder / "kandinsky22@alone", prior=other, **said_of(cell))) != both
    assert pixels(bench.render(folder / "kandinsky22", prior=other, **said_of(cell))) != both
    assert pixels(bench.render(folder / "kandinsky22", **said_of(cell))) == both


def test_prior_of_kandinsky_has_a_default_and_is_checked(folder: Path, bench: Bench) -> None:
    priors = [bench.job(folder / toy).request.prior for toy in ("kandinsky22@alone", "kandinsky22")]
    assert priors == [RefinerUri(model="kandinsky-community/kandinsky-2-2-prior"), None]
    text = (
        f"{folder / 'kandinsky22@alone'} --prompts x --prior {folder / 'kandinsky3'}\n"
        f"{folder / 'kandinsky22@alone'} --prompts x --prior {folder / 'nowhere'}\n"
        f"{folder / 'kandinsky3'} --prompts x --prior {folder / 'kandinsky22-prior'}\n"
    )
    found = [d for d in check_source(Source("s.dgen", text)) if d.severity == "error"]
    assert [d.message.replace(str(folder), "") for d in found] == [
        "`/kandinsky3` is no prior of Kandinsky 2.2: its class is `Kandinsky3Pipeline`",
        "there is no file or folder `/nowhere`",
        "Kandinsky 3 cannot use `--prior` in txt2img",
    ]


NETS = (
    Cell("qwen-image", "txt2img", "QwenImageControlNetPipeline", {**SAID, "true_cfg_scale": 4.0}),
    Cell(
        "qwen-image", "inpaint", "QwenImageControlNetInpaintPipeline",
        {**SAID, "true_cfg_scale": 4.0, "control_mask": mask()},
    ),
    Cell("z-image", "txt2img", "ZImageControlNetPipeline", SAID),
    Cell("z-image", "inpaint", "ZImageControlNetInpaintPipeline", {**SAID, "image": picture(), "mask_image": mask()}),
    Cell("sana", "txt2img", "SanaControlNetPipeline", SAID),
    Cell("hunyuan-dit", "txt2img", "HunyuanDiTControlNetPipeline", {**SAID, "use_resolution_binning": False}),
)  # fmt: skip


@pytest.mark.parametrize("cell", NETS, ids=str)
def test_control_net_steers_as_in_a_plain_call_and_leaves_no_trace(folder: Path, bench: Bench, cell: Cell) -> None:
    is_painting = cell.mode == "inpaint"
    net = folder / (f"{cell.toy}-inpaint-net" if is_painting and cell.toy == "qwen-image" else f"{cell.toy}-net")
    seed = ImageSeed("seed", mask="mask", control=("seed",)) if is_painting else ImageSeed("seed")
    first = first_of(cell.toy)
    before = pixels(bench.render(folder / cell.toy, first.mode, **said_of(first)))
    nets = (ControlNetUri(model=str(net), scale=0.8),)
    job = bench.job(folder / cell.toy, cell.mode, image_seed=seed, control_nets=nets, num_inference_steps=3)
    inputs = replace(INPUTS[cell.mode], controls=(picture(),))
    made = pixels(bench.engine.render(job, inputs, lambda step, steps: None))
    call = {**SIZE, "num_inference_steps": 3, "controlnet_conditioning_scale": 0.8, "control_image": picture()}
    plainly = replace(cell, mode="txt2img", call=call | cell.call)
    assert job.pipeline == cell.pipeline
    assert made == plain(folder, plainly, net=net)
    assert pixels(bench.render(folder / cell.toy, first.mode, **said_of(first))) == before != made


def test_pictures_that_cannot_be_made_at_once_are_made_one_after_another(folder: Path, bench: Bench) -> None:
    said = {"output_size": Size(64, 64), "prompt": Prompt("a red circle")}
    jobs = [bench.job(folder / "flux2-klein", **{**said, "seed": seed, "batch_jobs": 2}) for seed in (7, 8)]
    alone = [pixels(bench.engine.render(job, Inputs(), lambda step, steps: None)) for job in jobs]
    made = bench.engine.render(jobs[0], Inputs(pack=tuple(jobs)), lambda step, steps: None)
    assert made.parts == (1, 1)
    assert pixels(made) == [*alone[0], *alone[1]]


@pytest.mark.parametrize("toy", ["flux2", "flux2-klein", "qwen-image-edit-plus"])
def test_several_pictures_are_looked_at_together(folder: Path, bench: Bench, toy: str) -> None:
    cell = next(cell for cell in CELLS if cell.toy == toy and cell.mode == "img2img")
    other = picture().transpose(Image.Transpose.ROTATE_90)
    job = bench.job(
        folder / toy, "img2img", **said_of(cell) | ONCE | {"image_seed": ImageSeed("seed", batch=("seed",))}
    )
    made = bench.engine.render(job, Inputs(picture(), batch=(other,)), lambda step, steps: None)
    both = replace(cell, mode="both", call={**cell.call, **ONCE, "image": [picture(), other]})
    assert job.pictures == len(made.images) == 1
    assert pixels(made) == plain(folder, with_size(both), **processors(folder / toy))


WORD = {"textual_inversions": (TextualInversionUri(model="word.pt", token="circle"),)}
CACHED = {"deep_cache": True, "deep_cache_interval": 2}


@pytest.mark.parametrize(
    ("toy", "said"),
    [("chroma", WORD), ("latent-consistency", WORD), ("latent-consistency", CACHED)],
    ids=["chroma-word", "latent-consistency-word", "latent-consistency-cache"],
)
def test_what_attaches_changes_the_picture_and_leaves_no_trace(
    folder: Path, bench: Bench, toy: str, said: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import toy_adapters

    monkeypatch.chdir(folder)
    toy_adapters.make_old_word(folder / "word.pt", "circle", 1)
    before = pixels(bench.render(folder / toy, **said_of(first_of(toy))))
    assert pixels(bench.render(folder / toy, **said_of(first_of(toy)), **said)) != before
    assert pixels(bench.render(folder / toy, **said_of(first_of(toy)))) == before


@pytest.mark.parametrize("ending", ["apng", "webp", "gif", "mp4"])
def test_layers_of_an_animation_keep_their_transparency_where_the_format_has_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ending: str
) -> None:
    monkeypatch.chdir(tmp_path)
    first = picture()
    first.save("seed.gif", save_all=True, append_images=[first.rotate(90)], duration=200)
    words = [str(folder / "qwen-image-layered"), "--prompts", "a", "--image-seeds", "seed.gif", "--layers", "2"]
    words += ["--inference-steps", "1", "--seeds", "7", "--animation-format", ending, "--output-path", "made"]
    assert main(words) == 0
    films = sorted(Path("made").glob(f"*.{ending}"))
    frames = sorted(p for p in Path("made").glob("*.png"))
    assert (len(films), len(frames)) == (2, 4)
    told = capsys.readouterr()
    assert ("which `mp4` does not hold" in told.err + told.out) == (ending == "mp4")
    if ending == "mp4":
        return
    layers = [Image.open(frame).convert("RGBA") for frame in frames]
    for number, film in enumerate(films):
        with Image.open(film) as opened:
            opened.seek(0)
            made = np.asarray(opened.convert("RGBA").getchannel("A"), np.int16)
        near = min(np.abs(made - clear(layer, ending)).mean() for layer in layers)
        assert made.min() < 255, number
        assert near < {"apng": 0.01, "webp": 12, "gif": 1}[ending]  # of 255; webp loses a little


def clear(layer: Image.Image, ending: str) -> np.ndarray:
    """The transparency of a layer as a format has it: a pixel of a gif is clear or solid."""
    alpha = np.asarray(layer.getchannel("A"), np.int16)
    return np.where(alpha < 128, 0, 255) if ending == "gif" else alpha
