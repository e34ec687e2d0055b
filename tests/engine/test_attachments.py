"""What comes with dgen attaches by name, from the script to the config that makes a picture again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

import dgen.builtin
from dgen.cli.main import main

PARTS = {
    "shapes": ("model", "sd"),
    "shapes-lora-outline": ("lora", "sd-lora"),
    "shapes-textual-inversion": ("textual inversion", "word"),
    "shapes-controlnet-edges": ("controlnet", "sd-net"),
}


@pytest.fixture
def at_home(toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory, and toys in the place of the built-in models."""
    for name, (kind, toy) in PARTS.items():
        folder = tmp_path / "models" / name
        shutil.copytree(toys / toy, folder)
        base = None if kind == "model" else "shapes"
        note = {"kind": kind, "help": "A toy.", "base": base}
        (folder / "builtin.json").write_text(json.dumps(note), encoding="utf-8")
    monkeypatch.setattr(dgen.builtin, "MODELS", tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    Image.linear_gradient("L").resize((64, 64)).save("seed.png")
    Image.radial_gradient("L").resize((96, 96)).save("edges.png")
    return tmp_path


def test_config_with_everything_attached_makes_the_picture_again(at_home: Path) -> None:
    script = at_home / "all.dgen"
    script.write_text(
        "builtin:shapes --prompts 'a <badge>' --seeds 1 --inference-steps 2 --output-configs\n"
        "--loras builtin:shapes-lora-outline;scale=0.5 --lora-fuse-scale 0.8\n"
        "--textual-inversions builtin:shapes-textual-inversion\n"
        "--control-nets builtin:shapes-controlnet-edges;end=0.9 --image-seeds 'seed.png;control=edges.png'\n",
        encoding="utf-8",
    )
    assert main([script.name, "--quiet"]) == 0
    (config,) = (at_home / "output").glob("*.dgen")
    (made,) = (at_home / "output").glob("*.png")
    text = config.read_text(encoding="utf-8")
    assert "--loras builtin:shapes-lora-outline;scale=0.5\n" in text
    assert "control=../edges.png" in text
    assert sum(f"# builtin:{name}: sha256" in text for name in PARTS) == len(PARTS)
    assert main(["replay", str(made), "--quiet", "--output-path", "again"]) == 0
    (again,) = (at_home / "again").glob("*.png")
    assert Image.open(again).tobytes() == Image.open(made).tobytes()


def test_unknown_built_in_part_is_told_with_a_near_one(at_home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["builtin:shapes", "--loras", "builtin:shapes-lora-outlin", "--quiet"]) == 2
    assert "did you mean `builtin:shapes-lora-outline`?" in capfd.readouterr().err
