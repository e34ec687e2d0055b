"""Finds edges as Canny's method does: gradient, thinning across it, two thresholds' upper one only."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

THRESHOLD = 18.0


def edges(picture: Image.Image) -> Image.Image:
    """Return white lines, one or two pixels wide, on black: RGB, as large as the picture."""
    pixels = np.asarray(picture.convert("RGB").filter(ImageFilter.GaussianBlur(0.7))).astype(np.float32)
    across, down = gradient(pixels)
    strength = np.sqrt(across**2 + down**2)
    lines = thinned(strength, across, down) & (strength > THRESHOLD)
    lines[[0, -1]] = lines[:, [0, -1]] = False
    return Image.fromarray(lines.astype(np.uint8) * 255).convert("RGB")


def gradient(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the central differences of the channel that changes most: (h, w) each."""
    padded = np.pad(pixels, ((1, 1), (1, 1), (0, 0)), mode="edge")
    across = (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2
    down = (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2
    best = (across**2 + down**2).argmax(axis=-1)[..., None]
    return np.take_along_axis(across, best, -1)[..., 0], np.take_along_axis(down, best, -1)[..., 0]


def thinned(strength: np.ndarray, across: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Keep the pixels that are strongest along their gradient, rounded to eight directions."""
    sector = np.round(np.arctan2(down, across) / (np.pi / 4)).astype(int) % 4
    padded = np.pad(strength, 1)
    height, width = strength.shape
    keep = np.zeros(strength.shape, dtype=bool)
    for number, (dy, dx) in enumerate(((0, 1), (1, 1), (1, 0), (1, -1))):
        ahead = padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
        behind = padded[1 - dy : 1 - dy + height, 1 - dx : 1 - dx + width]
        keep |= (sector == number) & (strength >= ahead) & (strength > behind)
    return keep
