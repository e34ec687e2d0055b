"""Hands out the frames of animations one after another, decoded ahead on a thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dgen.media.video import Clip, frames_of

if TYPE_CHECKING:
    from PIL.Image import Image

_AHEAD = 4
_OPEN = 6
_SKIPPED = 16
"""As many frames are passed over by decoding them; more, by opening the file anew."""


class Ahead:
    """The frames of a generator, made on a thread that stays a few of them ahead."""

    def __init__(self, frames: Generator[Image]) -> None:
        """Start to decode."""
        self._made: queue.Queue[Image | BaseException | None] = queue.Queue(_AHEAD)
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._decode, args=(frames,), name="dgen-frames", daemon=True)
        self._thread.start()

    def _decode(self, frames: Generator[Image]) -> None:
        try:
            for image in frames:
                if not self._put(image):
                    return
            self._put(None)
        except BaseException as error:
            self._put(error)
        finally:
            frames.close()

    def _put(self, made: Image | BaseException | None) -> bool:
        while not self._is_closed.is_set():
            try:
                self._made.put(made, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def __iter__(self) -> Iterator[Image]:
        """Give the frames; whatever the generator raised is raised here, after the frames before it."""
        while (made := self._made.get()) is not None:
            if isinstance(made, BaseException):
                raise made
            yield made

    def close(self) -> None:
        """End the thread, and what it reads from."""
        self._is_closed.set()
        self._thread.join()


@dataclass(slots=True)
class _Film:
    """A file that is open: the number of the frame that was given last, and the frame."""

    ahead: Ahead
    frames: Iterator[Image]
    number: int
    image: Image | None = None


class Films:
    """The animations that are open: a frame that is asked for again, or next, costs no seek."""

    def __init__(self) -> None:
        """Start with none."""
        self._open: dict[tuple[str, int], _Film] = {}

    def frame(self, path: Path, clip: Clip, number: int) -> Image:
        """Return a frame, counted from 0.

        Raises:
            Ended: the file ends before it.
            BadValue: `bad-file`.
        """
        key = (str(path), path.stat().st_mtime_ns)
        film = self._open.pop(key, None)
        if film is not None and not film.number <= number <= film.number + _SKIPPED:
            film.ahead.close()
            film = None
        if film is None:
            film = self._opened(path, clip, number)
        try:
            while film.image is None or film.number < number:
                film.image = next(film.frames)
                film.number += 1
        except BaseException:
            film.ahead.close()
            raise
        self._open[key] = film  # the last one that was used stands last
        return film.image

    def _opened(self, path: Path, clip: Clip, number: int) -> _Film:
        while len(self._open) >= _OPEN:
            self._open.pop(next(iter(self._open))).ahead.close()
        ahead = Ahead(frames_of(path, clip, number))
        return _Film(ahead, iter(ahead), number - 1)

    def close(self) -> None:
        """Close every file."""
        while self._open:
            self._open.popitem()[1].ahead.close()
