"""`patchmatch`: what it finds against every patch there is, and what it fills in against what was there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dgen.darkroom import Darkroom
from dgen.engine.protocol import EngineError
from dgen.media.read import PictureFiles
from dgen.processors import PROCESSORS, chains
from dgen.values.uri import OpenUri

DOWN, ACROSS = np.mgrid[0:48, 0:64]
CHECKS = np.stack([(ACROSS // 4 % 2) * 200, (DOWN // 4 % 2) * 200, ((ACROSS + DOWN) // 4 % 2) * 100], -1).astype(
    np.uint8
)
HOLE = np.zeros((48, 64), bool)
HOLE[18:32, 24:40] = True
DAMAGED = np.where(HOLE[..., None], 0, CHECKS).astype(np.uint8)


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(HOLE.astype(np.uint8) * 255).save("mask.png")
    Image.fromarray(~HOLE * np.uint8(255)).save("kept.png")
    Image.fromarray(DAMAGED).save("damaged.png")


def process(*uris: str, pixels: np.ndarray = DAMAGED) -> np.ndarray:
    (chain,) = chains([OpenUri().parse(u) for u in uris], "processors")
    return np.asarray(Darkroom(PictureFiles()).develop(Image.fromarray(pixels), chain))


@pytest.mark.parametrize("uri", ["mask=mask.png", "mask=kept.png;mask-processors=invert", "mask=mask.png;patch-size=7"])
def test_a_pattern_is_continued_exactly(uri: str) -> None:
    assert (process(f"patchmatch;{uri}") == CHECKS).all()


def test_a_mask_can_be_what_is_processed_and_the_picture_an_argument() -> None:
    mask = np.repeat(HOLE[..., None], 3, axis=2).astype(np.uint8) * 255
    assert (process("patchmatch;image=damaged.png", pixels=mask) == CHECKS).all()
    turned = process("patchmatch;image=damaged.png;image-processors=invert", pixels=mask)
    assert (turned == 255 - CHECKS).all()


def test_only_the_hole_changes_and_a_seed_decides_how() -> None:
    noise = np.random.default_rng(3).integers(0, 256, CHECKS.shape, dtype=np.uint8)
    made = [process(f"patchmatch;mask=mask.png;seed={seed}", pixels=noise) for seed in (1, 1, 2)]
    assert (made[0] == made[1]).all()
    assert (made[0] != made[2]).any()
    assert (made[0][~HOLE] == noise[~HOLE]).all()
    assert (made[0][HOLE] != noise[HOLE]).any()


def test_the_patches_that_are_found_are_nearly_the_nearest_of_all() -> None:
    """Against every pair: what a search finds is on average at most a quarter farther than the best there is."""
    fills: Any = sys.modules[PROCESSORS.rows()["patchmatch"].call.__module__]
    chance = np.random.default_rng(5)
    smooth = np.asarray(
        Image.fromarray(chance.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((64, 48)), np.float32
    )
    level = fills.Level(smooth, HOLE, 2)
    level.start(None, chance)
    first = level.distance.mean()
    for _ in range(12):
        level.search(chance)
    patches = np.lib.stride_tricks.sliding_window_view(smooth, (5, 5), axis=(0, 1)).reshape(44, 60, -1)
    is_free = np.lib.stride_tricks.sliding_window_view(~HOLE, (5, 5)).all(axis=(2, 3))
    targets = patches[tuple((level.targets - 2).T)]
    best = np.array([((patches[is_free] - one) ** 2).mean(axis=1).min() for one in targets])
    assert (level.distance >= best - 1e-2).all()
    assert level.distance.mean() <= 1.25 * best.mean() < first / 5


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("patchmatch", "give either `mask` or `image`"),
        ("patchmatch;mask=mask.png;image=damaged.png", "give either `mask` or `image`"),
        ("patchmatch;mask=white.png", "leaves no whole patch of 5x5 pixels"),
    ],
)
def test_what_cannot_be_filled_is_refused(uri: str, told: str) -> None:
    Image.new("L", (8, 8), 255).save("white.png")
    with pytest.raises(EngineError, match=told):
        process(uri)


def test_without_a_hole_nothing_changes() -> None:
    Image.new("L", (8, 8), 0).save("black.png")
    assert (process("patchmatch;mask=black.png") == DAMAGED).all()
