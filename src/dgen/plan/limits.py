"""Finds what the pipelines of a statement cannot take though they know the option it is said with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dgen.diagnostic import Diagnostic
from dgen.families.family import Family
from dgen.families.signatures import accepts, parameters
from dgen.plan.bind import Bound


def overdone(bound: Bound, family: Family, pipelines: Sequence[str]) -> Iterator[Diagnostic]:
    """Find negative prompts that no pipeline takes, and a second ControlNet where one alone can act."""
    known = [pipeline for pipeline in pipelines if parameters(pipeline, "__call__", family.package)]
    if known and not any(accepts(p, "negative_prompt", family.package) for p in known):
        yield from _negatives(bound, family)
    if "control_nets" in bound and known and not any(_takes_several(p, family) for p in known):
        yield from _second_net(bound, family)


def _negatives(bound: Bound, family: Family) -> Iterator[Diagnostic]:
    prompts = bound.given["prompt"].values if "prompt" in bound else ()
    for index, prompt in enumerate(prompts):
        if prompt.negative:
            yield Diagnostic(
                code="unsupported-option", message=f"{family.label} takes no negative prompt",
                span=bound.span_of("prompt", index), help="leave out what follows the `;`",
            )  # fmt: skip


def _takes_several(pipeline: str, family: Family) -> bool:
    taken = (p.annotation for p in parameters(pipeline, "__init__", family.package) if p.name == "controlnet")
    return any(word in annotation for annotation in taken for word in ("list", "List"))


def _second_net(bound: Bound, family: Family) -> Iterator[Diagnostic]:
    count = len(bound.given["control_nets"].values)
    if count > 1:
        yield Diagnostic(
            code="unsupported-option", message=f"{family.label} follows one ControlNet at a time, got {count}",
            span=bound.span_of("control_nets", 1),
        )  # fmt: skip
