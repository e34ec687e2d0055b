"""Families of videos that diffusers has as blocks alone make what a plain call of the blocks makes."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from toybench import Bench, Runs, Sources, as_modular

from dgen.diagnostic import Source, Word
from dgen.engine.processors import load_reader
from dgen.engine.protocol import Inputs, Result
from dgen.events import ComponentLoaded, Printed
from dgen.families.inspection import inspect_folder
from dgen.media.metadata import read_config
from dgen.options.attachments import LoraUri
from dgen.options.request import Request
from dgen.plan.resolve import resolve
from dgen.planning import plan_script
from dgen.values.extras import Extra
from dgen.values.image_seed import AdapterImage, ImageSeed
from dgen.values.prompt import Prompt
from dgen.values.scalars import Size
from dgen.values.schedule import Sigmas

INDEX = "modular_model_index.json"


def picture(side: int, number: int = 0) -> Image.Image:
    """A picture in which every pixel differs from its neighbours."""
    made = Image.new("RGB", (side, side))
    made.putdata([(x * 3 % 256, (y * 5 + number * 40) % 256, x * y % 256) for y in range(side) for x in range(side)])
    return made


@dataclass(frozen=True, slots=True)
class Cell:
    """A job of a family, and what a plain call of its blocks is given."""

    toy: str
    mode: str
    pipeline: str
    said: dict[str, Any] = field(default_factory=dict)
    inputs: Inputs = field(default_factory=Inputs)
    call: Callable[[], dict[str, Any]] = dict
    side: int = 64
    frames: int = 9
    steps: int = 2
    guidance: float | None = None  # of its guider

    def __str__(self) -> str:
        return f"{self.toy}-{self.mode}-{'-'.join(self.said)}"


TEXT = dict.fromkeys(("wan-animate-2", "ltx2.5"), Prompt("a red circle", "blurry"))
LEVELS = {"sigmas": Sigmas(levels=(1.0, 0.5))}
REFERENCE = AdapterImage("x")


def of_echo(**more: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {"num_frames": 9, "frame_rate": 12.0, "sigmas": [1.0, 0.5, 0.0], **more}


ECHO = "EchoModularPipeline"
CELLS = (
    Cell("echo", "txt2vid", ECHO, LEVELS, call=of_echo()),
    Cell(
        "echo", "txt2vid", ECHO, {}, call=lambda: {"num_frames": 9, "frame_rate": 12.0}, steps=8,
    ),
    Cell(
        "echo", "txt2vid", ECHO, {**LEVELS, "image_seed": ImageSeed(adapter=((REFERENCE, REFERENCE),))},
        Inputs(adapters=((picture(64, 1), picture(32, 2)),)),
        of_echo(memory_images=[picture(64, 1), picture(32, 2)]),
    ),
    Cell(
        "echo", "img2vid", ECHO, {**LEVELS, "image_seed": ImageSeed("seed", adapter=((REFERENCE,),))},
        Inputs(picture(64), adapters=((picture(64, 1),),)),
        of_echo(image=picture(64), memory_images=[picture(64, 1)]),
    ),
)  # fmt: skip


def moving(count: int, side: int = 48) -> tuple[Image.Image, ...]:
    """The frames of a video that is wider than high."""
    return tuple(picture(side, number).crop((0, 0, side, side // 2)) for number in range(count))


def of_wan(count: int, **more: Any) -> Callable[[], dict[str, Any]]:
    """What the documentation gives a call that animates a picture after a video of so many frames."""
    given = {"negative_prompt": "blurry", "num_inference_steps": 2, "segment_frame_length": 5, **more}
    return lambda: {"image": picture(32), "driving_video": list(moving(count)), **given}


DANCE = ImageSeed("seed", control=("video",))
WAN_ANIMATE = Cell(
    "wan-animate-2", "img2vid", "WanAnimate2ModularPipeline", {"image_seed": DANCE},
    Inputs(picture(32), control_videos=(moving(5),)), of_wan(5), side=32, frames=5,
)  # fmt: skip
FEW = {"num_inference_steps": 2}
MINIMAX = Cell(
    "minimax-h3", "txt2vid", "MiniMaxH3ModularPipeline", {"num_inference_steps": 3, "fps": 24.0}, side=32, frames=124,
    call=lambda: {"num_inference_steps": 3, "num_frames": 124},
)  # fmt: skip


def of_minimax(*references: Image.Image, **more: Any) -> Callable[[], dict[str, Any]]:
    """What the documentation gives a call; pictures that it refers to are of a kind of their own."""

    def call() -> dict[str, Any]:
        from diffusers.modular_pipelines.minimax_h3 import MiniMaxH3ImageReference

        seen = {"references": [MiniMaxH3ImageReference(image=each) for each in references]} if references else {}
        return {**MINIMAX.call(), **seen, **more}

    return call


CELLS = (
    *CELLS,
    replace(WAN_ANIMATE, said={"image_seed": DANCE, **FEW}),
    replace(
        WAN_ANIMATE, said={"image_seed": DANCE, **FEW, "call": (Extra("segment_frame_length", "5"),)}, steps=4,
        inputs=Inputs(picture(32), control_videos=(moving(7),)), call=of_wan(7), frames=7,
    ),
    replace(
        WAN_ANIMATE, said={"image_seed": DANCE, **FEW, "guidance_scale": 2.0, "prompt": Prompt("a red circle")},
        call=of_wan(5, negative_prompt=None), guidance=2.0,
    ),
    replace(
        WAN_ANIMATE, toy="wan-animate-2-distilled", pipeline="WanAnimate2DistilledModularPipeline",
        said={"image_seed": DANCE, **FEW, "prompt": Prompt("a red circle")}, call=of_wan(5, negative_prompt=None),
    ),
)  # fmt: skip


CELLS = (
    *CELLS,
    MINIMAX,
    replace(
        MINIMAX, mode="img2vid", said={**MINIMAX.said, "image_seed": ImageSeed("seed")}, inputs=Inputs(picture(32)),
        call=of_minimax(image=picture(32)),
    ),
    replace(
        MINIMAX, mode="img2vid", said={**MINIMAX.said, "image_seed": ImageSeed("seed", last="end")},
        inputs=Inputs(picture(32), last=picture(32, 1)), call=of_minimax(image=picture(32), last_image=picture(32, 1)),
    ),
    replace(
        MINIMAX, said={**MINIMAX.said, "image_seed": ImageSeed(adapter=((REFERENCE, REFERENCE),))},
        inputs=Inputs(adapters=((picture(32, 1), picture(48, 2)),)), call=of_minimax(picture(32, 1), picture(48, 2)),
    ),
)  # fmt: skip


def conditions(**known: Any) -> dict[str, Any]:
    """What the documentation gives a call for parts of a video that are known: cells and what they show."""
    from diffusers.pipelines.ltx2.pipeline_ltx2_condition import LTX2VideoCondition

    places = {"first": 0, "last": -1}
    return {"conditions": [LTX2VideoCondition(frames=known[name], index=places[name]) for name in known]}


def of_ltx(known: Callable[[], dict[str, Any]] = dict, count: int = 9) -> Callable[[], dict[str, Any]]:
    plain = {"num_frames": count, "frame_rate": 12.0, "num_inference_steps": 2, "negative_prompt": "blurry"}
    return lambda: {**plain, **known()}


LTX25 = Cell("ltx2.5", "txt2vid", "LTX25ModularPipeline", FEW, call=of_ltx())
WHOLE = tuple(picture(64, number) for number in range(9))
CELLS = (
    *CELLS,
    LTX25,
    replace(LTX25, said={**FEW, "guidance_scale": 2.0}, guidance=2.0),
    replace(
        LTX25, mode="img2vid", said={**FEW, "image_seed": ImageSeed("seed")}, inputs=Inputs(picture(64)),
        call=of_ltx(lambda: {"image": picture(64)}),
    ),
    replace(
        LTX25, mode="img2vid", said={**FEW, "image_seed": ImageSeed("seed", last="end")},
        inputs=Inputs(picture(64), last=picture(64, 1)),
        call=of_ltx(lambda: conditions(first=picture(64), last=picture(64, 1))),
    ),
    replace(
        LTX25, mode="vid2vid", said={**FEW, "image_seed": ImageSeed("video"), "num_frames": 17}, frames=17,
        inputs=Inputs(video=WHOLE), call=of_ltx(lambda: conditions(first=list(WHOLE)), 17),
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the toys of this file, moved since they were written."""
    import toy_film_blocks

    made = tmp_path_factory.mktemp("film-blocks")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, make in toy_film_blocks.FILM_BLOCKS.items():
            make(made / "written" / name)
    return (made / "written").rename(made / "moved")


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench()


def job_of(bench: Bench, folder: Path, cell: Cell) -> Any:
    """Resolve the job of a cell: in its size, with its frames, at twelve of them a second."""
    usual = {"num_frames": cell.frames, "fps": 12.0, "seed": 7, "prompt": TEXT.get(cell.toy, Prompt("a red circle"))}
    size = {} if "image_seed" in cell.said and cell.said["image_seed"].image else {
        "output_size": Size(cell.side, cell.side)
    }  # fmt: skip
    request = Request(model=str(folder / cell.toy), **{**usual, **size, **cell.said})
    facts = bench.engine.inspect(request)
    bench.engine.check(request, facts)
    return resolve(request, facts, "cpu", Sources(cell.side))


@contextmanager
def uncompiled() -> Iterator[None]:
    """Let masks be made without a compiler, which takes ten seconds and changes nothing in them."""
    from diffusers.models.transformers import transformer_wan_animate_2 as module

    make = module.create_block_mask
    module.create_block_mask = lambda *given, **named: make(*given, **{**named, "_compile": False})
    try:
        yield
    finally:
        module.create_block_mask = make


def plainly(model: Path, cell: Cell, seed: int = 7) -> dict[str, Any]:
    """Run the blocks of a modular pipeline as diffusers' documentation says."""
    import diffusers
    import torch
    from transformers import Qwen3VLProcessor

    with warnings.catch_warnings(), uncompiled():
        warnings.simplefilter("ignore")
        pipe = getattr(diffusers, cell.pipeline)(pretrained_model_name_or_path=str(model))
        absent = ("processor", "prompt_enhancer", "duration_head")
        names = [name for name in pipe.pretrained_component_names if name not in absent]
        pipe.load_components(names=names, pretrained_model_name_or_path=str(model))
        if (model / "processor").is_dir():
            pipe.update_components(processor=load_reader(Qwen3VLProcessor, model / "processor"))
        if cell.guidance is not None:
            pipe.update_components(guider=pipe.guider.new(guidance_scale=cell.guidance))
        given = {"prompt": "a red circle", "height": cell.side, "width": cell.side, "output_type": "pt", **cell.call()}
        outputs = [each.name for each in pipe.blocks.outputs]
        return pipe(generator=torch.Generator("cpu").manual_seed(seed), **given, output=outputs)


def told(videos: Any) -> list[bytes]:
    """The pixels of each frame of the first of videos, (videos, n, 3, h, w) in [0, 1], as diffusers rounds them."""
    first = np.asarray(videos[0].float()).transpose(0, 2, 3, 1)
    return [(frame * 255).round().astype("uint8").tobytes() for frame in first]


def frames(result: Result, number: int = 0) -> list[bytes]:
    """The pixels of each frame of a video."""
    return [image.tobytes() for image in result.films[number]]


def heard(audio: Any, number: int = 0) -> bytes:
    """The samples of the sound of a video, (videos, channels, n) in [-1, 1], in 16 bits."""
    return (np.asarray(audio[number].float()).clip(-1, 1) * 32767).round().astype("<i2").T.tobytes()


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_blocks_make_the_video_and_the_sound_of_a_plain_call(folder: Path, bench: Bench, cell: Cell) -> None:
    job = job_of(bench, folder, cell)
    steps: list[tuple[int, int]] = []
    made = bench.engine.render(job, cell.inputs, lambda step, of: steps.append((step, of)))
    plain = plainly(folder / cell.toy, cell)
    assert (job.family, job.mode, job.pipeline) == (cell.toy, cell.mode, cell.pipeline)
    assert frames(made) == told(plain["videos"])
    assert len(made.films[0]) == job.frames
    assert {image.size for image in made.films[0]} == {tuple(job.size)}
    assert [sound.samples for sound in made.sounds] == ([heard(plain["audio"])] if "audio" in plain else [])
    assert steps == [(n, cell.steps) for n in range(1, cell.steps + 1)]


def test_videos_of_a_batch_are_those_of_the_seeds_that_follow(folder: Path, bench: Bench) -> None:
    cell = Cell("echo", "txt2vid", ECHO, {**LEVELS, "num_images_per_prompt": 2}, call=of_echo())
    made = bench.engine.render(job_of(bench, folder, cell), Inputs(), lambda step, of: None)
    for number, seed in enumerate((7, 8)):
        plain = plainly(folder / "echo", cell, seed)
        assert frames(made, number) == told(plain["videos"])
        assert made.sounds[number].samples == heard(plain["audio"])


@pytest.mark.parametrize("name", ["echo", "wan-animate-2", "wan-animate-2-distilled", "minimax-h3", "ltx2.5"])
def test_family_is_told_from_either_index(folder: Path, tmp_path: Path, name: str) -> None:
    text = (folder / name / INDEX).read_text(encoding="utf-8")
    (tmp_path / "model_index.json").write_text(text, encoding="utf-8")
    for place in (folder / name, tmp_path):
        facts = inspect_folder(place)
        assert (facts.family.name, facts.pipeline) == (name, json.loads(text)["_class_name"])


def test_only_the_transformer_of_the_job_is_loaded(folder: Path) -> None:
    bench = Bench()
    job = job_of(bench, folder, MINIMAX)
    bench.engine.render(job, Inputs(), lambda step, of: None)
    assert "transformer_ref" not in (kinds := [event.kind for event in bench.of(ComponentLoaded)])
    assert "transformer" in kinds
    seed = ImageSeed(adapter=((REFERENCE,),))
    referring = replace(job, request=replace(job.request, image_seed=seed))
    bench.engine.render(referring, Inputs(adapters=((picture(32),),)), lambda step, of: None)
    assert [event.kind for event in bench.of(ComponentLoaded)] == [*kinds, "transformer_ref"]


@pytest.mark.parametrize("name", ["echo", "minimax-h3", "ltx2.5"])
def test_lora_acts_on_a_video_of_blocks_and_leaves_no_trace(folder: Path, bench: Bench, name: str) -> None:
    import toy_families

    lora = LoraUri(model=str(toy_families.make_transformer_lora(folder / f"{name}-lora", folder / name)))
    cell = next(cell for cell in CELLS if cell.toy == name)
    jobs = [job_of(bench, folder, replace(cell, said={**cell.said, "loras": loras})) for loras in ((), (lora,), ())]
    made = [frames(bench.engine.render(job, cell.inputs, lambda step, of: None)) for job in jobs]
    assert made[0] == made[2] != made[1]


@pytest.mark.parametrize(
    ("name", "pipeline", "mode", "side", "count"),
    [
        ("ltx2", "LTX2ModularPipeline", "txt2vid", 64, 9),
        ("hunyuan-video-1.5", "HunyuanVideo15ModularPipeline", "txt2vid", 32, 5),
        ("hunyuan-video-1.5-i2v", "HunyuanVideo15ModularPipeline", "img2vid", 32, 5),
    ],
)
def test_video_is_the_same_with_either_index(
    tmp_path: Path, bench: Bench, name: str, pipeline: str, mode: str, side: int, count: int
) -> None:
    import toy_films

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = toy_films.FILM_TOYS[name](tmp_path / name)
    seed = {"image_seed": ImageSeed("seed")} if mode == "img2vid" else {}
    said = {"num_inference_steps": 1, "guidance_scale": 7.5 if "hunyuan" in name else 3.0, **seed}
    cell = Cell(name, mode, "", said, side=side, frames=count)
    inputs = Inputs(picture(side)) if seed else Inputs()
    made: list[Any] = []
    for change in (lambda: None, lambda: as_modular(model, pipeline, ("guider",))):
        change()
        job = job_of(Bench(), tmp_path, cell)
        assert (job.family, job.mode) == (name, mode)
        made.append(frames(Bench().engine.render(job, inputs, lambda step, of: None)))
    assert made[0] == made[1]


@pytest.fixture
def runs(shared_runs: Runs, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    for toy in folder.iterdir():
        (tmp_path / toy.name).symlink_to(toy)
    picture(64).save(tmp_path / "a.png")
    first, *rest = moving(5)
    first.save(tmp_path / "b.gif", save_all=True, append_images=rest, duration=100)
    monkeypatch.chdir(tmp_path)
    return shared_runs


SAID = "--prompts 'a red circle' --seeds 7 --no-frames"
SCRIPTS = {
    "echo": f"echo {SAID} --frames 9 --fps 12 --sigmas 1,0.5 --image-seeds 'a.png;adapter=a.png'",
    "ltx2.5": f"ltx2.5 {SAID} --frames 9 --fps 12 --inference-steps 1 --output-size 64x64",
    "minimax-h3": f"minimax-h3 {SAID} --inference-steps 2 --output-size 32x32 --image-seeds 'adapter: a.png + a.png'",
    "wan-animate-2": f"wan-animate-2 {SAID} --inference-steps 1 --image-seeds 'a.png;32x32;control=b.gif'",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_video_of_blocks_has_the_file_of_its_plan_and_replays_to_the_same_bytes(runs: Runs, name: str) -> None:
    (planned,) = plan_script(Source("test", f"{SCRIPTS[name]}\n")).jobs
    (path,) = runs.run(f"{SCRIPTS[name]}\n")
    assert [path.name] == [animation.name for animation in planned.animations]
    text = read_config(path)
    config = Source(str(path), text)
    runs.session.inject((Word("--output-path", config.span(0, 1)), Word("again", config.span(0, 1))))
    runs.session.replay(config)
    runs.session.inject(())
    (again,) = (each for each in Path("again").iterdir() if each.suffix == ".mp4")
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", SCRIPTS)
def test_plan_of_a_model_of_blocks_imports_no_model_library(runs: Runs, name: str) -> None:
    Path("s.dgen").write_text(f"{SCRIPTS[name]} --device cpu\n", encoding="utf-8")
    program = (
        "import sys; from dgen.cli.main import main; code = main(['plan', 's.dgen']);"
        "sys.exit(code or bool({'torch', 'diffusers', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "total: 1 job" in done.stdout


@pytest.mark.parametrize(
    ("name", "size", "modes", "kinds"),
    [
        ("echo", "704x512", ["img2vid", "txt2vid"], {"connectors", "audio_vae", "vocoder", "transformer", "vae"}),
        ("ltx2.5", "768x512", ["img2vid", "txt2vid", "vid2vid"], {"diffusion_decoder", "audio_vae", "vocoder", "vae"}),
        ("minimax-h3", "1344x768", ["img2vid", "txt2vid"], {"processor", "audio_scheduler", "transformer_ref", "vae"}),
        ("wan-animate-2", "640x800", ["img2vid"], {"image_encoder", "scheduler", "transformer", "vae"}),
        ("wan-animate-2-distilled", "640x800", ["img2vid"], {"image_encoder", "scheduler", "transformer", "vae"}),
    ],
)
def test_model_page_knows_a_model_of_blocks(
    runs: Runs, name: str, size: str, modes: list[str], kinds: set[str]
) -> None:
    runs.run(f"\\model {name} --json\n")
    page = json.loads("".join(e.text for e in runs.events if isinstance(e, Printed)))
    assert (page["family"], page["size"], sorted(page["modes"])) == (name, size, modes)
    assert {part["kind"] for part in page["parts"]} >= kinds
