"""Factors for parts of a model: `down:0.5,up.1:0,text-encoder:0.8`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from dgen.schema import BadValue, Kind

_BLOCK = re.compile(r"(down|up)(\.\d+){0,2}|mid|text-encoder(-[23])?")

Blocks = tuple[tuple[str, float], ...]
"""Blocks and their factors: `down`, `mid`, `up`, `up.1` (its second block), `up.1.0` (its first attention) …"""


class BlocksText(Kind):
    """Blocks and their factors in one word."""

    metavar: str = "BLOCK:FACTOR,…"

    def parse(self, text: str) -> Blocks:
        """Read factors; a block that is no such name, or stands twice, is an error at its characters."""
        found: dict[str, float] = {}
        start = 0
        for part in text.split(","):
            name, colon, factor = (each.strip() for each in part.partition(":"))
            end = start + len(part)
            if not _BLOCK.fullmatch(name):
                raise BadValue(
                    f"`{name}` is no block", start, end,
                    help="blocks are `down`, `mid`, `up`, `up.1`, `up.1.0`, `text-encoder`, `text-encoder-2`",
                )  # fmt: skip
            if name in found:
                raise BadValue(f"`{name}` was given before", start, end)
            found[name] = _number(factor if colon else "", start, end)
            start = end + 1
        return tuple(found.items())

    def format(self, value: Blocks) -> str:
        """Write the factors."""
        return ",".join(f"{name}:{factor}" for name, factor in value)


def _number(text: str, start: int, end: int) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise BadValue(f"expected a factor such as `up:0.5`, found `{text}`", start, end)
    return number


def prefix_of(block: str) -> tuple[str, str]:
    """Return the part of a model that a block lies in, and how the names of its layers begin there."""
    if block.startswith("text-encoder"):
        return block.replace("-", "_"), ""
    kind, _, rest = block.partition(".")
    numbers = rest.split(".") if rest else []
    inner = "".join(f"{number}." if index == 0 else f"attentions.{number}." for index, number in enumerate(numbers))
    return "unet", f"mid_block.{inner}" if kind == "mid" else f"{kind}_blocks.{inner}"


def factor_at(blocks: Blocks, part: str, layer: str) -> float:
    """Return the factor for a layer of a part: that of the narrowest block around it, or 1."""
    found: Mapping[str, float] = {
        start: factor for block, factor in blocks for own, start in (prefix_of(block),)
        if own == part and layer.startswith(start)
    }  # fmt: skip
    return found[max(found, key=len)] if found else 1.0
