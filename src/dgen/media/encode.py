"""Turns pictures into the bytes of files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO

from dgen.media.metadata import save_keywords

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = {"png": "PNG", "jpg": "JPEG", "jpeg": "JPEG", "webp": "WEBP"}
_QUALITY = {"PNG": {}, "JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"quality": 95, "method": 4}}


def encode(image: Image, ending: str, texts: dict[str, str], file: BinaryIO) -> None:
    """Write a picture in the format of a file ending; the same picture and texts give the same bytes.

    What is no picture writes itself, as latents do.
    """
    if ending not in FORMATS:
        image.write(file, ending, texts)  # type: ignore[attr-defined]
        return
    kind = FORMATS[ending]
    if kind == "JPEG" and image.mode == "RGBA":  # which has no transparency
        image = over_white(image)
    image.save(file, format=kind, **_QUALITY[kind], **save_keywords(image, kind, texts))


def over_white(image: Image) -> Image:
    """Return a picture with transparency as it looks on white paper."""
    from PIL import Image as Pictures

    paper = Pictures.new("RGBA", image.size, "white")
    return Pictures.alpha_composite(paper, image).convert("RGB")


def grid(images: Sequence[Image], columns: int, rows: int) -> Image:
    """Lay pictures out row by row; places that are left over stay black, or transparent as the pictures are."""
    from PIL import Image as Pictures

    width, height = images[0].size
    sheet = Pictures.new(images[0].mode, (columns * width, rows * height))
    for index, image in enumerate(images[: columns * rows]):
        sheet.paste(image, (index % columns * width, index // columns * height))
    return sheet
