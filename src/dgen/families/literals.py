"""Reads values for parameters of diffusers' classes as their annotations, or their defaults, say."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

from dgen.families.definitions import Parameter
from dgen.schema import BadValue

_WORDS = {"true": True, "false": False, "none": None}


class _MisfitError(ValueError):
    """A value is not of a type."""


def is_writable(parameter: Parameter) -> bool:
    """Whether a value of a parameter can be written in a word: it is no tensor, picture or function."""
    return any(not _is_none(kind) for kind in _kinds(parameter))


def read_literal(parameter: Parameter, text: str) -> Any:
    """Read a value for a parameter: a number, a text, a flag, or several separated by commas.

    Raises:
        BadValue: it is of another type, or nothing that can be written.
    """
    kinds = _kinds(parameter)
    if not is_writable(parameter):
        raise BadValue(f"`{parameter.name}` takes {parameter.annotation}, which cannot be written in a word")
    literal = _literal(text)
    if literal is None and (parameter.default in (None, "None") or any(_is_none(kind) for kind in kinds)):
        return None
    for kind in sorted(kinds, key=_width):
        try:
            return _fitted(kind, literal, text)
        except _MisfitError:
            continue
    wanted = " or ".join(dict.fromkeys(_named(kind) for kind in kinds if not _is_none(kind)))
    raise BadValue(f"`{parameter.name}` takes {wanted}, found `{text}`")


def _literal(text: str) -> Any:
    word = text.strip()
    if word.lower() in _WORDS:
        return _WORDS[word.lower()]
    try:
        return ast.literal_eval(word)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text


def _kinds(parameter: Parameter) -> list[ast.expr]:
    """List the types that a parameter takes and that can be written; () when there is none."""
    if parameter.annotation:
        return [kind for kind in _alternatives(ast.parse(parameter.annotation, mode="eval").body) if _can(kind)]
    if parameter.default in (None, "None"):
        return [ast.Name("Any")]
    try:
        return [ast.Name(type(ast.literal_eval(str(parameter.default))).__name__)]
    except ValueError:
        return []


def _alternatives(node: ast.expr) -> Iterator[ast.expr]:
    """Yield the types of a union, however it is written."""
    if isinstance(node, ast.BinOp):
        yield from (*_alternatives(node.left), *_alternatives(node.right))
    elif isinstance(node, ast.Subscript) and _name(node.value) in ("Optional", "Union"):
        yield from (each for part in _inner(node) for each in _alternatives(part))
        if _name(node.value) == "Optional":
            yield ast.Constant(None)
    else:
        yield node


def _can(node: ast.expr) -> bool:
    if isinstance(node, ast.Subscript) and _name(node.value) in _SEVERAL:
        return all(any(map(_can, _alternatives(part))) for part in _inner(node))
    return _name(node) in (*_READERS, *_SEVERAL, "Ellipsis") or _is_none(node)


def _inner(node: ast.Subscript) -> list[ast.expr]:
    return node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Subscript):
        return _name(node.value)
    if isinstance(node, ast.Constant):
        return "Ellipsis" if node.value is ... else type(node.value).__name__
    return node.id if isinstance(node, ast.Name) else ast.unparse(node).rpartition(".")[2]


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _width(node: ast.expr) -> int:
    """Order types by how much they take: whatever is no number may still be a text."""
    if isinstance(node, ast.Subscript):
        return 2 if any(map(_width, _inner(node))) else 0
    return int(_name(node) == "str")


def _named(node: ast.expr) -> str:
    """Say what is expected in the place of a type."""
    if isinstance(node, ast.Subscript):
        inner = next((_named(p) for part in _inner(node) for p in _alternatives(part) if not _is_none(p)), "values")
        return f"several of {inner.removeprefix('a ').removeprefix('an ')}, separated by `,`"
    return _NAMES.get(_name(node), _name(node))


def _fitted(node: ast.expr, literal: Any, text: str) -> Any:
    name = _name(node)
    if name in _SEVERAL:
        return _several(node, literal, text)
    if name not in _READERS:
        raise _MisfitError
    return _READERS[name](literal, text)


def _several(node: ast.expr, literal: Any, text: str) -> Any:
    is_several = isinstance(literal, list | tuple)
    parts = cast("Sequence[Any]", literal) if is_several else [_literal(part) for part in text.split(",")]
    if not isinstance(node, ast.Subscript):
        return _SEVERAL[_name(node)](parts)
    own = [part for part in _inner(node) if _name(part) != "Ellipsis"]
    if _name(node).lower() == "tuple" and len(own) == len(_inner(node)) and len(own) != len(parts):
        raise _MisfitError
    kinds = own if len(own) == len(parts) else own[:1] * len(parts)
    fitting = (_first(kind, part) for kind, part in zip(kinds, parts, strict=True))
    return _SEVERAL[_name(node)](fitting)


def _first(node: ast.expr, literal: Any) -> Any:
    for kind in sorted(_alternatives(node), key=_width):
        try:
            return _fitted(kind, literal, str(literal))
        except _MisfitError:
            continue
    raise _MisfitError


def _whole(literal: Any, text: str) -> int:
    if isinstance(literal, bool) or not isinstance(literal, int):
        raise _MisfitError
    return literal


def _real(literal: Any, text: str) -> float:
    if isinstance(literal, bool) or not isinstance(literal, int | float):
        raise _MisfitError
    return float(literal)


def _flag(literal: Any, text: str) -> bool:
    if not isinstance(literal, bool):
        raise _MisfitError
    return literal


def _mapping(literal: Any, text: str) -> dict[Any, Any]:
    if not isinstance(literal, dict):
        raise _MisfitError
    return cast("dict[Any, Any]", literal)


_READERS: dict[str, Callable[[Any, str], Any]] = {
    "int": _whole, "float": _real, "bool": _flag, "str": lambda literal, text: text, "dict": _mapping,
    "Dict": _mapping, "Any": lambda literal, text: literal,
}  # fmt: skip
_SEVERAL: dict[str, Callable[..., Any]] = {"list": list, "List": list, "tuple": tuple, "Tuple": tuple}
_NAMES = {
    "int": "a whole number", "float": "a number", "bool": "true or false", "str": "a text", "dict": "a mapping",
    "Dict": "a mapping", "list": "several values, separated by `,`", "List": "several values, separated by `,`",
    "tuple": "several values, separated by `,`", "Tuple": "several values, separated by `,`", "Any": "a value",
}  # fmt: skip
