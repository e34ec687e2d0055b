"""Renders examples/hello.dgen and lays its pictures side by side as docs/hello.png, for the README."""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image

from dgen.cli.main import main as dgen
from dgen.media.write import grid

ROOT = Path(__file__).resolve().parent.parent
SIDE_PX = 192


def main() -> int:
    """Render and write the picture; return the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        code = dgen([str(ROOT / "examples" / "hello.dgen"), "--output-path", folder, "--quiet"])
        paths = sorted(Path(folder).glob("*.png"), key=lambda p: int(p.stem.rpartition("_")[2]))
        pictures = [_enlarged(p) for p in paths]
    if not code:
        grid(pictures, len(pictures), 1).save(ROOT / "docs" / "hello.png", optimize=True)
    return code


def _enlarged(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB").resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    raise SystemExit(main())
