"""Kolors, DeepFloyd IF and Stable Cascade make what plain calls of their diffusers pipelines make."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from toybench import INPUTS, Bench, picture, pixels

from dgen.engine.protocol import Inputs
from dgen.options.attachments import ImageEncoderUri, IpAdapterUri, LoraUri
from dgen.values.image_seed import AdapterImage, ImageSeed
from dgen.values.scalars import Size

SIZE = {"width": 64, "height": 64}
TEXT = {"prompt": "a red circle", "negative_prompt": "blurry"}
SMALL = {"output_size": Size(64, 64)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a toy model of every family of this file, and what attaches to them."""
    import toy_adapters
    from toy_guided import GUIDED_TOYS

    made = tmp_path_factory.mktemp("guided")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, make in GUIDED_TOYS.items():
            make(made / name)
        toy_adapters.make_diffusers_lora(made / "kolors-lora", made / "kolors", kinds=("unet",))
        toy_adapters.make_ip_adapter(made / "kolors-ip.safetensors", made / "kolors")
        toy_adapters.make_image_encoder(made / "image_encoder")
    return made


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench()


def loaded(model: Path, pipeline: str, **named: Any) -> Any:
    """Load a pipeline as diffusers' documentation says."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import diffusers

        pipe = getattr(diffusers, pipeline).from_pretrained(model, **named)
        pipe.set_progress_bar_config(disable=True)
        return pipe


def called(pipe: Any, **call: Any) -> list[bytes]:
    """Call a pipeline with the seed of the bench: the pixels of each picture."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch

        torch.manual_seed(7)
        made = pipe(generator=torch.Generator("cpu").manual_seed(7), **{"num_inference_steps": 2, **call})
    return [image.convert("RGB").tobytes() for image in made.images]


# ---- Kolors --------------------------------------------------------------------------------------------------------

GUIDED = {**TEXT, "guidance_scale": 5.0}
KOLORS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("txt2img", "KolorsPipeline", {**GUIDED, **SIZE}, SMALL),
    ("img2img", "KolorsImg2ImgPipeline", {**GUIDED, "strength": 0.8, "image": picture()}, {}),
    ("txt2img", "KolorsPAGPipeline", {**GUIDED, **SIZE, "pag_scale": 3.0}, {**SMALL, "pag": True}),
]


@pytest.mark.parametrize(("mode", "pipeline", "call", "said"), KOLORS, ids=lambda v: v if type(v) is str else "")
def test_kolors_makes_what_a_plain_call_makes(
    folder: Path, bench: Bench, mode: str, pipeline: str, call: dict[str, Any], said: dict[str, Any]
) -> None:
    job = bench.job(folder / "kolors", mode, **said)
    made = bench.engine.render(job, INPUTS[mode], lambda step, steps: None)
    assert (job.family, job.pipeline) == ("kolors", pipeline)
    assert pixels(made) == called(loaded(folder / "kolors", pipeline), **call)


def test_lora_of_kolors_acts_as_in_a_plain_call_and_leaves_no_trace(folder: Path, bench: Bench) -> None:
    before = pixels(bench.render(folder / "kolors", **SMALL))
    made = pixels(bench.render(folder / "kolors", loras=(LoraUri(model=str(folder / "kolors-lora")),), **SMALL))
    pipe = loaded(folder / "kolors", "KolorsPipeline")
    pipe.load_lora_weights(folder / "kolors-lora")
    assert made == called(pipe, **GUIDED, **SIZE)
    assert pixels(bench.render(folder / "kolors", **SMALL)) == before != made


def test_ip_adapter_of_kolors_acts_as_in_a_plain_call_and_leaves_no_trace(folder: Path, bench: Bench) -> None:
    from transformers import CLIPVisionModelWithProjection

    before = pixels(bench.render(folder / "kolors", **SMALL))
    adapter = IpAdapterUri(model=str(folder / "kolors-ip.safetensors"), scale=0.6)
    seed = ImageSeed(adapter=((AdapterImage("seed"),),))
    said = {"ip_adapters": (adapter,), "image_encoder": ImageEncoderUri(model=str(folder / "image_encoder"))}
    job = bench.job(folder / "kolors", **said, image_seed=seed, **SMALL)
    made = pixels(bench.engine.render(job, Inputs(adapters=((picture(),),)), lambda step, steps: None))
    encoder = CLIPVisionModelWithProjection.from_pretrained(folder / "image_encoder")
    pipe = loaded(folder / "kolors", "KolorsPipeline", image_encoder=encoder)
    pipe.load_ip_adapter(str(folder), "", "kolors-ip.safetensors", image_encoder_folder=None)
    pipe.set_ip_adapter_scale(0.6)
    assert made == called(pipe, **GUIDED, **SIZE, ip_adapter_image=[[picture()]])
    assert pixels(bench.render(folder / "kolors", **SMALL)) == before != made


@pytest.mark.parametrize(
    "said",
    [{"deep_cache": True, "deep_cache_interval": 2}, {"hi_diffusion": True}, {"pag": True, "pag_scale": 2.0}],
    ids=lambda said: next(iter(said)),
)
def test_what_changes_the_unet_of_kolors_leaves_no_trace(folder: Path, bench: Bench, said: dict[str, Any]) -> None:
    before = pixels(bench.render(folder / "kolors", **SMALL))
    assert pixels(bench.render(folder / "kolors", **SMALL, **said)) != before
    assert pixels(bench.render(folder / "kolors", **SMALL)) == before
