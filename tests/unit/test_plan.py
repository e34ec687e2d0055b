"""Binding, expansion and resolution."""

from __future__ import annotations

import itertools
import random
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgen.diagnostic import DgenError, Source, Word
from dgen.families.inspection import ModelFacts
from dgen.families.rows import FAMILIES, family_named, family_of_class, generic
from dgen.options.request import ROWS, Request
from dgen.plan.bind import Bound, bind, request_table
from dgen.plan.control import control_images
from dgen.plan.expand import expand
from dgen.plan.resolve import fit, resolve
from dgen.plan.support import check_support
from dgen.schema import BadValue, Sweep
from dgen.values.scalars import Size

SD = ModelFacts(family=FAMILIES["sd"], pipeline="StableDiffusionPipeline", default_size=Size(64, 64))


class NoPictures:
    def size(self, path: str) -> Size:
        return Size(96, 64)


def words(*texts: str) -> tuple[Word, ...]:
    source = Source("test", " ".join(texts))
    starts = itertools.accumulate((len(t) + 1 for t in texts), initial=0)
    return tuple(Word(t, source.span(s, s + len(t))) for t, s in zip(texts, starts, strict=False))


def bound(*texts: str) -> Bound:
    line = words(*texts)
    return bind(line, request_table(), line[0].span.to(line[-1].span))


def codes(*texts: str) -> list[str]:
    with pytest.raises(DgenError) as caught:
        bound(*texts)
    return [d.code for d in caught.value.diagnostics]


def test_swept_option_multiplies_jobs() -> None:
    expansion = expand(bound("m", "--prompts", "a", "b", "--seeds", "1", "2", "3", "--guidance-scales", "3", "5"))
    assert len(expansion) == len(list(expansion)) == 12


def test_last_option_of_the_order_varies_fastest() -> None:
    said = ("--inference-steps", "10", "20", "--guidance-scales", "3", "5", "--seeds", "1", "2", "--prompts", "a", "b")
    line = bound("m", *said)
    got = [(r.prompt.positive, r.seed, r.guidance_scale, r.num_inference_steps) for r in expand(line)]
    assert got == list(itertools.product("ab", (1, 2), (3.0, 5.0), (10, 20)))


def test_every_swept_row_has_its_place_in_the_order() -> None:
    line = ["m", "--scheduler", "A", "B", "--clip-skips", "1", "2", "--image-seeds", "a.png", "b.png"]
    line += ["--image-seed-strengths", "0.1", "0.2", "--second-prompts", "x", "y", "--sdxl-target-sizes", "8x8", "9x9"]
    expansion = expand(bound(*line, "--seeds", "1"))
    ranks = [ROWS[n].sweep for n in expansion.names]
    assert ranks == sorted(ranks, key=lambda r: r or Sweep.IMAGE_SEED)
    assert expansion.names[0] == "image_seed"


def test_seeds_pair_with_images() -> None:
    line = bound("m", "--image-seeds", "a.png", "b.png", "c.png", "--seeds", "1", "2", "--seeds-to-images")
    pairs = [(r.image_seed and r.image_seed.image, r.seed) for r in expand(line)]
    assert pairs == [("a.png", 1), ("b.png", 2), ("c.png", 1)]


def test_a_million_jobs_start_at_once_in_constant_memory() -> None:
    numbers = [str(n) for n in range(1, 101)]
    line = bound("m", "--seeds", *numbers, "--inference-steps", *numbers, "--guidance-scales", *numbers)
    tracemalloc.start()
    expansion = expand(line)
    first = sum(1 for _ in itertools.islice(expansion, 20_000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(expansion) == 1_000_000
    assert first == 20_000
    assert peak < 1_000_000


def test_random_seeds_are_drawn_once_for_all_jobs() -> None:
    seeds = {r.seed for r in expand(bound("m", "--prompts", "a", "b", "--gen-seeds", "3"), random.Random(1))}
    assert len(seeds) == 3


def test_injected_option_wins_over_the_one_it_excludes() -> None:
    line = (*words("m", "--seeds", "1", "2"), *words("--gen-seeds", "3"))
    assert "seed" not in bind(line, request_table(), line[0].span)


def test_last_spelling_counts_and_the_first_is_warned_about() -> None:
    line = bound("m", "--seeds", "1", "--seeds", "2")
    assert line.given["seed"].values == (2,)
    assert [w.code for w in line.warnings] == ["repeated-option"]


@pytest.mark.parametrize("old", ["--prompt", "--seed", "--guidance-scale", "--inference-step", "--schedulers"])
def test_singular_and_plural_are_one(old: str) -> None:
    assert old in request_table().flags


@pytest.mark.parametrize("value", ["-1", "-0.5", "-.5"])
def test_negative_number_is_a_value(value: str) -> None:
    assert codes("m", "--guidance-scales", value) == ["bad-value"]


def test_equals_sign_attaches_a_value() -> None:
    assert bound("m", "--seeds=7").given["seed"].values == (7,)


def test_every_mistake_is_reported_at_once() -> None:
    found = codes("m", "--seeds", "x", "--zebra", "1", "--batch-size", "0", "--no-aspect")
    assert found == ["bad-value", "unknown-option", "bad-value", "missing-option"]


@pytest.mark.parametrize(
    ("name", "family"),
    [("sd", "sd"), ("torch", "sd"), ("torch-sd", "sd"), ("torch-sdxl", "sdxl"), ("SDXL", "sdxl")],
)
def test_model_types_of_every_version_are_known(name: str, family: str) -> None:
    assert family_named(name).name == family


def test_unknown_model_type_is_refused() -> None:
    with pytest.raises(BadValue, match="no model type"):
        family_named("sdlx")


def test_pipeline_without_a_row_is_generic() -> None:
    assert family_of_class("DDPMPipeline").name == "generic"


def test_job_has_nothing_left_to_default() -> None:
    (request,) = expand(bound("m", "--seeds", "1"))
    job = resolve(request, SD, "cpu", NoPictures())
    r = job.request
    assert (r.guidance_scale, r.num_inference_steps, r.dtype, job.size) == (5.0, 30, "float32", Size(64, 64))
    assert r.strength is None
    assert job.pipeline == "StableDiffusionPipeline"


def test_image_seed_decides_mode_and_size() -> None:
    (request,) = expand(bound("m", "--seeds", "1", "--image-seeds", "a.png;48"))
    job = resolve(request, SD, "cpu", NoPictures())
    assert (job.mode, job.size, job.request.strength) == ("img2img", Size(48, 32), 0.8)


@pytest.mark.parametrize(
    ("seed", "mode", "controls"),
    [
        ("a.png", "txt2img", ("a.png",)),
        ("a.png, b.png", "txt2img", ("a.png", "b.png")),
        ("a.png;control=b.png", "img2img", ("b.png",)),
        ("a.png;m.png;control=b.png, c.png", "inpaint", ("b.png", "c.png")),
        ("a.png;m.png", "inpaint", ()),
    ],
)
def test_controlnets_take_the_control_images_of_a_seed(seed: str, mode: str, controls: tuple[str, ...]) -> None:
    (request,) = expand(bound("m", "--seeds", "1", "--control-nets", "n", "--image-seeds", seed))
    job = resolve(request, SD, "cpu", NoPictures())
    assert (job.mode, job.size, job.request.output_size) == (mode, Size(96, 64), None)
    assert job.pipeline.startswith("StableDiffusionControlNet")
    assert control_images(request.image_seed, True) == controls
    assert (job.request.strength is None) == (mode == "txt2img")


def test_what_attaches_is_refused_where_the_pipeline_cannot_take_it() -> None:
    words = ("m", "--loras", "l", "--textual-inversions", "w", "--control-nets", "n", "--image-seeds", "a.png")
    facts = ModelFacts(family=generic("AllegroPipeline"), pipeline="AllegroPipeline", default_size=Size(64, 64))
    found = check_support(bound(*words), facts)
    assert [(d.code, d.message.partition("`")[2].partition("`")[0]) for d in found] == [
        ("unsupported-option", "--loras"),
        ("unsupported-option", "--textual-inversions"),
        ("unsupported-option", "--control-nets"),
    ]
    every = "(txt2img, img2img, inpaint)"
    first = f"these can: sd {every}, sdxl {every}, sd3 (txt2img, inpaint), flux {every}, "
    assert str(found[2].help).startswith(first)
    assert str(found[2].help).endswith("and others, which `dgen families` lists")


@pytest.mark.parametrize(
    ("wanted", "aspect", "size"),
    [
        (None, True, (96, 64)),
        (Size(48, 0), True, (48, 32)),
        (Size(48, 48), True, (48, 32)),
        (Size(48, 48), False, (48, 48)),
    ],
)
def test_picture_is_fitted(wanted: Size | None, aspect: bool, size: tuple[int, int]) -> None:
    assert fit(Size(96, 64), wanted, aspect, 8) == size


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 5000), st.sampled_from([8, 16, 128]))
@settings(max_examples=100, deadline=None)
def test_fitted_size_is_aligned_and_never_empty(width: int, height: int, wanted: int, multiple: int) -> None:
    size = fit(Size(width, height), Size(wanted, 0), True, multiple)
    assert all(n >= multiple and n % multiple == 0 for n in size)


def test_request_and_job_are_hashable(tmp_path: Path) -> None:
    job = resolve(Request(model=str(tmp_path), seed=1), SD, "cpu", NoPictures())
    assert hash(job) == hash(resolve(Request(model=str(tmp_path), seed=1), SD, "cpu", NoPictures()))


def test_call_that_stands_twice_says_both_and_multiplies() -> None:
    line = bound("m", "--seeds", "1", "--call", "eta=0", "eta=1", "--call", "other=2")
    assert line.warnings == ()
    jobs = [[str(each) for each in request.call] for request in expand(line)]
    assert jobs == [["eta=0", "other=2"], ["eta=1", "other=2"]]


def test_parameter_that_must_be_given_is_asked_for() -> None:
    facts = ModelFacts(family=generic("DiTPipeline"), pipeline="DiTPipeline", default_size=Size(64, 64))
    assert [(d.code, d.help) for d in check_support(bound("m"), facts)] == [
        ("missing-option", "add `--call class-labels=…`, list[int]")
    ]
    assert check_support(bound("m", "--call", "class_labels=3"), facts) == []


def test_size_of_a_pipeline_that_draws_one_size_is_refused() -> None:
    facts = ModelFacts(family=generic("DDPMPipeline"), pipeline="DDPMPipeline", default_size=Size(64, 64))
    assert [d.message for d in check_support(bound("m", "--output-size", "32"), facts)] == [
        "DDPMPipeline draws 64x64 alone"
    ]
    assert check_support(bound("m", "--output-size", "64"), facts) == []
