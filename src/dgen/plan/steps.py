"""Counts denoising steps before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from dgen.families.rows import TXT2IMG
from dgen.options.refiner import SECOND_MODELS
from dgen.options.request import ROWS, Request
from dgen.plan.control import STEERING, mode_of
from dgen.plan.expand import Expansion

PREVIEW_STEPS = 5


def steps_of(request: Request) -> int:
    """Return the steps that a decided request takes: one that starts from an image takes the last of the schedule."""
    return _with_refiner(_taken(request.num_inference_steps or 0, request.strength), request)


def total_steps(expansion: Expansion) -> int:
    """Return the steps of all requests of a statement."""
    in_prompts = any(map(expansion.said_in_prompts, ("num_inference_steps", "strength", "sigmas", "timesteps")))
    is_part = any(map(expansion.values, ("denoising_start", "denoising_end")))
    if in_prompts or is_part or any(map(expansion.values, SECOND_MODELS)):
        return sum(_of_request(request) for request in expansion)
    counts = _counts(expansion)
    has_nets = any(any(expansion.values(name)) for name in STEERING)
    starts = any(mode_of(seed, has_nets) != TXT2IMG for seed in expansion.values("image_seed"))
    strengths = _values(expansion, "strength") if starts else [None]
    each = len(expansion) // (len(counts) * len(strengths))
    return sum(_taken(count, strength) for count, strength in product(counts, strengths)) * each


def _of_request(request: Request) -> int:
    """Return the steps of a request before it is decided."""
    schedule = request.sigmas or request.timesteps
    steps = (schedule.steps if schedule is not None else None) or request.num_inference_steps
    starts = mode_of(request.image_seed, any(getattr(request, name) for name in STEERING)) != TXT2IMG
    strength = request.strength if request.strength is not None else ROWS["strength"].implied
    taken = _taken(steps or ROWS["num_inference_steps"].implied, strength if starts else None)
    return _with_refiner(taken, request)


def _with_refiner(steps: int, request: Request) -> int:
    """Return the steps of a model and of its refiner, which takes the last ones of its own schedule.

    A part of a schedule has, about, as large a part of the steps.
    """
    if request.denoising_start is not None or request.denoising_end is not None:
        end = 1.0 if request.denoising_end is None else request.denoising_end
        return max(1, round(steps * (end - (request.denoising_start or 0.0))))
    if request.s_cascade_decoder is not None:
        return steps + (request.second_num_inference_steps or 10)
    fraction = request.high_noise_fraction or ROWS["high_noise_fraction"].implied
    if request.sdxl_refiner is None or fraction >= 1:
        return steps
    own = request.second_num_inference_steps or ROWS["second_num_inference_steps"].implied
    return (steps if request.sdxl_refiner_edit else int(steps * fraction)) + max(1, own - int(own * fraction))


def _counts(expansion: Expansion) -> list[int]:
    """Return the steps of every combination of a schedule and a number of steps; a list says how many it makes."""
    schedules = expansion.values("sigmas") or expansion.values("timesteps") or (None,)
    pairs = product(schedules, _values(expansion, "num_inference_steps"))
    return [(schedule.steps if schedule is not None else None) or count for schedule, count in pairs]


def _values(expansion: Expansion, name: str) -> Sequence[Any]:
    return expansion.values(name) or (ROWS[name].implied,)


def _taken(steps: int, strength: float | None) -> int:
    return steps if strength is None else min(int(steps * strength), steps)


def preview_every(request: Request) -> int | None:
    """Return after how many steps a preview is wanted; None for never. `--preview` alone leaves the number to dgen."""
    return PREVIEW_STEPS if request.preview is True else request.preview
