"""Candidates for the values of options: by the kind of value, and for a few fields by what they name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dgen.builtin import builtin_models
from dgen.complete.candidates import Candidate, Signature, first_sentence
from dgen.complete.models import cached_models, schedulers_of
from dgen.detectors import DETECTORS, DetectorText
from dgen.families.definitions import Parameter
from dgen.families.indices import has_index
from dgen.families.rows import FAMILIES
from dgen.families.samplers import sampler_named
from dgen.families.signatures import parameters, scheduler_names, summary
from dgen.options.quantizers import QUANTIZERS, QuantizerText
from dgen.processors import PROCESSORS, ProcessorText
from dgen.refiners import REFINERS
from dgen.registry import Registry
from dgen.schema import Option, Value
from dgen.upscalers import UPSCALERS
from dgen.values.image_seed import ARGUMENTS, ImageSeedText
from dgen.values.scalars import Choice, FilePath, Flag, ModelSource
from dgen.values.step_cache import StepCacheText
from dgen.values.uri import OpenUri, Uri
from dgen.weighters import WEIGHTERS

_MODEL_FILES = (".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".gguf")


@dataclass(frozen=True, slots=True)
class Ask:
    """A value that is being typed: of which option, how far, and of which model the statement speaks."""

    row: Option
    typed: str
    model: str = ""
    kind: Value | None = None  # of an argument of a URI


def candidates_of(ask: Ask) -> Iterator[Candidate]:
    """Yield what a value may be. In a URI, only what its last part may be: see `typed_part`."""
    kind = ask.kind or ask.row.value
    named = _BY_FIELD.get(ask.row.name) if ask.kind is None else None
    if isinstance(kind, Uri | OpenUri) and ";" in ask.typed:
        yield from _arguments(ask, kind)
    elif named is not None:
        yield from named(ask)
    else:
        known = next((source for each, source in _BY_KIND.items() if isinstance(kind, each)), None)
        yield from known(ask, kind) if known else _default(ask.row)


def typed_part(ask: Ask) -> str:
    """Return what of the typed value a candidate replaces: all of it, or the last part of a URI."""
    if not isinstance(ask.row.value, Uri | OpenUri | ImageSeedText | QuantizerText):
        return ask.typed
    part = ask.typed.rpartition(";")[2]
    return part.partition("=")[2].lstrip("\"'") if "=" in part else part


# ---- by kind -----------------------------------------------------------------------------------------------------


def _choices(ask: Ask, kind: Choice) -> Iterator[Candidate]:
    default = ask.row.implied if ask.row.implied is not None else ask.row.default
    return (Candidate(name, "the default" if name == default else "") for name in kind.names)


def _truth(ask: Ask, kind: Flag) -> Iterator[Candidate]:
    return (Candidate(kind.format(value)) for value in (True, False))


def _files(ask: Ask, kind: Any) -> Iterator[Candidate]:
    return files(typed_part(ask), folders_only=kind.metavar == "FOLDER" and isinstance(kind, FilePath))


def _seeds(ask: Ask, kind: ImageSeedText) -> Iterator[Candidate]:
    """Yield files, and in the later parts of an image seed the names of its arguments."""
    part = ask.typed.rpartition(";")[2]
    name, equals, typed = part.partition("=")
    if equals and name in ARGUMENTS:
        row = replace(ask.row, value=ARGUMENTS[name])
        yield from candidates_of(Ask(row, typed, ask.model, row.value))
        return
    if ";" in ask.typed:
        yield from (Candidate(f"{name}=", kind.metavar, True) for name, kind in ARGUMENTS.items())
    yield from files(part)


def _models(ask: Ask, kind: Any) -> Iterator[Candidate]:
    return models(typed_part(ask), kind.kind)


def _quantizers(ask: Ask, kind: QuantizerText) -> Iterator[Candidate]:
    """Yield the quantizers, and after a `;` the arguments of the one that is named."""
    uri = kind.uris.get(ask.typed.partition(";")[0])
    if ";" in ask.typed:
        return _arguments(ask, uri) if uri is not None else iter(())
    return (Candidate(name, (cls.__doc__ or "").partition(":")[0]) for name, cls in QUANTIZERS.items())


def _concept(ask: Ask, kind: Uri) -> Iterator[Candidate]:
    row = next(r for r in kind.rows().values() if r.positional)
    return candidates_of(Ask(row, ask.typed, ask.model, row.value))


def _registry(ask: Ask, kind: Any) -> Registry[Any] | None:
    """Return the plugins that a value names."""
    if isinstance(kind, ProcessorText):
        return PROCESSORS
    if isinstance(kind, DetectorText):
        return DETECTORS
    if ask.row.name.endswith("weighter"):
        return WEIGHTERS
    if "latents" in ask.row.name:
        return REFINERS
    return UPSCALERS if ask.row.name.endswith("upscaler") or ask.row.name == "upscalers" else None


def _plugins(ask: Ask, kind: Any) -> Iterator[Candidate]:
    """Yield the plugins that can be named here."""
    registry = _registry(ask, kind)
    for name, row in sorted(registry.rows().items()) if registry is not None else ():
        yield Candidate(name, first_sentence(row.help))


def _default(row: Option) -> Iterator[Candidate]:
    """Yield the default of an option whose values are numbers, sizes or texts."""
    default = row.implied if row.implied is not None else row.default
    if row.value is not None and default not in (None, False, "", (), ...) and (words := row.words(default)):
        yield Candidate(words[0], "the default")


_BY_KIND: dict[Any, Callable[[Ask, Any], Iterator[Candidate]]] = {
    ProcessorText: _plugins, OpenUri: _plugins, QuantizerText: _quantizers,
    StepCacheText: _choices,
    Choice: _choices, Flag: _truth, ModelSource: _models, FilePath: _files, ImageSeedText: _seeds, Uri: _concept,
}  # fmt: skip


# ---- arguments of URIs -------------------------------------------------------------------------------------------


def _arguments(ask: Ask, kind: Uri | OpenUri) -> Iterator[Candidate]:
    written, _, last = ask.typed.rpartition(";")
    key, equals, typed = last.partition("=")
    rows = _rows_of(ask, kind)
    if equals:
        row = rows.get(key.strip().replace("_", "-"))
        yield from candidates_of(Ask(row, typed, ask.model, row.value)) if row else ()
        return
    given = {part.partition("=")[0].strip() for part in written.split(";")[1:]}
    for name, row in rows.items():
        if not row.positional and name not in given:
            yield Candidate(f"{name}=", first_sentence(row.help), True)


def _rows_of(ask: Ask, kind: Uri | OpenUri) -> Mapping[str, Option]:
    """Return the arguments of a URI as rows; those of a scheduler from the signature of its class."""
    if isinstance(kind, Uri):
        return kind.rows()
    if (registry := _registry(ask, kind)) is not None:
        plugin = registry.rows().get(ask.typed.partition(";")[0].strip("\"'"))
        return plugin.arguments if plugin is not None else {}
    name = _scheduler_class(ask.typed.partition(";")[0].strip("\"'"))
    return {p.name.replace("_", "-"): _row_of(p) for p in parameters(name, "__init__")}


def _row_of(parameter: Parameter) -> Option:
    kind = Flag() if "bool" in parameter.annotation else None
    known = parameter.annotation and f"{parameter.annotation}"
    default = f"{parameter.default} by default" if parameter.default is not None else "must be given"
    return Option(default=parameter.default, name=parameter.name, value=kind, help=f"{known}; {default}")


def _scheduler_class(name: str) -> str:
    sampler = sampler_named(name)
    if sampler is not None:
        return sampler.scheduler
    wanted = name.casefold()
    known = scheduler_names()
    exact = [n for n in known if n.casefold() in (wanted, f"{wanted}scheduler")]
    return next(iter(exact or [n for n in known if n.casefold().startswith(wanted)]), "")


def uri_signature(ask: Ask) -> Signature | None:
    """Return how the URI that is being typed is written: its keys and their defaults."""
    kind = ask.row.value
    if not isinstance(kind, Uri | OpenUri):
        return None
    rows = _rows_of(ask, kind)
    if not rows:
        return None
    concept, _, arguments = ask.typed.partition(";")
    shown = {"": concept} if isinstance(kind, OpenUri) else {}
    shown |= {"" if row.positional else name: _shown_argument(name, row) for name, row in rows.items()}
    last = arguments.rpartition(";")[2].partition("=")[0].strip().replace("_", "-") if ";" in ask.typed else ""
    current = list(shown).index(last) if last in shown and (last or ";" not in ask.typed) else None
    named = rows.get(last) or next((row for row in rows.values() if row.positional and current == 0), ask.row)
    return Signature(tuple(shown.values()), current, first_sentence(named.help))


def _shown_argument(name: str, row: Option) -> str:
    metavar = row.value.metavar if row.value is not None else "…"
    if row.positional:
        return metavar
    if row.default is ...:
        return f"{name}={metavar}"
    return f"[{name}={metavar if row.default is None else row.default}]"


# ---- by field ----------------------------------------------------------------------------------------------------


def _families(ask: Ask) -> Iterator[Candidate]:
    return (Candidate(family.name, family.label) for family in FAMILIES.values() if family.name != "generic")


def _devices(ask: Ask) -> Iterator[Candidate]:
    for name in ("cpu", "cuda", "cuda:0", "xpu", "mps"):
        yield Candidate(name)


def _schedulers(ask: Ask) -> Iterator[Candidate]:
    for name in schedulers_of(ask.model) or scheduler_names():
        yield Candidate(name, summary(name))
    yield Candidate("help", "list the schedulers that the model can use")
    yield Candidate("helpargs", "list them with their arguments")


_BY_FIELD: dict[str, Callable[[Ask], Iterator[Candidate]]] = {
    "model_type": _families, "families": _families, "device": _devices, "scheduler": _schedulers,
}  # fmt: skip


# ---- what lies around --------------------------------------------------------------------------------------------


def models(typed: str, kind: str = "model") -> Iterator[Candidate]:
    """Yield models, or what else is wanted: the built-in ones, those in the hub's cache, and files and folders."""
    yield from (Candidate(model.source, model.help) for model in builtin_models() if model.kind == kind)
    yield from (Candidate(name, "in the hub's cache") for name in cached_models())
    yield from (c for c in files(typed) if c.goes_on or c.help or c.text.lower().endswith(_MODEL_FILES))


def files(typed: str, *, folders_only: bool = False) -> Iterator[Candidate]:
    """Yield the files and folders whose names continue what is typed; hidden ones when a dot is typed."""
    folder, slash, name = typed.rpartition("/")
    try:
        entries = sorted(os.scandir(os.path.expanduser(folder + slash) or "."), key=lambda e: e.name)
    except OSError:
        return
    for entry in entries:
        is_folder = entry.is_dir()
        if (entry.name.startswith(".") and not name.startswith(".")) or (folders_only and not is_folder):
            continue
        is_model = is_folder and has_index(Path(entry.path))
        yield Candidate(folder + slash + entry.name + ("/" if is_folder and not is_model else ""),
                        "a model" if is_model else "", is_folder and not is_model)  # fmt: skip
