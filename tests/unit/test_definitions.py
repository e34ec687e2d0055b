"""The classes of diffusers are found in its source text, once for all starts of the program."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from dgen.families.definitions import classes_in, definition, diffusers_folder, tree
from dgen.families.rows import FAMILIES

PIPELINE = diffusers_folder() / "pipelines" / "flux" / "pipeline_flux.py"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a first start leaves."""
    monkeypatch.setenv("DGEN_CACHE", str(tmp_path))
    assert classes_in.__wrapped__("pipelines")["FluxPipeline"] == PIPELINE
    (found,) = (tmp_path / "classes").iterdir()
    return found


def test_second_start_reads_the_index_of_the_first(index: Path) -> None:
    index.write_text('{"FluxPipeline": "flux/pipeline_flux.py"}')
    assert classes_in.__wrapped__("pipelines") == {"FluxPipeline": PIPELINE}


@pytest.mark.parametrize("broken", ["", "[]", '{"FluxPipeline": 1}', '{"FluxPip'])
def test_broken_index_is_made_again(index: Path, broken: str) -> None:
    whole = index.read_text()
    index.write_text(broken)
    assert classes_in.__wrapped__("pipelines")["FluxPipeline"] == PIPELINE
    assert index.read_text() == whole


def test_index_that_cannot_be_written_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "classes").write_text("a file where the folder would be")
    monkeypatch.setenv("DGEN_CACHE", str(tmp_path))
    assert classes_in.__wrapped__("pipelines")["FluxPipeline"] == PIPELINE


def _facts(node: ast.ClassDef) -> Iterator[object]:
    """Yield what is read of a class: its bases, its documentation, the heads of its methods, its settings."""
    yield [ast.unparse(base) for base in node.bases]
    yield ast.get_docstring(node)
    for each in node.body:
        if isinstance(each, ast.FunctionDef):
            yield each.name, ast.unparse(each.args), [ast.unparse(d) for d in each.decorator_list]
        elif isinstance(each, ast.Assign | ast.AnnAssign):
            yield ast.unparse(each)


def test_class_without_the_bodies_of_its_methods_says_the_same() -> None:
    folders = ("modular_pipelines", "pipelines", "")
    names = {name: family for family in FAMILIES.values() for name in family.pipelines.values()}
    for name in names:
        path = next(found[name] for f in folders if name in (found := classes_in(f)))
        whole = next(n for n in tree(path).body if isinstance(n, ast.ClassDef) and n.name == name)
        brief = definition(name, folders)
        assert brief is not None
        assert list(_facts(brief)) == list(_facts(whole)), name
