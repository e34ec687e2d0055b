"""Rewrites templates so that names are looked up when they are used, and so that what they do is counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from jinja2 import Environment, nodes
from jinja2.ext import Extension
from jinja2.runtime import Context
from jinja2.utils import missing
from jinja2.visitor import NodeTransformer

from dgen.lang.limits import joined
from dgen.lang.meter import Meter


class WatchExtension(Extension):
    """What the rewritten templates call; `meter` is that of the rendering which goes on now."""

    def __init__(self, environment: Environment) -> None:
        """Attach to an environment."""
        super().__init__(environment)
        self.meter = Meter()

    @classmethod
    def of(cls, environment: Environment) -> WatchExtension:
        """Return the extension of an environment that has it."""
        found = environment.extensions[cls.identifier]
        assert isinstance(found, cls)
        return found

    def lookup(self, context: Context, name: str) -> object:
        """Return what a name means now."""
        value = context.resolve_or_missing(name)
        return self.environment.undefined(name=name) if value is missing else value

    def rounds(self, items: Iterable[Any], bytes_each: int) -> Iterator[Any]:
        """Yield the items of a loop, counted."""
        return self.meter.counted(iter(items), bytes_each)

    def concat(self, *values: Any) -> str:
        """Return values as one text, as `~` does."""
        return self.meter.keep(joined("", [str(self.meter.weigh(value)) for value in values]))

    def weigh(self, value: Any) -> Any:
        """Return a value that is small enough to be compared or hashed."""
        return self.meter.weigh(value)

    def keep(self, value: Any) -> Any:
        """Return a value that was just made."""
        return self.meter.keep(value)

    def rewrite(self, tree: nodes.Template) -> nodes.Template:
        """Return the template with every look-up, loop and operation watched."""
        return _Watched(self, _stored_names(tree)).visit(tree)


class _Watched(NodeTransformer):
    def __init__(self, extension: WatchExtension, stored: set[str]) -> None:
        self._extension = extension
        self._stored = stored

    def _call(self, name: str, node: nodes.Node, *arguments: nodes.Expr) -> nodes.Expr:
        return self._extension.call_method(name, list(arguments), lineno=node.lineno)

    def visit_Name(self, node: nodes.Name) -> nodes.Node:
        """Look a name up late, unless a template tag sets it."""
        if node.ctx != "load" or node.name in self._stored:
            return node
        return self._call("lookup", node, nodes.ContextReference(), nodes.Const(node.name))

    def visit_For(self, node: nodes.For) -> nodes.Node:
        """Count the rounds of a loop, and what its body writes."""
        size = sum(len(each.data) for each in node.find_all(nodes.TemplateData))
        self.generic_visit(node)
        node.iter = self._call("rounds", node, node.iter, nodes.Const(size))  # pyright: ignore[reportArgumentType]
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Expr:
        """Bound `~`."""
        self.generic_visit(node)
        return self._call("concat", node, *node.nodes)

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        """Bound what is compared."""
        self.generic_visit(node)
        node.expr = self._call("weigh", node, node.expr)
        for each in node.ops:
            each.expr = self._call("weigh", node, each.expr)
        return node

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Expr:
        """Bound tuples, which can be hashed."""
        self.generic_visit(node)
        return self._call("weigh", node, node) if node.ctx == "load" else node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Expr:
        """Count what a slice copies."""
        self.generic_visit(node)
        return self._call("keep", node, node) if isinstance(node.arg, nodes.Slice) else node


def _stored_names(tree: nodes.Template) -> set[str]:
    """Return the names that tags of a template set: they keep Jinja's own scoping."""
    names = {node.name for node in tree.find_all(nodes.Name) if node.ctx != "load"}
    names.update(node.name for node in tree.find_all(nodes.Macro))
    names.update(("loop", "caller", "varargs", "kwargs", "self", "super"))
    return names
