"""Runs every example and lays what it makes side by side as docs/pictures/NAME.png."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image

import dgen
from dgen.media.encode import grid

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
PICTURES = ROOT / "docs" / "pictures"
SIDE_PX, COLUMNS = 128, 6


def main(names: list[str]) -> None:
    """Run the examples of these names, or all."""
    for path in sorted(EXAMPLES.glob("*.dgen")):
        if not names or path.stem in names:
            sheet(run(path)).save(PICTURES / f"{path.stem}.png", optimize=True)
            print(path.stem, flush=True)


def run(path: Path) -> list[Image.Image]:
    """Return the pictures of one example, in the order of their making."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(EXAMPLES, folder, dirs_exist_ok=True)
        before = Path.cwd()
        os.chdir(folder)
        try:
            made = dgen.Session().run(Path(path.name))
            return [Image.open(p).convert("RGB") for p in made.paths]
        finally:
            os.chdir(before)


def sheet(pictures: list[Image.Image]) -> Image.Image:
    """Return the pictures in rows; those that are no larger than the model's are shown larger."""
    shown = [p if p.width > SIDE_PX else p.resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS) for p in pictures]
    columns = min(len(shown), COLUMNS)
    return grid(shown, columns, -(-len(shown) // columns))


if __name__ == "__main__":
    main(sys.argv[1:])
