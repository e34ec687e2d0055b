"""Turns a request into a job: nothing in it is left to a default."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

from dgen.families.inspection import ModelFacts
from dgen.families.rows import FAMILIES, IMG2IMG, INPAINT, Family, generic
from dgen.options.refiner import RefinerUri
from dgen.options.request import ROWS, Request
from dgen.plan.abilities import implied, takes
from dgen.plan.control import asked_mode, said_by, variant_of
from dgen.plan.shots import Moving
from dgen.plan.stages import filled, is_filled, is_staged
from dgen.plan.video import mode_for, numbers_of
from dgen.schema import BadValue, Option, Stage
from dgen.values.encoders import KEEP
from dgen.values.image_seed import ImageSeed
from dgen.values.scalars import Size, real_place
from dgen.values.uri import Uri


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One call of one pipeline, completely decided; hashable and serialisable."""

    request: Request  # every option that the pipeline takes has its value
    family: str
    mode: str  # one of `families.MODES`
    pipeline: str  # class of diffusers
    size: Size  # pixels
    splits: int = 1  # how many pictures the model takes each one apart into

    @property
    def begun(self) -> int:
        """How many pictures the call begins, each with noise of its own, or videos."""
        seed = self.request.image_seed
        started = 1 if seed is None or self.gathers else 1 + len(seed.batch)
        return (self.request.num_images_per_prompt or 1) * started

    @property
    def pictures(self) -> int:
        """How many pictures the call makes: each layer is one; or videos."""
        return self.begun * (self.request.layers or self.splits)

    @property
    def frames(self) -> int | None:
        """How many frames each of its videos has; None when it makes pictures."""
        return self.request.num_frames

    @property
    def gathers(self) -> bool:
        """Whether the pictures of `images:` are looked at together."""
        return self.mode == IMG2IMG and family_of(self).gathers

    @property
    def repeats(self) -> bool:
        """Whether its pipeline wants picture and prompt once for each of several pictures."""
        return self.begun > 1 and self.mode in family_of(self).repeats

    @property
    def is_in_turns(self) -> bool:
        """Whether what it begins is made one after another."""
        return self.begun > 1 and (self.frames is not None or self.mode in family_of(self).singly)

    def call_options(self) -> Iterator[tuple[Option, Any]]:
        """Yield the rows that become keywords of the pipeline call, with their values."""
        for row in ROWS.values():
            value = getattr(self.request, row.name)
            if row.stage is Stage.CALL and row.keyword and value is not None:
                yield row, value

    def recorded(self) -> Job:
        """Return the job with everything at its default that a config does not repeat."""
        plain = {n: r.default for n, r in ROWS.items() if not r.is_recorded}
        less = {n: r.as_recorded(getattr(self.request, n)) for n, r in ROWS.items() if r.is_recorded}
        return replace(self, request=replace(self.request, **plain, **less))


def family_of(job: Job) -> Family:
    """Return the row of a job's family."""
    return FAMILIES.get(job.family) or generic(job.pipeline)


def made_size(job: Job) -> Size:
    """Return the size in pixels of what a job's pipeline makes."""
    times = 1 if is_staged(job.request.image_seed) else family_of(job).enlarges
    return Size(job.size.width * times, job.size.height * times)


class Pictures(Protocol):
    """Tells the sizes of pictures without decoding them."""

    def size(self, path: str) -> Size:
        """Return width and height in pixels of a picture file, turned as its EXIF says.

        Raises:
            BadValue: it is missing or no picture.
        """
        ...

    def clip(self, path: str) -> Moving | None:
        """Return what is known of an animation; None for a still picture.

        Raises:
            BadValue: it is missing, or cannot be read.
        """
        ...


def pipeline_of(facts: ModelFacts, mode: str, variant: str = "") -> str | None:
    """Return the class that runs a mode of a model, with a variant of `Family.variants`; None when there is none."""
    family = facts.family
    if not facts.has_mode(mode):
        return None
    if variant:
        return family.variants.get(variant, {}).get(mode)
    declared = next((m for m, c in family.pipelines.items() if c == facts.pipeline), None)
    return facts.pipeline if declared == mode else family.pipelines.get(mode)


def align(size: Size, multiple: int) -> Size:
    """Round a size down to a multiple, never to 0."""
    return Size(*(max(multiple, n // multiple * multiple) for n in size))


def drawn(family: Family, mode: str, size: Size) -> Size:
    """Return the size that a mode draws where this one is wanted."""
    return Size(*family.draws[mode](*size)) if mode in family.draws else size


def fit(source: Size, wanted: Size | None, aspect: bool, multiple: int) -> Size:
    """Return the size a picture is brought to.

    A height of 0 in `wanted` means that only the width was said. With `aspect` the width is fitted and the
    height computed; without, the picture is stretched to `wanted`.
    """
    if wanted is None:
        return align(source, multiple)
    if wanted.height and not aspect:
        return align(wanted, multiple)
    return align(Size(wanted.width, round(source.height * wanted.width / source.width)), multiple)


def seed_size(request: Request, seed: ImageSeed, multiple: int, pictures: Pictures) -> Size:
    """Return the size in pixels to which an image seed is brought: its own words before the statement's.

    Raises:
        BadValue: the picture is missing or cannot be read.
    """
    aspect = seed.aspect if seed.aspect is not None else not request.no_aspect
    wanted = seed.resize if seed.resize is not None else request.output_size
    return fit(pictures.size(str(seed.image)), wanted, aspect, seed.align or multiple)


def multiple_for(request: Request, mode: str, family: Family) -> int:
    """Return what the sides of an image are brought to a multiple of: only parts of it are painted for detectors."""
    return 1 if request.adetailer_detectors and mode == INPAINT else family.multiple_of


def resolve(request: Request, facts: ModelFacts, device: str, pictures: Pictures) -> Job:
    """Decide everything that a request leaves open.

    `device` is the kind the job will run on (`cpu`, `cuda` …); it decides the precision of `--dtype auto`.

    Raises:
        BadValue: a picture is missing or cannot be read, or the family has no pipeline for the mode.
    """
    request = _with_partner(request, facts)
    seed = request.image_seed
    family, clip = facts.family, _source(request, facts.family, pictures)
    mode = mode_for(family, asked_mode(seed, said_by(request)), clip is not None)
    variant = variant_of(said_by(request), family)
    pipeline = pipeline_of(facts, mode, variant)
    if pipeline is None:
        raise BadValue(f"this model of {family.label} has no {mode}", code="unsupported-mode")
    painting = pipeline_of(facts, INPAINT, variant) if request.adetailer_detectors else None
    multiple = multiple_for(request, mode, family)
    if seed is not None and seed.image is not None and not seed.is_latent:
        size = align(seed_size(request, seed, multiple, pictures), multiple)
        if is_filled(family, mode, seed) and seed.resize is None and request.output_size is None:
            size = align(filled(pictures.size(seed.image), facts.default_size), multiple)
    else:
        size = request.output_size or facts.default_size
    size = drawn(family, mode, size)
    rows = [ROWS[f.name] for f in fields(request)]
    taken_by = {row.name: pipeline if painting is None or takes(family, pipeline, row) else painting for row in rows}
    given = {row.name: _decided(row, request, family, taken_by[row.name]) for row in rows}
    dtype = request.dtype if request.dtype != "auto" else ("float32" if device == "cpu" else family.accelerated_dtype)
    given |= {"dtype": dtype, "model_type": None if family.name == "generic" else family.name}
    if seed is None or seed.image is None or seed.is_latent:
        given["output_size"] = size
    if seed is not None and len(seed.latents) > 1 and request.num_images_per_prompt is None:
        given["num_images_per_prompt"] = len(seed.latents)
    if family.makes_video:
        given |= numbers_of(request, facts, clip or _followed(request, family, pictures))
    is_counted = takes(family, pipeline, ROWS["num_inference_steps"])
    if is_counted and (schedule := given["sigmas"] or given["timesteps"]) is not None and schedule.steps is not None:
        given["num_inference_steps"] = schedule.steps
    decided = Request(**given)
    return Job(
        request=decided, family=family.name, mode=mode, pipeline=pipeline, size=size, splits=facts.targets
    )  # fmt: skip


def _with_partner(request: Request, facts: ModelFacts) -> Request:
    """Return a request with the model that this one cannot do without, where nobody names it."""
    family = facts.family
    if family.decoder and request.s_cascade_decoder is None:
        return replace(request, s_cascade_decoder=Uri(RefinerUri).parse(family.decoder_model))
    if family.lender and request.prior is None and facts.parts and not set(family.lent) <= set(facts.parts):
        return replace(request, prior=Uri(RefinerUri).parse(family.lender))
    return request


def _source(request: Request, family: Family, pictures: Pictures) -> Moving | None:
    """Return the video that a request starts from."""
    seed = request.image_seed
    if not family.makes_video or seed is None or seed.image is None or seed.is_latent or seed.frame is not None:
        return None
    return pictures.clip(seed.image)


def _followed(request: Request, family: Family, pictures: Pictures) -> Moving | None:
    """Return the video after which the picture of a request moves."""
    seed = request.image_seed
    if not family.follows or seed is None or not seed.control or seed.frame is not None:
        return None
    return pictures.clip(seed.control[0])


def _decided(row: Option, request: Request, family: Family, pipeline: str) -> Any:
    if (row.keyword or row.needs) and not takes(family, pipeline, row):
        return row.default
    value = getattr(request, row.name)
    if value is None:
        is_asked = not row.requires or any(getattr(request, name) for name in row.requires)
        return implied(row, family, pipeline) if is_asked else row.default
    if row.names_paths and row.stage is not Stage.OUTPUT:
        return row.map_paths(value, _absolute)
    return value


def _absolute(path: str) -> str:
    found = os.path.abspath(os.path.expanduser(path))
    return found[1:] if found.startswith("//") else found  # POSIX keeps two slashes, which mean no other place


def component_key(request: Request, kind: str) -> tuple[Any, ...]:
    """Return what determines a component: the values of the LOAD rows that concern its kind.

    A row that replaces its parts stands for all the others but precision; what a URI leaves open comes from the
    request.
    """
    own = [r for r in ROWS.values() if r.stage is Stage.LOAD and kind in r.parts]
    for row in own:
        value = _replacing(row, _identity(request, row), kind)
        if value is not None:
            return (kind, value, request.dtype, request.variant)
    shared = [r for r in ROWS.values() if r.stage is Stage.LOAD and not r.parts]
    plain = [r for r in own if not (r.replaces and r.many)]  # of what is replaced in part, the rest stays what it is
    return (kind, *(_identity(request, r) for r in (*shared, *plain)))


def _identity(request: Request, row: Option) -> Any:
    """Return a value of a row with every link followed: one model is one, by whichever path."""
    value = getattr(request, row.name)
    return value if value is None else row.map_paths(value, real_place)


def _replacing(row: Option, value: Any, kind: str) -> Any:
    """Return what a row says in the place of a model's own part; None when it keeps it."""
    if not row.replaces or row.sweep is not None:
        return None
    if row.many and len(row.parts) > 1:
        index = row.parts.index(kind)
        return value[index] if index < len(value) and value[index] != KEEP else None
    return value or None
