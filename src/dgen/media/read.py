"""Finds, measures and reads the picture files and animations of a session."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from dgen.fetch import Order, fetch
from dgen.media.decode import brought_to, decode, reading
from dgen.media.films import Films
from dgen.media.video import Clip, clip_of, is_video
from dgen.schema import BadValue
from dgen.values.scalars import Size, is_url

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["PictureFiles", "brought_to"]

_ORIENTATION = 0x0112


class PictureFiles:
    """The picture files of a session: found, fetched, measured, decoded; the last few are kept decoded."""

    def __init__(self, announce: Callable[[str], None] = lambda what: None) -> None:
        """`announce` is told what is fetched from the network."""
        self._announce = announce
        self.offline = False
        self._size = cache(self._measure)
        self._clip = cache(_clip)
        self._kept: dict[tuple[str, int], Image] = {}
        self._films = Films()

    def find(self, path: str) -> Path:
        """Return the file of a path or URL.

        Raises:
            BadValue: `missing-file`, `offline`, `bad-file`.
        """
        if is_url(path):
            return fetch(Order(url=path, offline=self.offline), self._announce)
        found = Path(os.path.expanduser(path))
        if not os.path.isfile(found):  # which is not upset by a name that is too long
            what = "is a folder" if os.path.isdir(found) else "does not exist"
            raise BadValue(f"the file `{path}` {what}", code="missing-file")
        return found

    def size(self, path: str) -> Size:
        """Return width and height in pixels, turned as the EXIF orientation says."""
        found = self.find(path)
        return self._size(found, found.stat().st_mtime_ns)

    def _measure(self, path: Path, changed: int) -> Size:
        if is_video(path) and (clip := self._clip(path, changed)) is not None:
            return clip.size
        with reading(path) as image:
            turned = image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
            return Size(image.height, image.width) if turned else Size(image.width, image.height)

    def image(self, path: str, size: Size) -> Image:
        """Return a picture as RGB of a size in pixels, resampled with Lanczos when it differs."""
        return brought_to(self._decoded(path), size)

    def picture(self, path: str, frame: int | None = None) -> Image:
        """Return a picture as RGB of its own size; of an animation a frame counted from 0, the first by default.

        Raises:
            BadValue: `missing-file`, `offline`, `bad-file`.
        """
        clip = self.clip(path) if frame is not None or is_video(Path(path)) else None
        return self._decoded(path) if clip is None else self._films.frame(self.find(path), clip, frame or 0)

    def clip(self, path: str) -> Clip | None:
        """Return what an animation shows; None for a still picture.

        Raises:
            BadValue: `missing-file`, `offline`, `bad-file`.
        """
        found = self.find(path)
        return self._clip(found, found.stat().st_mtime_ns)

    def troubles(self, paths: Sequence[str]) -> Iterator[str]:
        """Yield what is told of animations that end too early."""
        for path in dict.fromkeys(paths):
            clip = self.clip(path)
            if clip is not None and clip.trouble:
                yield f"`{Path(path).name}` is cut short, and its {clip.frames} good frames are used: {clip.trouble}"

    def frames(self, path: str) -> int:
        """Count the frames of a picture; more than one make an animation.

        Raises:
            BadValue: `missing-file`, `offline`, `bad-file`.
        """
        clip = self.clip(path)
        return 1 if clip is None else clip.frames

    def close(self) -> None:
        """Close the animations that are open."""
        self._films.close()

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
            self._kept[key] = decode(found)
        return self._kept[key]


def _clip(path: Path, _changed: int) -> Clip | None:
    return clip_of(path)
