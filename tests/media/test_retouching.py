"""Inpainting: what is cut out, repainted and put back, and pictures that grow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgen.cli.main import main
from dgen.diagnostic import Source
from dgen.media.metadata import read_config
from dgen.options.request import Request
from dgen.planning import plan_script
from dgen.retouching import Cut

RUN = ["toy", "--prompts", "x", "--inference-steps", "2", "--seeds", "1", "--quiet", "--image-seed-strengths", "1"]


@pytest.fixture
def photo(at_work: Path) -> np.ndarray:
    """A picture of 200x120 whose every pixel differs, with a mask of (90, 40) to (120, 70)."""
    across, down = np.meshgrid(np.arange(200), np.arange(120))
    pixels = np.stack([across, down * 2, across ^ down], axis=-1).astype(np.uint8)
    Image.fromarray(pixels).save("photo.png")
    mask = np.zeros((120, 200), np.uint8)
    mask[40:70, 90:120] = 255
    Image.fromarray(mask).save("spot.png")
    return pixels.astype(int)


def made(*words: str) -> np.ndarray:
    folder = Path("out") / str(len(list(Path().glob("out/*"))))
    assert main([*RUN, *words, "-o", str(folder)]) == 0
    (path,) = folder.glob("*.png")
    return np.asarray(Image.open(path)).astype(int)


def differs(one: np.ndarray, other: np.ndarray) -> tuple[slice, slice] | None:
    """The box in which two pictures differ."""
    rows, columns = np.nonzero((one != other).any(axis=-1))
    if not len(rows):
        return None
    return slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)


def within(found: tuple[slice, slice] | None, left: int, top: int, right: int, bottom: int) -> bool:
    rows, columns = found or (slice(0, 0), slice(0, 0))
    return left <= columns.start and columns.stop <= right and top <= rows.start and rows.stop <= bottom


CROP = ["--image-seeds", "photo.png;mask=spot.png", "--inpaint-crop", "--output-size", "64x64"]


@pytest.mark.parametrize(
    ("words", "box"),
    [
        ((), (58, 8, 152, 102)), (("--inpaint-crop-paddings", "10"), (80, 30, 130, 80)),
        (("--inpaint-crop-paddings", "0x10x20x0"), (90, 30, 140, 70)),
        (("--inpaint-crop-masked",), (90, 40, 120, 70)),
        (("--inpaint-crop-paddings", "10", "--inpaint-crop-feathers", "6"), (80, 30, 130, 80)),
    ],
)  # fmt: skip
def test_picture_keeps_its_size_and_every_pixel_outside_of_what_is_pasted(
    photo: np.ndarray, words: tuple[str, ...], box: tuple[int, int, int, int]
) -> None:
    after = made(*CROP, *words)
    assert after.shape == photo.shape
    assert within(differs(after, photo), *box)
    left, top, right, bottom = box
    area = (right - left) * (bottom - top)
    assert (after != photo).any(axis=-1).sum() > 0.9 * area


def test_cut_is_what_inpainting_of_the_cut_file_makes(photo: np.ndarray) -> None:
    whole = made(*CROP, "--inpaint-crop-paddings", "17")
    box = (73, 23, 137, 87)  # 64x64: nothing is resized
    for name in ("photo", "spot"):
        Image.open(f"{name}.png").crop(box).save(f"{name}-cut.png")
    part = made("--image-seeds", "photo-cut.png;mask=spot-cut.png")
    assert (whole[23:87, 73:137] == part).all()


def test_feather_fades_at_edges_inside_the_picture_alone() -> None:
    whole, made_of = Image.new("RGB", (40, 20), "black"), Image.new("RGB", (8, 8), "white")
    cut = Cut(whole, Image.new("L", whole.size, 255), (0, 5, 20, 15))
    row = np.asarray(cut.pasted(made_of, Request(model="m", inpaint_crop_feather=4)))[10, :, 0]
    assert list(row[[0, 10, 15, 16, 17, 18, 19, 20]]) == [255, 255, 255, 204, 153, 102, 51, 0]


def test_blurred_mask_fades_and_leaves_the_rest_alone(photo: np.ndarray) -> None:
    hard = made("--image-seeds", "photo.png;mask=spot.png")
    soft = made("--image-seeds", "photo.png;mask=spot.png", "--mask-blur", "3")
    assert not within(differs(hard, photo), 70, 20, 140, 90)  # the VAE alone changes every pixel
    assert within(differs(soft, photo), 70, 20, 140, 90)
    assert (soft != photo).any(axis=-1)[45:65, 95:115].mean() > 0.9


def test_outpainting_keeps_the_picture_and_paints_what_is_new(photo: np.ndarray) -> None:
    words = ("--image-seeds", "photo.png", "--outpaint", "left=16,bottom=8", "--mask-blur", "1")
    after = made(*words)
    assert after.shape == (128, 216, 3)
    assert (after[:112, 24:] == photo[:112, 8:]).all()
    edge = np.pad(photo, ((0, 8), (16, 0), (0, 0)), mode="edge")
    assert (after != edge).any(axis=-1)[:, :12].mean() > 0.9


def test_config_of_a_cut_replays_and_the_plan_knows_its_size(photo: np.ndarray) -> None:
    words = [*CROP, "--inpaint-crop-paddings", "8x4", "--mask-blur", "2"]
    assert main([*RUN, *words, "-o", "one"]) == 0
    (path,) = Path("one").glob("*.png")
    assert "--inpaint-crop-paddings 8x4\n" in read_config(path)
    assert main(["replay", str(path), "-o", "two", "--quiet"]) == 0
    assert (Path("two") / path.name).read_bytes() == path.read_bytes()
    quoted = " ".join(f'"{w}"' if ";" in w else w for w in [*RUN, *words] if w != "--quiet")
    (job,) = plan_script(Source("s.dgen", quoted)).jobs
    assert (str(job.job.size), str(job.size)) == ("64x48", "200x120")
