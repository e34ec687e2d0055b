"""The four factors of FreeU."""

from __future__ import annotations

import math
from typing import NamedTuple

from dgen.schema import BadValue, Kind


class FreeU(NamedTuple):
    """The factors of FreeU (Si et al. 2023): on the skip connections, and on the backbone, of the first two stages."""

    s1: float
    s2: float
    b1: float
    b2: float

    def __str__(self) -> str:
        return ",".join(map(str, self))


class FreeUText(Kind):
    """The factors in one word."""

    metavar: str = "S1,S2,B1,B2"

    def parse(self, text: str) -> FreeU:
        """Read four numbers of at least 0."""
        try:
            numbers = [float(each) for each in text.split(",")]
        except ValueError:
            numbers = []
        if len(numbers) != 4 or not all(math.isfinite(n) and n >= 0 for n in numbers):
            raise BadValue(f"expected four numbers of at least 0 such as `0.9,0.2,1.2,1.4`, found `{text}`")
        return FreeU(*numbers)

    def format(self, value: FreeU) -> str:
        """Write the four numbers."""
        return str(value)
