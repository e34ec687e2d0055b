"""Reads the index of a model's folder: an ordinary one, or that of a modular model in the words of an ordinary one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from dgen.families.rows import FAMILIES, Family
from dgen.schema import BadValue

INDEX, MODULAR_INDEX = "model_index.json", "modular_model_index.json"
INDICES = (INDEX, MODULAR_INDEX)

_WHERE_CODE_IS_NAMED = (MODULAR_INDEX, "modular_config.json", "config.json")
_SETTINGS = ("config.json", "processor_config.json", "preprocessor_config.json", "tokenizer_config.json")
_AUTO = (None, "AutoModel", "AutoProcessor", "AutoTokenizer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a part lies that does not lie in the folder of its name."""

    folder: str = ""  # in its model
    model: str | None = None  # another model than the one whose index names it
    revision: str | None = None
    settings: tuple[tuple[str, Any], ...] | None = None  # it lies nowhere: its class is made with these


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """What the index of a model says."""

    entries: dict[str, Any]  # as `model_index.json` has them
    places: Mapping[str, Place] = field(default_factory=dict[str, Place])


def has_index(folder: Path) -> bool:
    """Whether a folder is a model's."""
    return any((folder / index).is_file() for index in INDICES)


def is_part(entry: object) -> bool:
    """Whether an entry of an index names the library and the class of a part: others may be lists as well."""
    pair = cast("list[object]", entry) if isinstance(entry, list) else []
    return len(pair) == 2 and all(each is None or isinstance(each, str) for each in pair)


def read_index(folder: Path) -> Index | None:
    """Read the index of a folder; None when it has none.

    Raises:
        BadValue: `bad-model`: it cannot be read, no family runs its pipeline, or it is to run code of its own.
    """
    ordinary = read_json(folder / INDEX)
    if ordinary is not None:
        return Index(entries=ordinary)
    modular = read_json(folder / MODULAR_INDEX)
    return None if modular is None else _translated(folder, modular)


def _translated(folder: Path, modular: Mapping[str, Any]) -> Index:
    _refuse_code(folder)
    family, pipeline = _run_by(folder, modular.get("_class_name"))
    found = list(_parts(modular))
    entries: dict[str, Any] = {k: v for k, v in modular.items() if k[:1] != "_" and k not in {p[0] for p in found}}
    places: dict[str, Place] = {}
    for kind, entry, spec in found:
        place = _place_of(folder, kind, spec)
        entries[kind] = _named(folder / (place.folder or kind), entry)
        if place != Place():
            places[kind] = place
    if "processor" in entries and "tokenizer" not in entries:  # which ordinary pipelines want beside it
        entries["tokenizer"] = ["transformers", "AutoTokenizer"]
        places["tokenizer"] = places.get("processor", Place(folder="processor"))
    for kind, (name, settings) in family.made.items():
        if kind not in entries:
            entries[kind] = ["diffusers", name]
            places[kind] = Place(settings=tuple(settings.items()))
    said = family.modular_says.get(str(modular.get("_class_name")), {})
    return Index(entries={**said, **entries, "_class_name": pipeline}, places=places)


def _parts(modular: Mapping[str, Any]) -> Iterator[tuple[str, list[Any], Mapping[str, Any]]]:
    """Yield each part with its library and class, and what says where it lies."""
    for kind, entry in modular.items():
        said = cast("list[Any]", entry) if isinstance(entry, list) else []
        if kind[:1] != "_" and len(said) == 3 and isinstance(said[2], dict):
            yield kind, said[:2], cast("Mapping[str, Any]", said[2])


def _place_of(folder: Path, kind: str, spec: Mapping[str, Any]) -> Place:
    """Return where a part lies: in this folder when it is there, whatever model the index names."""
    inner = str(spec.get("subfolder") or "").strip("/")
    if inner and ".." not in Path(inner).parts and (folder / inner).is_dir():
        return Place(folder=inner if inner != kind else "")
    model = spec.get("pretrained_model_name_or_path")
    if not isinstance(model, str) or not model or (folder / kind).is_dir():
        return Place()
    return Place(folder=inner or ".", model=model, revision=spec.get("revision"))


def _named(folder: Path, entry: list[Any]) -> list[Any]:
    """Return library and class of a part; where the index leaves the class to its settings, what those say."""
    if entry[1] not in _AUTO:
        return entry
    for name in _SETTINGS:
        told = read_json(folder / name) or {}
        architectures = told.get("architectures") or [None]
        own = ("diffusers", told.get("_class_name")), ("transformers", told.get("processor_class") or architectures[0])
        if found := next((pair for pair in own if pair[1]), None):
            return list(found)
    return entry


def _run_by(folder: Path, named: object) -> tuple[Family, str]:
    """Return the family that runs the models of a modular pipeline, and the pipeline that stands for it."""
    if not isinstance(named, str):
        raise BadValue(f"`{folder / MODULAR_INDEX}` names no pipeline class", code="bad-model")
    fitting = [f for f in FAMILIES.values() if named in (*f.modular, *f.pipelines.values())]
    if not fitting:
        raise BadValue(
            f"`{folder.name}` is made for `{named}` of diffusers, which no family runs", code="bad-model",
            help="`dgen families` lists what can be run",
        )  # fmt: skip
    told = read_json(folder / "transformer" / "config.json") or {}
    family = next((f for f in fitting if f.modular_settings.items() <= told.items()), fitting[0])
    return family, family.modular.get(named, named)


def _refuse_code(folder: Path) -> None:
    for name in _WHERE_CODE_IS_NAMED:
        if (read_json(folder / name) or {}).get("auto_map"):
            raise BadValue(
                f"`{folder.name}` is put together by code of its own, which its `{name}` names", code="bad-model",
                help="code that comes with a model is never run",
            )  # fmt: skip


def read_json(path: Path) -> dict[str, Any] | None:
    """Read a mapping from a file; None when it is not there, or holds something else.

    Raises:
        BadValue: `bad-model`: it cannot be read.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise BadValue(f"`{path}` cannot be read as JSON: {error}", code="bad-model") from None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None
