"""A model family that a plugin adds, with nothing else edited: the one of the documentation, on a toy model."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgen.cli.main import main
from dgen.families.added import ADDED

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
(FAMILY,) = [code for code in re.findall(r"^```py\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL) if "Family(" in code]


@pytest.fixture
def forgotten() -> Iterator[None]:
    """What plugins add goes with the test."""
    yield
    ADDED.forget(ADDED.names())


def make_lcm(folder: Path) -> None:
    """Make a latent consistency model of a toy: its UNet is told how much guidance is wanted."""
    from diffusers import LatentConsistencyModelPipeline, LCMScheduler

    sys.path.insert(0, str(ROOT / "tools"))
    import toy_models

    toy_models.seeded(3)
    parts = {
        "vae": toy_models.toy_vae(), "tokenizer": toy_models.make_tokenizer(), "scheduler": LCMScheduler(),
        "unet": toy_models.toy_unet(time_cond_proj_dim=8),
    }  # fmt: skip
    from transformers import CLIPTextModel

    text_encoder = CLIPTextModel(toy_models.clip_settings(32))
    LatentConsistencyModelPipeline(
        **parts, text_encoder=text_encoder, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    ).save_pretrained(folder)


def test_a_plugin_adds_a_family_with_all_that_its_pipelines_do(
    forgotten: None, at_work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_lcm(Path("lcm"))
    Path("own.py").write_text(FAMILY)
    Path("s.dgen").write_text(
        "\\import_plugins own.py\n"
        "lcm --prompts x --seeds 7 --inference-steps 2 --output-size 32\n"
        "\\print {{ last_images[0] }}\n"
        "lcm --model-type latent-consistency --prompts x --seeds 7 --inference-steps 2 --image-seeds seed.png;32x32\n"
        "\\print {{ image_size(last_images[0]) }}\n"
    )
    assert main(["check", "s.dgen"]) == 0
    capsys.readouterr()
    assert main(["s.dgen", "--quiet"]) == 0, capsys.readouterr().err
    drawn, size = capsys.readouterr().out.splitlines()
    assert size == "32x16"
    wanted = oracle()
    assert (np.asarray(Image.open(drawn)) == wanted).all()
    assert main(["plugins", "--json"]) == 0
    (own,) = [each for each in json.loads(capsys.readouterr().out) if each["kind"] == "model family"]
    assert (own["name"], own["file"], own["line"]) == ("lcm", "own.py", 4)


def oracle() -> np.ndarray:
    """What diffusers itself draws."""
    import torch
    from diffusers import LatentConsistencyModelPipeline

    pipeline = LatentConsistencyModelPipeline.from_pretrained("lcm")
    generator = torch.Generator("cpu").manual_seed(7)
    made = pipeline("x", num_inference_steps=2, guidance_scale=8.5, width=32, height=32, generator=generator)
    return np.asarray(made.images[0])


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('name="lcm"', 'name="sdxl"', "the model family `sdxl` is registered twice"),
        ('("latent-consistency",)', '("torch-sdxl",)', "the model family `torch-sdxl` is registered twice"),
        ('name="lcm"', 'name="L C M"', "lower-case letters, digits and `-`"),
        ('"img2img"', '"img2video"', "has a mode `img2video`"),
        ("ModelImg2ImgPipeline", "ModelVideoPipeline", "VideoPipeline`, which diffusers does not have"),
        ('    """Latent consistency models, which draw in few steps."""\n', "", "has no docstring"),
        ("return Family(", "return dict(", "returns a dict, not a `Family`"),
    ],
)  # fmt: skip
def test_a_wrong_family_is_blamed_by_file_and_line(
    old: str, new: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert old in FAMILY
    Path("wrong.py").write_text(FAMILY.replace(old, new))
    assert main(["plugins", "wrong.py"]) == 2
    error = capsys.readouterr().err
    assert "error[bad-plugin]" in error
    assert told in error
    assert " --> wrong.py:4" in error
    assert not ADDED.names()
