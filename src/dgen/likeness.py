"""Measures how alike two pictures are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

_PEAK = 255
_TAPS, _SIGMA = 11, 1.5
_K1, _K2 = 0.01, 0.03


def psnr_db(one: Image, other: Image) -> float:
    """Return the peak signal-to-noise ratio of two RGB pictures in decibels: infinite when every pixel is the same.

    It is 0 when the sizes differ.
    """
    from PIL import ImageChops, ImageStat

    if one.size != other.size:
        return 0.0
    squares = ImageStat.Stat(ImageChops.difference(one, other)).sum2
    error = sum(squares) / (3 * one.width * one.height)
    return 10 * math.log10(_PEAK**2 / error) if error else math.inf


def ssim(one: Image, other: Image) -> float:
    """Return the structural similarity of two RGB pictures in [-1, 1], of their grey values; 0 when the sizes differ.

    Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity", equation 13: the mean
    over all windows that lie in the picture, which are Gaussian, 11 pixels wide. A smaller picture is one window.
    """
    import numpy as np

    if one.size != other.size:
        return 0.0
    x, y = np.asarray(one.convert("L"), dtype=np.float64), np.asarray(other.convert("L"), dtype=np.float64)
    mean_x, mean_y = _windowed(x), _windowed(y)
    var_x, var_y = _windowed(x * x) - mean_x**2, _windowed(y * y) - mean_y**2
    both = _windowed(x * y) - mean_x * mean_y
    c1, c2 = (_K1 * _PEAK) ** 2, (_K2 * _PEAK) ** 2
    above: Any = (2 * mean_x * mean_y + c1) * (2 * both + c2)
    below: Any = (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    return float((above / below).mean())


def _windowed(values: Any) -> Any:
    """Return the weighted means of the windows of a picture, (h, w) float64."""
    import numpy as np

    for axis in (0, 1):
        taps = min(_TAPS, values.shape[axis])
        places = np.arange(taps) - (taps - 1) / 2
        weights = np.exp(-(places**2) / (2 * _SIGMA**2))
        weights /= weights.sum()
        values = np.lib.stride_tricks.sliding_window_view(values, taps, axis=axis) @ weights
    return values
