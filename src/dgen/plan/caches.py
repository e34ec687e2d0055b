"""Finds step caches that a model's family cannot use, and arguments of them that would do nothing there."""

from __future__ import annotations

from collections.abc import Iterator

from dgen.diagnostic import Diagnostic, Span, Word
from dgen.families.rows import FAMILIES, Family
from dgen.plan.bind import Bound
from dgen.plan.embedded import said_in as in_prompts
from dgen.values.step_cache import (
    BATCHED_GUIDANCE,
    BLOCK_CACHE,
    CACHES,
    CROSS_ATTENTION,
    MAG_RATIOS,
    STEP_CACHE,
    StepCache,
)

_PAG = ("pag", "pag_scale", "pag_adaptive_scale")

_MISSING = {
    BLOCK_CACHE: "repeats the blocks of a transformer, which {} has not",
    CROSS_ATTENTION: "is about cross-attention, which {} has not",
    BATCHED_GUIDANCE: "is about the unguided half of a batch, which {} has not",
}
"""What a family without a capability has not."""


def unfit(bound: Bound, family: Family) -> Iterator[Diagnostic]:
    """Find the step caches of a statement that its model's family cannot use as they are said."""
    if STEP_CACHE not in family.capabilities:
        return
    for cache, word in _caches(bound):
        yield from _unfit(cache, word, family)
        if CACHES[cache.name].asks == BLOCK_CACHE and "control_nets" in bound:
            yield Diagnostic(
                code="contradictory-options", span=bound.given["control_nets"].flag.span,
                message=f"{cache.name} and ControlNets cannot act together: they change the same blocks",
                help="`PAB` and `TaylorSeer` can act beside ControlNets",
                notes=((_span(word, cache.name), "this cache repeats blocks"),),
            )  # fmt: skip
        elif cache.name == "FasterCache" and BATCHED_GUIDANCE in family.capabilities and _has_pag(bound):
            yield Diagnostic(
                code="contradictory-options", span=_span(word, cache.name),
                message="FasterCache and perturbed attention guidance cannot act together: both use the unguided half",
                help="`FirstBlock` and `PAB` can act beside it",
            )  # fmt: skip


def at_odds(bound: Bound) -> Iterator[Diagnostic]:
    """Find what cannot act beside region-adaptive sampling."""
    ras = next((held for name, held in bound.given.items() if name.startswith("ras")), None)
    pag = next((bound.given[name] for name in _PAG if name in bound), None)
    if ras is not None and pag is not None:
        yield _apart(ras.flag, pag.flag, "both exchange the attention")
    fusion = bound.given.get("ras_index_fusion")
    if fusion is None:
        return
    if bound.value("offload") == "sequential":
        yield _apart(fusion.flag, bound.given["offload"].flag, "weights that come and go one by one cannot be joined")
    parts = bound.given["quantizer_map"].values if "quantizer_map" in bound else ("transformer",)
    if "quantizer" in bound and "transformer" in parts:
        yield _apart(fusion.flag, bound.given["quantizer"].flag, "quantized weights cannot be joined")


def _apart(one: Word, other: Word, reason: str) -> Diagnostic:
    return Diagnostic(
        code="contradictory-options", message=f"`{one.text}` and `{other.text}` exclude one another: {reason}",
        span=one.span, help="leave one of them out", notes=((other.span, "the other one is given here"),),
    )  # fmt: skip


def _caches(bound: Bound) -> Iterator[tuple[StepCache, Word]]:
    if "step_cache" in bound:
        held = bound.given["step_cache"]
        yield from zip(held.values, held.words, strict=False)
    yield from ((value, word) for row, value, word in in_prompts(bound) if row.name == "step_cache" and value)


def _unfit(cache: StepCache, word: Word, family: Family) -> Iterator[Diagnostic]:
    row = CACHES[cache.name]
    if row.asks not in family.capabilities:
        yield Diagnostic(
            code="unsupported-option", message=f"{cache.name} {_MISSING[BLOCK_CACHE].format(family.label)}",
            span=_span(word, cache.name), help=_able(row.asks),
        )  # fmt: skip
        return
    for name, _ in cache.arguments:
        asks = row.arguments[name].asks
        if asks and asks not in family.capabilities:
            said = name.replace("_", "-")
            yield Diagnostic(
                code="unsupported-option", message=f"`{said}` {_MISSING[asks].format(family.label)}",
                span=_span(word, said, name), help=_able(asks),
            )  # fmt: skip
    if cache.name == "MagCache" and MAG_RATIOS not in family.capabilities and "mag_ratios" not in dict(cache.arguments):
        yield Diagnostic(
            code="bad-uri", message=f"MagCache needs `mag-ratios` for {family.label}, which differ from model to model",
            span=_span(word, cache.name), help=f"they are known for {', '.join(_with(MAG_RATIOS))}",
        )  # fmt: skip


def _able(capability: str) -> str:
    return f"these can: {', '.join(_with(capability))}"


def _with(capability: str) -> list[str]:
    return [f.name for f in FAMILIES.values() if capability in f.capabilities]


def _has_pag(bound: Bound) -> bool:
    return any(name in bound for name in _PAG)


def _span(word: Word, *names: str) -> Span:
    """Return where the first of these names that a word holds stands in it."""
    text = word.text.lower()
    found = next(((text.find(n.lower()), len(n)) for n in names if n.lower() in text), None)
    return word.at(found[0], found[0] + found[1]) if found else word.span
