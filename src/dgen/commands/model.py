"""`model`: says what a model is, what it consists of and what it accepts, without loading it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from dgen.commands import CommandHost
from dgen.engine.protocol import PartFacts
from dgen.families.inspection import ModelFacts
from dgen.options.request import Request
from dgen.plan.bind import Bound
from dgen.plan.resolve import pipeline_of
from dgen.plan.told import pipeline_lines, titled, told_options, told_parameters
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
        "options": told_options(family, modes), "call": told_parameters(family, modes), "schedulers": list(seen[1]),
    }  # fmt: skip


def as_lines(told: dict[str, Any]) -> Iterator[str]:
    """Write what is told about a model for a reader."""
    yield f"{told['model']}: {told['label']} ({told['family']}), {told['pipeline']}, {told['size']} pixels"
    if told["told_by"]:
        yield f"told by {told['told_by']}"
    if told["distilled_by"]:
        yield f"distilled, told by {told['distilled_by']}: its defaults are those of its card"
    yield from titled("parts", map(_part, told["parts"]))
    yield from pipeline_lines(told)
    yield from titled("schedulers, its own first", told["schedulers"])


def _part(part: dict[str, Any]) -> str:
    size = "not on this machine" if part["bytes"] is None else shown_bytes(part["bytes"]) if part["bytes"] else ""
    count = f"{part['parameters']:,} parameters" if part["parameters"] else ""
    facts = ", ".join(filter(None, (size, count, ", ".join(part["dtypes"]))))
    return f"{part['kind'] or 'the file':<18} {part['class_name']:<34} {facts}"
