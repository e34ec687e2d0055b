"""Tells what pipelines take, for the pages of models and of families: as JSON has it, and in lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from dgen.families.family import Family
from dgen.options.request import ROWS
from dgen.plan.abilities import implied, takes
from dgen.plan.extras import free_parameters
from dgen.schema import Option, Stage


def told_options(family: Family, modes: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return the options that not every model takes: their modes and defaults; `modes` are names and pipelines."""
    return {row.flag: told for row in ROWS.values() if (told := _option(row, family, modes)) is not None}


def told_parameters(family: Family, modes: Mapping[str, str]) -> list[dict[str, Any]]:
    """List what `--call` can say to any of a family's pipelines, sorted by name."""
    every = {p.name: p for name in modes.values() for p in reversed(free_parameters(name, family))}
    return [asdict(every[name]) for name in sorted(every)]


def _option(row: Option, family: Family, modes: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the modes that take an option, and its default; None for one that every model takes, or none of these."""
    pipelines = {m: [p, *(v[m] for v in family.variants.values() if m in v)] for m, p in modes.items()}
    able = [mode for mode, every in pipelines.items() if any(takes(family, p, row) for p in every)]
    concerns = row.keyword or row.needs or row.capability or (row.stage is Stage.LOAD and row.parts)
    if not (row.flag and concerns and able):
        return None
    default = next((v for mode in able if (v := implied(row, family, modes[mode])) is not None), None)
    written = row.words(default) if default is not None and row.value is not None else ()
    return {"modes": able, "default": " ".join(written) or None}


def pipeline_lines(told: Mapping[str, Any]) -> Iterator[str]:
    """Write the `modes`, what is `attached`, the `options` and the `call` of what is told."""
    modes = told["modes"]
    yield from titled("modes", (f"{mode:<12} {pipeline}" for mode, pipeline in modes.items()))
    attached = (
        f"{name:<16} {mode:<12} {p}" for name, variant in told["attached"].items() for mode, p in variant.items()
    )
    yield from titled("with something attached", attached)
    yield from titled("options", (_said(flag, own, modes) for flag, own in told["options"].items()))
    yield from titled("parameters of --call", map(_parameter, told["call"]))


def titled(title: str, lines: Iterable[str]) -> Iterator[str]:
    """Write lines under a title; nothing where there are none."""
    found = list(lines)
    if found:
        yield f"{title}:"
        yield from (f"  {line}".rstrip() for line in found)


def _said(flag: str, own: Mapping[str, Any], modes: Mapping[str, str]) -> str:
    where = "" if own["modes"] == list(modes) else f"({', '.join(own['modes'])})"
    return f"{flag:<34} {' '.join(filter(None, (own['default'], where)))}"


def _parameter(own: Mapping[str, Any]) -> str:
    kind = f": {own['annotation']}" if own["annotation"] else ""
    return f"{own['name']}{kind}" + (" (must be given)" if own["default"] is None else f" = {own['default']}")
