"""Finds the classes of diffusers, and our own, in their source text, so that nothing has to be imported."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from dgen.cache import cache_folder

_CLASS = re.compile(r"^class (\w+)\b", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a method: its name, its annotation and its default as they are written."""

    name: str
    annotation: str = ""
    default: str | None = None  # None: it must be given


@cache
def diffusers_folder() -> Path:
    """Return the folder of the installed diffusers."""
    spec = importlib.util.find_spec("diffusers")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("diffusers is not installed")
    return Path(spec.origin).parent


@cache
def read_from_files() -> frozenset[str]:
    """Return the classes of parts that diffusers reads from single files, as their authors published them."""
    for node in tree(diffusers_folder() / "loaders" / "single_file_model.py").body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            return frozenset(
                each.value for each in node.value.keys if isinstance(each, ast.Constant) and type(each.value) is str
            )
    return frozenset()


_COMPOSED = Path(__file__).parent.parent / "engine" / "composed"
"""The folder of the pipelines that diffusers does not have."""


@cache
def classes_in(folder: str) -> dict[str, Path]:
    """List the classes that the files under a folder of diffusers define; under "" those of ours.

    What is found in diffusers is kept in the user's cache until another diffusers is installed: its files are many.
    """
    place = diffusers_folder() / folder if folder else _COMPOSED
    if not folder:
        return {name: place / path for name, path in _scanned(place).items()}
    changed = [(place / "__init__.py").stat().st_mtime_ns, (diffusers_folder() / "__init__.py").stat().st_mtime_ns]
    name = hashlib.sha256(f"{place} {changed}".encode()).hexdigest()[:16]
    index = cache_folder("classes") / f"{name}.json"
    return {name: place / path for name, path in (_kept(index) or _keep(index, _scanned(place))).items()}


def _scanned(place: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in sorted(place.rglob("*.py")):
        for match in _CLASS.finditer(path.read_text(encoding="utf-8")):
            found.setdefault(match[1], path.relative_to(place).as_posix())
    return found


def _kept(index: Path) -> dict[str, str]:
    """Return what an index says; nothing when it is not there, or is none."""
    try:
        found: Any = json.loads(index.read_bytes())
        return {name: str(path) for name, path in found.items() if isinstance(path, str)}
    except (OSError, ValueError, AttributeError):
        return {}


def _keep(index: Path, found: dict[str, str]) -> dict[str, str]:
    """Write an index if that can be, whole or not at all; return what it says."""
    beside = index.with_name(f"{index.name}.{os.getpid()}")
    with suppress(OSError):
        index.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(found), encoding="utf-8")
        beside.replace(index)
    return found


@cache
def tree(path: Path) -> ast.Module:
    """Parse a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def module_of(pipeline: str) -> str:
    """Return the name of the module that defines a pipeline of ours; "" for those of diffusers."""
    path = classes_in("").get(pipeline)
    return f"dgen.engine.composed.{path.stem}" if path is not None else ""


def definition(name: str, folders: tuple[str, ...]) -> ast.ClassDef | None:
    """Return a class as the first of some folders of diffusers, or ours, has it; its methods may lack their bodies."""
    for folder in (*folders, ""):
        path = classes_in(folder).get(name)
        if path is not None:
            return _definition(path, name)
    return None


@cache
def _definition(path: Path, name: str) -> ast.ClassDef | None:
    try:
        body = ast.parse(outline(path.read_text(encoding="utf-8"), name)).body
    except SyntaxError:  # of a file that is laid out in another way
        body = tree(path).body
    return next((n for n in body if isinstance(n, ast.ClassDef) and n.name == name), None)


_NEXT = re.compile(r"(?:class |def |async |@|if |try:|for |with |import |from |[A-Za-z_]\w* *[=:(\[.])")
"""How a line begins that follows a class; others at the margin belong to a text, or close a bracket."""

_MEMBER = re.compile(r"    \S")
_METHOD = re.compile(r"    (?:async )?def ")


def outline(text: str, name: str) -> str:
    """Cut a class out of a file and leave the bodies of its methods out: whole files take ten times longer."""
    start = next((m.start() for m in _CLASS.finditer(text) if m[1] == name), len(text))
    first, *lines = text[start:].splitlines() or [""]
    kept = [first]
    depth, is_body, is_signature = 0, False, False
    for line in lines:
        if _NEXT.match(line):
            break
        is_body = is_body and not _MEMBER.match(line)  # a text in a body may start at the margin
        if is_body:
            continue
        kept.append(line)
        if _METHOD.match(line):
            depth, is_signature = 0, True
        if is_signature:
            depth += sum(map(line.count, "([{")) - sum(map(line.count, ")]}"))
            if depth == 0 and line.partition(" #")[0].rstrip().endswith(":"):
                kept.append("        ...")
                is_body, is_signature = True, False
    return "\n".join(kept)


def lineage(name: str, folders: tuple[str, ...]) -> Iterator[ast.ClassDef]:
    """Yield a class and those that it inherits from, as far as they stand in these folders."""
    found = definition(name, folders)
    if found is not None:
        yield found
        for base in found.bases:
            yield from lineage(ast.unparse(base).rpartition(".")[2], folders)


def calls(path: Path, name: str) -> Iterator[ast.Call]:
    """Yield the calls of a name in a file, without parsing all of it."""
    text = path.read_text(encoding="utf-8")
    for match in re.finditer(rf"\b{name}\(", text):
        depth, end = 1, match.end()
        while depth and (bracket := _BRACKET.search(text, end)) is not None:
            depth, end = depth + (1 if bracket[0] in "([{" else -1), bracket.end()
        with suppress(SyntaxError):  # of what documentation shows, line by line
            call = ast.parse(text[match.start() : end], mode="eval").body
            if isinstance(call, ast.Call):
                yield call


_BRACKET = re.compile(r"[()\[\]{}]")
