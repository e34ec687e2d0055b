"""Decides what SADA does in a job, and finds numbers that do not go together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from itertools import product
from typing import Any

from dgen.diagnostic import Diagnostic, Span
from dgen.families.family import Family
from dgen.options.request import ROWS, Request
from dgen.plan.bind import Bound
from dgen.plan.embedded import said_in as in_prompts
from dgen.values.sada import SADA, Sada

NUMBERS = {f"{SADA}_{field.name}": field.name for field in fields(Sada)}
"""The options with its numbers, and what they are called there."""

UNFIT = {
    "HeunDiscrete": "asks the model twice in a step", "FlowMatchHeunDiscrete": "asks the model twice in a step",
    "KDPM2Discrete": "asks the model twice in a step", "KDPM2AncestralDiscrete": "asks the model twice in a step",
    "DPMSolverSDE": "asks the model twice in a step", "EDMEuler": "reads predictions in another way",
    "LCM": "makes new noise in every step", "TCD": "makes new noise in every step",
    "FlowMatchLCM": "makes new noise in every step",
}  # fmt: skip
"""Schedulers whose next step nothing can foresee, and why."""

_LATE = ("sada_lagrange_term", "sada_lagrange_int", "sada_lagrange_step")


def uses_sada(request: Request) -> bool:
    """Whether a job uses SADA."""
    return request.sada or any(getattr(request, name) is not None for name in NUMBERS)


def sada_of(request: Request, family: Family) -> Sada | None:
    """Return what a request says of SADA, and its family where it says nothing; None for a job without it."""
    if not uses_sada(request) or family.sada is None:
        return None
    said = {own: getattr(request, name) for name, own in NUMBERS.items()}
    return replace(family.sada, **{name: value for name, value in said.items() if value is not None})


def unfit(request: Request, scheduler: str) -> str:
    """Say why SADA cannot foresee the steps of the scheduler of a request; "" when it can, or has not to."""
    reason = UNFIT.get(scheduler.removesuffix("Scheduler"), "") if uses_sada(request) else ""
    return reason and f"SADA cannot act with {scheduler}, which {reason}"


def sada_mistakes(bound: Bound, family: Family) -> Iterator[Diagnostic]:
    """Find first late steps that are no multiples of the interval of those that are computed."""
    if family.sada is None:
        return
    given = {name: bound.given[name].values for name in _LATE if name in bound}
    places = {name: bound.given[name].words[0].span for name in given}
    tags: dict[Span, dict[str, Any]] = {}
    for row, value, word in in_prompts(bound):
        if row.name in _LATE and value is not None:
            tags.setdefault(word.span, {})[row.name] = value
    every = [(given, places)] if given else []
    every += [(given | {n: (v,) for n, v in own.items()}, places | dict.fromkeys(own, s)) for s, own in tags.items()]
    for said, where in every:
        yield from _apart(said, where, family.sada)


def _apart(said: Mapping[str, Any], where: Mapping[str, Span], usual: Sada) -> Iterator[Diagnostic]:
    held = [said.get(name) or (getattr(usual, NUMBERS[name]),) for name in _LATE]
    wrong = next(((step, each) for term, each, step in product(*held) if term and step % each), None)
    if wrong is None:
        return
    step, each = wrong
    name = "sada_lagrange_step" if "sada_lagrange_step" in where else next(n for n in _LATE if n in where)
    below = step // each * each
    flag = ROWS["sada_lagrange_step"].flag
    yield Diagnostic(
        code="bad-value", span=where[name], help=f"`{flag}` may be {below} or {below + each}",
        message=f"the first late step of SADA is no multiple of the interval: found {step} and {each}",
    )  # fmt: skip
