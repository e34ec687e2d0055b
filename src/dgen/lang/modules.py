"""Imports Python for a script: modules whose public members it may use, and plugin files."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from dgen.diagnostic import DgenError, Word, fail
from dgen.lang.directives import forget_directives, registered_directives
from dgen.lang.functions import forget_functions, registered_functions
from dgen.registry import give_back, place_of, run_plugin, taken_names

_loaded: set[Path] = set()  # plugin files; a registry, as those of directives and functions are


class Module:
    """The public members of a Python module; modules that it happens to import are not among them."""

    __slots__ = ("_module",)

    def __init__(self, module: ModuleType) -> None:
        """Stand for a module."""
        self._module = module

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        value = getattr(self._module, name)
        if not isinstance(value, ModuleType):
            return value
        listed = name in getattr(self._module, "__all__", ()) or self._module.__name__ == "os"
        if not listed and not value.__name__.startswith(f"{self._module.__name__}."):
            raise AttributeError(name)
        return Module(value)

    def __dir__(self) -> Iterator[str]:
        return (name for name in dir(self._module) if not name.startswith("_"))

    def __repr__(self) -> str:
        return f"<module {self._module.__name__}>"


def import_module(word: Word, *, whole: bool) -> Module:
    """Import a module; `whole`: return the package that a dotted name starts with, as Python does.

    Raises:
        DgenError: `bad-plugin`: it cannot be imported.
    """
    name = word.text
    if not all(part.isidentifier() for part in name.split(".")):
        raise fail("bad-name", f"`{name}` is not a module's name", word.span)
    try:
        module = importlib.import_module(name)
    except Exception as error:
        raise _broken(name, word, error) from error
    return Module(sys.modules[name.partition(".")[0]] if whole else module)


def plugin_files(path: str) -> list[Path]:
    """Return a plugin file, or those of a folder, sorted; nothing when there is none."""
    place = Path(path)
    if place.is_dir():
        return sorted(each for each in place.glob("*.py") if not each.name.startswith("_"))
    return [place] if place.is_file() else []


def load_plugin(path: Path, word: Word) -> None:
    """Run a plugin file, once; when it fails, what it registered is taken back.

    Raises:
        DgenError: `bad-plugin`.
    """
    found = path.resolve()
    if found in _loaded:
        return
    before = registered_directives(), registered_functions(), taken_names()
    try:
        run_plugin(found)
    except Exception as error:
        forget_directives(registered_directives() - before[0])
        forget_functions(registered_functions() - before[1])
        give_back(before[2])
        raise _broken(str(path), word, error, found) from error
    _loaded.add(found)


def _broken(name: str, word: Word, error: Exception, path: Path | None = None) -> DgenError:
    message = f"`{name}` cannot be imported: {type(error).__name__}: {error}"
    return fail("bad-plugin", message, word.span, notes=place_of(error, path) if path is not None else ())
