"""Gives the row of a family the defaults of a model that was distilled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from dgen.families.distilled import SOMETHING, Distilled
from dgen.families.family import Family
from dgen.families.indices import read_index, read_json
from dgen.families.names import word_in


@dataclass(frozen=True, slots=True)
class Told:
    """The row of a family with the defaults of a distilled model, when it is one."""

    family: Family
    why: str = ""  # what tells it; "" when nothing does
    config: str = ""  # the repository whose configuration its checkpoint files have; "" for that of the others


def as_folder_says(family: Family, folder: Path, names: Mapping[str, str]) -> Told:
    """Return the row of a family with the defaults of a distilled model, when a folder is one.

    `names` are the texts that name the model, by where they stand; they tell where no setting can.
    """
    told = ((each, "its settings") for each in family.distilled if each.says and _fits(each, folder))
    return _told(family, (*told, *_by_name([each for each in family.distilled if not each.says], names)))


def as_tensors_say(family: Family, header: Mapping[str, Any], names: Mapping[str, str]) -> Told:
    """Return the row of a family with the defaults of a distilled model, when a checkpoint file is one."""
    every, read = tuple(header), _read_by(header)
    told = ((each, "its tensors") for each in family.distilled if (each.lacks or each.holds) and _has(each, every))
    open_ones = [each for each in family.distilled if not (each.lacks or each.holds)]
    unknown = [each for each in open_ones if None in (each.reads, read) or each.reads == read]
    return _told(family, (*told, *_by_name(unknown, names)))


def _has(each: Distilled, held: tuple[str, ...]) -> bool:
    lacking, having = (any(p in name for p in parts for name in held) for parts in (each.lacks, each.holds))
    return not lacking and (having or not each.holds)


def _read_by(header: Mapping[str, Any]) -> int | None:
    """Return the width of the texts that a denoiser in a file reads; None when it cannot be told."""
    name = next((name for name in header if name.endswith(".attn2.to_k.weight")), None)
    found: object = None if name is None else header[name].get("shape")
    side = cast("list[object]", found)[-1] if isinstance(found, list) and found else None
    return side if isinstance(side, int) else None


def _by_name(each: Iterable[Distilled], names: Mapping[str, str]) -> Iterator[tuple[Distilled, str]]:
    every = tuple(each)
    for place, text in names.items():
        yield from ((one, f"`{word}` in {place}") for one in every if (word := word_in(one.named, text)) is not None)


def _told(family: Family, found: Iterable[tuple[Distilled, str]]) -> Told:
    first, why = next(iter(found), (None, ""))
    if first is None:
        return Told(family)
    signed = tuple(name for name in family.as_signed if name not in first.defaults)
    own = replace(family, defaults={**family.defaults, **first.defaults}, started=first.started, as_signed=signed)
    return Told(own if first.size is None else replace(own, default_size=first.size), why, first.config)


def _fits(each: Distilled, folder: Path) -> bool:
    return all(_says(_settings(folder, part), wanted) for part, wanted in each.says.items())


def _says(told: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    if not told:
        return False
    return all(told.get(k) is not None if v == SOMETHING else told.get(k) == v for k, v in wanted.items())


def _settings(folder: Path, part: str) -> Mapping[str, Any]:
    if part:
        return read_json(folder / part / f"{'scheduler_' * (part == 'scheduler')}config.json") or {}
    found = read_index(folder)
    return {} if found is None else found.entries
