"""Reads animations as streams: video through ffmpeg; gif, webp and apng through Pillow."""

from __future__ import annotations

import contextlib
import math
import re
import subprocess
import tempfile
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from dgen.media import ffmpeg
from dgen.media.decode import flattened, reading
from dgen.schema import BadValue
from dgen.values.scalars import Size

if TYPE_CHECKING:
    from PIL.Image import Image

ENDINGS = frozenset(
    "3gp avi flv m2ts m4v mjpeg mkv mov mp4 mpeg mpg mts mxf ogv ts vob webm wmv y4m".split()  # noqa: SIM905
)
"""What the names of videos end with; everything else is a picture or an animation of Pillow."""

_UNINDEXED = frozenset("m2ts mpeg mpg mts ts vob".split())  # noqa: SIM905
"""Those in which ffmpeg finds a time only roughly: they are read from their start."""

_HEAD = re.compile(rb"YUV4MPEG2 W(\d+) H(\d+) F(\d+):(\d+)")
_ROUNDING = 10
"""Milliseconds: a gif counts in hundredths of a second."""

_NO_TIME = -(2**62)
_SQUARE = "scale=iw*sar:ih,setsar=1"
_FASTEST = 50
"""Frames a second of an animation whose pictures stand for times without a common measure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """An animation: the pixels of each frame, how many there are at a constant rate, and the rate in frames a second.

    A picture that stands for longer than others is repeated.
    """

    size: Size
    frames: int
    rate: Fraction
    shown: tuple[int, ...] = ()  # of a file of Pillow: which of its pictures each frame shows
    seeks: bool = False  # whether ffmpeg finds the time of a frame exactly
    trouble: str = ""  # what ffmpeg says of a file that ends too early


class Ended(BadValue):
    """A file ends before the frame that was asked for; `why` is what its decoder told."""

    def __init__(self, message: str, why: str) -> None:
        """Keep the decoder's words."""
        super().__init__(message, code="bad-file")
        self.why = why


def is_video(path: Path) -> bool:
    """Whether a file is for ffmpeg, by its name."""
    return path.suffix[1:].lower() in ENDINGS


def clip_of(path: Path) -> Clip | None:
    """Return what a file shows; None for a still picture.

    Raises:
        BadValue: `bad-file`: it can't be read, or has no frames.
    """
    return _video_clip(path) if is_video(path) else _picture_clip(path)


def frames_of(path: Path, clip: Clip, start: int = 0) -> Generator[Image]:
    """Yield the frames of an animation as RGB, from one that is counted from 0.

    Raises:
        Ended: the file is cut short; the frames before are good.
        BadValue: `bad-file`.
    """
    return _pictures(path, clip, start) if clip.shown else _video_frames(path, clip, start)


# ---- Pillow --------------------------------------------------------------------------------------------------------


def _picture_clip(path: Path) -> Clip | None:
    with reading(path) as image:
        count = int(getattr(image, "n_frames", 1))
        if count < 2:
            return None
        times = [_milliseconds(image, number) for number in range(count)]
        size = Size(*image.size)
    step = _step(times)
    shown = tuple(n for n, time in enumerate(times) for _ in range(max(1, round(time / step))))
    return Clip(size=size, frames=len(shown), rate=1000 * len(shown) / sum(times, Fraction()), shown=shown)


def _milliseconds(image: Image, number: int) -> Fraction:
    """Return how long a picture of an animation stands; as in browsers, none at all means a tenth of a second."""
    image.seek(number)
    if image.format == "WEBP":
        image.load()  # only then Pillow knows
    return Fraction(float(image.info.get("duration", 0))).limit_denominator(30_000) or Fraction(100)


def _step(times: Sequence[Fraction]) -> Fraction:
    """Return how long a frame stands: the common measure of all times, unless they differ by rounding alone."""
    if max(times) - min(times) <= _ROUNDING:
        return sum(times, Fraction()) / len(times)
    below = math.lcm(*(time.denominator for time in times))
    measure = Fraction(math.gcd(*(int(time * below) for time in times)), below)
    return max(measure, Fraction(1000, _FASTEST))


def _pictures(path: Path, clip: Clip, start: int) -> Generator[Image]:
    with reading(path) as image:
        last, made = -1, None
        for number in clip.shown[start:]:
            if number != last or made is None:
                made, last = _sought(image, number, path), number
            yield made


def _sought(image: Image, number: int, path: Path) -> Image:
    try:
        image.seek(number)
        return flattened(image)
    except (OSError, EOFError, SyntaxError, ValueError) as error:
        raise Ended(f"`{path.name}` is cut short after {number} pictures", str(error)) from None


# ---- ffmpeg --------------------------------------------------------------------------------------------------------


def _video_clip(path: Path) -> Clip:
    words = (*ffmpeg.source(path), "-map", "0:v:0", "-vf", _SQUARE, "-frames:v", "1", "-pix_fmt", "yuv444p", "-f")
    done = ffmpeg.run((*words, "yuv4mpegpipe", "-strict", "-1", "pipe:1"))
    head = _HEAD.match(done.stdout)
    if head is None:
        raise BadValue(f"`{path.name}` is no video that can be read: {ffmpeg.first_line(done.stderr)}", code="bad-file")
    width, height, above, below = map(int, head.groups())
    rate = Fraction(above, below)
    packets = _packets(path)
    if packets.count == 0:
        raise BadValue(f"`{path.name}` has no frames", code="bad-file")
    frames = packets.frames(rate) if packets.are_timed else _counted(path, rate)
    is_indexed = path.suffix[1:].lower() not in _UNINDEXED
    return Clip(
        size=Size(width, height), frames=frames, rate=rate, trouble=packets.trouble,
        seeks=packets.are_timed and frames == packets.count and is_indexed,
    )  # fmt: skip


@dataclass(slots=True)
class _Packets:
    """The packets of a video: how many there are, and their times in units of `measure` seconds."""

    count: int = 0
    are_timed: bool = True
    measure: Fraction = Fraction(1)
    first: int | None = None
    last: int = 0
    length: int = 0  # of the last one
    trouble: str = ""

    def take(self, line: bytes) -> None:
        """Take a line of ffmpeg's `framecrc`."""
        if line.startswith(b"#tb 0:"):
            self.measure = Fraction(line.partition(b":")[2].decode().strip())
        elif not line.startswith(b"#"):
            time, length = (int(field) for field in line.split(b",")[2:4])
            self.count += 1
            self.are_timed = self.are_timed and time > _NO_TIME
            self.first = time if self.first is None else min(self.first, time)
            self.last, self.length = (time, length) if time >= self.last else (self.last, self.length)

    def frames(self, rate: Fraction) -> int:
        """Count the frames at a constant rate: more than packets where a picture stands for longer than others."""
        return max(1, round((self.last - (self.first or 0) + self.length) * self.measure * rate))


def _packets(path: Path) -> _Packets:
    """Look at the packets of a video; nothing is decoded."""
    found = _Packets()
    words = ("-v", "warning", *ffmpeg.source(path), "-map", "0:v:0", "-c", "copy", "-f", "framecrc", "pipe:1")
    with tempfile.TemporaryFile() as told:
        for line in _lines(words, told):
            found.take(line)
        told.seek(0)
        lines = told.read().splitlines()
    found.trouble = next((ffmpeg.first_line(line) for line in lines if any(sign in line for sign in _CUT)), "")
    return found


_CUT = (b"ended prematurely", b"partial file", b"orrupt", b"runcat")
"""What ffmpeg says of files that end too early."""


def _counted(path: Path, rate: Fraction) -> int:
    """Count the frames of a file whose packets have no times: decode them all."""
    words = (*_frames_from(path, rate), "-f", "framecrc", "pipe:1")
    return max(1, sum(not line.startswith(b"#") for line in _lines(words, subprocess.DEVNULL)))


def _lines(words: Sequence[str], told: IO[bytes] | int) -> Iterator[bytes]:
    """Yield the lines that ffmpeg writes; its errors go where `told` says."""
    with ffmpeg.start(words, told) as process, contextlib.ExitStack() as stack:
        stack.callback(process.kill)
        yield from process.stdout or ()


def _frames_from(path: Path, rate: Fraction) -> tuple[str, ...]:
    """Return the words that read the frames of a file at a constant rate, with square pixels."""
    constant = f"{_SQUARE},fps={rate.numerator}/{rate.denominator}"
    return (*ffmpeg.source(path), "-map", "0:v:0", "-vf", constant, "-fps_mode", "passthrough")


def _video_frames(path: Path, clip: Clip, start: int) -> Generator[Image]:
    seeks = start > 0 and clip.seeks
    words = (*(("-ss", _seconds(start, clip.rate)) if seeks else ()), *_frames_from(path, clip.rate))
    with tempfile.TemporaryFile() as told, contextlib.ExitStack() as stack:
        process = ffmpeg.start((*words, "-pix_fmt", "rgb24", "-f", "rawvideo", "pipe:1"), told)
        stack.callback(process.communicate)
        stack.callback(process.kill)
        for number in range(start if seeks else 0, clip.frames):
            image = _next_image(process.stdout, clip.size)
            if image is None:
                process.wait()
                raise _ended(f"`{path.name}` ends after {number} of {clip.frames} frames", told)
            if number >= start:
                yield image


def _ended(message: str, told: IO[bytes]) -> Ended:
    told.seek(0)
    return Ended(message, ffmpeg.first_line(told.read()))


def _next_image(stream: Any, size: Size) -> Image | None:
    from PIL import Image as Pictures

    pixels: bytes = stream.read(size.width * size.height * 3)
    if len(pixels) < size.width * size.height * 3:
        return None
    return Pictures.frombytes("RGB", (size.width, size.height), pixels)


def _seconds(frame: int, rate: Fraction) -> str:
    """Return the time of a frame, a little before it, so that rounding never loses it."""
    micros = (frame - Fraction(1, 50)) / rate * 1_000_000
    return f"{int(micros) / 1_000_000:.6f}"
