"""Families that choose their sizes, and families that look at pictures, make what a plain call makes."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from toybench import INPUTS, Bench, picture, pixels

from dgen.engine.processors import load_reader
from dgen.engine.protocol import Inputs
from dgen.options.attachments import LoraUri
from dgen.plan.resolve import made_size
from dgen.values.image_seed import ImageSeed
from dgen.values.prompt import Prompt
from dgen.values.scalars import Size


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a toy model of every family of this file."""
    import toy_looks

    made = tmp_path_factory.mktemp("looks")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, make in toy_looks.LOOKS.items():
            make(made / name)
    return made


def plain(model: Path, pipeline: str, call: dict[str, Any], **parts: Any) -> Any:
    """Call a pipeline as diffusers' documentation says."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import diffusers
        import torch

        pipe = getattr(diffusers, pipeline).from_pretrained(model, **parts)
        pipe.set_progress_bar_config(disable=True)
        return pipe(generator=torch.Generator("cpu").manual_seed(7), **call)


@pytest.mark.parametrize(
    ("name", "pipeline", "mode", "given", "size"),
    [
        ("kandinsky5", "Kandinsky5T2IPipeline", "txt2img", {"width": 768, "height": 1280}, Size(768, 1280)),
        ("kandinsky5-edit", "Kandinsky5I2IPipeline", "img2img", {"image": picture()}, Size(1024, 1024)),
    ],
)
def test_kandinsky_5_draws_one_of_its_sizes(
    folder: Path, shared_bench: Bench, name: str, pipeline: str, mode: str, given: dict[str, Any], size: Size
) -> None:
    from transformers import Qwen2VLProcessor

    asked = {"output_size": size} if mode == "txt2img" else {}
    job = shared_bench.job(folder / name, mode, num_inference_steps=1, **asked)
    made = shared_bench.engine.render(job, INPUTS[mode], lambda step, steps: None)
    reader = load_reader(Qwen2VLProcessor, folder / name / "tokenizer")
    call = {"prompt": "a red circle", "negative_prompt": "blurry", "num_inference_steps": 1, "guidance_scale": 3.5}
    wanted = plain(folder / name, pipeline, call | given, tokenizer=reader)
    assert pixels(made) == [image.tobytes() for image in wanted.image]
    assert (job.family, job.pipeline, made_size(job), made.images[0].size) == (name, pipeline, size, tuple(size))


def greys(prediction: Any) -> bytes:
    grey = np.rint((1 - prediction[0, :, :, 0]) * 255).astype(np.uint8)
    return np.stack([grey] * 3, axis=-1).tobytes()


def colours(prediction: Any) -> bytes:
    return ((prediction[0] + 1) * 0.5 * 255).astype(np.uint8).tobytes()


@pytest.mark.parametrize(
    ("name", "pipeline", "drawn"),
    [
        ("marigold-depth", "MarigoldDepthPipeline", greys),
        ("marigold-normals", "MarigoldNormalsPipeline", colours),
    ],
)
def test_marigold_draws_what_a_plain_call_predicts(
    folder: Path, shared_bench: Bench, name: str, pipeline: str, drawn: Callable[[Any], bytes]
) -> None:
    job = shared_bench.job(folder / name, "img2img", prompt=Prompt(), num_inference_steps=None)
    made = shared_bench.engine.render(job, INPUTS["img2img"], lambda step, steps: None)
    assert (job.family, job.request.num_inference_steps) == (name, None)
    assert pixels(made) == [drawn(plain(folder / name, pipeline, {"image": picture()}).prediction)]
    assert made.images[0].size == tuple(made_size(job)) == (64, 64)
    assert isinstance(made.images[0], Image.Image)


@pytest.mark.parametrize(
    ("name", "pipeline", "mode", "given"),
    [
        ("prx", "PRXPipeline", "txt2img", {}),
        ("z-image-omni", "ZImageOmniPipeline", "txt2img", {}),
        ("z-image-omni", "ZImageOmniPipeline", "img2img", {"image": picture()}),
    ],
)
def test_mode_makes_what_a_plain_call_makes(
    folder: Path, shared_bench: Bench, name: str, pipeline: str, mode: str, given: dict[str, Any]
) -> None:
    import torch

    size = {"output_size": Size(64, 64)} if mode == "txt2img" else {}
    job = shared_bench.job(folder / name, mode, dtype="bfloat16", **size)
    made = shared_bench.engine.render(job, INPUTS[mode], lambda step, steps: None)
    call = {"prompt": "a red circle", "negative_prompt": "blurry", "num_inference_steps": 2, "width": 64, "height": 64}
    wanted = plain(folder / name, pipeline, call | given, torch_dtype=torch.bfloat16)
    assert pixels(made) == [image.tobytes() for image in wanted.images]
    assert (job.family, job.pipeline, made_size(job)) == (name, pipeline, Size(64, 64))


def test_size_that_a_prx_model_was_made_for_stands_in_its_index(folder: Path, shared_bench: Bench) -> None:
    assert shared_bench.job(folder / "prx").size == Size(512, 512)
    index = folder / "prx" / "model_index.json"
    other = folder / "prx-large"
    shutil.copytree(folder / "prx", other)
    told = index.read_text(encoding="utf-8")
    assert '"default_sample_size": 512' in told
    (other / "model_index.json").write_text(told.replace('_size": 512', '_size": 1024'), encoding="utf-8")
    assert shared_bench.job(other).size == Size(1024, 1024)


def test_z_image_omni_edits_in_full_precision_though_its_pipeline_encodes_in_half(
    folder: Path, shared_bench: Bench
) -> None:
    half, full = (
        np.frombuffer(pixels(shared_bench.render(folder / "z-image-omni", "img2img", dtype=dtype))[0], np.uint8)
        for dtype in ("bfloat16", "float32")
    )
    assert np.abs(half.astype(int) - full).mean() < 3


def test_z_image_omni_looks_at_several_pictures_together(folder: Path, shared_bench: Bench) -> None:
    import torch

    seed = ImageSeed("seed", batch=("seed",))
    job = shared_bench.job(folder / "z-image-omni", "img2img", dtype="bfloat16", image_seed=seed)
    other = picture().transpose(Image.Transpose.ROTATE_90)
    made = shared_bench.engine.render(job, Inputs(picture(), batch=(other,)), lambda step, steps: None)
    call = {"prompt": "a red circle", "negative_prompt": "blurry", "num_inference_steps": 2, "width": 64, "height": 64}
    call["image"] = [picture(), other]
    wanted = plain(folder / "z-image-omni", "ZImageOmniPipeline", call, torch_dtype=torch.bfloat16)
    assert pixels(made) == [image.tobytes() for image in wanted.images]


def test_lora_changes_what_z_image_omni_draws_and_leaves_no_trace(folder: Path, shared_bench: Bench) -> None:
    import toy_families

    lora = toy_families.make_transformer_lora(folder / "omni-lora", folder / "z-image-omni")
    size = {"output_size": Size(64, 64)}
    before = pixels(shared_bench.render(folder / "z-image-omni", **size))
    assert pixels(shared_bench.render(folder / "z-image-omni", loras=(LoraUri(model=str(lora)),), **size)) != before
    assert pixels(shared_bench.render(folder / "z-image-omni", **size)) == before
