"""A refiner finishes what an SDXL model began, as in the documentation of diffusers, and loads nothing twice."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from toybench import INPUTS, Bench, mask, picture, pixels

from dgen.engine.adapters.deepcache import remember_depths
from dgen.engine.protocol import EngineError
from dgen.events import ComponentLoaded
from dgen.options.refiner import RefinerUri
from dgen.options.submodels import UnetUri
from dgen.plan.steps import steps_of
from dgen.values.freeu import FreeU
from dgen.values.prompt import Prompt
from dgen.values.scalars import Point, Size
from dgen.values.schedule import Sigmas
from dgen.values.uri import NamedUri

ENDINGS = {"txt2img": "Pipeline", "img2img": "Img2ImgPipeline", "inpaint": "InpaintPipeline"}
STARTS: dict[str, dict[str, Any]] = {
    "txt2img": {}, "img2img": {"image": picture(), "strength": 0.8},
    "inpaint": {"image": picture(), "mask_image": mask(), "strength": 0.8},
}  # fmt: skip


LEVELS = (14.0, 9.0, 6.0, 4.0, 2.5, 1.5, 0.9, 0.4)


def refined(bench: Bench, toys: Path, mode: str = "txt2img", **said: Any) -> list[bytes]:
    uri = RefinerUri(model=str(toys / "refiner"))
    return pixels(bench.render(toys / "sdxl", mode, sdxl_refiner=uri, num_inference_steps=8, **said))


def alone(
    toys: Path,
    mode: str,
    fraction: float,
    is_edit: bool,
    second: dict[str, Any],
    count: int = 1,
    pag: str = "",
    prepare: Any = None,
) -> list[bytes]:
    """Call both pipelines as the documentation of diffusers says."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import diffusers
        import torch

        base = getattr(diffusers, "StableDiffusionXL" + ENDINGS[mode]).from_pretrained(toys / "sdxl")
        name = ENDINGS["inpaint" if mode == "inpaint" else "img2img"]
        refiner = getattr(diffusers, f"StableDiffusionXL{pag}{name}").from_pretrained(
            toys / "refiner", vae=base.vae, text_encoder_2=base.text_encoder_2, tokenizer_2=base.tokenizer_2
        )
        if prepare is not None:
            prepare(refiner)
        made = [torch.Generator("cpu").manual_seed(7 + k) for k in range(count)]
        common: dict[str, Any] = {
            "prompt": "a red circle", "negative_prompt": "blurry", "guidance_scale": 5.0, "num_inference_steps": 8,
            "num_images_per_prompt": count, "generator": made if count > 1 else made[0],
        }  # fmt: skip
        size = {} if mode == "img2img" else {"height": 64, "width": 64}
        early = {} if is_edit else {"denoising_end": fraction, "output_type": "latent"}
        late = {"strength": round(1 - fraction, 6)} if is_edit else {"denoising_start": fraction}
        for pipe in (base, refiner):
            pipe.set_progress_bar_config(disable=True)
        images = base(**common, **size, **STARTS[mode], **early).images
        again = {"mask_image": mask(), **size} if mode == "inpaint" else {}
        images = refiner(**{**common, **again, **late, "image": images, **second}).images
    return [i.convert("RGB").tobytes() for i in images]


@pytest.mark.parametrize("is_edit", [False, True], ids=["ensemble", "edit"])
@pytest.mark.parametrize("mode", ENDINGS)
def test_refiner_takes_over_as_in_diffusers(bench: Bench, toys: Path, mode: str, is_edit: bool) -> None:
    plain = pixels(bench.render(toys / "sdxl", mode, num_inference_steps=8))
    bench.events.clear()
    named = {"second_num_inference_steps": 8, "high_noise_fraction": 0.5, "sdxl_refiner_edit": is_edit}
    made = refined(bench, toys, mode, **named)
    assert made == alone(toys, mode, 0.5, is_edit, {})
    assert sorted(e.kind for e in bench.of(ComponentLoaded)) == ["scheduler", "unet"]
    assert pixels(bench.render(toys / "sdxl", mode, num_inference_steps=8)) == plain
    assert made != plain


def test_everything_that_a_refiner_is_told_reaches_it(bench: Bench, toys: Path) -> None:
    said: dict[str, Any] = {
        "second_prompt": Prompt("a blue square", "ugly"), "second_guidance_scale": 3.0, "high_noise_fraction": 0.6,
        "second_guidance_rescale": 0.4, "second_num_inference_steps": 10, "second_aesthetic_score": 4.0,
        "second_negative_aesthetic_score": 1.0, "second_original_size": Size(48, 40),
        "second_negative_original_size": Size(24, 32), "second_target_size": Size(80, 72),
        "second_negative_target_size": Size(56, 8), "second_crops_coords_top_left": Point(8, 16),
        "second_negative_crops_coords_top_left": Point(1, 2), "second_pag_scale": 2.0,
        "second_pag_adaptive_scale": 0.001, "second_freeu": FreeU(0.9, 0.2, 1.5, 1.6), "num_images_per_prompt": 2,
        "second_scheduler": NamedUri("EulerDiscrete"), "second_unet": UnetUri(model=str(toys / "refiner")),
        "second_deep_cache_interval": 2, "second_deep_cache_branch_id": 0, "second_sigmas": Sigmas(levels=LEVELS),
    }  # fmt: skip
    second = {
        "prompt": "a blue square", "negative_prompt": "ugly", "guidance_scale": 3.0, "guidance_rescale": 0.4,
        "num_inference_steps": 10, "aesthetic_score": 4.0, "negative_aesthetic_score": 1.0, "original_size": (40, 48),
        "negative_original_size": (32, 24), "target_size": (72, 80), "negative_target_size": (8, 56),
        "crops_coords_top_left": (16, 8), "negative_crops_coords_top_left": (2, 1), "pag_scale": 2.0,
        "pag_adaptive_scale": 0.001, "sigmas": [*LEVELS, 0.0],  # the end that Euler wants
    }  # fmt: skip

    def prepare(pipe: Any) -> None:
        from diffusers import EulerDiscreteScheduler

        pipe.enable_freeu(0.9, 0.2, 1.5, 1.6)
        remember_depths(pipe.unet, 2, 0)
        pipe.scheduler = EulerDiscreteScheduler.from_config(pipe.scheduler.config)

    made = refined(bench, toys, **said)
    assert made == alone(toys, "txt2img", 0.6, False, second, 2, "PAG", prepare)


def test_job_that_fails_in_the_refiner_leaves_no_trace_and_steps_count_through(bench: Bench, toys: Path) -> None:
    plain = pixels(bench.render(toys / "sdxl"))
    uri = RefinerUri(model=str(toys / "refiner"))
    said = {"num_inference_steps": 8, "second_num_inference_steps": 8, "second_pag": True}
    job = bench.job(toys / "sdxl", sdxl_refiner=uri, **said)
    assert steps_of(job.request) == 8
    seen: list[tuple[int, int]] = []

    def watch(step: int, steps: int) -> None:
        seen.append((step, steps))
        if step == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.engine.render(job, INPUTS["txt2img"], watch)
    assert seen == [(n, 8) for n in range(1, 9)]
    assert pixels(bench.render(toys / "sdxl")) == plain


def test_refiner_of_its_own_precision(bench: Bench, toys: Path) -> None:
    uris = [RefinerUri(model=str(toys / "refiner"), dtype=dtype) for dtype in (None, "bfloat16")]
    named: dict[str, Any] = {"num_inference_steps": 4, "second_num_inference_steps": 4, "high_noise_fraction": 0.5}
    whole, half = (pixels(bench.render(toys / "sdxl", sdxl_refiner=uri, **named)) for uri in uris)
    assert half != whole
    assert pixels(bench.render(toys / "sdxl", sdxl_refiner=uris[0], **named)) == whole


def test_refiner_that_leaves_nothing_to_do_is_not_asked(bench: Bench, toys: Path) -> None:
    plain = pixels(bench.render(toys / "sdxl", num_inference_steps=8))
    assert refined(bench, toys, high_noise_fraction=1.0) == plain


LDM = """
model:
  params:
    unet_config:
      params:
        in_channels: 4
        out_channels: 4
        model_channels: 32
        attention_resolutions: [2]
        num_res_blocks: 1
        channel_mult: [1, 2]
        num_head_channels: 16
        use_linear_in_transformer: True
        transformer_depth: 1
        context_dim: 48
        num_classes: sequential
        adm_in_channels: 88
    first_stage_config:
      params:
        ddconfig:
          ch_mult: [1, 2]
"""


def test_refiner_is_a_checkpoint_file_too(bench: Bench, toys: Path) -> None:
    folder = refined(bench, toys)
    bench.events.clear()
    uri = RefinerUri(model=str(toys / "refiner.safetensors"))
    said: dict[str, Any] = {"num_inference_steps": 8, "sdxl_refiner": uri, "second_model_config": str(toys / "refiner")}
    (made,) = pixels(bench.render(toys / "sdxl", **said))
    assert max(abs(a - b) for a, b in zip(made, folder[0], strict=True)) <= 1  # sums may round otherwise
    assert [e.kind for e in bench.of(ComponentLoaded)] == ["unet", "scheduler"]  # the words are the model's
    bench.events.clear()
    assert refined(bench, toys) == folder
    assert bench.of(ComponentLoaded) == []


def test_original_configuration_decides_how_the_refiner_is_built(bench: Bench, toys: Path, tmp_path: Path) -> None:
    (tmp_path / "refiner.yaml").write_text(LDM.replace("channels: 32", "channels: 64"), encoding="utf-8")
    uri = RefinerUri(model=str(toys / "refiner.safetensors"))
    said = {"second_model_config": str(toys / "refiner"), "second_original_config": str(tmp_path / "refiner.yaml")}
    with pytest.raises(EngineError, match="cannot be loaded") as caught:
        bench.render(toys / "sdxl", sdxl_refiner=uri, num_inference_steps=4, **said)
    assert caught.value.code == "bad-weights"
    assert "torch.Size([256, 64])" in caught.value.message  # of a time embedding: four times that width


def test_refiner_of_a_model_in_a_file_comes_with_all_its_parts(bench: Bench, toys: Path) -> None:
    uri = RefinerUri(model=str(toys / "refiner.safetensors"))
    said: dict[str, Any] = {"model_config": str(toys / "sdxl"), "second_model_config": str(toys / "refiner")}
    bench.render(toys / "sdxl.safetensors", sdxl_refiner=uri, num_inference_steps=4, **said)
    assert [e.kind for e in bench.of(ComponentLoaded) if "refiner" in e.source] == [
        "vae", "text_encoder_2", "tokenizer_2", "unet", "scheduler",
    ]  # fmt: skip


def test_model_of_another_kind_is_no_refiner(bench: Bench, toys: Path) -> None:
    wrong = {
        "sdxl": "it has a first text encoder", "sd": "its class is `StableDiffusionPipeline`",
        "sdxl.safetensors": "it holds another kind of model", "sd.ckpt": "what `sd.ckpt` consists of cannot be told",
    }  # fmt: skip
    for name, message in wrong.items():
        with pytest.raises(EngineError, match=message) as caught:
            bench.job(toys / "sdxl", sdxl_refiner=RefinerUri(model=str(toys / name)))
        assert (caught.value.code, caught.value.option) == ("bad-model", "sdxl_refiner")
    assert bench.events == []
