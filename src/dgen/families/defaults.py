"""Gives the row of a family the defaults of a model that was distilled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dgen.families.distilled import SOMETHING, Distilled
from dgen.families.family import Family
from dgen.families.indices import read_index, read_json
from dgen.families.names import word_in


def as_folder_says(family: Family, folder: Path, names: Mapping[str, str]) -> tuple[Family, str]:
    """Return the row of a family with the defaults of a distilled model, and what tells that a folder is one.

    `names` are the texts that name the model, by where they stand; they tell where no setting can.
    """
    told = ((each, "its settings") for each in family.distilled if each.says and _fits(each, folder))
    return _told(family, (*told, *_by_name([each for each in family.distilled if not each.says], names)))


def as_tensors_say(family: Family, held: Iterable[str], names: Mapping[str, str]) -> tuple[Family, str]:
    """Return the row of a family with the defaults of a distilled model, and what tells that a file is one."""
    every = tuple(held)
    told = ((each, "its tensors") for each in family.distilled if (each.lacks or each.holds) and _has(each, every))
    unknown = [each for each in family.distilled if not (each.lacks or each.holds)]
    return _told(family, (*told, *_by_name(unknown, names)))


def _has(each: Distilled, held: tuple[str, ...]) -> bool:
    lacking, having = (any(p in name for p in parts for name in held) for parts in (each.lacks, each.holds))
    return not lacking and (having or not each.holds)


def _by_name(each: Iterable[Distilled], names: Mapping[str, str]) -> Iterator[tuple[Distilled, str]]:
    every = tuple(each)
    for place, text in names.items():
        yield from ((one, f"`{word}` in {place}") for one in every if (word := word_in(one.named, text)) is not None)


def _told(family: Family, found: Iterable[tuple[Distilled, str]]) -> tuple[Family, str]:
    first, why = next(iter(found), (None, ""))
    if first is None:
        return family, ""
    signed = tuple(name for name in family.as_signed if name not in first.defaults)
    own = replace(family, defaults={**family.defaults, **first.defaults}, started=first.started, as_signed=signed)
    return (own if first.size is None else replace(own, default_size=first.size)), why


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
