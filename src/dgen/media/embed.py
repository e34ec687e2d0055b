"""Puts a text into a picture file that is there, without touching its pixels or anything else that it carries.

PNG: <https://www.w3.org/TR/png-3/>, JPEG: ITU T.81 annex B, WebP: RFC 9649.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

from dgen.media.metadata import exif_with, text_chunk
from dgen.schema import BadValue

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
_EXIF = b"Exif\0\0"
_MOST_IN_SEGMENT = 65_533
_ALPHA, _HAS_EXIF = 0x10, 0x08


def with_text(data: bytes, name: str, text: str) -> bytes:
    """Return a PNG, JPEG or WebP file that carries `text` under `name`, in the place of what it had there.

    Raises:
        BadValue: `bad-file`: it is none of these, it is damaged, or the text is longer than it can hold.
    """
    try:
        if data.startswith(_PNG):
            return b"".join(_png(data, name, text))
        if data.startswith(_JPEG):
            return b"".join(_jpeg(data, name, text))
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp(data, name, text)
    except (struct.error, IndexError):
        raise BadValue("the picture is damaged: it ends too early", code="bad-file") from None
    raise BadValue("the picture is no PNG, JPEG or WebP, which alone can carry the text", code="bad-file")


def _png(data: bytes, name: str, text: str) -> Iterator[bytes]:
    """Copy the chunks of a PNG, with one for the text before the pixels."""
    kind, body = text_chunk(name, text)
    yield _PNG
    place, is_written = len(_PNG), False
    while place < len(data):
        size, found = struct.unpack_from(">I4s", data, place)
        end = place + 12 + size
        if end > len(data):
            raise IndexError
        is_same = found in _TEXT_CHUNKS and data[place + 8 : end].startswith(name.encode() + b"\0")
        if found in (b"IDAT", b"IEND") and not is_written:
            is_written = True
            yield struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        if not is_same:
            yield data[place:end]
        place = end


def _jpeg(data: bytes, name: str, text: str) -> Iterator[bytes]:
    """Copy the segments of a JPEG, with the EXIF of the text behind the JFIF header."""
    exif = exif_with(io.BytesIO(data), name, text)
    if len(exif) > _MOST_IN_SEGMENT:
        raise BadValue("the text is longer than a JPEG can carry", code="bad-file")
    yield _JPEG
    place, is_written = len(_JPEG), False
    while True:
        mark, size = struct.unpack_from(">HH", data, place)
        if mark != 0xFFE0 and not is_written:
            is_written = True
            yield struct.pack(">HH", 0xFFE1, len(exif) + 2) + exif
        if not 0xFFE0 <= mark <= 0xFFEF and mark != 0xFFFE:
            yield data[place:]
            return
        if mark != 0xFFE1 or not data.startswith(_EXIF, place + 4):
            yield data[place : place + 2 + size]
        place += 2 + size


def _webp(data: bytes, name: str, text: str) -> bytes:
    """Copy the chunks of a WebP, with the EXIF of the text behind the pixels; a plain one becomes an extended one."""
    exif = exif_with(io.BytesIO(data), name, text).removeprefix(_EXIF)
    chunks = [(kind, body) for kind, body in _riff(data) if kind != b"EXIF"]
    if chunks[0][0] == b"VP8X":
        head = bytes([chunks[0][1][0] | _HAS_EXIF]) + chunks[0][1][1:]
    else:
        head = _extended_head(data, chunks[0][0])
        chunks.insert(0, (b"VP8X", b""))
    last = next((i for i, (kind, _) in enumerate(chunks) if kind == b"XMP "), len(chunks))
    chunks[0] = (b"VP8X", head)
    chunks.insert(last, (b"EXIF", exif))
    body = b"".join(k + struct.pack("<I", len(b)) + b + b"\0" * (len(b) % 2) for k, b in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _riff(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 12
    while place < len(data):
        kind, size = struct.unpack_from("<4sI", data, place)
        if place + 8 + size > len(data):
            raise IndexError
        yield kind, data[place + 8 : place + 8 + size]
        place += 8 + size + size % 2


def _extended_head(data: bytes, kind: bytes) -> bytes:
    """Return the body of the chunk that says what an extended WebP holds: EXIF, perhaps alpha, and its size."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        width, height = image.size
        has_alpha = kind == b"VP8L" and image.mode == "RGBA"
    flags = _HAS_EXIF | (_ALPHA if has_alpha else 0)
    return struct.pack("<I", flags) + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
