"""Sessions on a terminal of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from forks import Forks

from .terminal import Terminal


@pytest.fixture
def start(at_work: Path, forks: Forks) -> Iterator[Callable[..., Terminal]]:
    """Start sessions in a folder with toy models; all end with the test."""
    started: list[Terminal] = []

    def begin(*argv: str, **more: object) -> Terminal:
        started.append(Terminal(forks, at_work, *argv, **more))  # type: ignore[arg-type]
        return started[-1]

    yield begin
    for terminal in started:
        terminal.close()
