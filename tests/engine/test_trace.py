"""The trace engine tells what the real one does."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from toybench import INPUTS, Bench, Pictures, picture

from dgen.engine.protocol import EngineError, Inputs
from dgen.engine.trace import Traced, TraceEngine
from dgen.events import ComponentLoaded, ComponentReused, FileRead
from dgen.options.attachments import ControlNetUri, LoraUri, TextualInversionUri
from dgen.options.request import Request
from dgen.options.submodels import VaeUri
from dgen.plan.resolve import resolve
from dgen.values.image_seed import ImageSeed
from dgen.values.prompt import Prompt
from dgen.values.scalars import Size
from dgen.values.uri import NamedUri


def lines(*requests: Request) -> list[str]:
    told: list[str] = []
    engine = TraceEngine(lambda event: told.append(event.text) if isinstance(event, Traced) else None)
    for request in requests:
        facts = engine.inspect(request)
        engine.check(request, facts)
        assert (
            engine.render(resolve(request, facts, "cpu", Pictures()), INPUTS["txt2img"], lambda *step: None).images
            == ()
        )
    return told


def test_trace_says_what_the_real_engine_loads_and_finds(bench: Bench, toys: Path) -> None:
    vae = VaeUri(class_name="AutoencoderKL", model=str(toys / "vae"))
    loras = tuple(LoraUri(model=str(toys / name)) for name in ("sd-lora", "sd-lora.safetensors"))
    words = (TextualInversionUri(model=str(toys / "word")),)
    said: list[dict[str, Any]] = [
        {}, {"scheduler": NamedUri("EulerDiscrete")}, {"vae": vae}, {"dtype": "bfloat16"}, {}, {"model": "sdxl"},
        {"model": "auraflow"}, {"loras": loras, "textual_inversions": words}, {"loras": loras[:1]},
    ]  # fmt: skip
    requests = []
    for one in said:
        model = one.pop("model", "sd")
        requests.append(bench.job(toys / model, **one).request)
        bench.render(toys / model, **one)
    word = {ComponentLoaded: "load", ComponentReused: "hit"}
    done = [f"{word[type(e)]} {e.kind} {Path(e.source).name}" for e in bench.events if type(e) in word]
    assert [t.rsplit(" ", 1)[0] for t in lines(*requests) if not t.startswith("job")] == done


def test_trace_says_which_controlnets_the_real_engine_loads_and_finds(bench: Bench, toys: Path) -> None:
    nets = tuple(ControlNetUri(model=str(toys / name)) for name in ("sd-net", "sd-net-2", "sd-net"))
    seed = ImageSeed("seed", further=("seed", "seed"))
    job = bench.job(toys / "sd", control_nets=nets, image_seed=seed)
    bench.engine.render(job, Inputs(controls=(picture(),) * 3), lambda step, steps: None)
    word = {ComponentLoaded: "load", ComponentReused: "hit"}
    done = [f"{word[type(e)]} {e.kind} {Path(e.source).name}" for e in bench.events if type(e) in word]
    assert [
        t.rsplit(" ", 1)[0] for t in lines(replace(job.request, image_seed=seed)) if not t.startswith("job")
    ] == done
    assert done.count("load controlnet sd-net") == done.count("hit controlnet sd-net") == 1


def test_model_is_loaded_once_by_whichever_path_it_is_called(bench: Bench, toys: Path, tmp_path: Path) -> None:
    for name in ("sd", "vae", "sd-net", "sd-lora.safetensors"):
        (tmp_path / name).symlink_to(toys / name)
    (tmp_path / "again").symlink_to(tmp_path / "sd")
    models = (toys / "sd", tmp_path / "sd", tmp_path / "again")
    requests: list[Request] = []
    for folder, model in zip((toys, tmp_path, toys), models, strict=True):
        vae = VaeUri(class_name="AutoencoderKL", model=str(folder / "vae"))
        nets = (ControlNetUri(model=str(folder / "sd-net")),)
        loras = (LoraUri(model=str(folder / "sd-lora.safetensors")),)
        job = bench.job(model, vae=vae, control_nets=nets, loras=loras, image_seed=ImageSeed("seed"))
        bench.engine.render(job, Inputs(controls=(picture(),)), lambda step, steps: None)
        requests.append(replace(job.request, image_seed=ImageSeed("seed")))
    assert [r.model for r in requests] == list(map(str, models))
    word = {ComponentLoaded: "load", ComponentReused: "hit"}
    done = [f"{word[type(e)]} {e.kind} {Path(e.source).name}" for e in bench.events if type(e) in word]
    traced = [t.rsplit(" ", 1)[0] for t in lines(*requests) if not t.startswith("job")]
    assert traced == done
    assert [line.split()[0] for line in done] == ["load"] * (len(done) // 3) + ["hit"] * (2 * len(done) // 3)
    read = [e.path for e in bench.of(FileRead)]
    assert len(read) == len({str(Path(path).resolve()) for path in read})
    assert {line.split()[2] for line in done if line.startswith("hit unet")} == {"sd", "again"}  # as each was called


def test_job_line_gives_what_determines_the_picture(toys: Path) -> None:
    request = Request(model=str(toys / "sdxl"), prompt=Prompt("a red circle", "blurry"), seed=3, vae_tiling=True,
                      original_size=Size(10, 20), scheduler=NamedUri("DDIM"))  # fmt: skip
    assert lines(request)[-1] == (
        "job txt2img StableDiffusionXLPipeline size=64x64 vae_tiling=yes "
        "prompt='a red circle; blurry' seed=3 guidance_scale=5.0 "
        "num_inference_steps=30 num_images_per_prompt=1 original_size=10x20 scheduler=DDIM"
    )


def test_model_that_cannot_be_seen_is_taken_as_its_type_says() -> None:
    engine = TraceEngine()
    assert engine.inspect(Request(model="org/unseen-model")).family.name == "sd"
    facts = engine.inspect(Request(model="org/unseen-model", model_type="torch-sdxl"))
    assert (facts.pipeline, facts.default_size, facts.parts) == ("StableDiffusionXLPipeline", Size(1024, 1024), ())
    assert len(lines(Request(model="org/unseen-model", seed=1, prompt=Prompt("x")))) == 6


def test_what_is_wrong_is_found_without_loading(toys: Path, tmp_path: Path) -> None:
    (tmp_path / "vae").mkdir()
    for said, code in (
        ({"model": str(tmp_path)}, "bad-model"),
        ({"model": str(tmp_path / "none")}, "missing-file"),
        ({"model": str(toys / "sd"), "scheduler": NamedUri("Eulr")}, "unknown-scheduler"),
        ({"model": str(toys / "sd"), "vae": VaeUri(class_name="AutoencoderKL", model=str(tmp_path))}, "bad-model"),
        ({"model": str(toys / "sd"), "model_type": "sdd"}, "unknown-model-type"),
        ({"model": "org/unseen", "model_type": "flax"}, "removed-feature"),
    ):
        with pytest.raises(EngineError) as caught:
            lines(Request(**said))
        assert caught.value.code == code


def test_neither_engine_imports_torch_before_it_must(toys: Path) -> None:
    program = f"""
import sys
from dgen.engine.render import LocalEngine
from dgen.engine.trace import TraceEngine
from dgen.options.attachments import ControlNetUri, LoraUri, TextualInversionUri
from dgen.options.request import Request
from dgen.values.uri import NamedUri
for engine in (LocalEngine(), TraceEngine()):
    request = Request(
        model={str(toys / "sd")!r}, scheduler=NamedUri("EulerDiscrete"),
        loras=(LoraUri(model={str(toys / "sd-lora")!r}),),
        control_nets=(ControlNetUri(model={str(toys / "sd-net")!r}),),
        textual_inversions=(TextualInversionUri(model={str(toys / "word")!r}),),
    )
    engine.check(request, engine.inspect(request))
    engine.schedulers(request)
    engine.device_kind("cpu")
assert not {{"torch", "diffusers", "transformers", "numpy", "PIL", "huggingface_hub"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
