"""The functions of templates and expressions, as rows; each is a filter too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from dgen.lang.host import Host

_TOPICS = ("wording", "sizes", "system", "builtin")
_ROWS: dict[str, Function] = {}
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Function:
    """A row: `examples` are (template, what it gives); `asks_host`: its first argument is the host."""

    name: str
    call: Callable[..., Any]
    help: str
    examples: tuple[tuple[str, str], ...] = ()
    asks_host: bool = False

    @property
    def usage(self) -> str:
        """The call as a user writes it."""
        import inspect

        try:
            parameters = list(inspect.signature(self.call).parameters.values())[1 if self.asks_host else 0 :]
        except (TypeError, ValueError):
            return f"{self.name}(…)"
        bare = [p.replace(annotation=inspect.Parameter.empty) for p in parameters]
        shown = str(inspect.Signature(bare)).removeprefix("(").removesuffix(")")
        return f"{self.name}({shown.replace(', /', '').replace('/, ', '')})"


class Quoted(str):
    """A text that `quote()` made: the environment step leaves it alone."""

    __slots__ = ()


def function(
    *, help: str, examples: tuple[tuple[str, str], ...] = (), name: str = "", asks_host: bool = False
) -> Callable[[F], F]:
    """Register a template function under its own name, or under `name`."""

    def register(call: F) -> F:
        row = Function(name or call.__name__, call, help, examples, asks_host)
        if row.name in _ROWS:
            raise ValueError(f"the template function {row.name} is registered twice")
        _ROWS[row.name] = row
        return call

    return register


def functions() -> Mapping[str, Function]:
    """Return all rows by name."""
    for topic in _TOPICS:
        import_module(f"{__name__}.{topic}")
    return MappingProxyType(_ROWS)


def bind_functions(host: Host) -> dict[str, Any]:
    """Return every function and namespace as a template calls it, by name."""
    from functools import partial

    from dgen.lang.functions.namespaces import namespaces

    calls = {row.name: partial(row.call, host) if row.asks_host else row.call for row in functions().values()}
    return {**calls, **namespaces()}
