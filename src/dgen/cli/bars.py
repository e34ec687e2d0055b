"""The bars of a run, drawn by rich."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text


class TimeLeft(ProgressColumn):
    """The time left for all jobs, in the line of all jobs."""

    def __init__(self, text: Callable[[], str]) -> None:
        """`text` is asked each time the bars are drawn."""
        super().__init__()
        self._text = text

    def render(self, task: Task) -> Text:
        """Draw the time left."""
        return Text(self._text() if task.fields["is_all"] else "", style="progress.remaining")


class Bars(Progress):
    """Bars with something below them."""

    def __init__(self, below: Callable[[], RenderableType], time_left: Callable[[], str]) -> None:
        """`below` and `time_left` are asked each time the bars are drawn."""
        self._below = below
        columns: tuple[Any, ...] = (
            TextColumn("{task.description}"), BarColumn(bar_width=30), MofNCompleteColumn(), TimeLeft(time_left),
            TextColumn("[dim]{task.fields[note]}", markup=True),
        )  # fmt: skip
        super().__init__(*columns, console=Console(stderr=True), transient=True)

    def get_renderables(self) -> Iterable[RenderableType]:
        """Draw the bars, and what stands below."""
        yield from super().get_renderables()
        yield self._below()
