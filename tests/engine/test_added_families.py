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


def make_cogview3(folder: Path) -> None:
    """Make a toy CogView 3 Plus model."""
    from diffusers import CogVideoXDDIMScheduler, CogView3PlusPipeline, CogView3PlusTransformer2DModel

    sys.path.insert(0, str(ROOT / "tools"))
    import toy_families
    import toy_models

    toy_models.seeded(3)
    transformer = CogView3PlusTransformer2DModel(
        in_channels=4, out_channels=4, num_layers=1, attention_head_dim=8, num_attention_heads=2,
        text_embed_dim=toy_families.WIDTH, time_embed_dim=8, condition_dim=4, pos_embed_max_size=32, sample_size=32,
    )  # fmt: skip
    CogView3PlusPipeline(
        scheduler=CogVideoXDDIMScheduler(), vae=toy_models.toy_vae(), transformer=transformer,
        text_encoder=toy_families.t5_encoder(), tokenizer=toy_families.t5_tokenizer(),
    ).save_pretrained(folder)  # fmt: skip


def test_a_plugin_adds_a_family_with_all_that_its_pipelines_do(
    forgotten: None, at_work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_cogview3(Path("cogview"))
    Path("own.py").write_text(FAMILY)
    Path("s.dgen").write_text(
        "\\import_plugins own.py\n"
        "cogview --prompts x --seeds 7 --inference-steps 2 --output-size 32\n"
        "\\print {{ last_images[0] }}\n"
        "cogview --model-type cogview3-plus --prompts x --seeds 7 --inference-steps 2 --output-size 48x32\n"
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
    assert (own["name"], own["file"], own["line"]) == ("cogview3", "own.py", 4)


def oracle() -> np.ndarray:
    """What diffusers itself draws."""
    import torch
    from diffusers import CogView3PlusPipeline

    pipeline = CogView3PlusPipeline.from_pretrained("cogview")
    generator = torch.Generator("cpu").manual_seed(7)
    made = pipeline("x", num_inference_steps=2, guidance_scale=7.0, width=32, height=32, generator=generator)
    return np.asarray(made.images[0])


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('name="cogview3"', 'name="sdxl"', "the model family `sdxl` is registered twice"),
        ('("cogview3-plus",)', '("torch-sdxl",)', "the model family `torch-sdxl` is registered twice"),
        ('name="cogview3"', 'name="Cog View"', "lower-case letters, digits and `-`"),
        ('"txt2img"', '"txt2video"', "has a mode `txt2video`"),
        ("CogView3PlusPipeline", "CogView3LessPipeline", "LessPipeline`, which diffusers does not have"),
        ('    """CogView 3 Plus, which draws large pictures of long descriptions."""\n', "", "has no docstring"),
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
