"""Copies what was trained into the package, each folder replaced at once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

TARGET = Path(__file__).parents[2] / "src" / "dgen" / "models"
LIMIT_BYTES = 12_000_000


def publish(folder: Path, resume: bool = False) -> None:
    """Copy every exported folder `shapes*` from `folder` to the package."""
    for source in sorted(folder.glob("shapes*")):
        if source.is_dir():
            replace_folder(source, TARGET / source.name)
            print(f"{source.name}: {size_bytes(TARGET / source.name) / 1e6:.2f} MB")
    if size_bytes(TARGET / "shapes") > LIMIT_BYTES:
        raise SystemExit(f"the base model takes more than {LIMIT_BYTES / 1e6:.0f} MB")


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
