"""Every family that makes videos makes in every mode what a plain call of its diffusers pipeline makes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from toybench import Bench, Sources

from dgen.diagnostic import DgenError, Source, Word
from dgen.engine.processors import load_reader
from dgen.engine.protocol import Inputs, Result
from dgen.events import Event, FileSaved, JobKept
from dgen.families.rows import FAMILIES
from dgen.media.metadata import read_config
from dgen.media.video import clip_of
from dgen.options.attachments import ControlNetUri, ImageEncoderUri, IpAdapterUri, LoraUri
from dgen.options.request import Request
from dgen.options.submodels import MotionAdapterUri
from dgen.plan.resolve import resolve
from dgen.planning import plan_script
from dgen.session import Session
from dgen.values.extras import Extra
from dgen.values.freeu import FreeU
from dgen.values.image_seed import AdapterImage, ImageSeed
from dgen.values.prompt import Prompt
from dgen.values.scalars import Size

TEXT = {"prompt": "a red circle", "negative_prompt": "blurry"}


@dataclass(frozen=True)
class Cell:
    """A mode of a family, the pipeline that runs it, and what a plain call of that is given."""

    toy: str
    mode: str
    pipeline: str
    call: dict[str, Any] = field(default_factory=dict)
    said: dict[str, Any] = field(default_factory=dict)  # options beside those of every cell
    family: str = ""
    side: int = 16
    frames: int = 5
    lost: int = 0  # frames that the pipeline makes and takes off again

    def __str__(self) -> str:
        return f"{self.toy}-{self.mode}" + "".join(f"-{name}" for name in self.said)


def picture(side: int, number: int = 0) -> Image.Image:
    """A picture in which every pixel differs from its neighbours."""
    made = Image.new("RGB", (side, side))
    made.putdata([(x * 8 % 256, (y * 8 + number * 16) % 256, x * y % 256) for y in range(side) for x in range(side)])
    return made


WAN = {**TEXT, "guidance_scale": 5.0}
LTX = {**TEXT, "guidance_scale": 3.0, "frame_rate": 12.0}
COG = {**TEXT, "guidance_scale": 6.0}
AD, XL = {**TEXT, "guidance_scale": 7.5}, "animatediff-sdxl"
ALLEGRO = {**TEXT, "guidance_scale": 7.5, "clean_caption": False}
SANA = {**TEXT, "guidance_scale": 6.0, "clean_caption": False, "use_resolution_binning": False, "frames": 5}
MOTION = {"model_type": "animatediff", "motion_adapter": MotionAdapterUri(model="motion")}
MOTION_XL = {**MOTION, "model_type": XL}
STEERED = {**MOTION, "control_nets": (ControlNetUri(model="parts/edges"),), "image_seed": ImageSeed("video")}
ENDING = {"image_seed": ImageSeed("seed", last="end")}
FORCING = "SkyReelsV2ForcingPipeline"
PARTS = (Extra("base_num_frames", "9"), Extra("overlap_history", "5"), Extra("causal_block_size", "1"))
LONG = {**TEXT, "guidance_scale": 6.0, "fps": 12, "base_num_frames": 9, "overlap_history": 5}
PART = {"call": (Extra("num_latent_frames_per_chunk", "3"),)}  # of nine frames
PYRAMID = {"call": (*PART["call"], Extra("pyramid_num_inference_steps_list", "1,1,1"))}
HELIOS = {**TEXT, "guidance_scale": 5.0, "num_latent_frames_per_chunk": 3}
STAGES = {**HELIOS, "pyramid_num_inference_steps_list": [1, 1, 1]}
BEFORE = {"num_frames": 9}
CELLS = (
    Cell("helios", "txt2vid", "HeliosPipeline", HELIOS, PART, side=64, frames=17),
    Cell("helios", "img2vid", "HeliosPipeline", HELIOS, PART, side=64, frames=9),
    Cell("helios", "vid2vid", "HeliosPipeline", {**HELIOS, **BEFORE}, {**PART, **BEFORE}, side=64, frames=9),
    Cell("helios-pyramid", "txt2vid", "HeliosPyramidPipeline", STAGES, PYRAMID, side=64, frames=9),
    Cell("helios-pyramid", "img2vid", "HeliosPyramidPipeline", STAGES, PYRAMID, side=64, frames=9),
    Cell(
        "helios-pyramid",
        "vid2vid",
        "HeliosPyramidPipeline",
        {**STAGES, **BEFORE},
        {**PYRAMID, **BEFORE},
        side=64,
        frames=9,
    ),
    Cell(
        "helios-distilled",
        "txt2vid",
        "HeliosPyramidPipeline",
        {**STAGES, "guidance_scale": 1.0},
        PYRAMID,
        "helios-pyramid",
        side=64,
        frames=9,
    ),
    Cell("wan", "txt2vid", "WanPipeline", WAN),
    Cell("wan", "vid2vid", "WanVideoToVideoPipeline", {**WAN, "strength": 0.8}),
    Cell("wan-image", "img2vid", "WanImageToVideoPipeline", WAN, family="wan"),
    Cell("wan-ends", "img2vid", "WanImageToVideoPipeline", WAN, family="wan"),
    Cell("wan-ends", "img2vid", "WanImageToVideoPipeline", WAN, {"image_seed": ImageSeed("seed", last="end")}, "wan"),
    Cell("wan-vace", "txt2vid", "WanVACEPipeline", WAN),
    Cell("wan-vace", "txt2vid", "WanVACEPipeline", WAN, {"image_seed": ImageSeed(adapter=((AdapterImage("x"),),))}),
    Cell("wan-vace", "img2vid", "WanVACEPipeline", WAN, {"image_seed": ImageSeed("seed", last="end")}),
    Cell("wan-vace", "vid2vid", "WanVACEPipeline", WAN),
    Cell("wan-vace", "inpaint", "WanVACEPipeline", WAN),
    Cell("ltx", "txt2vid", "LTXPipeline", LTX, side=32, frames=9),
    Cell("ltx", "img2vid", "LTXImageToVideoPipeline", LTX, side=32, frames=9),
    Cell("ltx-later", "txt2vid", "LTXPipeline", LTX, family="ltx", side=32, frames=9),
    Cell("ltx-later", "vid2vid", "LTXConditionPipeline", {**LTX, "num_frames": 17}, {"num_frames": 17}, "ltx", 32, 9),
    Cell(
        "ltx-later",
        "img2vid",
        "LTXConditionPipeline",
        {**LTX, "num_frames": 17},
        {"image_seed": ImageSeed("seed", last="end")},
        "ltx",
        32,
        17,
    ),
    Cell("ltx2", "txt2vid", "LTX2Pipeline", LTX, side=64, frames=9),
    Cell("ltx2", "img2vid", "LTX2ImageToVideoPipeline", LTX, side=64, frames=9),
    Cell("ltx2", "img2vid", "LTX2ConditionPipeline", LTX, {"image_seed": ImageSeed("seed", last="end")}, "", 64, 9),
    Cell("ltx2", "vid2vid", "LTX2ConditionPipeline", {**LTX, "num_frames": 17}, {"num_frames": 17}, "", 64, 9),
    Cell("cogvideox", "txt2vid", "CogVideoXPipeline", COG, frames=9),
    Cell("cogvideox", "vid2vid", "CogVideoXVideoToVideoPipeline", {**COG, "strength": 0.8}, frames=9),
    Cell("cogvideox-image", "img2vid", "CogVideoXImageToVideoPipeline", COG, family="cogvideox", frames=9),
    Cell("svd", "img2vid", "StableVideoDiffusionPipeline", {"max_guidance_scale": 3.0, "fps": 12.0}, side=64, frames=4),
    Cell("hunyuan-video", "txt2vid", "HunyuanVideoPipeline", {**TEXT, "guidance_scale": 6.0}),
    Cell("hunyuan-video-i2v", "img2vid", "HunyuanVideoImageToVideoPipeline", TEXT),
    Cell(
        "hunyuan-video-beside",
        "img2vid",
        "HunyuanVideoImageToVideoPipeline",
        TEXT,
        family="hunyuan-video-i2v",
        lost=4,
    ),
    Cell("hunyuan-video-1.5", "txt2vid", "HunyuanVideo15Pipeline", TEXT, side=32),
    Cell("hunyuan-video-1.5-i2v", "img2vid", "HunyuanVideo15ImageToVideoPipeline", TEXT, side=32),
    Cell("skyreels-v2", "txt2vid", "SkyReelsV2Pipeline", {**TEXT, "guidance_scale": 6.0}),
    Cell("skyreels-v2-image", "img2vid", "SkyReelsV2ImageToVideoPipeline", WAN, family="skyreels-v2"),
    Cell("skyreels-v2-ends", "img2vid", "SkyReelsV2ImageToVideoPipeline", WAN, ENDING, "skyreels-v2"),
    Cell("skyreels-v2-df", "txt2vid", FORCING, {**TEXT, "guidance_scale": 6.0, "fps": 12}),
    Cell("skyreels-v2-df", "txt2vid", FORCING, LONG, {"call": PARTS}, frames=17),
    Cell("skyreels-v2-df", "img2vid", f"{FORCING[:-8]}ImageToVideoPipeline", {**WAN, "fps": 12}),
    Cell("skyreels-v2-df", "img2vid", f"{FORCING[:-8]}ImageToVideoPipeline", {**WAN, "fps": 12}, ENDING),
    Cell("kandinsky5-video", "txt2vid", "Kandinsky5T2VPipeline", {**TEXT, "guidance_scale": 5.0}),
    Cell("kandinsky5-video-i2v", "img2vid", "Kandinsky5I2VPipeline", {**TEXT, "guidance_scale": 5.0}),
    Cell("sana-video", "txt2vid", "SanaVideoPipeline", SANA, side=32),
    Cell("sana-video", "img2vid", "SanaImageToVideoPipeline", SANA, side=32),
    Cell("animatediff", "txt2vid", "AnimateDiffPipeline", AD),
    Cell("animatediff", "vid2vid", "AnimateDiffVideoToVideoPipeline", {**AD, "strength": 0.8}),
    Cell("sd", "txt2vid", "AnimateDiffPipeline", AD, MOTION, "animatediff"),
    Cell("sd", "vid2vid", "AnimateDiffVideoToVideoPipeline", {**AD, "strength": 0.8}, MOTION, "animatediff"),
    Cell("parts/sdxl", "txt2vid", "AnimateDiffSDXLPipeline", {**TEXT, "guidance_scale": 5.0}, MOTION_XL, XL),
    Cell("sd", "txt2vid", "AnimateDiffControlNetPipeline", AD, STEERED, "animatediff"),
    Cell(
        "sd",
        "vid2vid",
        "AnimateDiffVideoToVideoControlNetPipeline",
        {**AD, "strength": 0.8},
        {**STEERED, "image_seed": ImageSeed("video", control=("still",))},
        "animatediff",
    ),
    Cell("mochi", "txt2vid", "MochiPipeline", {**TEXT, "guidance_scale": 4.5}, frames=7),
    Cell("allegro", "txt2vid", "AllegroPipeline", ALLEGRO, side=128, frames=24),
)


def inputs(cell: Cell) -> Inputs:
    seed = cell.said.get("image_seed")
    nets = cell.said.get("control_nets", ())
    controls = tuple(tuple(picture(cell.side, n + 3) for n in range(cell.frames)) for _ in nets)
    if nets and cell.mode == "txt2vid":
        return Inputs(control_videos=controls)
    if seed is not None and seed.adapter:
        return Inputs(adapters=((picture(32),),))
    if cell.mode == "inpaint":
        video = tuple(picture(cell.side, n) for n in range(cell.frames))
        return Inputs(video=video, video_mask=tuple(Image.new("L", frame.size, 200) for frame in video))
    if cell.mode == "vid2vid":
        return Inputs(control_videos=controls, video=tuple(picture(cell.side, n) for n in range(cell.frames)))
    last = picture(cell.side, 7) if seed is not None and seed.last else None
    return Inputs(picture(cell.side), last=last) if cell.mode == "img2vid" else Inputs()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a toy model of every family of this file."""
    import toy_films
    import toy_videos

    made = tmp_path_factory.mktemp("videos")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, make in (toy_videos.VIDEO_TOYS | toy_films.FILM_TOYS).items():
            make(made / name)
    return made


@pytest.fixture(scope="module")
def bench() -> Bench:
    """An engine that all cells share: what a family leaves behind would show in the next one."""
    return Bench()


def job_of(bench: Bench, folder: Path, cell: Cell) -> Any:
    seeds = {
        "txt2vid": None, "img2vid": ImageSeed("seed"), "vid2vid": ImageSeed("video"),
        "inpaint": ImageSeed("video", mask="mask"),
    }  # fmt: skip
    prompt = Prompt(cell.call.get("prompt", ""), cell.call.get("negative_prompt", ""))
    size = {"output_size": Size(cell.side, cell.side)} if cell.mode == "txt2vid" else {}
    said = {
        "prompt": prompt,
        "image_seed": seeds[cell.mode],
        "num_frames": cell.frames,
        "fps": 12.0,
        **size,
        **cell.said,
    }
    request = Request(model=str(folder / cell.toy), seed=7, num_inference_steps=2, **said)
    facts = bench.engine.inspect(request)
    bench.engine.check(request, facts)
    return resolve(request, facts, "cpu", Sources(cell.side))


def plain(folder: Path, cell: Cell) -> list[bytes]:
    """Call the pipeline of a cell as diffusers' documentation says; the pixels of each frame."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import diffusers

        parts = {}
        if "motion_adapter" in cell.said:
            parts["motion_adapter"] = diffusers.MotionAdapter.from_pretrained(folder / "motion")
        if "control_nets" in cell.said:
            parts["controlnet"] = diffusers.ControlNetModel.from_pretrained(folder / "parts" / "edges")
        if "kandinsky" in cell.toy:  # transformers wants torchvision for its reader, which reads text alone here
            from transformers import Qwen2VLProcessor

            parts["tokenizer"] = load_reader(Qwen2VLProcessor, folder / cell.toy / "tokenizer")
        plainly = cell.pipeline.replace("Forcing", "DiffusionForcing")
        pipe = getattr(diffusers, plainly).from_pretrained(folder / cell.toy, **parts)
        if "sdxl" in cell.toy:  # diffusers 0.42 leaves this part of the UNet at random
            unet = diffusers.UNet2DConditionModel.from_pretrained(folder / cell.toy / "unet")
            pipe.unet.add_embedding.load_state_dict(unet.add_embedding.state_dict())
        if cell.toy == "allegro":
            pipe.vae.enable_tiling()
        given = inputs(cell)
        call = {"width": cell.side, "height": cell.side, "num_inference_steps": 2, **cell.call}
        call |= {"video": list(given.video)} if given.video else {"num_frames": cell.frames + cell.lost}
        if cell.toy == "wan-vace":
            call |= {"num_frames": cell.frames, **as_documented(cell, given)}
        elif cell.pipeline.endswith("ConditionPipeline"):
            call |= {
                "video": None,
                "num_frames": cell.call.get("num_frames", cell.frames),
                "conditions": conditions(cell, given),
            }
            call = {name: value for name, value in call.items() if value is not None}
        else:
            call |= {"image": given.image} if given.image is not None else {}
            call |= {"last_image": given.last} if given.last is not None else {}
        if cell.pipeline == "HeliosPyramidPipeline":
            del call["num_inference_steps"]
        if cell.toy == "sana-video":
            del call["num_frames"]
        if cell.toy == "hunyuan-video-1.5-i2v":  # it chooses the size, and is made for this one
            call = {name: value for name, value in call.items() if name not in ("width", "height")}
        call |= {"conditioning_frames": list(given.control_videos[0])} if given.control_videos else {}
        return called(pipe, call)


def called(pipe: Any, call: dict[str, Any]) -> list[bytes]:
    """Call a pipeline with the seed of all jobs of this file; the pixels of each frame."""
    import torch

    pipe.set_progress_bar_config(disable=True)
    torch.manual_seed(7)
    made = pipe(generator=torch.Generator("cpu").manual_seed(7), output_type="pil", **call)
    return [image.tobytes() for image in made.frames[0]]


def as_documented(cell: Cell, given: Inputs) -> dict[str, Any]:
    """What VACE's documentation gives a call: grey frames and white masks for what is to be made."""
    if given.adapters:
        return {"reference_images": list(given.adapters[0])}
    if given.image is None:
        return {"mask": list(given.video_mask)} if given.video_mask else {}
    size = (cell.side, cell.side)
    grey, black, white = Image.new("RGB", size, (128, 128, 128)), Image.new("L", size, 0), Image.new("L", size, 255)
    return {"video": [given.image, grey, grey, grey, given.last], "mask": [black, white, white, white, black]}


def conditions(cell: Cell, given: Inputs) -> list[Any]:
    """What the documentation of LTX-Video and of LTX-2 gives a call for a video, or a first picture and a last one."""
    from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition
    from diffusers.pipelines.ltx2.pipeline_ltx2_condition import LTX2VideoCondition

    if cell.toy == "ltx2":
        known = LTX2VideoCondition(frames=list(given.video) or given.image, index=0, strength=1.0)
        ends = [LTX2VideoCondition(frames=given.last, index=-1, strength=1.0)] if given.last is not None else []
        return [known, *ends]
    known = LTXVideoCondition(image=given.image, video=list(given.video) or None, frame_index=0)
    last = cell.call["num_frames"] - 1
    return [known, *([LTXVideoCondition(image=given.last, frame_index=last)] if given.last is not None else [])]


def frames(result: Result) -> list[bytes]:
    """The pixels of each frame of the first video."""
    return [image.tobytes() for image in result.films[0]]


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_mode_of_a_family_makes_what_a_plain_call_makes(
    folder: Path, bench: Bench, cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    job = job_of(bench, folder, cell)
    made = bench.engine.render(job, inputs(cell), lambda step, steps: None)
    assert (job.family, job.mode, job.pipeline) == (cell.family or cell.toy, cell.mode, cell.pipeline)
    assert frames(made) == plain(folder, cell)
    assert len(made.films[0]) == cell.call.get("num_frames", cell.frames) == job.frames
    assert {image.size for image in made.films[0]} == {tuple(job.size)}


def test_every_mode_of_every_family_of_this_table_has_a_cell() -> None:
    cells = {(cell.family or cell.toy, cell.mode) for cell in CELLS}
    families = {name for name, _ in cells}
    modes = {(name, mode) for name in families for mode in FAMILIES[name].pipelines}
    assert modes - cells == {("skyreels-v2-df", "vid2vid")}  # the test below


def test_every_family_that_makes_videos_is_named_by_a_test() -> None:
    texts = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    named = {name for name, family in FAMILIES.items() if family.makes_video and f'"{name}"' in texts}
    assert named == {name for name, family in FAMILIES.items() if family.makes_video}


def test_skyreels_goes_on_where_a_video_ends_in_as_many_parts_as_it_takes(folder: Path, bench: Bench) -> None:
    said = {"num_frames": 17, "call": (Extra("base_num_frames", "9"), Extra("overlap_history", "5"))}
    cell = Cell("skyreels-v2-df", "vid2vid", "SkyReelsV2ForcingVideoToVideoPipeline", said=said, frames=9)
    job = job_of(bench, folder, replace(cell, call=TEXT))
    made = frames(bench.engine.render(job, inputs(cell), lambda step, steps: None))
    call = {"width": 16, "height": 16, "num_inference_steps": 2, "video": list(inputs(cell).video), **LONG}
    import diffusers

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        name = "SkyReelsV2DiffusionForcingVideoToVideoPipeline"
        pipe = getattr(diffusers, name).from_pretrained(folder / "skyreels-v2-df")
        plainly = called(pipe, {**call, "num_frames": 17})
    assert (job.pipeline, job.frames, len(plainly)) == (cell.pipeline, 17, 9 + 17)  # the source comes first
    assert made == plainly[9:]


def test_block_of_frames_of_one_job_is_no_block_of_the_next(folder: Path, bench: Bench) -> None:
    cell = Cell("skyreels-v2-df", "txt2vid", FORCING, TEXT, frames=13)
    blocks = replace(cell, said={"call": (Extra("causal_block_size", "2"), Extra("ar_step", "1"))})
    first, other, again = (
        frames(bench.engine.render(job_of(bench, folder, each), Inputs(), lambda step, steps: None))
        for each in (cell, blocks, cell)
    )
    assert first == again != other


def test_long_video_of_skyreels_is_made_in_parts_by_itself(folder: Path, bench: Bench) -> None:
    cell = Cell("skyreels-v2-df", "txt2vid", FORCING, TEXT, {"num_frames": 105})
    job = job_of(bench, folder, cell)
    (film,) = bench.engine.render(job, Inputs(), lambda step, steps: None).films
    assert len(film) == 105


def test_guidance_reaches_the_guider_of_a_model_and_leaves_no_trace_in_it(
    folder: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers import HunyuanVideo15Pipeline
    from diffusers.guiders import ClassifierFreeGuidance

    monkeypatch.chdir(folder)
    cell = next(cell for cell in CELLS if cell.toy == "hunyuan-video-1.5")
    jobs = [job_of(bench, folder, replace(cell, said=said)) for said in ({}, {"guidance_scale": 2.0}, {})]
    made = [frames(bench.engine.render(job, Inputs(), lambda step, steps: None)) for job in jobs]
    assert made[0] == made[2] != made[1]
    weak = HunyuanVideo15Pipeline.from_pretrained(folder / cell.toy, guider=ClassifierFreeGuidance(guidance_scale=2.0))
    assert made[1] == called(weak, {"width": 32, "height": 32, "num_frames": 5, "num_inference_steps": 2, **TEXT})


def test_chronoedit_makes_the_last_frame_of_a_change(
    folder: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers import ChronoEditPipeline

    monkeypatch.chdir(folder)
    prompt = Prompt(TEXT["prompt"], TEXT["negative_prompt"])
    request = Request(
        model="chronoedit", seed=7, num_inference_steps=2, prompt=prompt, image_seed=ImageSeed("seed")
    )  # fmt: skip
    facts = bench.engine.inspect(request)
    job = resolve(request, facts, "cpu", Sources(32))
    made = bench.engine.render(job, Inputs(picture(32)), lambda step, steps: None)
    call = {"width": 32, "height": 32, "num_inference_steps": 2, "guidance_scale": 5.0, "image": picture(32), **TEXT}
    assert (job.family, job.mode, job.frames) == ("chronoedit", "img2img", None)
    assert [image.tobytes() for image in made.images] == [
        called(ChronoEditPipeline.from_pretrained(folder / "chronoedit"), call)[-1]
    ]


def test_steps_of_a_pipeline_that_calls_nobody_back_are_told(
    folder: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    job = job_of(bench, folder, next(cell for cell in CELLS if cell.toy == "hunyuan-video-1.5"))
    told: list[tuple[int, int]] = []
    bench.engine.render(job, Inputs(), lambda step, steps: told.append((step, steps)))
    assert told == [(1, 2), (2, 2)]

    def stop(step: int, steps: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.engine.render(job, Inputs(), stop)


SEVERAL = [cell for cell in CELLS if (cell.toy, cell.mode) in {
    ("wan-vace", "inpaint"), ("ltx", "img2vid"), ("ltx2", "vid2vid"), ("cogvideox", "txt2vid"), ("wan-ends", "img2vid"),
    ("animatediff", "vid2vid"), ("hunyuan-video-beside", "img2vid"),
}]  # fmt: skip


def test_frames_of_a_video_in_parts_are_as_many_as_asked_for(folder: Path, bench: Bench) -> None:
    cell = next(cell for cell in CELLS if cell.toy == "helios")
    job = job_of(bench, folder, replace(cell, frames=12))
    told: list[tuple[int, int]] = []
    made = bench.engine.render(job, Inputs(), lambda step, steps: told.append((step, steps)))
    assert frames(made) == plain(folder, cell)[:12]
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize("cell", SEVERAL, ids=str)
def test_videos_of_a_batch_are_those_of_the_seeds_that_follow(
    folder: Path, bench: Bench, cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    job = job_of(bench, folder, replace(cell, said={**cell.said, "num_images_per_prompt": 2}))
    made = bench.engine.render(job, inputs(cell), lambda step, steps: None)
    alone = [replace(job, request=replace(job.request, seed=seed, num_images_per_prompt=1)) for seed in (7, 8)]
    each = [bench.engine.render(one, inputs(cell), lambda step, steps: None) for one in alone]
    assert [[image.tobytes() for image in film] for film in made.films] == [frames(result) for result in each]
    assert frames(each[0]) != frames(each[1])


LOOKING = {
    "ip_adapters": (IpAdapterUri(model="ip", weight_name="ip.safetensors"),),
    "image_encoder": ImageEncoderUri(model="ip/image_encoder"),
    "image_seed": ImageSeed(adapter=((AdapterImage("x"),),)),
}
LORA = LoraUri(model="lora.safetensors")
ATTACHED = [
    Cell("sd", "txt2vid", "AnimateDiffPipeline", AD, {**MOTION, "loras": (LORA,)}, "animatediff"),
    Cell("sd", "txt2vid", "AnimateDiffPipeline", AD, {**MOTION, "freeu": FreeU(0.9, 0.2, 1.2, 1.4)}, "animatediff"),
    Cell("sd", "txt2vid", "AnimateDiffPipeline", AD, {**MOTION, **LOOKING}, "animatediff"),
    Cell("wan", "txt2vid", "WanPipeline", WAN, {"loras": (LoraUri(model="wan-lora"),)}),
    Cell("ltx", "txt2vid", "LTXPipeline", LTX, {"loras": (LoraUri(model="ltx-lora"),)}, side=32, frames=9),
    Cell("ltx2", "txt2vid", "LTX2Pipeline", LTX, {"loras": (LoraUri(model="ltx2-lora"),)}, side=64, frames=9),
]


@pytest.mark.parametrize("cell", ATTACHED, ids=str)
def test_what_attaches_changes_the_video_and_leaves_no_trace(
    folder: Path, bench: Bench, cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    import toy_adapters
    import toy_families

    monkeypatch.chdir(folder)
    if not Path("lora.safetensors").exists():
        toy_adapters.make_kohya_lora(Path("lora.safetensors"), Path("sd"))
        Path("ip").mkdir()
        toy_adapters.make_ip_adapter(Path("ip", "ip.safetensors"), Path("sd"))
        toy_adapters.make_image_encoder(Path("ip", "image_encoder"))
        toy_families.make_transformer_lora(Path("wan-lora"), Path("wan"))
        toy_families.make_transformer_lora(Path("ltx-lora"), Path("ltx"))
        toy_families.make_transformer_lora(Path("ltx2-lora"), Path("ltx2"))
    usual = {name: value for name, value in cell.said.items() if name in MOTION}
    looked = Inputs(adapters=((picture(32),),)) if "ip_adapters" in cell.said else Inputs()
    made = [
        frames(bench.engine.render(job_of(bench, folder, replace(cell, said=said)), seen, lambda step, steps: None))
        for said, seen in ((usual, Inputs()), (cell.said, looked), (usual, Inputs()))
    ]
    assert made[0] == made[2] != made[1]


# ---- what is written ------------------------------------------------------------------------------------------------


@dataclass
class Runs:
    """A session on the toys of this file, and what it told."""

    session: Session
    events: list[Event]

    def run(self, text: str) -> list[str]:
        """Run a script; return the names of the files that it says it saved."""
        self.events.clear()
        self.session.run(Source("test", text))
        return [Path(e.path).name for e in self.events if isinstance(e, FileSaved)]


@pytest.fixture(scope="module")
def shared_runs(bench: Bench) -> Iterator[Runs]:
    events: list[Event] = []
    session = Session(bench.engine, events.append)
    yield Runs(session, events)
    session.close()


@pytest.fixture
def runs(shared_runs: Runs, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    for entry in folder.iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    monkeypatch.chdir(tmp_path)
    return shared_runs


SMALL = "wan --prompts 'a red circle' --frames 5 --output-size 16x16 --inference-steps 1"


def test_sweep_of_batches_becomes_the_files_that_a_plan_names(runs: Runs) -> None:
    text = f"{SMALL} --seeds 1 2 --batch-size 2 --output-configs\n"
    planned = plan_script(Source("test", text))
    named = {p.name for job in planned.jobs for p in (*job.files, *job.animations, *job.configs)}
    saved = runs.run(text)
    assert sorted(saved) == sorted(named)
    assert len(saved) == 2 * 2 * (5 + 2)
    assert {p.name for p in Path("output").iterdir()} - {".dgen-ledger.jsonl"} == named
    assert "s_2_g_5-0_i_1_frame_4_step_2_image_1.png" in named
    assert "ANIM_s_2_g_5-0_i_1_step_2_animation_2.mp4" in named


def test_model_that_knows_of_no_frames_but_the_first_says_so(runs: Runs) -> None:
    picture(32).save("a.png")
    runs.run(f"{SMALL} --seeds 1 --animation-format gif --no-frames\n")
    (film,) = Path("output").glob("*.gif")
    with pytest.raises(DgenError, match="this model cannot be told a last frame"):
        runs.run("ltx --prompts x --image-seeds 'a.png;last=a.png'\n")
    with pytest.raises(DgenError, match="this model cannot go on where a video ends"):
        runs.run(f"ltx --prompts x --image-seeds {film}\n")


@pytest.mark.parametrize("ending", ["mp4", "gif", "webp", "apng", "png"])
def test_animation_has_the_frames_and_the_rate_that_were_asked_for(runs: Runs, ending: str) -> None:
    (name,) = runs.run(f"{SMALL} --seeds 1 --fps 10 --no-frames --animation-format {ending}\n")
    clip = clip_of(Path("output", name))
    assert name == f"ANIM_s_1_g_5-0_i_1_step_1.{ending}"
    assert clip is not None
    assert (clip.frames, clip.rate, clip.size) == (5, 10, Size(16, 16))


def test_frames_alone_are_the_frames_of_a_plain_call(runs: Runs, folder: Path) -> None:
    names = runs.run(f"{SMALL} --seeds 7 --animation-format frames\n".replace("steps 1", "steps 2"))
    call = {"prompt": "a red circle", "guidance_scale": 5.0}
    cell = Cell("wan", "txt2vid", "WanPipeline", call)
    made = [Image.open(Path("output", name)).convert("RGB").tobytes() for name in sorted(names)]
    assert made == plain(folder, cell)


def test_frame_carries_what_makes_the_whole_video_again(runs: Runs) -> None:
    runs.run(f"{SMALL} --seeds 3 --animation-format gif\n")
    before = {p.name: p.read_bytes() for p in Path("output").iterdir() if p.suffix in {".png", ".gif"}}
    text = read_config(Path("output", "s_3_g_5-0_i_1_frame_2_step_1.png"))
    Path("output", "again.dgen").write_text(text, encoding="utf-8")
    config = Source(str(Path("output", "again.dgen")), text)
    runs.session.inject((Word("--output-path", config.span(0, 1)), Word("again", config.span(0, 1))))
    runs.session.replay(config)
    runs.session.inject(())
    assert {p.name: p.read_bytes() for p in Path("again").iterdir() if p.suffix in {".png", ".gif"}} == before


def test_stopped_run_goes_on_with_what_is_missing(runs: Runs) -> None:
    text = f"{SMALL} --seeds 4 5 --animation-format gif\n"
    runs.run(text)
    whole = {p: p.read_bytes() for p in Path("output").iterdir() if p.suffix in {".png", ".gif"}}
    gone = [Path("output", "s_5_g_5-0_i_1_frame_3_step_2.png"), Path("output", "ANIM_s_5_g_5-0_i_1_step_2.gif")]
    for path in gone:
        path.unlink()
    runs.session.resume()
    saved = runs.run(text)
    runs.session.paging.resumption = None
    assert sorted(saved) == sorted(p.name for p in gone)
    assert [e.number for e in runs.events if isinstance(e, JobKept)] == [1]
    assert {p: p.read_bytes() for p in whole} == whole


def test_video_starts_from_the_slice_of_a_video_and_has_its_rate(runs: Runs) -> None:
    runs.run(f"{SMALL} --seeds 1 --fps 10 --animation-format apng --no-frames\n".replace("frames 5", "frames 9"))
    (source,) = Path("output").glob("*.apng")
    said = "wan --prompts x --seeds 2 --inference-steps 2 --no-frames --animation-format apng"
    (name,) = runs.run(f"{said} --image-seeds '{source};frame-start=1;frame-end=7'\n")
    clip = clip_of(Path("output", name))
    assert clip is not None
    assert (clip.frames, clip.rate) == (5, 10)  # of seven frames the most that a model can make
    with pytest.raises(DgenError, match="the source has 3 frames from frame 6 on, and `--frames` wants 5"):
        runs.run(f"{said} --image-seeds {source} --frames 5 --frame-start 6\n")
