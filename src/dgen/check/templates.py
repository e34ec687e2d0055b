"""Renders templates in which some values are unknown: what a call makes of something unknown is unknown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import update_wrapper
from types import BuiltinMethodType, FunctionType
from typing import Any

from jinja2 import nodes
from jinja2.runtime import Context

from dgen.check.unknown import Oracle, Unknown, holds_unknown
from dgen.lang.line import Line, LineBuilder
from dgen.lang.marks import MARKS
from dgen.lang.sandbox import TemplateEnvironment, make_environment, table
from dgen.lang.template import Renderer

_SPREAD = "spread over several names"
_NAMED = re.compile(r"\{\{\s*(?!true\b|false\b|none\b)([A-Za-z_]\w*)\s*\}\}")
_TAG = re.compile(r"\{[{%#]")
_PLAIN_TYPES = (str, int, float, Unknown)


class FollowingEnvironment(TemplateEnvironment):
    """The sandbox of templates, for unknown values."""

    oracle: Oracle

    def call(self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Call what a template calls; a method of a text that gets something unknown gives something unknown."""
        if isinstance(getattr(__obj, "__self__", None), str | bytes) and holds_unknown((args, kwargs)):
            return self.oracle.unknown()
        return super().call(__context, __obj, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Apply an operator; with something unknown it gives something unknown."""
        if holds_unknown(left) or holds_unknown(right):
            return self.oracle.unknown()
        return super().call_binop(context, operator, left, right)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Subscribe a value; the item at an unknown place is unknown."""
        return self.oracle.unknown() if isinstance(argument, Unknown) else super().getitem(obj, argument)

    def _generate(
        self, source: nodes.Template, name: str | None, filename: str | None, defer_init: bool = False
    ) -> str:
        for node in source.find_all((nodes.For, nodes.Assign)):
            if isinstance(node.target, nodes.Tuple):
                field = "iter" if isinstance(node, nodes.For) else "node"
                setattr(node, field, _filtered(getattr(node, field), node.target, many=field == "iter"))
        return super()._generate(source, name, filename, defer_init)


def _filtered(node: nodes.Expr, names: nodes.Tuple, *, many: bool) -> nodes.Filter:
    """Return an expression of which an unknown value, or each unknown item, becomes as many as there are names."""
    arguments: list[nodes.Expr] = [nodes.Const(each, lineno=node.lineno) for each in (len(names.items), many)]
    return nodes.Filter(node, _SPREAD, arguments, [], None, None, lineno=node.lineno)


class FollowingRenderer(Renderer):
    """Renders lines with variables of which some are unknown."""

    def __init__(self, scope: Mapping[str, Any], calls: Mapping[str, Any], oracle: Oracle) -> None:
        """Render as a session would; `calls` are functions that take unknown values."""
        environment = make_environment(calls, FollowingEnvironment)
        assert isinstance(environment, FollowingEnvironment)
        environment.oracle = oracle
        for name in ("filters", "tests"):
            rows = table(environment, name)
            rows.update({n: lift(oracle, call) for n, call in rows.items()})
        table(environment, "filters")[_SPREAD] = _spreader(oracle)
        super().__init__(scope, calls, environment)

    def render(self, line: Line) -> Line:
        """Render a line; one that only names variables is put together without compiling a template for it."""
        return self._put_together(line) or super().render(line)

    def _put_together(self, line: Line) -> Line | None:
        """Return a line whose tags are all names of plain values with those values; None when there is more to it."""
        tags = list(_NAMED.finditer(line.text))
        if len(tags) != len(_TAG.findall(line.text)) or any(mark in line.text for mark in MARKS):
            return None
        built = LineBuilder()
        place = 0
        for tag in tags:
            value = self.names.get(tag[1])
            if type(value) not in _PLAIN_TYPES:
                return None
            built.copy(line, place, tag.start())
            built.put(str(value), line.at(tag.start(), tag.end()))
            place = tag.end()
        built.copy(line, place, len(line.text))
        result = built.line()
        return Line(result.text, result.pieces or line.pieces[:1], result.verbatim, result.text)


def _spreader(oracle: Oracle) -> Callable[[Any, int, bool], Any]:
    def spread(value: Any, count: int, many: bool) -> Any:
        if not many:
            return [oracle.unknown()] * count if isinstance(value, Unknown) else value
        items: Iterable[Any] = value
        return [[oracle.unknown()] * count if isinstance(item, Unknown) else item for item in items]

    return spread


def lift(oracle: Oracle, call: Any) -> Any:
    """Return a function that gives something unknown for anything unknown; what is no function stays."""
    if not callable(call):
        return call

    def lifted(*args: Any, **kwargs: Any) -> Any:
        if holds_unknown(args) or holds_unknown(kwargs):
            return oracle.unknown()
        return oracle.seen(call(*(_plain(a) for a in args), **kwargs))

    update_wrapper(lifted, call, updated=() if isinstance(call, type | BuiltinMethodType) else ("__dict__",))
    lifted.lifted = call  # type: ignore[attr-defined]
    return lifted


def _plain(value: Any) -> Any:
    """Return the function that was lifted, when a function is what another one gets."""
    return getattr(value, "lifted", value) if isinstance(value, FunctionType) else value
