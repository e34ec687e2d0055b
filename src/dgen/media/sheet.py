"""Lays pictures of any sizes out as one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dgen.media.encode import FORMATS, encode
from dgen.media.publish import make_folder, publish
from dgen.media.write import Names
from dgen.schema import BadValue

if TYPE_CHECKING:
    from PIL.Image import Image


def sheet(images: Sequence[Image]) -> Image:
    """Return pictures row by row as one, as wide as high in number, each in the middle of a place of its own."""
    from PIL import Image as Pictures

    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    width, height = (max(image.size[side] for image in images) for side in (0, 1))
    whole = Pictures.new("RGB", (columns * width, rows * height))
    for index, image in enumerate(images):
        left, top = index % columns * width, index // columns * height
        whole.paste(image, (left + (width - image.width) // 2, top + (height - image.height) // 2))
    return whole


def write_sheet(images: Sequence[Image], target: Path) -> Path:
    """Write pictures as one into a file, in the format of its ending; return the file, another when it is there.

    Raises:
        BadValue: `bad-value` for an unknown ending, `unwritable-output`, `disk-full`.
    """
    ending = target.suffix.removeprefix(".").lower()
    if ending not in FORMATS:
        listed = ", ".join(f"`.{each}`" for each in FORMATS)
        raise BadValue(f"expected a file that ends in one of {listed}, found `{target}`")
    make_folder(target.parent)
    name = Names().claim(target.parent, target.stem, [target.suffix[1:]], overwrite=False)
    path = target.with_name(name + target.suffix)
    publish(path, partial(encode, sheet(images), ending, {}))
    return path
