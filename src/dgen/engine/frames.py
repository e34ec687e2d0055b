"""Keeps the frames of videos out of memory: as raw pictures in a file without a name, until they are written."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

_IN_MEMORY_BYTES = 64 * 2**20
_AT_ONCE = 8
"""So many frames are turned into pictures at once."""


class Spool:
    """The frames of a video, written once and read as often as one likes."""

    def __init__(self) -> None:
        """Start with none; a small video stays in memory."""
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115  (closed with the spool)
        weakref.finalize(self, self._file.close)
        self._size = (0, 0)
        self._count = self._first = 0

    def add(self, frames: Any) -> None:
        """Take frames: (n, 3, h, w), of any precision, in [0, 1]; rounded as diffusers rounds pictures."""
        pixels = (frames.permute(0, 2, 3, 1).float().cpu().numpy() * 255).round().astype("uint8")
        self._size = (pixels.shape[2], pixels.shape[1])
        self._count += len(pixels)
        self._file.write(pixels.tobytes())

    def keep_last(self, count: int) -> Spool:
        """Forget all but the last frames: some pipelines make more of them at the start than they give out."""
        self._first = len(self) + self._first - count
        return self

    def __len__(self) -> int:
        """How many frames there are."""
        return self._count - self._first

    def __iter__(self) -> Iterator[Image]:
        """Give the frames as RGB pictures, one after another."""
        from PIL import Image as Pictures

        bytes_each = self._size[0] * self._size[1] * 3
        for number in range(self._first, self._count):
            self._file.seek(number * bytes_each)
            yield Pictures.frombytes("RGB", self._size, self._file.read(bytes_each))


def films_of(videos: Any) -> tuple[Spool, ...]:
    """Return the frames of videos: (videos, n, 3, h, w) in [0, 1]."""
    return tuple(map(_film, videos))


def _film(video: Any) -> Spool:
    found = Spool()
    for start in range(0, len(video), _AT_ONCE):
        found.add(video[start : start + _AT_ONCE])
    return found
