"""Decodes still pictures with Pillow: EXIF orientation honoured, transparency flattened onto white."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from dgen.schema import BadValue
from dgen.values.scalars import Size

if TYPE_CHECKING:
    from PIL.Image import Image

PIXEL_LIMIT = 20_000 * 20_000


@contextmanager
def reading(path: Path) -> Generator[Image]:
    """Open a picture; whatever its decoder raises becomes an error with a code."""
    from PIL import Image, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = PIXEL_LIMIT
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                yield image
    except BadValue:
        raise
    except UnidentifiedImageError:
        raise BadValue(f"`{path.name}` is no picture that can be read", code="bad-file") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadValue(f"`{path.name}` has more than {PIXEL_LIMIT:,} pixels", code="bad-file") from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, struct.error) as error:
        raise BadValue(f"`{path.name}` is damaged: {error}", code="bad-file") from None


def decode(path: Path) -> Image:
    """Return a picture as RGB.

    Raises:
        BadValue: `bad-file`.
    """
    with reading(path) as opened:
        return flattened(opened)


def flattened(opened: Image) -> Image:
    """Return an open picture as RGB: turned as its EXIF says, on white where it is clear."""
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(opened)
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return _eight_bit(image).convert("RGB")


def as_written(path: Path) -> Image:
    """Return a picture that was written without loss, with its transparency.

    Raises:
        BadValue: `bad-file`.
    """
    with reading(path) as opened:
        opened.load()
        return opened.copy() if opened.mode == "RGBA" else opened.convert("RGB")


def _eight_bit(image: Image) -> Image:
    """Bring 16-bit grey, and floats from 0 to 1, to 8 bits; Pillow's own conversion would clip them."""
    if image.mode in {"I;16", "I;16B", "I;16L", "I"}:
        return image.convert("I").point(lambda v: v / 257).convert("L")
    if image.mode == "F":
        scale = 255 if cast("tuple[float, float]", image.getextrema())[1] <= 1 else 1
        return image.point(lambda v: v * scale + 0).convert("L")
    return image


def brought_to(image: Image, size: Size) -> Image:
    """Return a picture of a size in pixels, resampled with Lanczos when it differs."""
    from PIL import Image as Pictures

    wanted = (size.width, size.height)
    return image if image.size == wanted else image.resize(wanted, Pictures.Resampling.LANCZOS)
