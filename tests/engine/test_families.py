"""Every family makes in every mode what a plain call of its diffusers pipeline makes."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from toybench import INPUTS, Bench, mask, picture, pixels

from dgen.cli.main import main
from dgen.families.rows import FAMILIES
from dgen.options.attachments import ControlNetUri, LoraUri, TextualInversionUri
from dgen.plan.resolve import made_size
from dgen.values.image_seed import ImageSeed
from dgen.values.prompt import Prompt
from dgen.values.scalars import Size
from dgen.values.uri import OpenUri

SIZE = {"width": 64, "height": 64}
TEXT = {"prompt": "a red circle", "negative_prompt": "blurry"}


@dataclass(frozen=True)
class Cell:
    """A mode of a family, the pipeline that runs it, and what a plain call of that is given."""

    toy: str
    mode: str
    pipeline: str
    call: dict[str, Any] = field(default_factory=dict)
    said: dict[str, Any] = field(default_factory=dict)  # options beside those of every cell

    def __str__(self) -> str:
        return f"{self.toy}-{self.mode}" + "".join(f"-{name}" for name in self.said)


GUIDED, FLUX = {**TEXT, "guidance_scale": 5.0}, {**TEXT, "guidance_scale": 3.5}
FILL = {"prompt": "a red circle", "guidance_scale": 30.0, "strength": 1.0}
STEERED = {"prompt": "a red circle", "guidance_scale": 3.5, **SIZE}
KONTEXT = {**FLUX, **SIZE, "_auto_resize": False, "max_area": 64 * 64}
CELLS = (
    Cell("sd3", "txt2img", "StableDiffusion3Pipeline", {**GUIDED, **SIZE}),
    Cell("sd3", "img2img", "StableDiffusion3Img2ImgPipeline", {**GUIDED, **SIZE, "strength": 0.8}),
    Cell("sd3", "inpaint", "StableDiffusion3InpaintPipeline", {**GUIDED, **SIZE, "strength": 0.8}),
    Cell("sd3", "txt2img", "StableDiffusion3PAGPipeline", {**GUIDED, **SIZE, "pag_scale": 3.0}, {"pag": True}),
    Cell(
        "sd3", "img2img", "StableDiffusion3PAGImg2ImgPipeline",
        {**GUIDED, **SIZE, "strength": 0.8, "pag_scale": 3.0}, {"pag": True},
    ),
    Cell("flux", "txt2img", "FluxPipeline", {**FLUX, **SIZE}),
    Cell("flux", "img2img", "FluxImg2ImgPipeline", {**FLUX, **SIZE, "strength": 0.8}),
    Cell("flux", "inpaint", "FluxInpaintPipeline", {**FLUX, **SIZE, "strength": 0.8}),
    Cell("flux-fill", "inpaint", "FluxFillPipeline", {**FILL, **SIZE}),
    Cell("flux-kontext", "img2img", "FluxKontextPipeline", KONTEXT),
    Cell("flux-kontext", "inpaint", "FluxKontextInpaintPipeline", {**KONTEXT, "strength": 1.0}),
    Cell(
        "sdxl-pix2pix", "img2img", "StableDiffusionXLInstructPix2PixPipeline",
        {**GUIDED, **SIZE, "image_guidance_scale": 1.5},
    ),
    Cell("upscaler-x2", "img2img", "StableDiffusionLatentUpscalePipeline", GUIDED),
    Cell("upscaler-x4", "img2img", "StableDiffusionUpscalePipeline", {**GUIDED, "noise_level": 20}),
    Cell(
        "upscaler-x4", "img2img", "StableDiffusionUpscalePipeline", {**GUIDED, "noise_level": 30}, {"noise_level": 30}
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a toy model of every family of this file."""
    import toy_adapters
    import toy_families

    made = tmp_path_factory.mktemp("families")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, make in toy_families.FAMILY_TOYS.items():
            make(made / name)
        toy_adapters.make_kohya_lora(made / "xl-lora.safetensors", made / "sdxl-pix2pix")
        for name in ("flux-fill", "flux-kontext"):
            toy_families.make_transformer_lora(made / f"{name}-lora", made / name)
        toy_adapters.make_old_word(made / "word.pt", "circle", 1)
    return made


@pytest.fixture(scope="module")
def bench() -> Bench:
    """An engine that all cells share: what a family leaves behind would show in the next one."""
    return Bench()


def plain(folder: Path, cell: Cell, **named: Any) -> list[bytes]:
    """Call the pipeline of a cell as diffusers' documentation says."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import diffusers
        import torch

        lora, net = named.pop("lora", None), named.pop("net", None)
        if net is not None:
            named["controlnet"] = getattr(diffusers, FAMILIES[cell.toy].controlnet).from_pretrained(net)
        pipe = getattr(diffusers, cell.pipeline).from_pretrained(folder / cell.toy, **named)
        if lora is not None:
            pipe.load_lora_weights(lora)
        pipe.set_progress_bar_config(disable=True)
        given = {"img2img": {"image": picture()}, "inpaint": {"image": picture(), "mask_image": mask()}}
        call = {**given.get(cell.mode, {}), "num_inference_steps": 2, **cell.call}
        torch.manual_seed(7)
        made = pipe(generator=torch.Generator("cpu").manual_seed(7), **call)
    return [image.convert("RGB").tobytes() for image in made.images]


NETS = (
    Cell("sd3", "txt2img", "StableDiffusion3ControlNetPipeline", {**GUIDED, **SIZE}),
    Cell("sd3", "inpaint", "StableDiffusion3ControlNetInpaintingPipeline", {**GUIDED, **SIZE, "control_mask": mask()}),
    Cell("flux", "txt2img", "FluxControlNetPipeline", {**FLUX, **SIZE}),
    Cell("flux", "img2img", "FluxControlNetImg2ImgPipeline", {**STEERED, "strength": 0.8}),
    Cell("flux", "inpaint", "FluxControlNetInpaintPipeline", {**STEERED, "strength": 0.8}),
)


@pytest.mark.parametrize("cell", NETS, ids=str)
def test_control_net_of_a_transformer_steers_as_in_a_plain_call(folder: Path, bench: Bench, cell: Cell) -> None:
    seed = {
        "txt2img": ImageSeed("seed"),
        "img2img": ImageSeed("seed", control=("seed",)),
        "inpaint": ImageSeed("seed", mask="mask", control=("seed",)),
    }
    net = folder / ("sd3-inpaint-net" if (cell.toy, cell.mode) == ("sd3", "inpaint") else f"{cell.toy}-net")
    said = {"image_seed": seed[cell.mode], "control_nets": (ControlNetUri(model=str(net)),), "num_inference_steps": 2}
    if cell.toy == "flux" and cell.mode != "txt2img":
        said["prompt"] = Prompt("a red circle")  # these two pipelines take no negative prompt
    job = bench.job(folder / cell.toy, cell.mode, **said)
    made = bench.engine.render(job, replace(INPUTS[cell.mode], controls=(picture(),)), lambda step, steps: None)
    assert job.pipeline == cell.pipeline
    call = {**cell.call, "control_image": picture()}
    expected = plain(folder, replace(cell, call=call, mode=_PLAIN_MODE.get(cell.pipeline, cell.mode)), net=net)
    assert pixels(made) == expected
    assert pixels(made) != pixels(bench.render(folder / cell.toy, "txt2img", output_size=Size(64, 64)))


_PLAIN_MODE = {"StableDiffusion3ControlNetInpaintingPipeline": "txt2img"}
"""The pipeline that takes the picture and the mask by other names."""


@pytest.mark.parametrize(("toy", "pipeline"), [("sd3", "StableDiffusion3Pipeline"), ("flux", "FluxPipeline")])
def test_lora_of_a_transformer_acts_as_in_a_plain_call_and_leaves_no_trace(
    folder: Path, bench: Bench, toy: str, pipeline: str
) -> None:
    import toy_families

    lora = toy_families.make_transformer_lora(folder / f"{toy}-lora", folder / toy)
    size = {"output_size": Size(64, 64)}
    before = pixels(bench.render(folder / toy, **size))
    made = pixels(bench.render(folder / toy, loras=(LoraUri(model=str(lora)),), **size))
    cell = Cell(toy, "txt2img", pipeline, {**(GUIDED if toy == "sd3" else FLUX), **SIZE})
    assert made == plain(folder, cell, lora=lora)
    assert pixels(bench.render(folder / toy, **size)) == before != made


def test_sd3_goes_without_its_t5_as_in_a_plain_call(folder: Path, bench: Bench) -> None:
    size = {"output_size": Size(64, 64)}
    before = pixels(bench.render(folder / "sd3", **size))
    made = pixels(bench.render(folder / "sd3", text_encoders=("+", "+", "null"), **size))
    cell = Cell("sd3", "txt2img", "StableDiffusion3Pipeline", {**GUIDED, **SIZE})
    assert made == plain(folder, cell, text_encoder_3=None)
    assert pixels(bench.render(folder / "sd3", **size)) == before != made


HEAVY = Prompt("a (red:1.9) circle", "blurry")
ATTACHED = [
    ("upscaler-x4", "img2img", {"deep_cache": True, "deep_cache_interval": 2}),
    ("sdxl-pix2pix", "img2img", {"deep_cache": True, "deep_cache_interval": 2}),
    ("sdxl-pix2pix", "img2img", {"loras": (LoraUri(model="xl-lora.safetensors"),)}),
    ("sdxl-pix2pix", "img2img", {"textual_inversions": (TextualInversionUri(model="word.pt", token="circle"),)}),
    ("upscaler-x4", "img2img", {"textual_inversions": (TextualInversionUri(model="word.pt", token="circle"),)}),
    ("flux", "txt2img", {"textual_inversions": (TextualInversionUri(model="word.pt", token="circle"),)}),
    ("flux-fill", "inpaint", {"textual_inversions": (TextualInversionUri(model="word.pt", token="circle"),)}),
    ("flux-fill", "inpaint", {"loras": (LoraUri(model="flux-fill-lora"),)}),
    ("flux-kontext", "img2img", {"textual_inversions": (TextualInversionUri(model="word.pt", token="circle"),)}),
    ("flux-kontext", "img2img", {"loras": (LoraUri(model="flux-kontext-lora"),)}),
    ("upscaler-x4", "img2img", {"prompt": HEAVY, "prompt_weighter": OpenUri().parse("sd-embed")}),
    ("sdxl-pix2pix", "img2img", {"prompt": HEAVY, "prompt_weighter": OpenUri().parse("sd-embed")}),
    ("upscaler-x4", "img2img", {"prompt": HEAVY, "prompt_weighter": OpenUri().parse("compel;syntax=sdwui")}),
    ("sdxl-pix2pix", "img2img", {"prompt": HEAVY, "prompt_weighter": OpenUri().parse("compel;syntax=sdwui")}),
    ("sdxl-pix2pix", "inpaint", {"loras": (LoraUri(model="xl-lora.safetensors"),)}),
]


def _called(value: Any) -> str:
    return value if isinstance(value, str) else "-".join(value)


@pytest.mark.parametrize(("toy", "mode", "said"), ATTACHED, ids=_called)
def test_what_attaches_changes_the_picture_and_leaves_no_trace(
    folder: Path, bench: Bench, toy: str, mode: str, said: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    usual = {"output_size": Size(64, 64)} if mode == "txt2img" else {}
    before = pixels(bench.render(folder / toy, mode, **usual))
    assert pixels(bench.render(folder / toy, mode, **usual, **said)) != before
    assert pixels(bench.render(folder / toy, mode, **usual)) == before


@pytest.mark.parametrize("toy", ["sd3", "flux", "flux-fill", "flux-kontext", "sdxl", "sdxl-pix2pix"])
def test_detector_lets_a_family_paint_what_it_found_and_nothing_else(folder: Path, tmp_path: Path, toy: str) -> None:
    import toy_models

    model = toy_models.make_sdxl(folder / toy) if toy == "sdxl" else folder / toy
    before = Image.new("RGB", (64, 64), "white")
    before.paste("#e02020", (8, 8, 24, 24))
    before.save(tmp_path / "square.png")
    words = f"{model} --prompts x --seeds 7 --inference-steps 2 --image-seeds {tmp_path / 'square.png'}"
    looking = "--adetailer-detectors color;color=#e02020 --adetailer-mask-dilations 0 --adetailer-mask-blurs 0"
    more = ["--adetailer-sizes", "32", "--quiet", "-o", str(tmp_path / "made")]
    assert main([*words.split(), *looking.split(), *more]) == 0
    (made,) = (tmp_path / "made").glob("*.png")
    changed = (np.asarray(Image.open(made)) != np.asarray(before)).any(axis=-1)
    assert changed[8:24, 8:24].any()
    changed[8:24, 8:24] = False
    assert not changed.any()


def test_families_are_listed_with_what_can_be_attached(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["families", "--json"]) == 0
    listed = {each["family"]: each for each in json.loads(capsys.readouterr().out)}
    assert listed.keys() == FAMILIES.keys()
    assert listed["sd3"]["add_ons"]["PAG"] == ["txt2img", "img2img"]
    assert "LoRA" not in listed["upscaler-x4"]["add_ons"]
    assert main(["families"]) == 0
    assert "flux-fill FLUX.1 Fill: inpaint" in " ".join(capsys.readouterr().out.split())


def size_of(cell: Cell) -> dict[str, Any]:
    return {"output_size": Size(64, 64)} if cell.mode == "txt2img" else {}


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_mode_of_a_family_makes_what_a_plain_call_makes(folder: Path, bench: Bench, cell: Cell) -> None:
    said = {"num_inference_steps": 2, **size_of(cell), **cell.said}
    job = bench.job(folder / cell.toy, cell.mode, **said)
    made = bench.engine.render(job, INPUTS[cell.mode], lambda step, steps: None)
    assert (job.family, job.pipeline) == (cell.toy, cell.pipeline)
    assert pixels(made) == plain(folder, cell)
    assert {image.size for image in made.images} == {tuple(made_size(job))}
