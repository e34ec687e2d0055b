"""The pictures of docs/processors.md are what the examples beside them make; `--update-golden` draws them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from toy_annotators import BY_HAND

from dgen.darkroom import Darkroom
from dgen.engine.render import LocalEngine
from dgen.media.read import PictureFiles
from dgen.processors import PROCESSORS, Row, chains
from dgen.values.uri import OpenUri

DOCS = Path(__file__).parent.parent / "docs"
PICTURES = DOCS / "pictures" / "processors"
FIRST_PARTY = [row for row in PROCESSORS.rows().values() if row.place[0].parent.name == "plugins" and not row.has_model]


def landscape(sky: tuple[int, int, int], sun: tuple[int, int, int]) -> Image.Image:
    """A picture of 128x96 pixels: sky, sun, hills, a house."""
    down = np.linspace(0, 1, 96)[:, None, None]
    pixels = np.array(sky) * (1 - down) + np.array([250, 235, 215]) * down
    picture = Image.fromarray(np.broadcast_to(pixels, (96, 128, 3)).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((84, 10, 112, 38), fill=sun)
    draw.polygon([(0, 70), (40, 44), (84, 66), (128, 52), (128, 96), (0, 96)], fill=(70, 120, 80))
    draw.polygon([(0, 84), (60, 70), (128, 80), (128, 96), (0, 96)], fill=(40, 90, 50))
    draw.rectangle((36, 56, 58, 76), fill=(180, 70, 50))
    draw.polygon([(32, 56), (47, 44), (62, 56)], fill=(90, 50, 40))
    draw.rectangle((43, 64, 50, 76), fill=(240, 220, 150))
    return picture


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pictures that the examples name."""
    folder = tmp_path_factory.mktemp("pictures")
    landscape((90, 140, 210), (255, 240, 160)).save(folder / "photo.png")
    landscape((120, 60, 110), (255, 120, 60)).save(folder / "evening.png")
    mask = Image.new("L", (128, 96), 0)
    ImageDraw.Draw(mask).rectangle((28, 40, 66, 80), fill=255)
    mask.save(folder / "mask.png")
    mark = Image.new("RGB", (64, 32), "white")
    ImageDraw.Draw(mark).ellipse((4, 4, 59, 27), outline=(20, 30, 60), width=6)
    mark.save(folder / "mark.png")
    return folder


def check_picture(made: Image.Image, name: str, update: bool) -> None:
    path = PICTURES / f"{name}.png"
    if update:
        path.parent.mkdir(exist_ok=True)
        made.save(path, optimize=True)
    kept = np.asarray(Image.open(path).convert("RGB")).astype(int)
    assert kept.shape == (made.height, made.width, 3)
    assert np.abs(kept - np.asarray(made)).mean() < 0.5  # other versions of Pillow and NumPy may round otherwise


@pytest.mark.parametrize("row", FIRST_PARTY, ids=lambda row: row.name)
def test_picture_is_what_the_example_makes(
    row: Row, folder: Path, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    monkeypatch.chdir(folder)
    assert row.example, "every processor has an example"
    (chain,) = chains([OpenUri().parse(row.example)], "processors")
    before = Image.open("photo.png")
    made = Darkroom(PictureFiles()).develop(before, chain)
    assert made.size != before.size or (np.asarray(made) != np.asarray(before)).any()
    check_picture(made, row.name, pytestconfig.getoption("--update-golden"))


@pytest.mark.parametrize("name", BY_HAND)
def test_picture_of_a_network_is_what_weights_set_by_hand_make(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    monkeypatch.chdir(folder)
    make, model = BY_HAND[name]
    make(folder)
    words = f"{PROCESSORS.rows()[name].example};model={model}"
    (chain,) = chains([OpenUri().parse(words)], "processors")
    made = Darkroom(PictureFiles(), LocalEngine(lambda event: None)).develop(Image.open("photo.png"), chain)
    assert np.asarray(made).std() > 10
    check_picture(made, name, pytestconfig.getoption("--update-golden"))


def test_the_picture_that_examples_start_from_is_shown(folder: Path, pytestconfig: pytest.Config) -> None:
    check_picture(Image.open(folder / "photo.png"), "photo", pytestconfig.getoption("--update-golden"))


def test_pictures_of_the_documentation_are_small_together() -> None:
    assert sum(path.stat().st_size for path in (DOCS / "pictures").rglob("*.png")) < 2**20
    assert {path.stem for path in PICTURES.glob("*.png")} == {"photo", *BY_HAND, *(row.name for row in FIRST_PARTY)}
