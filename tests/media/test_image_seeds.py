"""Image seeds in runs: every common kind of picture, and several in one batch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgen.cli.main import main
from dgen.media.metadata import read_config
from dgen.media.read import PictureFiles

RUN = ["toy", "--prompts", "x", "--inference-steps", "2", "--seeds", "1", "--quiet"]


def made(folder: str, *words: str) -> list[np.ndarray]:
    assert main([*RUN, *words, "-o", folder]) == 0
    return [np.asarray(Image.open(p)).astype(int) for p in sorted(Path(folder).glob("*.png"))]


def _palette(path: Path) -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 200, 100, 50])
    image.save(path, transparency=0)


def _animated(path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), color) for color in ((200, 100, 50), "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)


KINDS: dict[str, Callable[[Path], None]] = {
    "cmyk.tif": lambda p: Image.new("CMYK", (4, 4), (55, 155, 205, 0)).save(p),
    "palette.png": _palette,
    "bits.png": lambda p: Image.new("1", (4, 4), 1).save(p),
    "deep.png": lambda p: Image.new("I;16", (4, 4), 65535).save(p),
    "float.tif": lambda p: Image.new("F", (4, 4), 1.0).save(p),
    "clear.webp": lambda p: Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(p, lossless=True),
    "grey-and-clear.png": lambda p: Image.new("LA", (4, 4), (0, 0)).save(p),
    "moving.webp": _animated,
    "moving.png": lambda p: _animated(p),
    "moving.gif": lambda p: Image.new("RGB", (4, 4), (200, 100, 50)).save(p, save_all=True),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_picture_has_its_colours(tmp_path: Path, name: str) -> None:
    KINDS[name](tmp_path / name)
    found = PictureFiles().picture(str(tmp_path / name)).getpixel((2, 2))
    coloured = name.startswith(("cmyk", "palette", "moving"))
    assert found == ((200, 100, 50) if coloured else (255, 255, 255))


@pytest.mark.parametrize("masks", [None, "mask.png", "mask.png, other-mask.png"])
def test_each_image_of_a_batch_becomes_what_it_becomes_alone(at_work: Path, masks: str | None) -> None:
    Image.open("seed.png").transpose(Image.Transpose.ROTATE_180).save("other.png")
    Image.open("mask.png").transpose(Image.Transpose.ROTATE_180).save("other-mask.png")
    whole = "images: seed.png, other.png" + (f";mask={masks}" if masks else "")
    together = made("batch", "--image-seeds", whole)
    each = masks.split(", ") if masks else [""]
    alone = [
        made(f"alone{n}", "--image-seeds", f"{image};{mask}".rstrip(";"), "--seeds", str(1 + n))[0]
        for n, (image, mask) in enumerate(zip(("seed.png", "other.png"), (each * 2)[-2:], strict=True))
    ]
    assert [abs(a - b).max() for a, b in zip(together, alone, strict=True)] <= [2, 2]
    (first, _) = sorted(Path("batch").glob("*.png"))
    assert first.stem.endswith("_image_1")
    assert "images: " in read_config(first)


def test_image_of_a_batch_that_differs_in_size_is_refused(at_work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RUN, "--image-seeds", "images: seed.png, tall-mask.png", "-o", "out"]) == 2
    assert "the image is 64x96, which does not fit an image of 96x64" in capsys.readouterr().err
