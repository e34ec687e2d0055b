"""Finds what a statement asks of a model that its family cannot do."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from dgen.diagnostic import Diagnostic, Span
from dgen.families.inspection import ModelFacts
from dgen.families.rows import FAMILIES, FLOYD, IMG2IMG, IMG2VID, INPAINT, MODES, TXT2IMG, Family, some_of
from dgen.families.signatures import accepts, components
from dgen.options.output import TENSOR_FORMATS
from dgen.options.request import ROWS
from dgen.plan.abilities import implied, modes_with, takes
from dgen.plan.bind import Bound
from dgen.plan.caches import at_odds, unfit
from dgen.plan.control import PAG_OPTIONS, STEERING, apart, asked_mode, beyond, misfits, said_in, variant_of
from dgen.plan.embedded import said_in as in_prompts
from dgen.plan.extras import extra_mistakes
from dgen.plan.limits import overdone
from dgen.plan.resolve import align, drawn, pipeline_of
from dgen.plan.stages import is_staged, stage_mistakes
from dgen.plan.video import Moves, mode_for, seems_to_move, video_mistakes
from dgen.schema import Option
from dgen.values.image_seed import ImageSeed


def check_support(bound: Bound, facts: ModelFacts, moves: Moves = seems_to_move) -> list[Diagnostic]:
    """List the options of a statement that the model's family cannot use, each with the families that can."""
    modes = _modes_in(bound, facts.family, moves)
    variant = variant_of(said_in(bound), facts.family)
    found: list[Diagnostic] = []
    pipelines: list[str] = []
    for index, mode in enumerate(modes):
        pipeline = pipeline_of(facts, mode, variant) or pipeline_of(facts, mode)
        if pipeline is not None and "+" in variant and pipeline_of(facts, mode, variant) is None:
            found += _foreign(bound, facts) or [apart(bound, facts.family, mode)]
        elif pipeline is None:
            option = "image_seed" if index < _seeds(bound) else "adetailer_detectors"
            place = bound.span_of(option, index if index < _seeds(bound) else 0)
            found += _foreign(bound, facts) or [no_mode(facts, mode, place)]
        elif pipeline not in pipelines:
            pipelines.append(pipeline)
    said = [(ROWS[name], held.flag.text, held.flag.span) for name, held in bound.given.items()]
    said += [(row, f"<{row.flag[2:]}: …>", word.span) for row, _, word in in_prompts(bound)]
    for row, flag, span in said:
        if pipelines and not any(takes(facts.family, p, row) for p in pipelines):
            found.append(_unsupported(row, flag, span, facts, modes))
    found += extra_mistakes(bound, facts.family, pipelines)
    found += (*misfits(bound, facts.family), *beyond(bound, facts.skips), *unfit(bound, facts.family), *at_odds(bound))
    found += (*_misaligned(bound, facts.family, modes), *_of_one_size(bound, facts, modes))
    found += (*video_mistakes(bound, facts, modes), *overdone(bound, facts.family, pipelines))
    found += _unstaged(bound, facts, modes)
    with_strength = next((p for p in pipelines if accepts(p, "strength", facts.family.package)), None)
    if with_strength is not None and set(modes) != {TXT2IMG}:
        found += _without_steps(bound, facts.family, with_strength)
    return list(dict.fromkeys(found))


def _unstaged(bound: Bound, facts: ModelFacts, modes: Sequence[str]) -> Iterator[Diagnostic]:
    """Find image seeds that name the picture of a first stage where there is none, or lack one."""
    held = bound.given.get("image_seed")
    seeds = [(seed, bound.span_of("image_seed", n)) for n, seed in enumerate(held.values)] if held else []
    staged = FLOYD if FLOYD in facts.family.variants else ""
    variants = [staged if is_staged(seed) else "" for seed, _ in seeds] or [""]
    pairs = zip(modes, variants, strict=False)
    pipelines = [pipeline_of(facts, mode, variant) or pipeline_of(facts, mode) or "" for mode, variant in pairs]
    yield from stage_mistakes(facts.family, pipelines, seeds)
    if bound.value("image_format") in TENSOR_FORMATS and pipelines and not _has_latents(facts.family, pipelines[0]):
        yield Diagnostic(
            code="unsupported-option", message=f"{facts.family.label} has no latents that could be written",
            span=bound.span_of("image_format"),
        )  # fmt: skip


def _has_latents(family: Family, pipeline: str) -> bool:
    if accepts(pipeline, "layers", family.package):
        return False  # those of all layers are one packed tensor
    return accepts(pipeline, "latents", family.package) or "vae" in components(pipeline, family.package)


_OTHER_PIPELINES = (*STEERING, *PAG_OPTIONS, "adetailer_detectors")


def _foreign(bound: Bound, facts: ModelFacts) -> list[Diagnostic]:
    """Find what asks for other pipelines beside a model whose family has none."""
    given = [(ROWS[name], bound.given[name].flag) for name in _OTHER_PIPELINES if name in bound]
    modes = list(facts.family.pipelines)
    foreign = [(row, flag) for row, flag in given if not modes_with(facts.family, row)]
    return [_unsupported(row, flag.text, flag.span, facts, modes) for row, flag in foreign]


def _seeds(bound: Bound) -> int:
    return len(bound.given["image_seed"].values) if "image_seed" in bound else 1


def _modes_in(bound: Bound, family: Family, moves: Moves) -> list[str]:
    seeds: Sequence[ImageSeed | None] = bound.given["image_seed"].values if "image_seed" in bound else (None,)
    asked = ((asked_mode(seed, said_in(bound)), seed) for seed in seeds)
    is_told = family.makes_video  # whether it matters: a look may fetch a file
    modes = [mode_for(family, mode, is_told and seed is not None and moves(seed)) for mode, seed in asked]
    return [*modes, INPAINT] if "adetailer_detectors" in bound and INPAINT not in modes else modes


def _without_steps(bound: Bound, family: Family, pipeline: str) -> Iterator[Diagnostic]:
    """Find the strengths that leave no step to take: pipelines run the last `strength * steps` of the schedule."""
    steps, strengths = (
        bound.given[name].values if name in bound else (implied(ROWS[name], family, pipeline),)
        for name in ("num_inference_steps", "strength")
    )
    for index, strength in enumerate(strengths):
        short = [n for n in steps if int(n * strength) < 1]
        if short:
            name = "strength" if "strength" in bound else "num_inference_steps"
            place = index if name == "strength" else steps.index(short[0])
            yield Diagnostic(
                code="bad-value", message=f"a strength of {strength} leaves none of {short[0]} steps to take",
                span=bound.span_of(name, place), help=_more_steps(strength),
            )  # fmt: skip


def _more_steps(strength: float) -> str:
    if strength <= 0:
        return "give a strength above 0"
    return f"give at least {math.ceil(1 / strength)} steps, or a strength of 1"


_ASKING_FOR: dict[tuple[str, ...], str] = {
    (IMG2IMG,): "give an image seed without a mask",
    (INPAINT,): "give an image seed with a mask",
    (IMG2IMG, INPAINT): "give an image seed",
    (IMG2VID,): "give an image seed that does not move",
}
"""What to type for a model that can do nothing else."""


def no_mode(facts: ModelFacts, mode: str, span: Span) -> Diagnostic:
    """Describe a mode that a model does not have."""
    able = tuple(m for m in facts.family.pipelines if facts.has_mode(m))
    if not facts.has_mode(mode):
        made_for = " and ".join(able) or f"a family other than {facts.family.name}"
        return Diagnostic(
            code="unsupported-mode", message=f"this model has no {mode}: it is made for {made_for}", span=span,
            help=_ASKING_FOR.get(able),
        )  # fmt: skip
    others = [f.name for f in FAMILIES.values() if mode in f.pipelines and f.name != facts.family.name]
    helps = (_ASKING_FOR.get(able), f"these families have it: {some_of(others)}" if others else None)
    return Diagnostic(
        code="unsupported-mode", message=f"{facts.family.label} has no {mode}", span=span,
        help="; ".join(filter(None, helps)) or None,
    )  # fmt: skip


def _unsupported(row: Option, flag: str, span: Span, facts: ModelFacts, found: list[str]) -> Diagnostic:
    modes = sorted(set(found), key=MODES.index)
    able = [f"{f.name} ({', '.join(m)})" for f in FAMILIES.values() if (m := modes_with(f, row))]
    return Diagnostic(
        code="unsupported-option",
        message=f"{facts.family.label} cannot use `{flag}` in {' or '.join(modes)}", span=span,
        help=f"these can: {some_of(able)}" if able else None,
    )  # fmt: skip


def _misaligned(bound: Bound, family: Family, modes: Sequence[str]) -> Iterator[Diagnostic]:
    sides = bound.value("outpaint")
    if sides is not None and any(n % family.multiple_of for n in sides):
        yield Diagnostic(
            code="bad-value", span=bound.span_of("outpaint"),
            message=f"`--outpaint`: {family.label} needs multiples of {family.multiple_of}",
        )  # fmt: skip
    size = bound.value("output_size")
    if size is None:
        return
    near = drawn(family, TXT2IMG, align(size, family.multiple_of))
    if any(n % family.multiple_of for n in size):
        yield Diagnostic(
            code="bad-value", span=bound.span_of("output_size"), help=f"try `{near}`",
            message=f"`--output-size`: {family.label} needs multiples of {family.multiple_of}, found `{size}`",
        )  # fmt: skip
    elif near != size and TXT2IMG in modes:
        yield Diagnostic(
            code="bad-value", span=bound.span_of("output_size"), help=f"try `{near}`",
            message=f"`--output-size`: {family.label} does not draw `{size}`",
        )  # fmt: skip


def _of_one_size(bound: Bound, facts: ModelFacts, modes: list[str]) -> Iterator[Diagnostic]:
    """Find a size for a pipeline that draws one size alone."""
    pipeline = pipeline_of(facts, TXT2IMG) if TXT2IMG in modes and not facts.family.variants else None
    size = bound.value("output_size")
    fixed = "output_size" in bound and size != facts.default_size
    is_pictured = pipeline is not None and not accepts(pipeline, "height", facts.family.package)
    if fixed and (is_pictured or facts.family.one_size):
        yield Diagnostic(
            code="unsupported-option", message=f"{facts.family.label} draws {facts.default_size} alone",
            span=bound.span_of("output_size"), help="leave `--output-size` out",
        )  # fmt: skip
