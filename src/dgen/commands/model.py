"""`model`: says what a model is, what it consists of and what it accepts, without loading it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from dgen.commands import CommandHost
from dgen.engine.protocol import PartFacts
from dgen.families.definitions import Parameter
from dgen.families.inspection import ModelFacts
from dgen.options.request import ROWS, Request
from dgen.plan.abilities import implied, takes
from dgen.plan.bind import Bound
from dgen.plan.extras import free_parameters
from dgen.plan.resolve import pipeline_of
from dgen.schema import Option, Stage
from dgen.values.amounts import shown_bytes

_OWN = ("json", "model")


def run(host: CommandHost, bound: Bound) -> None:
    """Look into a model and write what it is.

    Raises:
        EngineError: whatever is wrong with the model.
    """
    said = {name: bound.value(name) for name in bound.given if name not in _OWN}
    if not host.permissions.network:
        said["offline_mode"] = True
    request = Request(model=bound.value("model"), **said)
    facts = host.engine.inspect(request)
    told = as_object(request, facts, (host.engine.contents(request, facts), host.engine.schedulers(request)))
    host.write((json.dumps(told, indent=2) if "json" in bound else "\n".join(as_lines(told))) + "\n")


def as_object(request: Request, facts: ModelFacts, seen: tuple[Sequence[PartFacts], Sequence[str]]) -> dict[str, Any]:
    """Return what is told about a model, as JSON has it; `seen` are its parts and its schedulers."""
    family = facts.family
    modes = {mode: p for mode in family.pipelines if (p := pipeline_of(facts, mode)) is not None}
    attached = {
        name: {mode: p for mode, p in variant.items() if facts.has_mode(mode)}
        for name, variant in family.variants.items()
    }
    return {
        "model": request.model, "family": family.name, "label": family.label, "pipeline": facts.pipeline,
        "told_by": facts.told_by, "distilled_by": facts.distilled_by,
        "size": str(facts.default_size), "parts": [asdict(part) for part in seen[0]], "modes": modes,
        "attached": {name: variant for name, variant in attached.items() if variant},
        "options": {row.flag: told for row in ROWS.values() if (told := _option(row, facts, modes)) is not None},
        "call": [asdict(p) for p in _parameters(facts, modes)], "schedulers": list(seen[1]),
    }  # fmt: skip


def _option(row: Option, facts: ModelFacts, modes: dict[str, str]) -> dict[str, Any] | None:
    """Return the modes that take an option, and its default; None for one that every model takes, or this does not."""
    family = facts.family
    pipelines = {m: [p, *(v[m] for v in family.variants.values() if m in v)] for m, p in modes.items()}
    able = [mode for mode, every in pipelines.items() if any(takes(family, p, row) for p in every)]
    concerns = row.keyword or row.needs or row.capability or (row.stage is Stage.LOAD and row.parts)
    if not (row.flag and concerns and able):
        return None
    default = next((v for mode in able if (v := implied(row, family, modes[mode])) is not None), None)
    written = row.words(default) if default is not None and row.value is not None else ()
    return {"modes": able, "default": " ".join(written) or None}


def _parameters(facts: ModelFacts, modes: dict[str, str]) -> Iterator[Parameter]:
    """Yield what `--call` can say to any pipeline of the model."""
    every = {p.name: p for name in modes.values() for p in reversed(free_parameters(name, facts.family))}
    yield from (every[name] for name in sorted(every))


def as_lines(told: dict[str, Any]) -> Iterator[str]:
    """Write what is told about a model for a reader."""
    yield f"{told['model']}: {told['label']} ({told['family']}), {told['pipeline']}, {told['size']} pixels"
    if told["told_by"]:
        yield f"told by {told['told_by']}"
    if told["distilled_by"]:
        yield f"distilled, told by {told['distilled_by']}: its defaults are those of its card"
    yield from _titled("parts", map(_part, told["parts"]))
    yield from _titled("modes", (f"{mode:<12} {pipeline}" for mode, pipeline in told["modes"].items()))
    attached = (
        f"{name:<16} {mode:<12} {p}" for name, variant in told["attached"].items() for mode, p in variant.items()
    )
    yield from _titled("with something attached", attached)
    yield from _titled("options", (_said(flag, own, told["modes"]) for flag, own in told["options"].items()))
    yield from _titled("parameters of --call", map(_parameter, told["call"]))
    yield from _titled("schedulers, its own first", told["schedulers"])


def _titled(title: str, lines: Any) -> Iterator[str]:
    found = list(lines)
    if found:
        yield f"{title}:"
        yield from (f"  {line}".rstrip() for line in found)


def _part(part: dict[str, Any]) -> str:
    size = "not on this machine" if part["bytes"] is None else shown_bytes(part["bytes"]) if part["bytes"] else ""
    count = f"{part['parameters']:,} parameters" if part["parameters"] else ""
    facts = ", ".join(filter(None, (size, count, ", ".join(part["dtypes"]))))
    return f"{part['kind'] or 'the file':<18} {part['class_name']:<34} {facts}"


def _said(flag: str, own: dict[str, Any], modes: dict[str, str]) -> str:
    where = "" if own["modes"] == list(modes) else f"({', '.join(own['modes'])})"
    return f"{flag:<34} {' '.join(filter(None, (own['default'], where)))}"


def _parameter(own: dict[str, Any]) -> str:
    kind = f": {own['annotation']}" if own["annotation"] else ""
    return f"{own['name']}{kind}" + (" (must be given)" if own["default"] is None else f" = {own['default']}")
