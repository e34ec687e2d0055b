"""The tail is policed: no long files, no long functions, no deep nesting."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted(p for folder in ("src/dgen", "plugins", "tools") for p in (ROOT / folder).rglob("*.py"))
LONGEST_FILE, LONGEST_FUNCTION, MOST_PARAMETERS, DEEPEST = 600, 60, 6, 3
FORBIDDEN_NAMES = {"util", "utils", "helper", "helpers", "manager", "wrapper", "data", "info", "misc"}
NESTS = (ast.For, ast.While, ast.If, ast.With, ast.Try, ast.Match, ast.AsyncFor, ast.AsyncWith)


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def depth(node: ast.AST, inside: int = 0) -> int:
    """The deepest nesting of blocks below a node; an `elif` is no deeper than its `if`."""
    deepest = inside
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            continue
        chained = isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]
        deepest = max(deepest, depth(child, inside + (isinstance(child, NESTS) and not chained)))
    return deepest


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_file_and_its_functions_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE
    assert path.stem not in FORBIDDEN_NAMES
    for node in functions(path):
        where = f"{path.name}:{node.lineno} {node.name}"
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        own = [a for a in arguments if a.arg not in {"self", "cls"}]
        assert (node.end_lineno or 0) - node.lineno < LONGEST_FUNCTION, where
        assert len(own) <= MOST_PARAMETERS, where
        assert depth(node) <= DEEPEST, where


def test_typical_function_is_very_short() -> None:
    lengths = sorted((n.end_lineno or 0) - n.lineno + 1 for p in FILES for n in functions(p))
    assert lengths[len(lengths) // 2] <= 10
