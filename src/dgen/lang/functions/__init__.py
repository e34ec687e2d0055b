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
    """A row: `examples` are (template, what it gives).

    `asks_host`: its first argument is the host; `is_builtin`: it is Python's own, so a filter of Jinja's that has
    its name stays what it is.
    """

    name: str
    call: Callable[..., Any]
    help: str
    examples: tuple[tuple[str, str], ...] = ()
    asks_host: bool = False
    is_builtin: bool = False

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
    *, help: str = "", examples: tuple[tuple[str, str], ...] = (), asks_host: bool = False
) -> Callable[[F], F]:
    """Register a template function; its docstring, or `help`, describes it."""

    def register(call: F) -> F:
        add_function(Function(call.__name__.rstrip("_"), call, help or call.__doc__ or "", examples, asks_host))
        return call

    return register


def add_function(row: Function) -> None:
    """Register a row.

    Raises:
        ValueError: the name is taken, or nothing describes it.
    """
    if row.name in _ROWS:
        raise ValueError(f"the template function {row.name} is registered twice")
    if not row.help:
        raise ValueError(f"the template function {row.name} has no docstring, which is its help")
    _ROWS[row.name] = row


def functions() -> Mapping[str, Function]:
    """Return all rows by name."""
    for topic in _TOPICS:
        import_module(f"{__name__}.{topic}")
    return MappingProxyType(_ROWS)


def registered_functions() -> frozenset[str]:
    """Return the names that are registered now."""
    return frozenset(functions())


def forget_functions(names: frozenset[str]) -> None:
    """Take names back: the plugin that registered them failed."""
    for name in names:
        del _ROWS[name]


def bind_functions(host: Host, require: Callable[[], None]) -> dict[str, Any]:
    """Return every function and namespace as a template calls it, by name.

    `require` refuses the environment where a script may not see it.
    """
    from dgen.lang.functions.namespaces import namespaces

    calls = {row.name: _bound(row, host) if row.asks_host else row.call for row in functions().values()}
    return {**calls, **namespaces(require)}


def _bound(row: Function, host: Host) -> Callable[..., Any]:
    """Give a function its host where no template can reach it: in a closure."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return row.call(host, *args, **kwargs)

    return call
