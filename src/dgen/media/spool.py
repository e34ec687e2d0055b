"""Keeps the frames of an animation that is not complete yet in one file, so that none has to be made again."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dgen.media.ledger import locked

if TYPE_CHECKING:
    from PIL.Image import Image

_HEAD = struct.Struct(">QI")  # the length of a frame as PNG, and its CRC-32
_QUICK = 1  # zlib's level: these files live for as long as their animation is made


def spool_path(folder: Path, job: str, index: int) -> Path:
    """Return where the frames of an animation are kept; `job` is the key of its job, `index` counts those of one."""
    return folder / f".dgen-{job[:24]}-{index}.frames"


class Spool:
    """The frames that were made so far, without loss; a frame that a kill cut short is none."""

    def __init__(self, path: Path, *, resumes: bool) -> None:
        """Open the file; with `resumes` the frames that an earlier run left are taken over.

        Raises:
            OSError: it can't be written.
        """
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        self.is_shared = not locked(self._file)  # another process makes the same animation
        self._places: list[tuple[int, int]] = []
        self._end = 0
        if not self.is_shared:
            self._places = list(_records(self._file)) if resumes else []
            self._end = sum(self._places[-1]) if self._places else 0
            os.ftruncate(self._file, self._end)

    def __len__(self) -> int:
        return len(self._places)

    def add(self, image: Image) -> None:
        """Keep a frame; raises OSError, and what was kept before stays."""
        if self.is_shared:
            return
        buffer = io.BytesIO()
        image.save(buffer, format="PNG", compress_level=_QUICK)
        held = buffer.getvalue()
        record, place = memoryview(_HEAD.pack(len(held), zlib.crc32(held)) + held), self._end
        try:
            while record:
                written = os.pwrite(self._file, record, place)
                record, place = record[written:], place + written
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._end)
            raise
        self._places.append((self._end + _HEAD.size, len(held)))
        self._end = place

    def frame(self, number: int) -> Image:
        """Return a frame, counted from 0, as it was kept."""
        from PIL import Image as Pictures

        start, length = self._places[number]
        image = Pictures.open(io.BytesIO(os.pread(self._file, length, start)))
        image.load()
        return image

    def close(self) -> None:
        """Let go of the file; it stays when it holds frames."""
        if not self._places and not self.is_shared:
            self.path.unlink(missing_ok=True)
        os.close(self._file)

    def remove(self) -> None:
        """Remove the file: the animation is complete."""
        if not self.is_shared:
            self.path.unlink(missing_ok=True)
        os.close(self._file)


def frames_kept(path: Path) -> int:
    """Count the frames that are kept in a file; none when it is not there."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return 0
    try:
        return sum(1 for _ in _records(file))
    finally:
        os.close(file)


def _records(file: int) -> Iterator[tuple[int, int]]:
    """Yield where each whole frame of a file starts, and how long it is."""
    size, place = os.fstat(file).st_size, 0
    while place + _HEAD.size <= size:
        length, checksum = _HEAD.unpack(os.pread(file, _HEAD.size, place))
        start = place + _HEAD.size
        if start + length > size or zlib.crc32(os.pread(file, length, start)) != checksum:
            return
        yield start, length
        place = start + length
