"""The sizes of pictures that some pipelines choose for themselves, whatever is asked."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

Sized = Callable[[int, int], tuple[int, int]]
"""Returns the width and height in pixels that are drawn for a wanted width and height."""


def of_area(pixels: int, multiple: int) -> Sized:
    """Draw pictures of an area in pixels, in the wanted shape, each side rounded down to a multiple."""

    def draw(width: int, height: int) -> tuple[int, int]:
        times = math.sqrt(pixels / (width * height))
        return int(width * times // multiple * multiple), int(height * times // multiple * multiple)

    return draw


def near_area(pixels: int, multiple: int) -> Sized:
    """Draw pictures of about an area in pixels, in the wanted shape, each side rounded to the nearest multiple."""

    def draw(width: int, height: int) -> tuple[int, int]:
        wide = math.sqrt(pixels * (width / height))
        return round(wide / multiple) * multiple, round(wide / (width / height) / multiple) * multiple

    return draw


def over_area(pixels: int, multiple: int) -> Sized:
    """Draw pictures of about an area in pixels, in the wanted shape, each side rounded up to a multiple."""

    def draw(width: int, height: int) -> tuple[int, int]:
        wide = math.sqrt(pixels * (width / height))
        return math.ceil(wide / multiple) * multiple, math.ceil(wide / (width / height) / multiple) * multiple

    return draw


def one_of(sizes: Sequence[tuple[int, int]]) -> Sized:
    """Draw pictures of one of these sizes: the wanted one, or else that of the nearest shape."""

    def draw(width: int, height: int) -> tuple[int, int]:
        wanted = (width, height)
        return wanted if wanted in sizes else min(sizes, key=lambda s: abs(s[0] / s[1] - width / height))

    return draw
