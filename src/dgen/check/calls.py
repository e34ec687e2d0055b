"""The functions of templates for unknown values: what only a run can tell is unknown."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from inspect import signature
from typing import Any

from dgen.check.files import MadeFiles
from dgen.check.templates import lift
from dgen.check.unknown import Oracle
from dgen.lang.functions import functions
from dgen.lang.functions.namespaces import Namespace

_DRAWS = ("gen_seeds",)  # gives another answer each time


class SeenEnvironment(Mapping[str, Any]):
    """The environment variables; one that is not set is unknown, and noted."""

    def __init__(self, oracle: Oracle) -> None:
        """Start with nothing noted."""
        self._oracle = oracle
        self.unset: list[str] = []

    def __getitem__(self, name: str) -> Any:
        if name in os.environ:
            return os.environ[name]
        self.unset.append(name)
        return self._oracle.unknown()

    def __contains__(self, name: object) -> bool:
        return name in os.environ or bool(self._oracle.unknown())

    def get(self, name: str, default: Any = None) -> Any:
        """Return a variable; of one that is not set the script thinks itself."""
        return os.environ[name] if name in os.environ else self._oracle.unknown()

    def __iter__(self) -> Iterator[str]:
        return iter(os.environ)

    def __len__(self) -> int:
        return len(os.environ)


def lifted_calls(calls: Mapping[str, Any], oracle: Oracle, made: MadeFiles) -> dict[str, Any]:
    """Return the functions and namespaces of templates, for unknown values."""
    found: dict[str, Any] = {}
    for name, call in calls.items():
        row = functions().get(name)
        if isinstance(call, Namespace):
            found[name] = Namespace(name, {n: lift(oracle, _hopeful(m, oracle)) for n, m in call.items()})
        elif row is not None and name in _DRAWS:
            found[name] = lift(oracle, partial(_drawn, oracle, call))
        elif row is not None and not row.is_builtin and "file" in signature(call).parameters:
            found[name] = lift(oracle, partial(_pending, oracle, made, call))
        else:
            found[name] = lift(oracle, call)
    return {**found, "env": SeenEnvironment(oracle)}


def _hopeful(member: Any, oracle: Oracle) -> Any:
    """Let what finds nothing now be unknown: an earlier statement may make it."""

    def ask(*args: Any, **kwargs: Any) -> Any:
        return member(*args, **kwargs) or oracle.unknown()

    return ask if callable(member) else member


def _drawn(oracle: Oracle, call: Callable[..., list[str]], *args: Any) -> list[Any]:
    return [oracle.unknown() for _ in call(*args)]


def _pending(oracle: Oracle, made: MadeFiles, call: Callable[..., Any], file: str, *args: Any, **kwargs: Any) -> Any:
    """Call a function of a file, unless the file is not there yet."""
    if not os.path.exists(file) and made.may_hold(file):
        return oracle.unknown()
    return call(file, *args, **kwargs)
