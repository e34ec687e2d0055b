"""Looks at models: what kind they are and what they consist of; imports no torch."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dgen.builtin import PREFIX, builtin_named
from dgen.engine import deltas
from dgen.engine.hub import Hub, here
from dgen.engine.protocol import EngineError
from dgen.engine.sources import ASKED_BY, Layout, Source, config_source, source_of, vae_source
from dgen.engine.weights import check_files, no_weights, weights_of
from dgen.families.indices import INDEX, Index, is_part, read_index
from dgen.families.inspection import ModelFacts, inspect_file, inspect_folder, refiner_index
from dgen.families.rows import Family, family_named, family_of_class
from dgen.families.signatures import compatible_schedulers, parameters, scheduler_names
from dgen.options.request import ROWS, Request
from dgen.schema import BadValue
from dgen.values.scalars import Size


@dataclass(frozen=True, slots=True)
class Models:
    """Answers what a request's model is."""

    hub: Hub

    def layout(self, request: Request) -> Layout:
        """Return where a model lies and what its index says.

        Raises:
            EngineError: `missing-file`, `bad-model`, `offline`, `hub-refused`.
        """
        path = self.hub.index(source_of(request))
        if path.is_dir():
            found = _index_in(path)
            return Layout(path=path, index=found.entries, base=base_of(request.model), places=found.places)
        config = config_source(request)
        try:
            own = None if config is None else _index_in(self.hub.index(config), config.option)
            index = refiner_index(path) if own is None else own.entries
        except BadValue as error:
            raise EngineError(error.code, error.message, help=error.help) from None
        return Layout(path=path, index=index, is_file=True)

    def inspect(self, request: Request) -> ModelFacts:
        """Tell a model's family, class and size.

        Raises:
            EngineError: as `layout`, and `bad-weights`, `unknown-model-type`.
        """
        wanted = wanted_family(request)
        path = self.hub.index(source_of(request))
        try:
            facts = self._look(request, path, wanted)
        except BadValue as error:
            raise EngineError(error.code, error.message, help=error.help) from None
        own = family_of_class(facts.pipeline)
        if facts.pipeline == own.decoder:
            raise EngineError(
                "bad-model", f"`{request.model}` is a decoder, which draws what another model thinks of",
                help=f"name the model of {own.label} that thinks, and this one with `--s-cascade-decoder`",
            )  # fmt: skip
        is_other = wanted is not None and own.name != "generic" and facts.pipeline not in wanted.classes
        if wanted is not None and is_other and own.name not in wanted.built_on:
            raise EngineError(
                "bad-model", f"`{request.model}` is {own.label}, not {wanted.label}", "model_type",
                help="leave `--model-type` out",
            )  # fmt: skip
        return facts

    def _look(self, request: Request, path: Path, wanted: Family | None) -> ModelFacts:
        if path.is_dir():
            return inspect_folder(path, wanted, request.model)
        facts, config = inspect_file(path, wanted, request.model), config_source(request)
        if config is None:
            return facts
        described = inspect_folder(self.hub.index(config), wanted)
        sibling = described.family
        if wanted is None and sibling.like and sibling.like in (facts.family.name, facts.family.like):
            facts = replace(inspect_file(path, sibling, request.model), told_by="the index of its `--model-config`")
        return replace(facts, default_size=described.default_size, parts=described.parts)

    def schedulers(self, request: Request) -> tuple[str, ...]:
        """List the schedulers that a model can use, its own first.

        Raises:
            EngineError: as `layout`.
        """
        return schedulers_for(self.layout(request))

    def check(self, request: Request) -> None:
        """Check the weights that are on this machine, without loading them.

        Raises:
            EngineError: `bad-weights`, `unsafe-weights`, `bad-model`, `missing-file`, `missing-package`.
        """
        layout = self.layout(request)
        _check_package(str(layout.index.get("_class_name")))
        if layout.path is not None and layout.is_file:
            check_files([layout.path])
        elif layout.path is not None:
            if layout.base is None and here(source_of(request)) is not None:
                _check_parts(layout.path, {k: v for k, v in layout.index.items() if k not in layout.places}, request)
            _check_folder(layout.path, layout.index, request)
        self._check_vae(request)

    def _check_vae(self, request: Request) -> None:
        source = vae_source(request)
        if source is None:
            return
        path = self.hub.index(source)
        if path.is_file():
            check_files([path], source.option)
            return
        folder = part_folder(path, "vae")
        if folder is None:
            raise EngineError("bad-model", f"`{source.shown}` is no VAE: it has no `config.json`", source.option)
        check_weights("vae", source, folder)


def wanted_family(request: Request) -> Family | None:
    """Return the family that `--model-type` names.

    Raises:
        EngineError: `unknown-model-type`, `removed-feature`.
    """
    if request.model_type is None:
        return None
    try:
        return family_named(request.model_type)
    except BadValue as error:
        raise EngineError(error.code, error.message, "model_type", error.help) from None


def schedulers_for(layout: Layout) -> tuple[str, ...]:
    """List the schedulers that fit a model, its own first; () when it has none."""
    if layout.index and "scheduler" not in layout.index:
        return ()
    entry = layout.index.get("scheduler")
    declared = str(entry[1]) if isinstance(entry, list) and entry[1] else ""
    known = scheduler_names()
    others = [n for n in compatible_schedulers(declared) if n != declared and n in known]
    return (declared, *others) if declared else tuple(others)


def part_folder(path: Path, kind: str) -> Path | None:
    """Return the folder with a part's configuration: the path itself, or its folder inside a whole model."""
    return next((f for f in (path, path / kind) if (f / "config.json").is_file()), None)


def base_of(model: str) -> str | None:
    """Return the built-in model whose parts a built-in model shares; None for any other."""
    found = builtin_named(model) if model.startswith(PREFIX) else None
    return PREFIX + found.base if found is not None and found.base else None


def _check_parts(folder: Path, index: Any, request: Request) -> None:
    """Refuse a folder that lacks the folder of a part that its index names and nothing replaces."""
    replaced = {kind for row in ROWS.values() if row.replaces and getattr(request, row.name) for kind in row.parts}
    for kind, entry in index.items():
        is_named = is_part(entry) and entry[0] is not None
        if is_named and kind not in ASKED_BY and kind not in replaced - {"scheduler"} and not (folder / kind).is_dir():
            raise EngineError(
                "bad-model", f"`{request.model}` has no folder `{kind}`, which its index names",
                help="copy or fetch the whole model again",
            )  # fmt: skip
        is_own = is_named and kind not in ASKED_BY and kind not in replaced
        if is_own and not any(word in str(entry[-1]) for word in _WITHOUT_WEIGHTS):
            check_weights(kind, source_of(request), folder / kind)


_FROM_PACKAGES = {"CosmosSafetyChecker": "cosmos_guardrail"}
"""Classes of parts that pipelines of diffusers make when they are given none -> the package that has them."""


def _check_package(pipeline: str) -> None:
    """Refuse a pipeline that makes itself a part from a package that is not installed."""
    for parameter in parameters(pipeline, "__init__"):
        package = _FROM_PACKAGES.get(parameter.annotation)
        if package is not None and importlib.util.find_spec(package) is None:
            raise EngineError(
                "missing-package", f"{pipeline} has a safety checker, and does not run without: it needs `{package}`",
                help=f"install it: `pip install {package}`; the licence of these models asks for it",
            )  # fmt: skip


_WITHOUT_WEIGHTS = ("Tokenizer", "Scheduler", "Processor", "Extractor", "Guidance")
"""What stands in the names of the classes of parts that are not computed with, as in `CLIPImageProcessorPil`."""


def check_weights(kind: str, source: Source, folder: Path) -> None:
    """Check the weights in the folder of a part; of one that is not from this machine they may not be here yet.

    Raises:
        EngineError: `bad-weights`, `unsafe-weights`; `bad-model`: there are none.
    """
    files = weights_of(folder, source.variant)[0]
    if not files and here(source) is not None and not (folder / deltas.FILE).is_file():
        raise no_weights(kind, source, folder)
    check_files(files, source.option)


def _check_folder(folder: Path, index: Any, request: Request) -> None:
    for kind, entry in index.items():
        if is_part(entry) and (folder / kind / "config.json").is_file():
            check_files(weights_of(folder / kind, request.variant)[0])


def _index_in(folder: Path, option: str = "model") -> Index:
    """Return what the index of a folder says.

    Raises:
        EngineError: `bad-model`: there is none, or it cannot be used.
    """
    try:
        found = read_index(folder)
    except BadValue as error:
        raise EngineError(error.code, error.message, option, error.help) from None
    if found is None:
        raise EngineError("bad-model", f"`{folder}` is no model: it has no `{INDEX}`", option)
    return found


def default_facts(request: Request, fallback: Family) -> ModelFacts:
    """Return what can be assumed about a model that cannot be seen."""
    family = wanted_family(request) or fallback
    size = Size(*family.usual_size)
    return ModelFacts(family=family, pipeline=family.pipeline, default_size=size)
