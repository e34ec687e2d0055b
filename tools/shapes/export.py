"""Copies what was trained into the package, each folder replaced at once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from dgen.builtin import MODELS, NOTE

TARGET = MODELS
BASE_LIMIT_BYTES, PART_LIMIT_BYTES = 12_000_000, 1_000_000

NOTES = {
    "shapes": ("model", None, "Coloured circles, squares, triangles, stars, hearts and rings, 64x64."),
    "shapes-inpaint": ("model", "shapes", "Paints a masked part anew (9 channels)."),
    "shapes-pix2pix": ("model", "shapes", 'Changes a picture as it is told: "make it green" (8 channels).'),
    "shapes-lora-outline": ("lora", "shapes", "Draws outlines."),
    "shapes-lora-night": ("lora", "shapes", "Draws everything at night: on black."),
    "shapes-textual-inversion": ("textual inversion", "shapes", "`<badge>`: a large purple heart on yellow."),
    "shapes-controlnet-edges": ("controlnet", "shapes", "Edges decide place and form."),
}
"""What each folder is, of which base, and what `dgen models` says about it."""


def publish(folder: Path, resume: bool = False) -> None:
    """Copy every folder of NOTES from `folder` to the package."""
    for name, (kind, base, told) in NOTES.items():
        replace_folder(folder / name, TARGET / name)
        note = {"kind": kind, "base": base, "help": told}
        (TARGET / name / NOTE).write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")
        size, limit = size_bytes(TARGET / name), PART_LIMIT_BYTES if base else BASE_LIMIT_BYTES
        print(f"{name}: {size / 1e6:.2f} MB")
        if size > limit:
            raise SystemExit(f"{name} takes more than {limit / 1e6:.0f} MB")


def replace_folder(source: Path, target: Path) -> None:
    """Put a copy of `source` where `target` is, by two renames."""
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh, old = target.with_name(target.name + ".new"), target.with_name(target.name + ".old")
    for left_over in (fresh, old):
        shutil.rmtree(left_over, ignore_errors=True)
    shutil.copytree(source, fresh)
    for path in fresh.rglob("*.safetensors"):
        path.chmod(0o644)
    for path in fresh.rglob("config.json"):
        clean_config(path)
    if target.exists():
        target.rename(old)
    fresh.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def clean_config(path: Path) -> None:
    """Drop the training machine's folder; let a text encoder load in float32, as diffusers loads the rest."""
    config = json.loads(path.read_text(encoding="utf-8"))
    config.pop("_name_or_path", None)
    if "dtype" in config:
        config["dtype"] = "float32"
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def size_bytes(folder: Path) -> int:
    """Return the size of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
