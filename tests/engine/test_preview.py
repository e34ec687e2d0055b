"""A preview shows what is being made, and never changes it."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from toybench import INPUTS, Bench, pixels

from dgen.engine.preview import Watched, fit
from dgen.engine.protocol import Preview
from dgen.values.prompt import Prompt
from dgen.values.scalars import Size
from dgen.values.uri import NamedUri

Shown = list[tuple[int, Image.Image]]


def previewed(bench: Bench, model: Path | str, mode: str = "txt2img", **said: Any) -> tuple[list[bytes], Shown]:
    shown: Shown = []
    job = bench.job(model, mode, **said)
    preview = Preview(2, lambda step, image: shown.append((step, image)))
    return pixels(bench.engine.render(job, INPUTS[mode], lambda step, steps: None, preview)), shown


@pytest.mark.parametrize("model", ["sd", "sdxl", "auraflow"])
def test_picture_is_the_same_to_the_bit_with_and_without(shared_bench: Bench, toys: Path, model: str) -> None:
    said = {"num_inference_steps": 5}
    with_preview, shown = previewed(shared_bench, toys / model, **said)
    assert with_preview == pixels(shared_bench.render(toys / model, **said))
    assert [step for step, _ in shown] == [2, 4]
    assert {image.mode for _, image in shown} == {"RGB"}


@pytest.mark.parametrize(
    "scheduler",
    [
        "DDIMScheduler", "DDPMScheduler", "PNDMScheduler", "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler",
        "HeunDiscreteScheduler", "DPMSolverMultistepScheduler", "UniPCMultistepScheduler",
        "KDPM2AncestralDiscreteScheduler", "DEISMultistepScheduler",
    ],
)  # fmt: skip
def test_no_scheduler_notices(shared_bench: Bench, toys: Path, scheduler: str) -> None:
    said = {"num_inference_steps": 5, "scheduler": NamedUri(scheduler), "output_size": Size(16, 16)}
    with_preview, shown = previewed(shared_bench, toys / "sd", **said)
    assert with_preview == pixels(shared_bench.render(toys / "sd", **said))
    assert shown


@pytest.mark.parametrize("mode", ["img2img", "inpaint"])
def test_no_mode_and_no_batch_notices(shared_bench: Bench, toys: Path, mode: str) -> None:
    said = {"num_inference_steps": 6, "num_images_per_prompt": 2, "strength": 0.8}
    with_preview, shown = previewed(shared_bench, toys / "sd", mode, **said)
    assert with_preview == pixels(shared_bench.render(toys / "sd", mode, **said))
    assert shown


def test_colours_are_fitted_once_for_a_vae(toys: Path) -> None:
    bench = Bench()
    previewed(bench, toys / "sd", num_inference_steps=3)
    (first,) = bench.engine.previews._fitted.values()
    previewed(bench, toys / "sd", num_inference_steps=3, scheduler=NamedUri("EulerDiscreteScheduler"))
    (second,) = bench.engine.previews._fitted.values()
    assert first is second


def test_component_without_an_encoder_has_no_preview() -> None:
    assert fit(object()) is None


def test_pipelines_still_read_the_signature_of_a_watched_scheduler() -> None:
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler()
    before = inspect.signature(scheduler.step)
    with Watched(scheduler).steps():
        assert inspect.signature(scheduler.step) == before
    assert "step" not in vars(scheduler)


def test_preview_of_the_built_in_model_shows_the_picture(shared_bench: Bench) -> None:
    import numpy as np

    said = {"prompt": Prompt("a red circle"), "num_inference_steps": 9}
    for scheduler in ("DDIMScheduler", "EulerDiscreteScheduler", "DPMSolverMultistepScheduler"):
        shown: Shown = []
        job = shared_bench.job("builtin:shapes", **said, scheduler=NamedUri(scheduler))
        preview = Preview(8, lambda step, image, shown=shown: shown.append((step, image)))
        (made,) = shared_bench.engine.render(job, INPUTS["txt2img"], lambda step, steps: None, preview).images
        ((_, image),) = shown
        final = np.asarray(made.resize(image.size, Image.Resampling.BOX), dtype=float)
        likeness = np.corrcoef(np.asarray(image, dtype=float).ravel(), final.ravel())[0, 1]
        assert likeness > 0.5, scheduler


def test_vae_of_videos_has_no_preview_and_a_tiny_one_has() -> None:
    from diffusers import AutoencoderKLTemporalDecoder, AutoencoderTiny

    from dgen.engine.components import Component
    from dgen.engine.preview import Previews

    video = AutoencoderKLTemporalDecoder(block_out_channels=(32,), down_block_types=("DownEncoderBlock2D",))
    tiny = AutoencoderTiny(encoder_block_out_channels=(8,) * 4, decoder_block_out_channels=(8,) * 4)
    kept = [Component(kind="vae", source="", value=v, bytes=1, key=(n,)) for n, v in enumerate((video, tiny))]
    previews = Previews()
    assert previews.colours(kept[0]) is None
    assert previews.colours(kept[1]) is not None
    assert previews.colours(None) is None


def test_listener_of_a_preview_may_stop_the_job(toys: Path) -> None:
    bench = Bench()

    def stop(step: int, image: Image.Image) -> None:
        raise BrokenPipeError

    job = bench.job(toys / "sd", num_inference_steps=5)
    with pytest.raises(BrokenPipeError):
        bench.engine.render(job, INPUTS["txt2img"], lambda step, steps: None, Preview(2, stop))
