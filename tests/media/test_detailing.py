"""Detailing: what detectors find in a picture is painted again, and nothing else of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from shapes.judge import see

from dgen.api import Engine
from dgen.cli.main import main
from dgen.darkroom import Darkroom
from dgen.detailing import Manner, manner_of
from dgen.detectors import DETECTORS, Found
from dgen.diagnostic import Source
from dgen.media.decode import brought_to
from dgen.media.metadata import read_config
from dgen.media.read import PictureFiles
from dgen.options.request import Request
from dgen.planning import plan_script
from dgen.processors import chains
from dgen.retouching import blurred
from dgen.schema import BadValue
from dgen.values.scalars import Size
from dgen.values.sides import Sides
from dgen.values.uri import OpenUri

DRAWN = "a red circle on the left and a blue square on the right on a white background"
RUN = ["builtin:shapes", "--inference-steps", "20", "--guidance-scales", "2", "--quiet"]
STAR = ["--prompts", "a green star on the left and a blue square on the right on a white background"]
RED = "color;color=#e02020"
WHOLE = ["--image-seed-strengths", "1"]


def made(folder: str, *words: str) -> list[Path]:
    assert main([*words, "-o", folder]) == 0
    return sorted(Path(folder).glob("*.png"))


def pixels(path: Path | str) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(int)


def pieces(path: Path) -> set[tuple[str, str]]:
    return {(piece.colour, piece.form) for piece in see(Image.open(path)).pieces}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A red circle and a blue square, which the built-in model drew."""
    folder = tmp_path_factory.mktemp("base")
    (path,) = made(str(folder), *RUN, "--prompts", DRAWN, "--seeds", "1")
    assert pieces(path) == {("red", "circle"), ("blue", "square")}
    return path


@pytest.fixture
def here(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("base.png").write_bytes(base.read_bytes())
    return tmp_path


def red_mask(dilation: int = 4, blur: int = 4) -> np.ndarray:
    """Where the red circle of the base may change at all."""
    (found,) = DETECTORS.read(RED).row.call(DETECTORS.read(RED).said, Image.open("base.png"), None)
    manner = replace(MANNER, mask_dilation=dilation)
    return np.asarray(blurred(manner.mask(found, Size(64, 64)), blur)) > 0


MANNER = Manner(
    class_filter=(), index_filter=(), model_masks=False, mask_shape="rectangle", detector_padding=Sides(),
    mask_padding=Sides(), mask_blur=0, mask_dilation=0, size=None,
)  # fmt: skip


def test_figure_found_becomes_the_one_asked_for_and_nothing_else_changes(here: Path) -> None:
    (path,) = made("out", *RUN, *STAR, *WHOLE, "--seeds", "5", "--image-seeds", "base.png", "-ad", RED)
    assert pieces(path) == {("green", "star"), ("blue", "square")}
    mask = red_mask()
    assert 0.1 < mask.mean() < 0.6
    assert (pixels(path) == pixels("base.png"))[~mask].all()


def test_picture_without_an_image_seed_is_made_first(here: Path) -> None:
    words = [*RUN, "--prompts", DRAWN, "--seeds", "1", *WHOLE]
    own = "prompt=a green star on the left and a blue square on the right on a white background"
    (path,) = made("out", *words, "-ad", f"{RED};{own}")
    assert pieces(path) == {("green", "star"), ("blue", "square")}
    assert (pixels(path) == pixels("base.png"))[~red_mask()].all()


def test_each_detector_paints_its_own_prompt_over_what_the_one_before_made(here: Path) -> None:
    one = f"{RED};prompt=a green star on the left and a blue square on the right on a white background"
    two = "color;color=#20a040;prompt=a yellow circle on the left and a blue square on the right on a white background"
    said = [*RUN, "--prompts", DRAWN, *WHOLE, "--seeds", "5"]
    (path,) = made("both", *said, "--image-seeds", "base.png", "-ad", one, two)
    assert pieces(path) == {("yellow", "circle"), ("blue", "square")}
    (first,) = made("first", *said, "--image-seeds", "base.png", "-ad", one)
    (second,) = made("second", *said, "--image-seeds", str(first), "-ad", two)
    assert (pixels(path) == pixels(second)).all()


def test_part_is_what_inpainting_of_the_cut_file_makes(here: Path) -> None:
    settings = ["-admp", "0x0x8x4", "-adb", "0", "-add", "0", "-adsz", "48", "--image-seed-strengths", "0.5"]
    words = [*RUN[:-1], "--quiet", "--prompts", "x", "--seeds", "2"]
    (path,) = made("out", *words, "--image-seeds", "base.png", "-ad", RED, *settings)
    mask = red_mask(0, 0)
    rows, columns = np.nonzero(mask)
    box = (columns.min(), rows.min(), columns.max() + 9, rows.max() + 5)
    smaller, larger = Size(48, size(box)), Size(box[2] - box[0], box[3] - box[1])
    brought_to(Image.open("base.png").crop(box), smaller).save("cut.png")
    brought_to(Image.fromarray(mask.astype(np.uint8) * 255).crop(box), smaller).save("spot.png")
    (part,) = made("part", *words, "--image-seeds", "cut.png;mask=spot.png", "--image-seed-strengths", "0.5")
    back = brought_to(Image.open(part), larger)
    inside = mask[box[1] : box[3], box[0] : box[2]]
    assert (pixels(path)[box[1] : box[3], box[0] : box[2]] == np.asarray(back).astype(int))[inside].all()


def size(box: tuple[int, int, int, int]) -> int:
    """The height that the longer side of 48 leaves, in multiples of 8."""
    assert box[2] - box[0] >= box[3] - box[1]
    return round((box[3] - box[1]) * 48 / (box[2] - box[0])) // 8 * 8


def test_batch_and_sweep_make_what_the_plan_says_and_replay_to_the_byte(here: Path) -> None:
    settings = ["--adetailer-mask-shapes", "circle", "--adetailer-mask-blurs", "0", "3", "--batch-size", "2"]
    words = ["builtin:shapes", "--inference-steps", "3", *STAR, "--seeds", "5", "--image-seeds", "base.png"]
    words += ["-ad", RED, *settings, "-o", "out"]
    planned = plan_script(Source("s.dgen", " ".join(f'"{w}"' if " " in w or ";" in w else w for w in words)))
    assert main([*words, "--quiet"]) == 0
    paths = sorted(Path("out").glob("*.png"))
    assert sorted(p.name for p in planned.files) == [p.name for p in paths]
    assert len(paths) == 4
    assert len({path.read_bytes() for path in paths}) == 4
    assert main(["replay", str(paths[0]), "-o", "again", "--quiet"]) == 0
    assert {p.name for p in Path("again").glob("*.png")} <= {p.name for p in paths}
    for path in Path("again").glob("*.png"):
        assert path.read_bytes() == (Path("out") / path.name).read_bytes()
    assert "--adetailer-mask-shapes circle\n" in read_config(paths[0])


def test_nothing_found_is_told_and_changes_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [w for w in RUN if w != "--quiet"]
    words += ["--prompts", "x", "--seeds", "1", "--image-seeds", "base.png"]
    (path,) = made("out", *words, "-ad", "color;color=#ff00ff")
    assert (pixels(path) == pixels("base.png")).all()
    assert "warning[nothing-found]: `color` found nothing" in capsys.readouterr().err


# ---- masks and filters, without a model ------------------------------------------------------------------------------

BOX = Found((10.2, 20.0, 29.6, 40.0), 0.9, "star", 3)


@pytest.mark.parametrize(
    ("settings", "box", "filled"),
    [
        ({}, (10, 20, 30, 40), 1.0),
        ({"detector_padding": Sides(1, 2, 3, 4)}, (9, 18, 33, 44), 1.0),
        ({"detector_padding": Sides(-2, -2, -2, -2)}, (12, 22, 28, 38), 1.0),
        ({"mask_dilation": 5}, (5, 15, 35, 45), 1.0),
        ({"mask_dilation": 60}, (0, 0, 64, 64), 1.0),
        ({"mask_shape": "circle"}, (10, 20, 30, 40), np.pi / 4),
    ],
)  # fmt: skip
def test_mask_has_the_shape_that_is_said(settings: dict[str, Any], box: tuple[int, ...], filled: float) -> None:
    mask = replace(MANNER, **settings).mask(BOX, Size(64, 64))
    assert mask.getbbox() == box
    assert np.asarray(mask.crop(box)).mean() / 255 == pytest.approx(filled, abs=0.03)


def test_mask_padded_away_is_empty_and_own_masks_are_the_very_pixels() -> None:
    assert replace(MANNER, detector_padding=Sides(-10, 0, -10, 0)).mask(BOX, Size(64, 64)).getbbox() is None
    spots = np.zeros((64, 64), bool)
    spots[3:5, 7] = True
    own = replace(BOX, mask=spots)
    assert (np.asarray(replace(MANNER, model_masks=True).mask(own, Size(64, 64))) == spots * 255).all()
    with pytest.raises(BadValue, match="draws no masks"):
        replace(MANNER, model_masks=True).mask(BOX, Size(64, 64))


@pytest.mark.parametrize(
    ("classes", "indices", "left"),
    [
        ((), (), [0.9, 0.7, 0.5]), (("star",), (), [0.9, 0.5]), (("3",), (), [0.9, 0.5]),
        (("3", "face"), (), [0.9, 0.7, 0.5]),
        ((), (0, 2), [0.9, 0.5]), (("star",), (1,), [0.5]), (("dog",), (), []),
    ],
)  # fmt: skip
def test_filters_take_classes_first_and_count_the_surest_first(
    classes: tuple[str, ...], indices: tuple[int, ...], left: list[float]
) -> None:
    found = [replace(BOX, score=0.5), replace(BOX, score=0.7, label="face", number=0), BOX]
    chosen = replace(MANNER, class_filter=classes, index_filter=indices).chosen(found)
    assert [each.score for each in chosen] == left


def test_detector_says_more_than_the_statement() -> None:
    request = Request(model="m", adetailer_mask_blur=4, adetailer_class_filter=("a",), adetailer_mask_dilation=1)
    said = DETECTORS.read("color;color=red;mask-blur=0;class-filter=b,2;index-filter=1;detector-padding=-3").said
    manner = manner_of(said, request)
    assert (manner.mask_blur, manner.class_filter, manner.index_filter) == (0, ("b", "2"), (1,))
    assert (manner.mask_dilation, manner.detector_padding) == (1, Sides(-3, -3, -3, -3))


def test_pieces_of_a_colour_are_what_scipy_labels() -> None:
    rng = np.random.default_rng(4)
    spots = ndimage.gaussian_filter(rng.normal(size=(90, 130)), 2) > 0.03
    image = Image.fromarray(np.where(spots[..., None], [250, 10, 10], [10, 200, 10]).astype(np.uint8))
    read = DETECTORS.read("color;color=red;smallest=0")
    found = read.row.call(read.said, image, None)
    labels, count = ndimage.label(spots, structure=np.ones((3, 3)))
    assert len(found) == count > 10
    for each in found:
        (label,) = set(labels[each.mask])
        rows, columns = ndimage.find_objects(labels)[label - 1]
        assert (each.mask == (labels == label)).all()
        assert each.box == (columns.start, rows.start, columns.stop, rows.stop)
    few = DETECTORS.read("color;color=red;smallest=0.01")
    assert 0 < len(few.row.call(few.said, image, None)) < count


GREEN = "a green star on the left and a blue square on the right on a white background"
ADETAILER = f"adetailer;model='{RED}';prompt={GREEN};strength=1;inference-steps=20;guidance-scale=2"


def test_processor_paints_as_the_option_does(here: Path) -> None:
    words = [*RUN, "--seeds", "1"]
    (by_option,) = made("option", *words, *WHOLE, "--prompts", GREEN, "--image-seeds", "base.png", "-ad", RED)
    (path,) = made("out", *words, "--prompts", DRAWN, "--post-processors", ADETAILER)
    assert pieces(path) == {("green", "star"), ("blue", "square")}
    assert (pixels(path) == pixels(by_option)).all()


def test_processed_picture_is_replayed_to_the_same_bytes(here: Path) -> None:
    (path,) = made("out", *RUN, "--prompts", DRAWN, "--seeds", "1", "--post-processors", f"{ADETAILER};seed=4")
    assert main(["verify", str(path), "--quiet"]) == 0


def test_each_picture_of_a_batch_and_of_a_program_is_processed(here: Path) -> None:
    said = {"prompts": DRAWN, "seeds": 1, "inference_steps": 20, "guidance_scales": 2, "post_processors": ADETAILER}
    two = made("out", *RUN, "--prompts", DRAWN, "--seeds", "1", "--batch-size", "2", "--post-processors", ADETAILER)
    assert all(("green", "star") in pieces(path) and ("red", "circle") not in pieces(path) for path in two)
    (drawn,) = Engine().draw("builtin:shapes", **said)
    (path,) = made("one", *RUN, "--prompts", DRAWN, "--seeds", "1", "--post-processors", ADETAILER)
    assert (np.asarray(drawn.image).astype(int) == pixels(path)).all()


@pytest.mark.parametrize(("of_first", "of_second"), [("", ""), (";seed=40", ";seed=41")], ids=["own-seed", "said-seed"])
def test_pictures_of_a_batch_are_painted_with_seeds_that_count_up(here: Path, of_first: str, of_second: str) -> None:
    painting = ADETAILER.replace("inference-steps=20", "inference-steps=5")
    words = [*RUN, "--prompts", DRAWN]
    both = made("both", *words, "--seeds", "1", "--batch-size", "2", "--post-processors", painting + of_first)
    apart = [
        made(f"{seed}", *words, "--seeds", seed, "--post-processors", painting + said)[0]
        for seed, said in (("1", of_first), ("2", of_second))
    ]
    for one, alone in zip(both, apart, strict=True):  # a batch of two rounds otherwise than one picture alone
        assert abs(pixels(one) - pixels(alone)).max() <= 3


def test_program_details_what_its_engine_draws(here: Path) -> None:
    words = {"prompts": GREEN, "seeds": 1, "inference_steps": 20, "guidance_scales": 2, "image_seed_strengths": 1}
    (drawn,) = Engine().draw("builtin:shapes", **words, image_seeds="base.png", adetailer_detectors=RED)
    (path,) = made("out", *RUN, *WHOLE, "--seeds", "1", "--prompts", GREEN, "--image-seeds", "base.png", "-ad", RED)
    assert (np.asarray(drawn.image).astype(int) == pixels(path)).all()


def test_processors_after_it_work_on_what_this_job_painted() -> None:
    room, base = Darkroom(PictureFiles()), Image.new("RGB", (8, 8), "black")
    (chain,) = chains([OpenUri().parse(word) for word in ("adetailer;model=faces.onnx;prompt=x", "invert")], "")
    for painted, inverted in (("white", (0, 0, 0)), ("red", (0, 255, 255))):
        made = room.develop(base, chain, lambda image, said, painted=painted: Image.new("RGB", image.size, painted))
        assert made.getpixel((0, 0)) == inverted
