"""Reads what classes of diffusers, and our own, accept from their source text, so that nothing has to be imported."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from dgen.families.definitions import Parameter, classes_in, definition, diffusers_folder, lineage
from dgen.families.modular import MODULAR, inputs_of_blocks, parts_of_blocks


@cache
def parameters(name: str, method: str, package: str = "") -> tuple[Parameter, ...]:
    """List the parameters of a method of a pipeline or scheduler class, without `self`; () when it is unknown.

    `package` is the folder under `pipelines` to look in first.
    """
    if name.endswith(MODULAR):
        return parts_of_blocks(name) if method == "__init__" else inputs_of_blocks(name)
    folders = (f"pipelines/{package}", "pipelines") if package else ("schedulers", "pipelines")
    found: dict[str, Parameter] = {}
    for node in (node for each in lineage(name, folders) for node in each.body):
        if isinstance(node, ast.FunctionDef) and node.name == method:
            found = {p.name: p for p in _parameters(node.args)} | found
            if node.args.kwarg is None:  # else it hands on what it does not know
                break
    return tuple(found.values())


def _parameters(arguments: ast.arguments) -> Iterator[Parameter]:
    plain = [*arguments.posonlyargs, *arguments.args]
    missing = [None] * (len(plain) - len(arguments.defaults))
    pairs = [*zip(plain, [*missing, *arguments.defaults], strict=True)]
    pairs += zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    for arg, default in pairs:
        if arg.arg != "self":
            annotation = ast.unparse(arg.annotation) if arg.annotation else ""
            yield Parameter(arg.arg, annotation, ast.unparse(default) if default else None)


def accepts(pipeline: str, keyword: str, package: str = "") -> bool:
    """Whether a pipeline's call takes a keyword."""
    return any(p.name == keyword for p in parameters(pipeline, "__call__", package))


@cache
def default_of(pipeline: str, keyword: str, package: str = "") -> Any:
    """Return the default of a keyword of a pipeline's call; None when it has none that is plainly written."""
    found = next((p.default for p in parameters(pipeline, "__call__", package) if p.name == keyword), None)
    try:
        return None if found is None else ast.literal_eval(found)
    except ValueError:
        return None


@cache
def mixes_in(pipeline: str, ending: str, package: str = "") -> bool:
    """Whether a pipeline has a base class whose name ends so, such as `LoraLoaderMixin`."""
    folders = (f"pipelines/{package}", "pipelines") if package else ("pipelines",)
    every = lineage(pipeline, ("modular_pipelines",) if pipeline.endswith(MODULAR) else folders)
    return any(ast.unparse(base).endswith(ending) for each in every for base in each.bases)


def beside(pipeline: str) -> frozenset[str]:
    """Return the classes that stand in the same folder of diffusers as a pipeline."""
    every = classes_in("pipelines")
    place = every.get(pipeline)
    return frozenset(name for name, path in every.items() if place is not None and path.parent == place.parent)


def components(pipeline: str, package: str = "") -> tuple[str, ...]:
    """List the components that a pipeline is made of."""
    return tuple(p.name for p in parameters(pipeline, "__init__", package))


@cache
def summary(scheduler: str) -> str:
    """Return the first sentence that diffusers says of a scheduler; nothing when it says none."""
    path = classes_in("schedulers").get(scheduler)
    text = path.read_text(encoding="utf-8") if path is not None else ""
    found = re.search(rf'^class {re.escape(scheduler)}\b[^\n]*:\n\s*"""(.+?)(?:\n\s*\n|"""|\.\s)', text, re.M | re.S)
    return " ".join(found[1].replace("`", "").split()).rstrip(".") if found else ""


@cache
def scheduler_names() -> tuple[str, ...]:
    """List the scheduler classes of diffusers, sorted."""
    classes = classes_in("schedulers")
    return tuple(sorted(n for n in classes if n.endswith("Scheduler") and "Flax" not in n))


@cache
def package_of(scheduler: str) -> str:
    """Return the package beyond diffusers' own that a scheduler cannot do without; "" for most.

    diffusers lists what has to stand in for a class while the package is missing.
    """
    for package in ("scipy", "torchsde"):
        path = diffusers_folder() / "utils" / f"dummy_torch_and_{package}_objects.py"
        if path.is_file() and f"class {scheduler}(" in path.read_text(encoding="utf-8"):
            return package
    return ""


@cache
def interchangeable_schedulers() -> tuple[str, ...]:
    """List the schedulers that diffusers calls interchangeable (`KarrasDiffusionSchedulers`)."""
    found = definition("KarrasDiffusionSchedulers", ("schedulers",))
    body = found.body if found else []
    return tuple(n.targets[0].id for n in body if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Name))


@cache
def compatible_schedulers(declared: str) -> tuple[str, ...]:
    """List the schedulers that can stand in for the one a model declares, itself among them."""
    others = interchangeable_schedulers()
    if declared in others or not declared:
        return tuple(sorted({*others, declared, "LCMScheduler", "TCDScheduler"} - {""}))
    related = {n for n in scheduler_names() if _compatibles(n) and declared in _compatibles(n)}
    return tuple(sorted({declared, *related, *_compatibles(declared)}))


@cache
def _compatibles(name: str) -> tuple[str, ...]:
    found = definition(name, ("schedulers",))
    for node in found.body if found else ():
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id == "_compatibles"
        ):
            return _names_in(node.value)
    return ()


def _names_in(value: ast.expr) -> tuple[str, ...]:
    if isinstance(value, ast.List):
        return tuple(e.value for e in value.elts if isinstance(e, ast.Constant) and isinstance(e.value, str))
    return interchangeable_schedulers()


@cache
def optional_components(pipeline: str, package: str = "") -> tuple[str, ...]:
    """List the components that a pipeline can do without (`_optional_components`)."""
    return _declared_names(pipeline, "_optional_components", package)


def _declared_names(pipeline: str, attribute: str, package: str) -> tuple[str, ...]:
    every = lineage(pipeline, (f"pipelines/{package}", "pipelines") if package else ("pipelines",))
    for node in (node for each in every for node in each.body):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == attribute:
            return _names_in(node.value)
    return ()
