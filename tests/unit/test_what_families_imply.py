"""What today's image families are told by, what they do when nobody says, and what they refuse."""

from __future__ import annotations

import pytest
from test_plan import NoPictures, bound

from dgen.families.inspection import ModelFacts
from dgen.families.rows import FAMILIES, family_of_class
from dgen.options.request import Request
from dgen.plan.resolve import resolve
from dgen.plan.support import check_support
from dgen.values.prompt import Prompt
from dgen.values.scalars import Size

DEFAULTS = {
    "qwen-image": (50, 4.0, 1024),
    "z-image": (50, 5.0, 1024),
    "flux2": (50, 4.0, 1024),
    "flux2-klein": (50, 4.0, 1024),
    "chroma": (35, 5.0, 1024),
    "sana": (20, 4.5, 1024),
    "sana-sprint": (2, 4.5, 1024),
    "pixart-sigma": (20, 4.5, 1024),
    "pixart-alpha": (20, 4.5, 1024),
    "lumina2": (30, 4.0, 1024),
    "auraflow": (50, 3.5, 1024),
    "cogview4": (50, 5.0, 1024),
    "hidream": (50, 5.0, 1024),
    "hunyuan-image": (50, None, 2048),
    "hunyuan-dit": (50, 5.0, 1024),
    "z-image-omni": (50, 5.0, 1024),
    "prx": (28, 4.0, 512),
    "bria": (30, 5, 1024),
    "kandinsky22": (100, 4.0, 512),
    "kandinsky3": (25, 3.0, 1024),
    "kandinsky5": (50, 3.5, 1024),
    "latent-consistency": (4, 8.5, 512),
}
"""Family -> steps, guidance and size of the documentation of diffusers."""


def facts(name: str) -> ModelFacts:
    family = FAMILIES[name]
    size = Size(family.default_size, family.default_size)
    return ModelFacts(family=family, pipeline=family.pipeline, default_size=size)


@pytest.mark.parametrize("name", DEFAULTS)
def test_what_nobody_says_is_what_the_documentation_of_the_pipeline_gives(name: str) -> None:
    job = resolve(Request(model="m", prompt=Prompt("a")), facts(name), "cpu", NoPictures())
    assert (job.request.num_inference_steps, job.request.guidance_scale, job.size.width) == DEFAULTS[name]
    assert job.size.width == job.size.height
    assert job.size.width % FAMILIES[name].multiple_of == 0


@pytest.mark.parametrize("name", DEFAULTS)
def test_every_class_of_a_family_means_it(name: str) -> None:
    assert {family_of_class(pipeline).name for pipeline in FAMILIES[name].classes} == {name}


@pytest.mark.parametrize(
    ("name", "said", "told", "at"),
    [
        ("flux2-klein", ("--prompts", "a; b"), "FLUX.2 klein takes no negative prompt", "a; b"),
        ("sana", ("--prompts", "a", "--control-nets", "x", "y", "--image-seeds", "c.png, d.png"),
         "Sana follows one ControlNet at a time, got 2", "y"),
        ("qwen-image", ("--prompts", "a", "--control-nets", "x", "y", "--image-seeds", "c.png, d.png"),
         "Qwen-Image follows one ControlNet at a time, got 2", "y"),
        ("hidream", ("--prompts", "a", "--output-size", "512"),
         "`--output-size`: HiDream-I1 does not draw `512x512`", "512"),
        ("bria", ("--prompts", "a", "--loras", "x"), "Bria 3 cannot use `--loras` in txt2img", "--loras"),
        ("sana-sprint", ("--prompts", "a", "--timesteps", "900,500"),
         "Sana Sprint cannot use `--timesteps` in txt2img", "--timesteps"),
        ("qwen-image-layered", ("--prompts", "a", "--image-seeds", "a.png", "--call", "resolution=1024"),
         "`--call`: `resolution` is said in another way", "resolution"),
        ("qwen-image-layered", ("--prompts", "a", "--image-seeds", "a.png", "--image-format", "safetensors"),
         "Qwen-Image-Layered has no latents that could be written", "safetensors"),
        ("kandinsky3", ("--prompts", "a", "--layers", "2"), "Kandinsky 3 cannot use `--layers` in txt2img", "--layers"),
        ("pixart-sigma", ("--prompts", "a", "--image-seeds", "a.png"), "PixArt-Σ has no img2img", "a.png"),
    ],
)  # fmt: skip
def test_what_a_family_cannot_do_is_told_at_its_word(name: str, said: tuple[str, ...], told: str, at: str) -> None:
    found = check_support(bound("m", *said), facts(name))
    assert [d.message for d in found] == [told]
    assert found[0].span is not None
    assert found[0].span.text == at


def test_a_negative_prompt_or_a_second_control_net_is_no_mistake_where_it_is_taken() -> None:
    said = ("--prompts", "a; b", "--control-nets", "x", "y", "--image-seeds", "c.png, d.png")
    assert check_support(bound("m", *said), facts("hunyuan-dit")) == []
