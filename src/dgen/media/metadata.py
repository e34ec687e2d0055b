"""Puts texts into pictures and takes them out again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from dgen.schema import BadValue

if TYPE_CHECKING:
    from PIL.Image import Exif, Image

CONFIG, PARAMETERS, USER_COMMENT = "DgenerateConfig", "parameters", "UserComment"
_EXIF_IFD, _USER_COMMENT, _DESCRIPTION = 0x8769, 0x9286, 0x010E
_EXIF_LIMIT = 65_000
_HEADER_LIMIT = 100_000_000


def save_keywords(image: Image, kind: str, texts: dict[str, str]) -> dict[str, Any]:
    """Return what Pillow's `save` gets so that a picture of format `kind` carries `texts`.

    Raises:
        BadValue: `bad-file`: the texts are longer than the format can hold.
    """
    if not texts:
        return {}
    if kind == "PNG":
        from PIL.PngImagePlugin import PngInfo

        chunk = PngInfo()
        for name, text in texts.items():
            chunk.add_text(name, text)
        return {"pnginfo": chunk}
    data = _exif(image.getexif(), texts)
    if kind == "JPEG" and len(data) > _EXIF_LIMIT:
        raise BadValue("the config is longer than a JPEG can carry", code="bad-file")
    return {"exif": data}


def text_chunk(name: str, text: str) -> tuple[bytes, bytes]:
    """Return type and body of the PNG chunk that carries a text."""
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text(name, text)
    kind, body, _ = info.chunks[0]
    return kind, body


def exif_with(file: BinaryIO, name: str, text: str) -> bytes:
    """Return the EXIF of a picture with a text in it, beside all that it holds already."""
    from PIL import Image

    with Image.open(file) as image:
        exif = image.getexif()
    return _exif(exif, {name: text})


def exif_of(config: str) -> bytes:
    """Return EXIF that carries a config."""
    from PIL.Image import Exif

    return _exif(Exif(), {CONFIG: config})


def _exif(exif: Exif, texts: dict[str, str]) -> bytes:
    if CONFIG in texts:
        exif.get_ifd(_EXIF_IFD)[_USER_COMMENT] = _encode(texts[CONFIG])
    if PARAMETERS in texts:
        exif[_DESCRIPTION] = texts[PARAMETERS].encode()  # as text, Pillow would keep nothing but ASCII
    return exif.tobytes()


def _encode(text: str) -> bytes:
    return b"ASCII\0\0\0" + text.encode() if text.isascii() else b"UNICODE\0" + text.encode("utf-16-be")


def _config_of_latents(path: Path) -> str | None:
    """Return the config in the header of a safetensors file: its length in 8 bytes, then JSON."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            return json.loads(file.read(length) if length < _HEADER_LIMIT else b"{}")["__metadata__"][CONFIG]
        except (ValueError, KeyError, TypeError):
            return None


def _decode(data: bytes | str) -> str:
    if isinstance(data, str):
        return data
    head, body = data[:8], data[8:]
    return body.decode("utf-16-be" if head == b"UNICODE\0" else "utf-8", errors="replace")


def _comment_of_gif(comment: object) -> str | None:
    """Return the config in the comment of a GIF; None when it is another comment."""
    text = comment.decode(errors="replace") if isinstance(comment, bytes) else ""
    return text if text.startswith("#! dgen") else None


def _config_of_video(path: Path) -> str:
    """Return the config of what is no picture.

    Raises:
        BadValue: `bad-file`: it is no video either; `not-replayable`: it is one without a config.
    """
    from dgen.media.labels import label_of

    text = label_of(path)
    if text is None:
        raise BadValue(f"`{path.name}` is no picture that can be read", code="bad-file")
    if not text:
        raise BadValue(f"`{path.name}` carries no config", code="not-replayable", help=_REPLAYABLE)
    return text


_REPLAYABLE = "only what was written with metadata can be replayed, or the `.dgen` of `--output-configs`"


def read_texts(path: Path) -> dict[str, str]:
    """Return the texts that a picture carries, by their names.

    Raises:
        BadValue: `missing-file`, `bad-file`.
    """
    from PIL import Image, UnidentifiedImageError

    if not path.is_file():
        raise BadValue(f"the file `{path}` does not exist", code="missing-file")
    try:
        with Image.open(path) as image:
            found = {str(name): text for name, text in image.info.items() if isinstance(text, str)}
            label = _comment_of_gif(image.info.get("comment"))
            exif = image.getexif()
            comment = exif.get_ifd(_EXIF_IFD).get(_USER_COMMENT)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        return {CONFIG: _config_of_video(path)}
    found |= {CONFIG: label} if label is not None else {}
    return found | ({USER_COMMENT: _decode(comment)} if comment else {})


def read_config(path: Path) -> str:
    """Return the config that a picture carries.

    Raises:
        BadValue: `missing-file`, `bad-file`, or `not-replayable`: it carries none.
    """
    from PIL import Image, UnidentifiedImageError

    if not path.is_file():
        raise BadValue(f"the file `{path}` does not exist", code="missing-file")
    if path.suffix.lower() == ".safetensors" and (text := _config_of_latents(path)) is not None:
        return text
    try:
        with Image.open(path) as image:
            found = image.info.get(CONFIG) or _comment_of_gif(image.info.get("comment"))
            comment = image.getexif().get_ifd(_EXIF_IFD).get(_USER_COMMENT)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        return _config_of_video(path)
    if isinstance(found, str):
        return found
    if comment:
        return _decode(comment)
    raise BadValue(f"`{path.name}` carries no config", code="not-replayable", help=_REPLAYABLE)
