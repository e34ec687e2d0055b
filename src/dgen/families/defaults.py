"""Gives the row of a family the defaults of a model that was distilled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dgen.families.distilled import SOMETHING, Distilled
from dgen.families.family import Family
from dgen.families.indices import read_index, read_json


def as_folder_says(family: Family, folder: Path) -> Family:
    """Return the row of a family with the defaults of a distilled model, when its folder tells that it is one."""
    return _told(family, (each for each in family.distilled if each.says and _fits(each, folder)))


def as_tensors_say(family: Family, names: Iterable[str]) -> Family:
    """Return the row of a family with the defaults of a distilled model, when a checkpoint's tensors tell that."""
    held = tuple(names)
    every = (each for each in family.distilled if each.lacks)
    return _told(family, (each for each in every if not any(each.lacks in name for name in held)))


def _told(family: Family, found: Iterable[Distilled]) -> Family:
    first = next(iter(found), None)
    if first is None:
        return family
    signed = tuple(name for name in family.as_signed if name not in first.defaults)
    return replace(family, defaults={**family.defaults, **first.defaults}, started=first.started, as_signed=signed)


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
