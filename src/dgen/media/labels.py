"""Puts the config of an animation into its file, and takes it out again; the file is never in memory as a whole.

PNG: <https://www.w3.org/TR/png-3/>, GIF89a: <https://www.w3.org/Graphics/GIF/spec-gif89a.txt>, WebP: RFC 9649.
"""

from __future__ import annotations

import re
import shutil
import struct
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from dgen.media import ffmpeg
from dgen.media.metadata import CONFIG, exif_of, text_chunk

OPENING = "#! dgen"
"""What configs start with: the comment of a file that starts otherwise is none."""

_PNG_HEAD = 8 + 25  # the signature, and the chunk that says the size
_GIF_HEAD = 13
_HAS_EXIF = 0x08
_SIDE = 3  # bytes of a colour


def in_stream(ending: str, text: str) -> tuple[str, ...]:
    """Return what ffmpeg is told so that a file carries a text; nothing for formats that are labelled afterwards."""
    return ("-metadata", f"comment={text}") if ending == "mp4" and text else ()


def label(path: Path, ending: str, text: str) -> None:
    """Put a text into a complete animation; mp4s have theirs from ffmpeg.

    Raises:
        OSError: the file can't be written.
    """
    if ending in ("png", "apng"):
        _insert(path, _PNG_HEAD, _png(text))
    elif ending == "gif":
        with path.open("rb") as file:
            head = file.read(_GIF_HEAD)
        table = _SIDE * 2 ** ((head[10] & 7) + 1) if head[10] & 0x80 else 0
        _insert(path, _GIF_HEAD + table, b"".join(_gif(text.encode())))
    elif ending == "webp":
        _append_exif(path, exif_of(text).removeprefix(b"Exif\0\0"))


def label_of(path: Path) -> str | None:
    """Return the config that a video carries, "" for none; None when it is no video."""
    done = ffmpeg.run((*ffmpeg.source(path), "-f", "ffmetadata", "pipe:1"))
    if done.returncode:
        return None
    found = re.search(r"^comment=((?:[^\\\n]|\\.)*)", done.stdout.decode(errors="replace"), re.DOTALL | re.MULTILINE)
    text = re.sub(r"\\(.)", r"\1", found[1], flags=re.DOTALL) if found is not None else ""
    return text if text.startswith(OPENING) else ""


def _png(text: str) -> bytes:
    kind, body = text_chunk(CONFIG, text)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _gif(data: bytes) -> Iterator[bytes]:
    """Yield a comment extension: blocks of at most 255 bytes."""
    yield b"\x21\xfe"
    for start in range(0, len(data), 255):
        block = data[start : start + 255]
        yield bytes([len(block)]) + block
    yield b"\0"


def _insert(path: Path, place: int, data: bytes) -> None:
    """Put bytes into a file, of which the rest moves on."""
    with tempfile.TemporaryFile(dir=path.parent) as room, path.open("r+b") as file:
        file.seek(place)
        shutil.copyfileobj(file, room)
        room.seek(0)
        file.seek(place)
        file.write(data)
        shutil.copyfileobj(room, file)


def _append_exif(path: Path, exif: bytes) -> None:
    """Put EXIF behind the pictures of an animated WebP; one that ffmpeg wrote as a still picture stays as it is."""
    with path.open("r+b") as file:
        head = file.read(21)
        if head[12:16] != b"VP8X":
            return
        size = file.seek(0, 2)
        file.write(b"EXIF" + struct.pack("<I", len(exif)) + exif + b"\0" * (len(exif) % 2))
        _set(file, 4, struct.pack("<I", size + 8 + len(exif) + len(exif) % 2 - 8))
        _set(file, 20, bytes([head[20] | _HAS_EXIF]))


def _set(file: BinaryIO, place: int, data: bytes) -> None:
    file.seek(place)
    file.write(data)
