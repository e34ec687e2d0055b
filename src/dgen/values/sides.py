"""Numbers of pixels at the four sides of a picture."""

from __future__ import annotations

import re
from typing import NamedTuple

from dgen.schema import BadValue, Kind


class Sides(NamedTuple):
    """Pixels at each side."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    def __str__(self) -> str:
        if len(set(self)) == 1:
            return str(self.left)
        if self[:2] == self[2:]:
            return f"{self.left}x{self.top}"
        return "x".join(map(str, self))


class PaddingText(Kind):
    """Pixels around something: `P` on all sides, `WxH` left and right and above and below, or `LxTxRxB`."""

    low: int = 0  # a negative padding takes away
    metavar: str = "P|WxH|LxTxRxB"

    def parse(self, text: str) -> Sides:
        """Read a padding."""
        number = r"\s*(-?\d{1,6})\s*"
        found = re.fullmatch(rf"{number}(?:[xX]{number}(?:[xX]{number}[xX]{number})?)?", text)
        numbers = [int(n) for n in found.groups() if n is not None] if found is not None else []
        if not numbers or min(numbers) < self.low:
            above = "" if self.low < 0 else f" of at least {self.low}"
            raise BadValue(f"expected `P`, `WxH` or `LxTxRxB` in pixels{above}, found `{text}`")
        return Sides(*(numbers * (4 // len(numbers))))

    def format(self, value: Sides) -> str:
        """Write it as short as it can be."""
        return str(Sides(*value))


class OutpaintText(Kind):
    """Pixels that a picture grows by, side by side: `left=256,right=128`."""

    metavar: str = "SIDE=N[,SIDE=N]"

    def parse(self, text: str) -> Sides:
        """Read the sides that grow."""
        said: dict[str, int] = {}
        position = 0
        for part in text.split(","):
            found = re.fullmatch(r"\s*(left|top|right|bottom)\s*=\s*(\d{1,5})\s*", part)
            end = position + len(part)
            if found is None or found[1] in said or not int(found[2]):
                is_second = found is not None and found[1] in said
                message = "the side was given before" if is_second else "expected a side such as `left=256`"
                help = "sides are left, top, right, bottom"
                raise BadValue(f"{message}, found `{part.strip()}`", position, end, help=help)
            said[found[1]] = int(found[2])
            position = end + 1
        return Sides(**said)

    def format(self, value: Sides) -> str:
        """Write the sides that grow."""
        return ",".join(f"{name}={pixels}" for name, pixels in Sides(*value)._asdict().items() if pixels)
