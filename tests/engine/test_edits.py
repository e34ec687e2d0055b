"""Pipelines of ours that edit pictures make what the formulas of their papers make, computed by hand."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from toybench import INPUTS, Bench, mask, picture, pixels

from dgen.check.follow import check_source
from dgen.diagnostic import Source
from dgen.engine.protocol import EngineError, Inputs, Result
from dgen.options.attachments import ImageEncoderUri, IpAdapterUri, LoraUri, TextualInversionUri
from dgen.values.image_seed import ImageSeed, ImageSeedText
from dgen.values.prompt import Prompt
from dgen.values.step_cache import StepCacheText
from dgen.values.uri import OpenUri

TEXT = {"prompt": "a red circle", "negative_prompt": "blurry"}
STEPS, TOLD, SEEN = 3, 5.0, 1.5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with models of UltraEdit that see no mask, one as a channel, and one as a picture."""
    import toy_adapters
    import toy_families
    import toy_models

    made = tmp_path_factory.mktemp("edits")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for channels in (32, 33):
            toy_families.make_sd3_pix2pix(made / f"sees-{channels}", channels)
        toy_families.make_sd3(made / "sees-48", 48)
        toy_families.make_sdxl_pix2pix(made / "sdxl-pix2pix")
        toy_families.make_transformer_lora(made / "lora", made / "sees-33")
        toy_models.make_sd(made / "sd", in_channels=8)
        toy_adapters.make_kohya_lora(made / "sd-lora.safetensors", made / "sd")
        toy_adapters.make_old_word(made / "word.pt", "circle", 1)
        toy_adapters.make_ip_adapter(made / "ip.safetensors", made / "sd")
        toy_adapters.make_image_encoder(made / "image_encoder")
    return made


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench()


@contextmanager
def _library(model: Path) -> Iterator[Any]:
    """Give the parts of a model as diffusers loads them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import diffusers
        import torch

        name = "StableDiffusion3Pipeline"
        with torch.no_grad():
            transformer = diffusers.SD3Transformer2DModel.from_pretrained(model / "transformer")
            yield getattr(diffusers, name).from_pretrained(model, transformer=transformer)


def _encoded(pipe: Any, image: Image.Image) -> Any:
    return pipe.vae.encode(pipe.image_processor.preprocess(image)).latent_dist.mode()


def _cells(held: Image.Image) -> Any:
    """A mask, (1, 1, 32, 32), as the toys' latents see it: each cell is what stands in its upper left corner."""
    import torch

    return torch.from_numpy(np.asarray(held)[::2, ::2] > 127).float()[None, None]


def _behind(pipe: Any, held: Image.Image) -> Any:
    """What a transformer sees behind the picture."""
    further = pipe.transformer.config.in_channels - 32
    return _encoded(pipe, held.convert("RGB")) if further == 16 else _cells(held)[:, :further]


def by_hand(model: Path, held: Image.Image | None, scale: float = SEEN, steps: int = STEPS) -> list[bytes]:
    """Edit with three calls of the transformer a step, as equation 3 of InstructPix2Pix says."""
    import torch

    with _library(model) as pipe:
        words, silence, pooled, none = pipe.encode_prompt(TEXT["prompt"], None, None, negative_prompt="blurry")
        seen = _encoded(pipe, picture())
        behind = _behind(pipe, held or Image.new("L", (64, 64), 255))
        noise = latents = torch.randn((1, 16, 32, 32), generator=torch.Generator().manual_seed(7))
        pipe.scheduler.set_timesteps(steps)
        for number, moment in enumerate(pipe.scheduler.timesteps):

            def answer(image: Any, text: Any, summary: Any, latents: Any = latents, moment: Any = moment) -> Any:
                shown = torch.cat([latents, image, behind], dim=1)
                return pipe.transformer(shown, text, summary, moment.expand(1), return_dict=False)[0]

            nothing = answer(seen * 0, silence, none)
            alone, told = answer(seen, silence, none), answer(seen, words, pooled)
            noisy = nothing + scale * (alone - nothing) + TOLD * (told - alone)
            latents = pipe.scheduler.step(noisy, moment, latents, return_dict=False)[0]
            if held is not None and behind.shape[1] == 0:
                sigma = pipe.scheduler.sigmas[number + 1]
                known = (1 - sigma) * (seen - 0.06) * 1.5 + sigma * noise
                latents = (1 - _cells(held)) * known + _cells(held) * latents
        drawn = pipe.vae.decode(latents / 1.5 + 0.06, return_dict=False)[0]
        return [each.convert("RGB").tobytes() for each in pipe.image_processor.postprocess(drawn)]


def far(made: list[bytes], expected: list[bytes]) -> int:
    """How far two pictures are apart at most, in levels of 255: three calls at once round otherwise than one by one."""
    pairs = zip(made, expected, strict=True)
    return max(int(np.abs(np.frombuffer(a, np.uint8).astype(int) - np.frombuffer(b, np.uint8)).max()) for a, b in pairs)


@pytest.mark.parametrize("mode", ["img2img", "inpaint"])
@pytest.mark.parametrize("channels", [32, 33, 48])
def test_ultra_edit_follows_picture_text_and_mask_as_its_formula_says(
    folder: Path, bench: Bench, channels: int, mode: str
) -> None:
    wanted = {"model_type": "sd3-pix2pix"} if channels == 33 else {}
    job = bench.job(folder / f"sees-{channels}", mode, num_inference_steps=STEPS, **wanted)
    made = pixels(bench.engine.render(job, INPUTS[mode], lambda step, steps: None))
    assert (job.family, job.request.guidance_scale, job.request.image_guidance_scale) == ("sd3-pix2pix", TOLD, SEEN)
    expected = by_hand(folder / f"sees-{channels}", mask() if mode == "inpaint" else None)
    assert far(made, expected) <= 1
    other = by_hand(folder / f"sees-{channels}", None if mode == "inpaint" else Image.new("L", (64, 64), 0))
    assert far(made, other) > 1


def test_ultra_edit_is_led_by_the_picture_as_strongly_as_is_said(folder: Path, bench: Bench) -> None:
    made = pixels(bench.render(folder / "sees-32", "img2img", image_guidance_scale=3.0))
    assert far(made, by_hand(folder / "sees-32", None, scale=3.0, steps=2)) <= 1
    assert far(made, by_hand(folder / "sees-32", None, steps=2)) > 1


CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("lora", {"loras": (LoraUri(model="lora"),)}),
    ("weights", {"prompt": Prompt("a (red:1.9) circle", "blurry"), "prompt_weighter": OpenUri().parse("sd-embed")}),
    ("ras", {"ras": True, "ras_start_step": 1, "num_inference_steps": 4}),
    ("cache", {"step_cache": StepCacheText().parse("FirstBlock;threshold=9"), "num_inference_steps": 4}),
    ("text alone", {"guidance_scale": 1.0}),
    ("several", {"num_images_per_prompt": 2}),
]


@pytest.mark.parametrize(("name", "said"), CHANGES, ids=[name for name, _ in CHANGES])
@pytest.mark.parametrize("mode", ["img2img", "inpaint"])
def test_what_attaches_to_ultra_edit_leaves_no_trace(
    folder: Path, bench: Bench, mode: str, name: str, said: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    usual = {"num_inference_steps": said.get("num_inference_steps", 2), "model_type": "sd3-pix2pix"}
    before = pixels(bench.render(folder / "sees-33", mode, **usual))
    made = pixels(bench.render(folder / "sees-33", mode, **{**usual, **said}))
    assert made != before
    assert len(made) == said.get("num_images_per_prompt", 1)
    assert pixels(bench.render(folder / "sees-33", mode, **usual)) == before


# ---- a mask on an edit of Stable Diffusion and SDXL ----------------------------------------------------------------

EDITORS = ["sd", "sdxl-pix2pix"]


def edited(bench: Bench, model: Path, held: Image.Image | None) -> Result:
    job = bench.job(model, "img2img" if held is None else "inpaint", num_inference_steps=STEPS)
    return bench.engine.render(job, Inputs(picture(), held), lambda step, steps: None)


@pytest.mark.parametrize("toy", EDITORS)
def test_white_mask_on_an_edit_changes_nothing_and_a_black_one_keeps_all(folder: Path, bench: Bench, toy: str) -> None:
    import diffusers
    import torch

    whole, white, black = (
        pixels(edited(bench, folder / toy, held))
        for held in (None, Image.new("L", (64, 64), 255), Image.new("L", (64, 64), 0))
    )
    assert whole == white != black
    vae = diffusers.AutoencoderKL.from_pretrained(folder / toy / "vae")
    processor = diffusers.image_processor.VaeImageProcessor()
    with torch.no_grad():
        seen = vae.encode(processor.preprocess(picture())).latent_dist.mode()
        drawn = processor.postprocess(vae.decode(seen, return_dict=False)[0])
    assert far(black, [each.tobytes() for each in drawn]) <= 1


@pytest.mark.parametrize("toy", ["sd", "sees-32"])
def test_each_picture_of_a_batch_is_kept_by_a_mask_of_its_own(folder: Path, bench: Bench, toy: str) -> None:
    black, white = (Image.new("L", (64, 64), level) for level in (0, 255))
    other = picture().rotate(90)
    job = bench.job(folder / toy, "inpaint", num_inference_steps=STEPS, num_images_per_prompt=2)
    both = replace(job, request=replace(job.request, image_seed=ImageSeed("a", mask="m", batch=("b",))))
    given = Inputs(picture(), black, batch=(other,), batch_masks=(white,))
    made = pixels(bench.engine.render(both, given, lambda step, steps: None))
    assert len(made) == 4
    assert made[0] == made[2]  # what is black is the first picture, whatever the seed
    assert len({made[0], made[1], made[3]}) == 3


def test_mask_on_an_edit_blends_as_the_inpainting_of_diffusers_does(folder: Path, bench: Bench) -> None:
    import torch
    from diffusers import StableDiffusionInstructPix2PixPipeline

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipe = StableDiffusionInstructPix2PixPipeline.from_pretrained(folder / "sd", safety_checker=None)
    pipe.set_progress_bar_config(disable=True)
    with torch.no_grad():
        seen = _encoded(pipe, picture()) * pipe.vae.config.scaling_factor
    noise = torch.randn((1, 4, 32, 32), generator=torch.Generator().manual_seed(7))

    def blend(own: Any, step: int, moment: Any, values: dict[str, Any]) -> dict[str, Any]:
        following = own.scheduler.timesteps[step + 1 : step + 2]
        known = own.scheduler.add_noise(seen, noise, following) if len(following) else seen
        half = torch.nn.functional.interpolate(torch.from_numpy(np.asarray(mask()) / 255.0)[None, None], (32, 32))
        return {"latents": ((1 - half) * known + half * values["latents"]).float()}

    expected = pipe(
        **TEXT, image=picture(), num_inference_steps=STEPS, guidance_scale=TOLD, image_guidance_scale=SEEN,
        generator=torch.Generator().manual_seed(7), callback_on_step_end=blend,
    ).images  # fmt: skip
    assert pixels(edited(bench, folder / "sd", mask())) == [each.tobytes() for each in expected]


ADDED: list[tuple[str, dict[str, Any]]] = [
    ("lora", {"loras": (LoraUri(model="sd-lora.safetensors"),)}),
    ("word", {"textual_inversions": (TextualInversionUri(model="word.pt", token="circle"),)}),
    ("sd-embed", {"prompt": Prompt("a (red:1.9) circle", "blurry"), "prompt_weighter": OpenUri().parse("sd-embed")}),
    ("compel", {"prompt": Prompt("a (red)1.9 circle", "blurry"), "prompt_weighter": OpenUri().parse("compel")}),
    ("deep-cache", {"deep_cache_interval": 2, "num_inference_steps": 3}),
    (
        "ip-adapter",
        {
            "ip_adapters": (IpAdapterUri(model="ip.safetensors"),),
            "image_encoder": ImageEncoderUri(model="image_encoder"),
            "image_seed": ImageSeedText().parse("seed;adapter=seed"),
        },
    ),
]


@pytest.mark.parametrize(("name", "said"), ADDED, ids=[name for name, _ in ADDED])
@pytest.mark.parametrize("mode", ["img2img", "inpaint"])
def test_what_attaches_to_instruct_pix2pix_leaves_no_trace(
    folder: Path, bench: Bench, mode: str, name: str, said: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    seeing = replace(INPUTS[mode], adapters=((picture().rotate(90),),) if name == "ip-adapter" else ())
    usual = {"num_inference_steps": said.get("num_inference_steps", 2)}
    before = pixels(bench.render(folder / "sd", mode, **usual))
    if name == "ip-adapter" and mode == "inpaint":
        said = {**said, "image_seed": ImageSeedText().parse("seed;mask=mask;adapter=seed")}
    job = bench.job(folder / "sd", mode, **{**usual, **said})
    assert pixels(bench.engine.render(job, seeing, lambda step, steps: None)) != before
    assert pixels(bench.render(folder / "sd", mode, **usual)) == before


def test_models_are_what_their_channels_say(folder: Path, bench: Bench) -> None:
    from dgen.options.request import Request

    found = {name: bench.engine.inspect(Request(model=str(folder / name))).family.name for name in ("sd", "sees-48")}
    assert found == {"sd": "pix2pix", "sees-48": "sd3-pix2pix"}
    with pytest.raises(EngineError, match="not UltraEdit"):
        bench.engine.inspect(Request(model=str(folder / "sd"), model_type="sd3-pix2pix"))


def test_edit_without_a_picture_is_told(at_work: Path, folder: Path) -> None:
    found = check_source(Source("s.dgen", f"{folder / 'sees-32'} --prompts x\n{folder / 'sd'} --prompts x\n"))
    assert [(d.code, d.message) for d in found if d.severity == "error"] == [
        ("unsupported-mode", "UltraEdit has no txt2img"),
        ("unsupported-mode", "InstructPix2Pix has no txt2img"),
    ]
