"""Imports Python for a script: modules whose public members it may use, and plugin files."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from dgen.diagnostic import DgenError, Diagnostic, Word, fail
from dgen.lang.directives import forget_directives, registered_directives
from dgen.lang.functions import forget_functions, registered_functions
from dgen.registry import give_back, place_of, run_plugin, taken_names

GROUP = "dgen.plugins"
"""The entry points under which installed packages declare plugins."""

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
    try:
        with _whole_or_absent():
            run_plugin(found)
    except (Exception, SystemExit) as error:
        raise _broken(str(path), word, error, found) from error
    _loaded.add(found)


def load_plugins(word: Word) -> None:
    """Load the plugin file, or the folder of them, that a word names.

    Raises:
        DgenError: `missing-file`, `bad-plugin`.
    """
    files = plugin_files(word.text)
    if not files:
        raise fail("missing-file", f"`{word.text}` is no plugin file and no folder of them", word.span)
    for file in files:
        load_plugin(file, word)


@cache
def load_installed() -> tuple[Diagnostic, ...]:
    """Load the plugins that installed packages declare, once; return what is wrong with those that fail."""
    from importlib.metadata import entry_points

    wrong: list[Diagnostic] = []
    for point in sorted(entry_points(group=GROUP), key=lambda each: each.name):
        try:
            with _whole_or_absent():
                point.load()
        except (Exception, SystemExit) as error:
            package = point.dist.name if point.dist is not None else point.value
            message = f"the plugin `{point.name}` of the package `{package}` cannot be loaded: {_told(error)}"
            help, notes = f"`pip uninstall {package}` takes it away", place_of(error)
            wrong.append(Diagnostic(code="bad-plugin", message=message, help=help, notes=notes, severity="warning"))
    return tuple(wrong)


@contextmanager
def _whole_or_absent() -> Generator[None]:
    """Take back what a plugin registered when it fails."""
    before = registered_directives(), registered_functions(), taken_names()
    try:
        yield
    except BaseException:
        forget_directives(registered_directives() - before[0])
        forget_functions(registered_functions() - before[1])
        give_back(before[2])
        raise


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _broken(name: str, word: Word, error: BaseException, path: Path | None = None) -> DgenError:
    message = f"`{name}` cannot be imported: {_told(error)}"
    return fail("bad-plugin", message, word.span, notes=place_of(error, path) if path is not None else ())
