"""Template functions about image sizes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dgen.lang.functions import function

Size = tuple[int, ...]


def _size(value: Any) -> Size:
    """Read a size: `512x768`, `512`, a number, or a list of numbers, in pixels."""
    if isinstance(value, str):
        parts: list[Any] = value.lower().split("x")
    elif isinstance(value, Iterable):
        parts = list(value)  # pyright: ignore[reportUnknownArgumentType]
    else:
        parts = [value]
    try:
        size = tuple(int(part) for part in parts)
    except (TypeError, ValueError):
        raise ValueError(f"expected a size such as 512x512, found {value!r}") from None
    if not size or any(side <= 0 for side in size):
        raise ValueError(f"expected a size such as 512x512, found {value!r}")
    return size


def _answer(size: Size, as_text: bool) -> Any:
    return "x".join(str(side) for side in size) if as_text else size


@function(examples=(("{{ format_size([512, 768]) }}", "512x768"),))
def format_size(size: Any) -> str:
    """A size written WIDTHxHEIGHT."""
    return str(_answer(_size(size), as_text=True))


@function(
    examples=(("{{ align_size('513x770', 8) }}", "512x768"),),
)
def align_size(size: Any, align: int, format_size: bool = True) -> Any:
    """A size brought down to multiples of a number, never below it."""
    if align < 1:
        raise ValueError(f"expected a positive number of pixels, found {align}")
    return _answer(tuple(max(align, side // align * align) for side in _size(size)), format_size)


@function(
    examples=(("{{ pow2_size('600x300') }}", "512x256"),),
)
def pow2_size(size: Any, format_size: bool = True) -> Any:
    """A size brought down to powers of two."""
    return _answer(tuple(1 << (side.bit_length() - 1) for side in _size(size)), format_size)


@function()
def image_size(file: str, format_size: bool = True) -> Any:
    """The size of an image file, EXIF orientation honoured."""
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as image:
            size = ImageOps.exif_transpose(image).size
    except OSError as error:
        raise ValueError(f"`{file}` is not an image that can be read: {error}") from None
    return _answer(size, format_size)


@function(
    examples=(("{{ size_is_aligned('512x768', 64) }}", "True"),),
)
def size_is_aligned(size: Any, align: int) -> bool:
    """Whether both sides are multiples of a number."""
    return all(side % align == 0 for side in _size(size))


@function(examples=(("{{ size_is_pow2('512x768') }}", "False"),))
def size_is_pow2(size: Any) -> bool:
    """Whether both sides are powers of two."""
    return all(side & (side - 1) == 0 for side in _size(size))
