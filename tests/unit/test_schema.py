"""Every row of the schema holds what is derived from it."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgen import detectors, processors
from dgen.options import quantizers
from dgen.options.command import CommandOptions
from dgen.options.request import ROWS, Request
from dgen.options.submodels import TextEncoderUri, VaeUri
from dgen.plan.resolve import component_key
from dgen.schema import Option, Stage, Value, rows_of
from dgen.values import (
    amounts,
    blocks,
    doors,
    encoders,
    extras,
    freeu,
    image_seed,
    prompt,
    scalars,
    schedule,
    sides,
    step_cache,
    steps,
    uri,
)

ALL_ROWS = {**ROWS, **{f"program.{n}": r for n, r in rows_of(CommandOptions).items()}}
PATHS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30)
SIZES = st.builds(scalars.Size, st.integers(1, 9999), st.integers(1, 9999))
KINDS = (
    "unet", "transformer", "vae", "text_encoder", "tokenizer", "scheduler", "safety_checker", "feature_extractor",
    "controlnet", "adapter", "image_encoder", "motion_adapter",
)  # fmt: skip


def _number(value: Any, make: Any) -> st.SearchStrategy[Any]:
    return make(value.low if value.low is not None else -1_000_000, value.high if value.high is not None else 1_000_000)


def _reals(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False, allow_infinity=False)


def _seeds() -> st.SearchStrategy[Any]:
    path = PATHS.filter(lambda p: bool(p.strip()))
    several = st.builds(image_seed.ImageSeed, image=path, further=st.lists(path, max_size=3).map(tuple))
    started = st.builds(
        image_seed.ImageSeed,
        image=path, mask=st.none() | path, control=st.lists(path, max_size=3).map(tuple),
        resize=st.none() | SIZES | st.builds(scalars.Size, st.integers(1, 9999), st.just(0)),
        aspect=st.none() | st.booleans(), align=st.none() | st.integers(1, 4096), floyd=st.none() | path,
    )  # fmt: skip
    return st.builds(_with_more, several | started | _batches(path), _parts(path)) | _parts(path).filter(_says_anything)


def _parts(path: Any) -> st.SearchStrategy[Any]:
    """Seeds of adapter images, latents and slices."""
    image = st.builds(
        image_seed.AdapterImage, path, resize=st.none() | SIZES, aspect=st.none() | st.booleans(),
        align=st.none() | st.integers(1, 4096),
    )  # fmt: skip
    groups = st.lists(st.lists(image, min_size=1, max_size=2).map(tuple), max_size=2).map(tuple)
    slices = st.tuples(st.none() | st.integers(0, 9), st.none() | st.integers(9, 99))
    return st.builds(
        lambda groups, latents, ends: image_seed.ImageSeed(
            adapter=groups, latents=latents, frame_start=ends[0], frame_end=ends[1]
        ),
        groups, st.lists(path, max_size=2).map(tuple), slices,
    )  # fmt: skip


def _says_anything(seed: image_seed.ImageSeed) -> bool:
    return bool(seed.adapter or seed.latents)


def _with_more(seed: image_seed.ImageSeed, more: image_seed.ImageSeed) -> image_seed.ImageSeed:
    names = ("adapter", "latents", "frame_start", "frame_end")
    return replace(seed, **{name: getattr(more, name) for name in names})


def _batches(path: Any) -> st.SearchStrategy[Any]:
    """Seeds of several images with no mask, one for all, or one for each."""
    rest = st.lists(st.tuples(path, path), min_size=1, max_size=3)
    return st.builds(
        lambda first, mask, rest, each: image_seed.ImageSeed(
            first, mask=mask, batch=tuple(p for p, _ in rest), batch_masks=tuple(m for _, m in rest if each and mask)
        ),
        path, st.none() | path, rest, st.booleans(),
    )  # fmt: skip


def _uris(kind: uri.Uri) -> st.SearchStrategy[Any]:
    rows = rows_of(kind.cls)
    made: dict[str, st.SearchStrategy[Any]] = {}
    for name, row in rows.items():
        held = values_of(row.value)
        made[name] = held if row.default is ... else st.just(row.default) | held
    return st.builds(kind.cls, **made)


def _named() -> st.SearchStrategy[Any]:
    names = st.from_regex(r"[a-z][a-z_]{0,10}", fullmatch=True)
    arguments = st.dictionaries(names, PATHS, max_size=3).map(lambda d: tuple(d.items()))
    return st.builds(uri.NamedUri, st.text(min_size=1, max_size=12), arguments)


def _falling(numbers: Any) -> st.SearchStrategy[Any]:
    return st.sets(numbers, min_size=1, max_size=12).map(lambda found: tuple(sorted(found, reverse=True)))


def _blocks() -> st.SearchStrategy[Any]:
    names = st.from_regex(r"(down|up)(\.[0-9]){0,2}|mid|text-encoder(-2)?", fullmatch=True)
    return st.dictionaries(names, _reals(-5, 5), min_size=1, max_size=4).map(lambda d: tuple(d.items()))


def _step_caches() -> st.SearchStrategy[Any]:
    def said(name: str) -> st.SearchStrategy[Any]:
        kinds = {name: values_of(a.kind) for name, a in step_cache.CACHES[name].arguments.items()}
        return st.fixed_dictionaries({}, optional=kinds).map(lambda a: step_cache.StepCache(name, tuple(a.items())))

    return st.sampled_from(list(step_cache.CACHES)).flatmap(said)


STRATEGIES: dict[type, Any] = {
    extras.ExtraText: lambda v: st.builds(extras.Extra, st.from_regex(r"[a-z_]+", fullmatch=True), st.text()),
    scalars.Integer: lambda v: _number(v, st.integers),
    scalars.Real: lambda v: _number(v, _reals),
    quantizers.QuantizerText: lambda v: st.one_of(*(_uris(uri.Uri(cls)) for cls in quantizers.QUANTIZERS.values())),
    amounts.Amount: lambda v: st.integers(1, 2**50),
    scalars.Text: lambda v: st.text().filter(lambda t: not set(t) & set(v.forbidden)),
    scalars.Choice: lambda v: st.sampled_from(v.names),
    scalars.Flag: lambda v: st.booleans(),
    scalars.SizeText: lambda v: SIZES,
    scalars.PointText: lambda v: st.builds(scalars.Point, st.integers(-9999, 9999), st.integers(-9999, 9999)),
    scalars.FilePath: lambda v: PATHS,
    scalars.FileEnding: lambda v: st.builds("{}.{}".format, PATHS, st.sampled_from(v.endings)),
    doors.DoorsText: lambda v: st.sets(st.sampled_from([*doors.DOORS, "write=a b/c"]), min_size=1).map(tuple),
    sides.PaddingText: lambda v: st.builds(sides.Sides, *(st.integers(v.low, 9999),) * 4),
    sides.OutpaintText: lambda v: st.builds(sides.Sides, *(st.integers(0, 9999),) * 4).filter(any),
    scalars.ModelSource: lambda v: PATHS.filter(lambda t: bool(t.strip())),
    prompt.PromptText: lambda v: (
        st.builds(prompt.Prompt, st.text().map(str.strip), st.text().map(str.strip))
        | st.builds(prompt.Prompt, st.just("a star"), st.just('dull; "x'), template=st.text(min_size=1))
    ),
    image_seed.ImageSeedText: lambda v: _seeds(),
    uri.Uri: _uris,
    uri.OpenUri: lambda v: _named(),
    processors.ProcessorText: lambda v: _named(),
    detectors.DetectorText: lambda v: _named(),
    blocks.BlocksText: lambda v: _blocks(),
    encoders.EncoderText: lambda v: st.sampled_from(["+", "null"]) | _uris(uri.Uri(v.cls)),
    step_cache.StepCacheText: lambda v: _step_caches(),
    steps.StepsText: lambda v: st.sets(st.integers(1, 9999), min_size=1, max_size=4).map(lambda s: tuple(sorted(s))),
    step_cache.Falloff: lambda v: st.lists(st.floats(0, 1000), min_size=2, max_size=5).map(tuple),
    step_cache.Stretch: lambda v: st.tuples(st.integers(0, 500), st.integers(501, 1000)),
    freeu.FreeUText: lambda v: st.builds(freeu.FreeU, *[_reals(0, 100)] * 4),
    schedule.SigmasText: lambda v: (
        _falling(_reals(1e-3, 900)).map(lambda n: schedule.Sigmas(levels=n))
        | st.sampled_from([schedule.Sigmas(preset="AYS"), schedule.Sigmas(expression="sigmas[::2] * 0.5 - np.log(2)")])
    ),
    schedule.TimestepsText: lambda v: (
        _falling(st.integers(0, 999)).map(schedule.Timesteps) | st.just(schedule.Timesteps(preset="AYS"))
    ),
}


def values_of(value: Value | None) -> st.SearchStrategy[Any]:
    return STRATEGIES[type(value)](value)


@pytest.mark.parametrize("name", ALL_ROWS)
def test_help_is_a_sentence(name: str) -> None:
    text = ALL_ROWS[name].help
    assert text[0].isupper()
    assert text.endswith(".")
    assert len(text) > 12


def test_flags_and_aliases_are_unique() -> None:
    spellings = Counter(s for row in ALL_ROWS.values() for s in row.spellings)
    assert [s for s, n in spellings.items() if n > 1] == []


def test_tags_are_unique() -> None:
    tags = Counter(r.tag for r in ROWS.values() if r.tag)
    assert [t for t, n in tags.items() if n > 1] == []


@pytest.mark.parametrize("name", ALL_ROWS)
def test_excluded_and_required_fields_exist(name: str) -> None:
    row = ALL_ROWS[name]
    rows = ROWS if name in ROWS else rows_of(CommandOptions)
    assert set(row.excludes) | set(row.requires) <= set(rows)


OF_A_KIND = {(type(r.value), str(vars(r.value))): n for n, r in ALL_ROWS.items() if r.value is not None}
"""One row for each kind of value: how it is read and written is all the same to what it is for."""


@pytest.mark.parametrize("name", OF_A_KIND.values())
@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_parse_inverts_format(name: str, data: st.DataObject) -> None:
    row = ALL_ROWS[name]
    assert row.value is not None
    value = data.draw(values_of(row.value))
    again = row.value.parse(row.value.format(value))
    assert again == value or (isinstance(value, float) and math.isclose(again, value))


@pytest.mark.parametrize("name", rows_of(VaeUri))
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_uri_arguments_parse_inverts_format(name: str, data: st.DataObject) -> None:
    kind = rows_of(VaeUri)[name].value
    assert kind is not None
    value = data.draw(values_of(kind))
    assert kind.parse(kind.format(value)) == value


def _other(row: Option) -> Any:
    """A value that differs from the row's default."""
    if row.value is None:
        return not row.default
    samples = {
        encoders.EncoderText: TextEncoderUri(class_name="CLIPTextModel", model="other"),
        step_cache.StepCacheText: step_cache.StepCache("PAB"), freeu.FreeUText: freeu.FreeU(1, 2, 3, 4),
        sides.PaddingText: sides.Sides(1, 2, 3, 4), sides.OutpaintText: sides.Sides(8),
        amounts.Amount: 2**20, quantizers.QuantizerText: quantizers.QuantoUri(name="quanto"),
        scalars.Integer: 7, scalars.Real: 0.5, scalars.Text: "other", scalars.FilePath: "other",
        scalars.FileEnding: "other.png", extras.ExtraText: extras.Extra("eta", "0.5"),
        scalars.ModelSource: "other", scalars.SizeText: scalars.Size(8, 16), scalars.PointText: scalars.Point(1, 2),
        prompt.PromptText: prompt.Prompt("other"), image_seed.ImageSeedText: image_seed.ImageSeed("other"),
        uri.OpenUri: uri.NamedUri("other"),
            processors.ProcessorText: uri.NamedUri("other"), detectors.DetectorText: uri.NamedUri("other"),
        steps.StepsText: (3, 7),
        schedule.SigmasText: schedule.Sigmas(preset="AYS"), schedule.TimestepsText: schedule.Timesteps(preset="AYS"),
    }  # fmt: skip
    if isinstance(row.value, uri.Uri):
        own = rows_of(row.value.cls).values()
        other = row.value.cls(**{each.name: "other" for each in own if each.default is ...})
    else:
        other = row.value.names[-1] if isinstance(row.value, scalars.Choice) else samples[type(row.value)]
    return (other,) if row.many else other


@pytest.mark.parametrize("name", ROWS)
def test_load_rows_and_only_they_change_the_component_key(name: str) -> None:
    row = ROWS[name]
    base = Request(model="m")
    changed = Request(**{"model": "m", name: _other(row)})
    differs = [k for k in KINDS if component_key(base, k) != component_key(changed, k)]
    assert bool(differs) == (row.stage is Stage.LOAD)
    if row.stage is Stage.LOAD and row.parts:
        assert set(differs) <= set(row.parts)
