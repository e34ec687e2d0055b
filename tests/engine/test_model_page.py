"""`dgen model` tells of a model what loading it would show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dgen.cli.main import main
from dgen.engine.trace import TraceEngine
from dgen.families.signatures import default_of
from dgen.options.request import Request


def told(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["model", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("model", ["sd", "sdxl"])
def test_parts_are_those_that_loading_finds(model: str, toys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import diffusers

    found = told(capsys, str(toys / model))
    pipe = getattr(diffusers, found["pipeline"]).from_pretrained(toys / model)
    parts = {part["kind"]: part for part in found["parts"]}
    for kind, module in pipe.components.items():
        if module is None:
            assert kind not in parts
            continue
        assert parts[kind]["class_name"] == type(module).__name__
        if hasattr(module, "parameters"):
            count = sum(p.numel() for p in module.parameters())
            assert (parts[kind]["parameters"], parts[kind]["dtypes"]) == (count, ["float32"])
            assert 0 <= parts[kind]["bytes"] - 4 * count < 40_000  # the header


def test_checkpoint_file_is_told_part_by_part(toys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = {part["kind"]: part for part in told(capsys, str(toys / "sdxl"))["parts"] if part["parameters"]}
    found = told(capsys, str(toys / "sdxl.safetensors"))
    parts = {part["kind"]: part for part in found["parts"]}
    assert found["family"] == "sdxl"
    assert set(parts) == {"unet", "vae", "text_encoder", "text_encoder_2"} == set(whole)
    assert parts["unet"]["parameters"] == whole["unet"]["parameters"]
    assert parts["text_encoder_2"]["class_name"] == "CLIPTextModelWithProjection"


def test_pickle_is_not_opened(toys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, str(toys / "sd.ckpt"), "--model-type", "sd")
    assert [(p["kind"], p["bytes"]) for p in found["parts"]] == [("", (toys / "sd.ckpt").stat().st_size)]


def test_what_it_accepts_is_what_its_signatures_say(toys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, str(toys / "sd"))
    assert found["modes"]["inpaint"] == "StableDiffusionInpaintPipeline"
    assert found["attached"]["t2i-adapter"] == {"txt2img": "StableDiffusionAdapterPipeline"}
    assert found["options"]["--image-seed-strengths"] == {"modes": ["img2img", "inpaint"], "default": "0.8"}
    assert "--second-prompts" not in found["options"]
    eta = next(p for p in found["call"] if p["name"] == "eta")
    assert (eta["annotation"], eta["default"]) == ("float", str(default_of("StableDiffusionPipeline", "eta")))
    assert not {"prompt", "height", "latents", "generator"} & {p["name"] for p in found["call"]}
    assert found["schedulers"][0] == "DDIMScheduler"


def test_page_can_be_read(toys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", str(toys / "sd")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("Stable Diffusion 1.x and 2.x (sd), StableDiffusionPipeline, 64x64 pixels")
    assert "parts:" in lines
    assert any(line.startswith("  unet ") and "parameters, float32" in line for line in lines)
    assert "  eta: float = 0.0" in lines


def test_what_is_not_here_is_not_told() -> None:
    engine = TraceEngine()
    request = Request(model="nobody/knows")
    assert engine.contents(request, engine.inspect(request)) == ()
