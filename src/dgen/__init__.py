"""dgen: a small language for making images with diffusion models, and the engine that runs it."""

from __future__ import annotations

import sys
from types import ModuleType

__version__ = "0.1.0"

TYPE_CHECKING = False  # as `typing` has it, which would cost every start of the program
if TYPE_CHECKING:
    from typing import Any

    from dgen import events as events
    from dgen.api import Engine as Engine
    from dgen.api import Invocation as Invocation
    from dgen.api import Picture as Picture
    from dgen.api import Pictures as Pictures
    from dgen.api import Plan as Plan
    from dgen.api import Run as Run
    from dgen.api import Session as Session
    from dgen.api import check as check
    from dgen.api import image_seed as image_seed
    from dgen.api import plan as plan
    from dgen.diagnostic import DgenError as DgenError

_PUBLIC = {
    **dict.fromkeys(
        ("Engine", "Invocation", "Picture", "Pictures", "Plan", "Run", "Session", "image_seed"), "dgen.api"
    ),
    "DgenError": "dgen.diagnostic",
}
"""The names that are looked up when they are first used, so that `import dgen` costs nothing."""

_MODULES = ("check", "events", "plan")

__all__ = [
    "DgenError", "Engine", "Invocation", "Picture", "Pictures", "Plan", "Run", "Session", "check", "events",
    "image_seed", "plan",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Function(ModuleType):
    """A package that can be called: `dgen.check` and `dgen.plan` are functions as well, whoever imported them."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        from importlib import import_module

        api = import_module("dgen.api")
        return getattr(api, self.__name__.rpartition(".")[2])(*arguments, **named)


def make_callable(module: str) -> None:
    """Let a package of dgen be called as the function of its name in `dgen.api`."""
    sys.modules[module].__class__ = _Function
