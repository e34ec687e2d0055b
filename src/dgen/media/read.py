"""Reads pictures: EXIF orientation honoured, transparency flattened onto white."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

from dgen.fetch import Order, fetch
from dgen.schema import BadValue
from dgen.values.scalars import Size, is_url

if TYPE_CHECKING:
    from PIL.Image import Image

PIXEL_LIMIT = 20_000 * 20_000
_ORIENTATION = 0x0112


class PictureFiles:
    """The picture files of a session: found, fetched, measured, decoded; the last few are kept decoded."""

    def __init__(self, announce: Callable[[str], None] = lambda what: None) -> None:
        """`announce` is told what is fetched from the network."""
        self._announce = announce
        self.offline = False
        self._size = cache(self._measure)
        self._kept: dict[tuple[str, int], Image] = {}

    def find(self, path: str) -> Path:
        """Return the file of a path or URL.

        Raises:
            BadValue: `missing-file`, `offline`, `bad-file`.
        """
        if is_url(path):
            return fetch(Order(url=path, offline=self.offline), self._announce)
        found = Path(path).expanduser()
        if not found.is_file():
            what = "is a folder" if found.is_dir() else "does not exist"
            raise BadValue(f"the file `{path}` {what}", code="missing-file")
        return found

    def size(self, path: str) -> Size:
        """Return width and height in pixels, turned as the EXIF orientation says."""
        found = self.find(path)
        return self._size(found, found.stat().st_mtime_ns)

    def _measure(self, path: Path, _changed: int) -> Size:
        with _reading(path) as image:
            turned = image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
            return Size(image.height, image.width) if turned else Size(image.width, image.height)

    def image(self, path: str, size: Size) -> Image:
        """Return a picture as RGB of a size in pixels, resampled with Lanczos when it differs."""
        return brought_to(self._decoded(path), size)

    def picture(self, path: str) -> Image:
        """Return a picture as RGB of its own size.

        Raises:
            BadValue: `missing-file`, `offline`, `bad-file`.
        """
        return self._decoded(path)

    def frames(self, path: str) -> int:
        """Count the frames of a picture; more than one make an animation.

        Raises:
            BadValue: `missing-file`, `offline`, `bad-file`.
        """
        with _reading(self.find(path)) as image:
            return int(getattr(image, "n_frames", 1))

    def mask(self, path: str, size: Size) -> Image:
        """Return a mask as L (white is repainted) of a size in pixels."""
        return brought_to(self._decoded(path).convert("L"), size)

    def check_aspect(self, path: str, image: str, what: str) -> None:
        """Refuse a picture whose aspect differs by more than 2 % from that of the image it belongs to.

        Raises:
            BadValue: `size-mismatch`, or one of the two cannot be read.
        """
        one, other = self.size(path), self.size(image)
        if abs(one.height * other.width - other.height * one.width) > 0.02 * other.height * one.width:
            raise BadValue(
                f"the {what} is {one}, which does not fit an image of {other}", code="size-mismatch",
                help=f"give a {what} of the image's aspect, or `aspect=false` to stretch it",
            )  # fmt: skip

    def _decoded(self, path: str) -> Image:
        found = self.find(path)
        key = (str(found), found.stat().st_mtime_ns)
        if key not in self._kept:
            while len(self._kept) >= 8:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = _decode(found)
        return self._kept[key]


@contextmanager
def _reading(path: Path) -> Generator[Image]:
    """Open a picture; whatever its decoder raises becomes an error with a code."""
    from PIL import Image, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = PIXEL_LIMIT
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                yield image
    except UnidentifiedImageError:
        raise BadValue(f"`{path.name}` is no picture that can be read", code="bad-file") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadValue(f"`{path.name}` has more than {PIXEL_LIMIT:,} pixels", code="bad-file") from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, struct.error) as error:
        raise BadValue(f"`{path.name}` is damaged: {error}", code="bad-file") from None


def _decode(path: Path) -> Image:
    from PIL import Image, ImageOps

    with _reading(path) as opened:
        image = ImageOps.exif_transpose(opened)
        if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
            rgba = image.convert("RGBA")
            white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
            return Image.alpha_composite(white, rgba).convert("RGB")
        return _eight_bit(image).convert("RGB")


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
