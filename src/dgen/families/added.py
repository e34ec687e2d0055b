"""Model families that plugins add to the table."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from dgen.families.family import MODES, Family
from dgen.families.rows import FAMILIES
from dgen.families.signatures import parameters
from dgen.registry import REGISTRIES


@dataclass(frozen=True, slots=True)
class AddedFamily:
    """A family that a plugin adds, and the function that makes its row."""

    name: str
    call: Callable[[], Family]

    @property
    def help(self) -> str:
        """What it is."""
        return str(self.call.__doc__)


class AddedFamilies:
    """The families that plugins added, by name."""

    noun = "model family"

    def __init__(self) -> None:
        """Start with none."""
        self._rows: dict[str, AddedFamily] = {}

    def add(self, call: Callable[[], Family]) -> None:
        """Add the family that a function makes.

        Raises:
            ValueError, TypeError: its row is wrong; the place where it is written is the caller's.
        """
        family: Any = call()
        if not isinstance(family, Family):
            raise TypeError(f"`{call.__name__}` returns a {type(family).__name__}, not a `Family`")
        if not call.__doc__:
            raise ValueError(f"the model family `{family.name}` has no docstring, which is its help")
        _refuse_name(family)
        _refuse_pipelines(family)
        FAMILIES[family.name] = family
        self._rows[family.name] = AddedFamily(family.name, call)

    def rows(self) -> Mapping[str, AddedFamily]:
        """Return all rows by name."""
        return MappingProxyType(self._rows)

    def names(self) -> frozenset[str]:
        """Return the names that are registered now."""
        return frozenset(self._rows)

    def forget(self, names: frozenset[str]) -> None:
        """Take names back: the plugin that registered them failed."""
        for name in names:
            del self._rows[name], FAMILIES[name]


def _refuse_name(family: Family) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", family.name):
        raise ValueError(f"the name of a model family is lower-case letters, digits and `-`, not `{family.name}`")
    taken = {name for f in FAMILIES.values() for name in (f.name, f"torch-{f.name}", *f.aliases)}
    again = next((name for name in (family.name, *family.aliases) if name in taken), None)
    if again is not None:
        raise ValueError(f"the model family `{again}` is registered twice")


def _refuse_pipelines(family: Family) -> None:
    whose = f"the model family `{family.name}`"
    if not family.pipelines:
        raise ValueError(f"{whose} has no pipelines")
    if family.like and family.like not in FAMILIES:
        raise ValueError(f"{whose} is like `{family.like}`, which is no family")
    strange = next((mode for mode in family.pipelines if mode not in MODES), None)
    if strange is not None:
        raise ValueError(f"{whose} has a mode `{strange}`; modes are {', '.join(f'`{m}`' for m in MODES)}")
    for name in family.classes:
        if not parameters(name, "__call__", family.package):
            raise ValueError(f"{whose} names the pipeline `{name}`, which diffusers does not have")


ADDED = AddedFamilies()
REGISTRIES.append(ADDED)


def model_family(call: Callable[[], Family]) -> Callable[[], Family]:
    """Register the family that a function makes."""
    ADDED.add(call)
    return call
