"""Puts sound into animations: that of a file, or what a model made."""

from __future__ import annotations

import errno
import os
import wave
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from dgen.media import ffmpeg
from dgen.media.ledger import FULL

_BYTES = 2  # of a sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """The sound of a file, from a second on, and what it may become: the first of its codecs that goes into an mp4."""

    path: Path
    start: Fraction
    codecs: tuple[str, ...] = ("copy", "aac")


@contextmanager
def sound_of(samples: bytes, facts: tuple[int, int], target: Path) -> Generator[Sound]:
    """Give sound that is in memory, as a file beside `target` that lasts as long as the block; it loses nothing.

    `samples` are of 16 bits, little-endian, those of all channels side by side; `facts` are how many of each channel
    there are a second, and the number of channels.

    Raises:
        OSError: the file can't be written.
    """
    path = target.with_name(f"{target.stem}-wave{target.suffix}")
    try:
        with wave.open(str(path), "wb") as file:
            file.setframerate(facts[0])
            file.setnchannels(facts[1])
            file.setsampwidth(_BYTES)
            file.writeframes(samples)
        yield Sound(path=path, start=Fraction(0), codecs=("flac",))
    finally:
        path.unlink(missing_ok=True)


def add_sound(target: Path, sound: Sound, seconds: Fraction, told: Sequence[str] = ()) -> None:
    """Put a sound beside the pictures of a video, for as long as those last.

    A file without sound leaves the video as it is. `told` is what else ffmpeg is told of the file.

    Raises:
        OSError: the file can't be written.
    """
    if not has_sound(sound.path):
        return
    part = target.with_name(f"{target.stem}-sound{target.suffix}")
    piece = ("-ss", f"{float(sound.start):.6f}", "-t", f"{float(seconds):.6f}", *ffmpeg.source(sound.path))
    joined = ("-i", f"file:{target}", *piece, "-map", "0:v:0", "-map", "1:a:0", "-c:v", "copy")
    told_last = b""
    try:
        for codec in sound.codecs:
            end = ("-t", f"{float(seconds):.6f}", "-movflags", "+faststart", "-f", "mp4", "-y", f"file:{part}")
            done = ffmpeg.run((*joined, "-c:a", codec, *ffmpeg.EXACT, *told, *end))
            if not done.returncode:
                part.replace(target)
                return
            told_last = done.stderr
        raise trouble_in(told_last, target)
    finally:
        part.unlink(missing_ok=True)


def has_sound(path: Path) -> bool:
    """Whether a file has sound that can be read."""
    words = (*ffmpeg.source(path), "-map", "0:a:0", "-c", "copy", "-t", "0", "-f", "null", "pipe:1")
    return not ffmpeg.run(words).returncode


def trouble_in(told: bytes, target: Path) -> OSError:
    """Return the error of a write that failed: the system's own where ffmpeg names it."""
    for number in FULL:
        if os.strerror(number).encode() in told:
            return OSError(number, os.strerror(number), str(target))
    return OSError(errno.EIO, ffmpeg.first_line(told), str(target))
