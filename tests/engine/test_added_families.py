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


def make_ovis(folder: Path) -> None:
    """Make a toy Ovis-Image model."""
    from diffusers import FlowMatchEulerDiscreteScheduler, OvisImagePipeline, OvisImageTransformer2DModel

    sys.path.insert(0, str(ROOT / "tools"))
    import toy_models
    import toy_texts

    toy_models.seeded(3)
    transformer = OvisImageTransformer2DModel(
        in_channels=16, out_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=toy_texts.WIDTH, axes_dims_rope=(4, 4, 8),
    )  # fmt: skip
    OvisImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(), vae=toy_models.toy_vae(shift_factor=0.1),
        text_encoder=toy_texts.qwen3(), tokenizer=toy_texts.qwen_tokenizer(), transformer=transformer,
    ).save_pretrained(folder)  # fmt: skip


def test_a_plugin_adds_a_family_with_all_that_its_pipelines_do(
    forgotten: None, at_work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_ovis(Path("ovis"))
    Path("own.py").write_text(FAMILY)
    Path("s.dgen").write_text(
        "\\import_plugins own.py\n"
        "ovis --prompts x --seeds 7 --inference-steps 2 --output-size 32\n"
        "\\print {{ last_images[0] }}\n"
        "ovis --model-type ovis-image --prompts x --seeds 7 --inference-steps 2 --output-size 48x32\n"
        "\\print {{ image_size(last_images[0]) }}\n"
    )
    assert main(["check", "s.dgen"]) == 0
    capsys.readouterr()
    assert main(["s.dgen", "--quiet"]) == 0, capsys.readouterr().err
    drawn, size = capsys.readouterr().out.splitlines()
    assert size == "48x32"
    wanted = oracle()
    assert (np.asarray(Image.open(drawn)) == wanted).all()
    assert main(["plugins", "--json"]) == 0
    (own,) = [each for each in json.loads(capsys.readouterr().out) if each["kind"] == "model family"]
    assert (own["name"], own["file"], own["line"]) == ("ovis", "own.py", 4)


def oracle() -> np.ndarray:
    """What diffusers itself draws."""
    import torch
    from diffusers import OvisImagePipeline

    pipeline = OvisImagePipeline.from_pretrained("ovis")
    generator = torch.Generator("cpu").manual_seed(7)
    made = pipeline("x", num_inference_steps=2, guidance_scale=4.5, width=32, height=32, generator=generator)
    return np.asarray(made.images[0])


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('name="ovis"', 'name="sdxl"', "the model family `sdxl` is registered twice"),
        ('("ovis-image",)', '("torch-sdxl",)', "the model family `torch-sdxl` is registered twice"),
        ('name="ovis"', 'name="O vis"', "lower-case letters, digits and `-`"),
        ('"txt2img"', '"txt2video"', "has a mode `txt2video`"),
        ("OvisImagePipeline", "OvisVideoPipeline", "VideoPipeline`, which diffusers does not have"),
        ('    """Ovis-Image, which writes texts into its pictures."""\n', "", "has no docstring"),
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
