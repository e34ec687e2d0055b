"""What all tests share: real models at toy size, as a user's folders would hold them."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from forks import Forks

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
os.environ.setdefault("HF_HUB_OFFLINE", "1")
gc.set_threshold(50_000, 20, 50)  # a collection walks through all of torch and diffusers, a twentieth of the time
os.environ.setdefault("OMP_NUM_THREADS", "1")  # two workers on two cores; more threads only wait for one another


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the expected side of golden files")


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with toy models, pictures, and files that are not what they seem."""
    from workshop import furnish

    folder = tmp_path_factory.mktemp("workshop")
    furnish(folder)
    return folder


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """A process that starts others quickly: those of the tests that need a `dgen` of its own, not its start."""
    made = Forks()
    yield made
    made.close()


@pytest.fixture
def at_work(workshop: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A fresh working directory in which everything of the workshop can be named."""
    for entry in workshop.iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DGEN_CACHE", str(tmp_path / ".cache"))
    return tmp_path


@pytest.fixture(autouse=True)
def _plugins_of_a_test_go_with_it() -> Iterator[None]:
    """Take out of the registries what a test's own plugin files brought."""
    yield
    registry = sys.modules.get("dgen.registry")
    if registry is None:
        return
    own = registry.folder("plugins")
    for kind in registry.REGISTRIES:
        kind.forget(frozenset(n for n, row in kind.rows().items() if not row.place[0].is_relative_to(own)))
