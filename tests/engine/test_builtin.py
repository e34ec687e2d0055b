"""The built-in model draws what it is told: a smaller version of `tools/evaluate_shapes.py`, through dgen's engine."""

from __future__ import annotations

import pytest
from PIL import Image
from shapes.judge import Seen, see
from shapes.marks import mark
from shapes.questions import Question, questions
from toybench import Bench

from dgen.builtin import builtin_models
from dgen.engine.protocol import Inputs
from dgen.values.image_seed import ImageSeed
from dgen.values.prompt import Prompt

SHAPES = "builtin:shapes"
TOLERANCE = 0.06
"""So few pictures are judged here that one or two wrong ones more than in the whole evaluation prove nothing."""


USUAL = {"num_inference_steps": 20, "guidance_scale": 2.0}
"""What the figures in the docs are measured with."""


def draw(bench: Bench, text: str, seed: int = 1, negative: str = "") -> Image.Image:
    """Draw one picture."""
    (made,) = bench.render(SHAPES, prompt=Prompt(text, negative), seed=seed, image_seed=None, **USUAL).images
    return made


@pytest.fixture(scope="module")
def marked(shared_bench: Bench) -> list[dict[str, bool]]:
    """The marks of every fifth full caption."""
    asked: list[Question] = [q for q in questions() if q.group == "full"][::5]
    return [mark(q, draw(shared_bench, q.caption, q.seed)) for q in asked]


@pytest.mark.parametrize(
    ("name", "target"), [("colour", 0.95), ("background", 0.97), ("position", 0.90), ("form", 0.85)]
)
def test_pictures_show_what_the_caption_says(marked: list[dict[str, bool]], name: str, target: float) -> None:
    right = sum(marks[name] for marks in marked) / len(marked)
    assert right >= target - TOLERANCE


def test_a_forbidden_colour_is_not_drawn(shared_bench: Bench) -> None:
    def red_stars(negative: str) -> int:
        drawn = [draw(shared_bench, "a star on a white background", seed, negative) for seed in range(12)]
        return sum(see(picture).pieces[0].colour == "red" for picture in drawn)

    free, forbidden = red_stars(""), red_stars("red")
    assert free >= 3 * forbidden
    assert free > 0


def test_inpainting_leaves_what_is_not_masked(shared_bench: Bench) -> None:
    start = draw(shared_bench, "a small blue square on the right on a white background")
    hole = Image.new("L", start.size, 0)
    hole.paste(255, (1, 8, 30, 56))
    text = Prompt("a red circle on the left and a blue square on the right on a white background", "")
    job = shared_bench.job(
        "builtin:shapes-inpaint", "inpaint", prompt=text, seed=1, strength=1.0,
        image_seed=ImageSeed("seed", mask="mask"), **USUAL,
    )  # fmt: skip
    result = shared_bench.engine.render(job, Inputs(start, hole), lambda step, steps: None)
    seen = see(result.images[0])
    assert {(p.colour, p.column) for p in seen.pieces[:2]} == {("red", "left"), ("blue", "right")}


def test_an_instruction_changes_the_colour(shared_bench: Bench) -> None:
    start = draw(shared_bench, "a large red circle on a white background")
    job = shared_bench.job(
        "builtin:shapes-pix2pix", "img2img", prompt=Prompt("make it green", ""), seed=1, image_seed=ImageSeed("seed"),
        **USUAL,
    )  # fmt: skip
    result = shared_bench.engine.render(job, Inputs(start), lambda step, steps: None)
    seen: Seen = see(result.images[0])
    assert (seen.pieces[0].colour, seen.background) == ("green", "white")


def test_every_builtin_folder_tells_what_it_is_and_stays_small() -> None:
    limits = {True: 12_000_000, False: 1_000_000}
    found = list(builtin_models())
    assert found
    for model in found:
        assert model.help.endswith(".")
        assert model.bytes <= limits[model.base is None]
