"""The classes of diffusers are found in its source text, once for all starts of the program."""

from __future__ import annotations

from pathlib import Path

import pytest

from dgen.families.definitions import classes_in, diffusers_folder

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
