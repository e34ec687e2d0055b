"""Writes animations as streams through ffmpeg: frames go in as they are made, and nothing is kept of them."""

from __future__ import annotations

import queue
import tempfile
import threading
from fractions import Fraction
from pathlib import Path
from subprocess import Popen
from typing import TYPE_CHECKING

from dgen.media import ffmpeg
from dgen.media.encode import over_white
from dgen.media.labels import in_stream, label
from dgen.media.ledger import FULL
from dgen.media.sound import Sound, add_sound, trouble_in
from dgen.media.spool import Spool
from dgen.options.animation import WITH_TRANSPARENCY
from dgen.values.scalars import Size

if TYPE_CHECKING:
    from PIL.Image import Image

_WAITING = 4
_EVEN = "pad=ceil(iw/2)*2:ceil(ih/2)*2,scale=out_color_matrix=bt709:out_range=tv"
_BT709 = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv")
_COLOURS = "split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1"

_APNG = ("-c:v", "apng", "-plays", "0", "-f", "apng")
FORMATS: dict[str, tuple[str, ...]] = {
    "mp4": (
        "-vf", _EVEN, "-c:v", "libx264", "-crf", "17", "-preset", "medium", "-pix_fmt", "yuv420p", *_BT709,
        "-movflags", "+faststart", "-f", "mp4",
    ),
    "png": _APNG,
    "apng": _APNG,
    "gif": ("-vf", _COLOURS, "-loop", "0", "-f", "gif"),
    "webp": ("-c:v", "libwebp_anim", "-quality", "95", "-loop", "0", "-f", "webp"),
}  # fmt: skip
"""What ffmpeg is told for the endings of animations."""


class Recorder:
    """Writes the frames of an animation into a file, on a thread; whoever uses it gives the file its name."""

    def __init__(
        self, target: Path, ending: str, size: Size, rate: Fraction, *, spool: Spool | None = None, config: str = ""
    ) -> None:  # fmt: skip
        """`size` is that of every frame, in pixels; `rate` is in frames a second.

        A spool keeps each frame as well, before it is part of the animation. The file carries the config.
        """
        self._ending, self._config = ending, config
        self.target, self.size, self._rate = target, size, rate
        self.frames = 0
        self._spool = spool
        self._told = tempfile.TemporaryFile()  # noqa: SIM115  (closed with the file)
        self._mode = ""  # of the frames that ffmpeg gets: the first one decides
        self._process: Popen[bytes] | None = None
        self._waiting: queue.Queue[bytes | None] = queue.Queue(_WAITING)
        self._failure: OSError | None = None
        self._thread = threading.Thread(target=self._write, name="dgen-recorder", daemon=True)

    def _begin(self, mode: str) -> Popen[bytes]:
        """Start ffmpeg, which is told what the frames are."""
        self._mode = mode
        words = (*ffmpeg.EXACT, *FORMATS[self._ending], *in_stream(self._ending, self._config))
        raw = _raw(self.size, self._rate, mode)
        self._process = ffmpeg.start((*raw, *words, "-y", f"file:{self.target}"), self._told, takes=True)
        self._thread.start()
        return self._process

    def add(self, image: Image) -> None:
        """Take a frame; waits when too many are not written yet.

        Raises:
            OSError: the file can't be written.
        """
        if image.size != (self.size.width, self.size.height):
            raise ValueError(f"a frame of {image.size} in an animation of {self.size}")
        if self._failure is not None:
            raise self._end()
        if image.mode == "RGBA" and self._ending not in WITH_TRANSPARENCY:
            image = over_white(image)
        if self._process is None:
            self._begin("RGBA" if image.mode == "RGBA" else "RGB")
        self._waiting.put(image.convert(self._mode).tobytes())
        self.frames += 1

    def _write(self) -> None:
        """Feed ffmpeg; after a failure, take what is left and drop it, so that nobody waits."""
        pipe, number = self._process.stdin if self._process is not None else None, 0
        while (pixels := self._waiting.get()) is not None:
            try:
                if self._spool is not None and number >= len(self._spool):
                    self._keep(self._spool, pixels)
                number += 1
                if pipe is not None and self._failure is None:
                    pipe.write(pixels)
            except OSError as error:
                self._failure = self._failure or error

    def _keep(self, spool: Spool, pixels: bytes) -> None:
        """Keep a frame; when the disk is full, what the frames before became makes room: it can be made of them."""
        from PIL import Image as Pictures

        image = Pictures.frombytes(self._mode, (self.size.width, self.size.height), pixels)
        try:
            spool.add(image)
        except OSError as error:
            self._failure = error
            self._stop()
            self.target.unlink(missing_ok=True)
            spool.add(image)

    def finish(self, sound: Sound | None = None) -> None:
        """Wait until the file is complete; with a sound, it is copied in.

        Raises:
            OSError: the file can't be written.
        """
        process = self._process or self._begin("RGB")
        self._close()
        if self._failure is not None or process.returncode:
            raise self._end()
        self._told.close()
        if sound is not None:
            add_sound(self.target, sound, self.frames / self._rate, in_stream(self._ending, self._config))
        if self._config:
            label(self.target, self._ending, self._config)

    def abandon(self) -> None:
        """Stop, and remove what was written."""
        self._stop()
        self._close()
        self._told.close()
        self.target.unlink(missing_ok=True)

    def _stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _close(self) -> None:
        if self._process is None:
            return
        self._waiting.put(None)
        self._thread.join()
        if self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except OSError as error:
                self._failure = self._failure or error
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _end(self) -> OSError:
        """Return what is wrong, as the system or ffmpeg told it."""
        if self._failure is not None and self._failure.errno in FULL:
            return self._failure
        self._stop()
        self._told.seek(0)
        return trouble_in(self._told.read(), self.target)


def _raw(size: Size, rate: Fraction, mode: str) -> tuple[str, ...]:
    shape = ("-s", f"{size.width}x{size.height}", "-framerate", f"{rate.numerator}/{rate.denominator}")
    return ("-f", "rawvideo", "-pix_fmt", "rgba" if mode == "RGBA" else "rgb24", *shape, "-i", "pipe:0")
