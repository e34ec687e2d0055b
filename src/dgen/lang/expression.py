r"""Evaluates the expressions of `\setp`: a part of Python that cannot reach anything but values and functions."""

from __future__ import annotations

import ast
import operator
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dgen.diagnostic import CODES, DgenError, Span, did_you_mean, fail
from dgen.lang.limits import add, check_format, joined, modulo, multiply, power, shift_left
from dgen.lang.line import Line
from dgen.lang.meter import Meter

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: add,
    ast.Sub: operator.sub,
    ast.Mult: multiply,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: modulo,
    ast.Pow: power,
    ast.LShift: shift_left,
    ast.RShift: lambda a, b: a >> b,
    ast.BitAnd: lambda a, b: a & b,
    ast.BitOr: lambda a, b: a | b,
    ast.BitXor: lambda a, b: a ^ b,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Not: operator.not_,
    ast.Invert: operator.invert,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
_CONVERSIONS: dict[int, Callable[[Any], str]] = {ord("s"): str, ord("r"): repr, ord("a"): ascii}
_FORBIDDEN_METHODS = ("format", "format_map", "mro", "with_traceback")
_PLAIN_VALUES = (Mapping, str, bytes, list, dict, tuple, set, frozenset, int, float, complex, range)
_MADE_HERE = (ast.BinOp, ast.JoinedStr, ast.FormattedValue, ast.Subscript, ast.List, ast.Set, ast.Dict)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def evaluate_expression(line: Line, names: Mapping[str, Any]) -> Any:
    """Evaluate an expression.

    Raises:
        DgenError: `bad-expression`, `unknown-variable`, `unknown-function`, at the exact characters.
    """
    return _Evaluator(line, names).run()


@dataclass(slots=True)
class _Evaluator:
    """Walks the syntax tree of one expression."""

    line: Line
    names: Mapping[str, Any]
    locals: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    meter: Meter = field(default_factory=Meter)

    def run(self) -> Any:
        text = self.line.text
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SyntaxWarning)
                tree = ast.parse(text, mode="eval")
        except SyntaxError as error:
            place = self._offset(error.lineno or 1, max(0, (error.offset or 1) - 1), in_bytes=False)
            span = self.line.at(place, place + 1)
            raise fail("bad-expression", f"not an expression: {error.msg}", span) from None
        except (ValueError, RecursionError, MemoryError, OverflowError) as error:
            raise fail("bad-expression", f"not an expression: {error}", self.line.at(0, len(text))) from None
        return self.value(tree.body)

    def value(self, node: ast.AST) -> Any:
        """Return the value of a node; whatever fails in it points at the node."""
        visit = _VISITORS.get(type(node))
        if visit is None:
            raise self._fail(node, f"{_title(node)} is not allowed in an expression")
        try:
            self.meter.step()
            result = visit(self, node)
            return self.meter.keep(result) if isinstance(node, _MADE_HERE + _COMPREHENSIONS) else result
        except DgenError as error:
            raise error.placed(self._span(node)) from error.__cause__
        except Exception as error:
            text = str(error)
            message = text if isinstance(error, ValueError) and text else f"{type(error).__name__}: {text}"
            raise self._fail(node, message, getattr(error, "code", "")) from error

    def _fail(self, node: ast.AST, message: str, code: object = "") -> DgenError:
        return fail(code if isinstance(code, str) and code in CODES else "bad-expression", message, self._span(node))

    def _span(self, node: ast.AST) -> Span:
        if not isinstance(node, ast.expr):
            return self.line.at(0, len(self.line.text))
        start = self._offset(node.lineno, node.col_offset)
        return self.line.at(start, self._offset(node.end_lineno or node.lineno, node.end_col_offset or 0))

    def _offset(self, number: int, column: int, in_bytes: bool = True) -> int:
        lines = self.line.text.split("\n")
        before = sum(len(each) + 1 for each in lines[: number - 1])
        text = lines[number - 1] if number <= len(lines) else ""
        return before + (len(text.encode()[:column].decode(errors="ignore")) if in_bytes else column)

    # ---- nodes

    def constant(self, node: ast.Constant) -> Any:
        if node.value is Ellipsis:
            raise self._fail(node, "`...` is not allowed in an expression")
        return node.value

    def name(self, node: ast.Name) -> Any:
        for layer in reversed(self.locals):
            if node.id in layer:
                return layer[node.id]
        if node.id in self.names:
            return self.names[node.id]
        help = did_you_mean(node.id, self.names)
        raise fail("unknown-variable", f"no variable named `{node.id}`", self._span(node), help)

    def binary(self, node: ast.BinOp) -> Any:
        apply = _BINARY.get(type(node.op))
        if apply is None:
            raise self._fail(node, "this operator is not allowed in an expression")
        return apply(self.meter.weigh(self.value(node.left)), self.meter.weigh(self.value(node.right)))

    def unary(self, node: ast.UnaryOp) -> Any:
        return _UNARY[type(node.op)](self.value(node.operand))

    def boolean(self, node: ast.BoolOp) -> Any:
        stop = isinstance(node.op, ast.Or)
        result: Any = None
        for each in node.values:
            result = self.value(each)
            if bool(result) is stop:
                break
        return result

    def compare(self, node: ast.Compare) -> Any:
        left = self.meter.weigh(self.value(node.left))
        for op, right_node in zip(node.ops, node.comparators, strict=True):
            right = self.meter.weigh(self.value(right_node))
            if not _COMPARE[type(op)](left, right):
                return False
            left = right
        return True

    def ternary(self, node: ast.IfExp) -> Any:
        return self.value(node.body if self.value(node.test) else node.orelse)

    def items(self, nodes: list[ast.expr]) -> list[Any]:
        found: list[Any] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                found.extend(self.meter.counted(self.value(node.value)))
            else:
                found.append(self.value(node))
        return found

    def dictionary(self, node: ast.Dict) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                result.update(self.value(value))
            else:
                result[self.value(key)] = self.value(value)
        return result

    def subscript(self, node: ast.Subscript) -> Any:
        return self.value(node.value)[self.value(node.slice)]

    def slice(self, node: ast.Slice) -> slice:
        bounds = (node.lower, node.upper, node.step)
        return slice(*(None if bound is None else self.value(bound) for bound in bounds))

    def attribute(self, node: ast.Attribute) -> Any:
        owner: Any = self.value(node.value)
        if node.attr.startswith("_") or node.attr in _FORBIDDEN_METHODS:
            raise self._fail(node, f"the attribute `{node.attr}` is not allowed in an expression")
        if not _is_open(owner):
            kind = getattr(owner, "__name__", type(owner).__name__)
            raise self._fail(node, f"the attributes of `{kind}` are not allowed in an expression")
        try:
            return getattr(owner, node.attr)
        except AttributeError:
            if isinstance(owner, Mapping) and node.attr in owner:
                return owner[node.attr]  # pyright: ignore[reportUnknownVariableType]
        raise self._fail(node, f"a value of type {_kind(owner)} has no attribute `{node.attr}`")

    def call(self, node: ast.Call) -> Any:
        called = self._called(node.func)
        arguments = self.items(node.args)
        named: dict[str, Any] = {}
        for keyword in node.keywords:
            value = self.value(keyword.value)
            named.update(value if keyword.arg is None else {keyword.arg: value})
        return self.meter.run(called, tuple(arguments), named)

    def _called(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Name) and node.id not in self.names and not any(node.id in x for x in self.locals):
            legal = [name for name, value in self.names.items() if callable(value)]
            help = did_you_mean(node.id, legal)
            raise fail("unknown-function", f"no function named `{node.id}`", self._span(node), help)
        called = self.value(node)
        if not callable(called):
            raise self._fail(node, f"a value of type {type(called).__name__} cannot be called")
        return called

    def joined(self, node: ast.JoinedStr) -> str:
        return joined("", (str(self.value(part)) for part in node.values))

    def formatted(self, node: ast.FormattedValue) -> str:
        value = self.meter.weigh(self.value(node.value))
        if node.conversion in _CONVERSIONS:
            value = _CONVERSIONS[node.conversion](value)
        return format(value, check_format(str(self.value(node.format_spec))) if node.format_spec else "")

    def comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> list[Any]:
        return [self.value(node.elt) for _ in self._rounds(node.generators)]

    def dict_comprehension(self, node: ast.DictComp) -> dict[Any, Any]:
        return {self.value(node.key): self.value(node.value) for _ in self._rounds(node.generators)}

    def _rounds(self, generators: list[ast.comprehension]) -> Iterator[None]:
        if not generators:
            yield None
            return
        first, *rest = generators
        for item in self.meter.counted(self.value(first.iter)):
            layer: dict[str, Any] = {}
            self._bind(first.target, item, layer)
            self.locals.append(layer)
            try:
                if all(self.value(condition) for condition in first.ifs):
                    yield from self._rounds(rest)
            finally:
                self.locals.pop()

    def _bind(self, target: ast.expr, value: Any, layer: dict[str, Any]) -> None:
        if isinstance(target, ast.Name):
            layer[target.id] = value
        elif isinstance(target, ast.Tuple | ast.List):
            for each, item in zip(target.elts, value, strict=True):
                self._bind(each, item, layer)
        else:
            raise self._fail(target, "only names can be bound in a comprehension")


def _kind(value: Any) -> str:
    return type(value).__name__


def _is_open(value: object) -> bool:
    """Say whether the public attributes of a value may be read: plain values, and dgen's own."""
    if isinstance(value, type):
        return False
    return isinstance(value, _PLAIN_VALUES) or type(value).__module__.split(".")[0] == "dgen"


def _title(node: ast.AST) -> str:
    names: dict[type[ast.AST], str] = {
        ast.Lambda: "`lambda`",
        ast.NamedExpr: "`:=`",
        ast.Await: "`await`",
        ast.Yield: "`yield`",
    }
    return names.get(type(node), "this kind of expression")


_VISITORS: dict[type[ast.AST], Callable[[_Evaluator, Any], Any]] = {
    ast.Constant: _Evaluator.constant,
    ast.Name: _Evaluator.name,
    ast.BinOp: _Evaluator.binary,
    ast.UnaryOp: _Evaluator.unary,
    ast.BoolOp: _Evaluator.boolean,
    ast.Compare: _Evaluator.compare,
    ast.IfExp: _Evaluator.ternary,
    ast.List: lambda self, node: self.items(node.elts),
    ast.Tuple: lambda self, node: self.meter.weigh(tuple(self.items(node.elts))),
    ast.Set: lambda self, node: set(self.items(node.elts)),
    ast.Dict: _Evaluator.dictionary,
    ast.Subscript: _Evaluator.subscript,
    ast.Slice: _Evaluator.slice,
    ast.Attribute: _Evaluator.attribute,
    ast.Call: _Evaluator.call,
    ast.JoinedStr: _Evaluator.joined,
    ast.FormattedValue: _Evaluator.formatted,
    ast.ListComp: _Evaluator.comprehension,
    ast.GeneratorExp: _Evaluator.comprehension,
    ast.SetComp: lambda self, node: set(self.comprehension(node)),
    ast.DictComp: _Evaluator.dict_comprehension,
}
