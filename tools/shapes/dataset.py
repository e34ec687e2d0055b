"""The fixed, seeded set of drawings, and its latents."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .drawings import Drawing, new_drawing, render

BATCH = 64


def drawings(count: int, seed: int) -> list[Drawing]:
    """Return `count` random drawings, always the same for a seed."""
    rng = random.Random(seed)
    return [new_drawing(rng) for _ in range(count)]


def as_tensor(picture: Image.Image) -> Tensor:
    """Return a picture as (3, h, w) uint8 in [0, 255]."""
    return torch.from_numpy(np.asarray(picture.convert("RGB")).copy()).permute(2, 0, 1)


def as_input(pixels: Tensor) -> Tensor:
    """Turn uint8 pixels into float32 in [-1, 1], channels last in memory."""
    return (pixels.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def render_array(drawing: Drawing) -> np.ndarray:
    """Return a drawing as (3, PICTURE_PX, PICTURE_PX) uint8."""
    return np.asarray(render(drawing)).transpose(2, 0, 1)


def render_all(listed: list[Drawing], processes: int = 2) -> Iterable[np.ndarray]:
    """Yield the drawings as (3, PICTURE_PX, PICTURE_PX) uint8 arrays, in order."""
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(render_array, listed, chunksize=64)


def cached(path: Path, make: Callable[[], Tensor]) -> Tensor:
    """Return the tensor stored at `path`; make and store it when it is not there yet."""
    if not path.exists():
        part = path.with_suffix(".part")
        torch.save(make(), part)
        part.replace(path)
    return torch.load(path, weights_only=True, mmap=True)


def pixels(listed: list[Drawing], path: Path) -> Tensor:
    """Return the drawings as (n, 3, PICTURE_PX, PICTURE_PX) uint8, kept in a file."""
    return cached(path, lambda: torch.from_numpy(np.stack(list(render_all(listed)))))


@torch.no_grad()
def encode(vae: torch.nn.Module, batch: Tensor) -> Tensor:
    """Return the scaled mean latents of uint8 pixels: (n, 4, 8, 8) float16."""
    mean = vae.encode(as_input(batch)).latent_dist.mean
    return (mean * vae.config.scaling_factor).half()


def latents(vae: torch.nn.Module, listed: list[Drawing], path: Path) -> Tensor:
    """Return the latents of the drawings: (n, 4, 8, 8) float16, scaled, kept in a file."""

    def make() -> Tensor:
        found, waiting = [], []
        for array in render_all(listed):
            waiting.append(torch.from_numpy(array))
            if len(waiting) == BATCH:
                found.append(encode(vae, torch.stack(waiting)))
                waiting = []
        if waiting:
            found.append(encode(vae, torch.stack(waiting)))
        return torch.cat(found)

    return cached(path, make)
