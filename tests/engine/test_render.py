"""A job gives the pixels that a plain call of diffusers gives."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toybench import INPUTS, Bench, mask, picture, pixels

from dgen.cli.main import main
from dgen.engine.pipelines import assemble, place
from dgen.engine.protocol import EngineError
from dgen.values.prompt import Prompt
from dgen.values.scalars import Point, Size
from dgen.values.uri import NamedUri

Plain = Callable[..., list[bytes]]
SAID: dict[str, Any] = {
    "prompt": "a red circle", "negative_prompt": "blurry", "num_inference_steps": 2, "guidance_scale": 5.0,
}  # fmt: skip
SIZE = {"height": 64, "width": 64}


def test_image_is_that_of_a_plain_call(shared_bench: Bench, toys: Path, plainly: Plain) -> None:
    for model, pipeline in (
        ("sd", "StableDiffusionPipeline"), ("sdxl", "StableDiffusionXLPipeline"), ("auraflow", "AuraFlowPipeline"),
    ):  # fmt: skip
        made = pixels(shared_bench.render(toys / model, guidance_scale=5.0))
        assert made == plainly(pipeline, model, [7], **SAID, **SIZE)


@pytest.mark.parametrize(("model", "family"), [("sd", "StableDiffusion"), ("sdxl", "StableDiffusionXL")])
def test_image_from_an_image_is_that_of_a_plain_call(
    shared_bench: Bench, toys: Path, plainly: Plain, model: str, family: str
) -> None:
    wanted = plainly(f"{family}Img2ImgPipeline", model, [7], image=picture(), strength=0.8, **SAID)
    assert pixels(shared_bench.render(toys / model, "img2img")) == wanted


@pytest.mark.parametrize(("model", "family"), [("sd", "StableDiffusion"), ("sdxl", "StableDiffusionXL")])
def test_inpainted_image_is_that_of_a_plain_call(
    shared_bench: Bench, toys: Path, plainly: Plain, model: str, family: str
) -> None:
    wanted = plainly(
        f"{family}InpaintPipeline", model, [7], image=picture(), mask_image=mask(), strength=0.8, **SAID, **SIZE
    )
    assert pixels(shared_bench.render(toys / model, "inpaint")) == wanted


def test_each_image_of_a_batch_has_the_next_seed(shared_bench: Bench, toys: Path, plainly: Plain) -> None:
    batch = pixels(shared_bench.render(toys / "sd", num_images_per_prompt=3))
    assert batch == plainly("StableDiffusionPipeline", "sd", [7, 8, 9], num_images_per_prompt=3, **SAID, **SIZE)
    assert len(set(batch)) == 3


def test_micro_conditioning_reaches_sdxl_as_height_and_width(shared_bench: Bench, toys: Path, plainly: Plain) -> None:
    got = shared_bench.render(
        toys / "sdxl", original_size=Size(200, 100), crops_coords_top_left=Point(3, 9), prompt_2=Prompt("a star", "x"),
        clip_skip=1,
    )  # fmt: skip
    wanted = plainly(
        "StableDiffusionXLPipeline", "sdxl", [7], original_size=(100, 200), crops_coords_top_left=(9, 3),
        prompt_2="a star", negative_prompt_2="x", clip_skip=1, **SAID, **SIZE,
    )  # fmt: skip
    assert pixels(got) == wanted


def test_empty_negative_prompt_is_not_passed(shared_bench: Bench, toys: Path, plainly: Plain) -> None:
    got = shared_bench.render(toys / "sdxl", prompt=Prompt("a red circle"))
    wanted = plainly(
        "StableDiffusionXLPipeline", "sdxl", [7], prompt="a red circle", num_inference_steps=2, guidance_scale=5.0,
        **SIZE,
    )  # fmt: skip
    assert pixels(got) == wanted


def test_scheduler_of_the_statement_is_that_of_a_plain_call(shared_bench: Bench, toys: Path, plainly: Plain) -> None:
    uri = NamedUri("EulerDiscrete", (("use_karras_sigmas", "true"),))
    made = ("EulerDiscreteScheduler", {"use_karras_sigmas": True})
    wanted = plainly("StableDiffusionPipeline", "sd", [7], scheduler=made, **SAID, **SIZE)
    assert pixels(shared_bench.render(toys / "sd", scheduler=uri)) == wanted


def test_clip_skip_takes_an_earlier_layer_of_the_text_encoder(shared_bench: Bench, toys: Path, plainly: Plain) -> None:
    import torch
    from transformers import CLIPTextModel, CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(toys / "sd" / "tokenizer")
    encoder = CLIPTextModel.from_pretrained(toys / "sd" / "text_encoder")

    def embed(text: str, skip: int) -> torch.Tensor:
        ids = tokenizer(text, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids
        with torch.no_grad():
            answer = encoder(ids, output_hidden_states=True)
            return encoder.final_layer_norm(answer.hidden_states[-(skip + 1)])

    said = {k: v for k, v in SAID.items() if "prompt" not in k}
    wanted = plainly(
        "StableDiffusionPipeline", "sd", [7], prompt_embeds=embed("a red circle", 1),
        negative_prompt_embeds=embed("blurry", 0), **said, **SIZE,
    )  # fmt: skip
    assert pixels(shared_bench.render(toys / "sd", clip_skip=1)) == wanted


def test_tiling_and_slicing_last_one_job(shared_bench: Bench, toys: Path) -> None:
    before = pixels(shared_bench.render(toys / "sd"))
    shared_bench.render(toys / "sd", vae_tiling=True, vae_slicing=True, num_images_per_prompt=2)
    vae = next(c.value for c in shared_bench.engine.store if c.kind == "vae" and c.source.endswith("sd"))
    assert (vae.use_tiling, vae.use_slicing) == (False, False)
    assert pixels(shared_bench.render(toys / "sd")) == before


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_renders(bench: Bench, toys: Path, dtype: str) -> None:
    from dgen.options.submodels import VaeUri

    assert len(pixels(bench.render(toys / "sdxl", dtype=dtype, num_inference_steps=1))) == 1
    precise = VaeUri(class_name="AutoencoderKL", model=str(toys / "vae"), dtype="float32")
    for mode in ("txt2img", "img2img"):
        bench.render(toys / "sd", mode, dtype=dtype, vae=precise, num_inference_steps=2)


def test_every_step_is_told(shared_bench: Bench, toys: Path) -> None:
    told: list[tuple[int, int]] = []
    job = shared_bench.job(toys / "sd", num_inference_steps=3)
    shared_bench.engine.render(job, INPUTS["txt2img"], lambda step, steps: told.append((step, steps)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_stopping_in_a_step_leaves_the_engine_good(shared_bench: Bench, toys: Path) -> None:
    class Stopped(Exception):
        pass

    def stop(step: int, steps: int) -> None:
        raise Stopped

    before = pixels(shared_bench.render(toys / "sd"))
    with pytest.raises(Stopped):
        shared_bench.engine.render(shared_bench.job(toys / "sd", seed=1), INPUTS["txt2img"], stop)
    assert pixels(shared_bench.render(toys / "sd")) == before


@pytest.mark.parametrize(
    ("raised", "code"),
    [(MemoryError(), "out-of-memory"), (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out-of-memory"),
     (RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"), "render-failed")],
)  # fmt: skip
def test_failure_of_a_pipeline_is_an_error_and_leaves_the_engine_good(
    shared_bench: Bench, toys: Path, monkeypatch: pytest.MonkeyPatch, raised: Exception, code: str
) -> None:
    before = pixels(shared_bench.render(toys / "sdxl"))
    vae = next(c.value for c in shared_bench.engine.store if c.kind == "vae" and c.source.endswith("sdxl"))

    def fail(*args: Any, **named: Any) -> None:
        raise raised

    with monkeypatch.context() as patch:
        patch.setattr(vae.decoder, "forward", fail)
        with pytest.raises(EngineError) as caught:
            shared_bench.render(toys / "sdxl")
    assert caught.value.code == code
    assert caught.value.__cause__ is raised
    assert "64x64 pixels" in caught.value.message
    assert all(not c.pins for c in shared_bench.engine.store)
    assert pixels(shared_bench.render(toys / "sdxl")) == before


def test_device_that_does_not_exist_is_an_error(shared_bench: Bench) -> None:
    for device in ("cuda:99", "gpu", "cpuu"):
        with pytest.raises(EngineError) as caught:
            shared_bench.engine.device_kind(device)
        assert (caught.value.code, caught.value.option) == ("bad-device", "device")
    assert shared_bench.engine.device_kind("cpu") == "cpu"


def test_global_random_state_is_left_alone(shared_bench: Bench, toys: Path) -> None:
    import torch

    torch.manual_seed(5)
    before = torch.get_rng_state()
    shared_bench.render(toys / "sd")
    assert torch.equal(before, torch.get_rng_state())


def test_safety_checker_is_loaded_only_when_it_is_asked_for_and_what_it_blackens_is_told(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import toy_models

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        toy_models.make_sd(tmp_path / "sd", checked=True)
    free = bench.render(tmp_path / "sd")
    assert (free.flagged, {c.kind for c in bench.engine.store} & {"safety_checker", "feature_extractor"}) == ((), set())
    checked = bench.render(tmp_path / "sd", safety_checker=True)
    assert checked.flagged == (True,)
    assert set(checked.images[0].tobytes()) == {0}
    assert {c.kind for c in bench.engine.store} >= {"safety_checker", "feature_extractor"}
    assert pixels(bench.render(tmp_path / "sd")) == pixels(free)
    words = f"{tmp_path / 'sd'} --prompts x --seeds 7 --inference-steps 1 --batch-size 2 -sc -o {tmp_path / 'out'}"
    assert main([*words.split(), "--quiet"]) == 0
    assert "warning[blacked-out]: the safety checker blacked out 2 of 2 pictures of seed 7" in capsys.readouterr().err


def test_pipeline_computes_where_it_was_placed_and_else_where_its_components_are(
    shared_bench: Bench, toys: Path
) -> None:
    import torch
    from diffusers import StableDiffusionPipeline

    job = shared_bench.job(toys / "sd")
    components = StableDiffusionPipeline.from_pretrained(toys / "sd").components
    pipeline = assemble(job, shared_bench.engine.models.layout(job.request), components)
    assert pipeline._execution_device == torch.device("cpu")
    place(pipeline, "meta")
    assert pipeline._execution_device == torch.device("meta")
    assert isinstance(pipeline, StableDiffusionPipeline)
