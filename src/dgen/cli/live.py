"""Shows a run on a terminal: bars for all jobs and for this one, a status line, and a preview when there is one."""

from __future__ import annotations

import os
import shutil
from typing import Any

from dgen.cli.fronts import PlainFront
from dgen.cli.status import seconds
from dgen.events import (
    ComponentLoaded,
    Event,
    Failed,
    FileSaved,
    Interrupted,
    JobKept,
    JobRendered,
    JobStarted,
    Previewed,
    StatementFinished,
    StatementStarted,
    StepDone,
)

_LINES_BELOW = 8  # that a preview leaves to the bars and the shell


class LiveFront(PlainFront):
    """Shows bars on a terminal, and takes them away when the work is done."""

    def __init__(self, verbose: bool) -> None:
        """Start without bars; they appear with the first statement."""
        super().__init__(verbose)
        self._progress: Any = None
        self._all: Any = None
        self._steps: Any = None
        self._preview = ""
        self._saved: list[str] = []  # by this statement

    def listen(self, event: Event) -> None:
        """Show an event."""
        if isinstance(event, StatementStarted):
            self._saved = []
            self._open(event)
        elif isinstance(event, (StatementFinished, Interrupted, Failed)):
            self._close()
        elif self._progress is not None and self._advance(event):
            self.status.listen(event)
            return
        super().listen(event)

    def line(self, event: Event) -> str | None:
        """Say where the files are, which no line of their own has told."""
        text = super().line(event)
        if text is None or not isinstance(event, StatementFinished) or not self._saved:
            return text
        if len(self._saved) == 1:
            return f"{text}: {self._saved[0]}"
        return f"{text}, below {os.path.commonpath(map(os.path.dirname, self._saved)) or os.curdir}"

    def standing(self, event: Event) -> str | None:
        """Return nothing: the bars tell it."""
        return None

    def _advance(self, event: Event) -> bool:
        """Move the bars; say whether they show the event well enough."""
        update = self._progress.update
        match event:
            case JobStarted():
                name = f"{event.mode} {event.number}/{event.jobs}"
                self._preview = ""
                self._progress.reset(self._steps, total=event.steps, description=name, note="", is_all=False)
            case ComponentLoaded():
                update(self._steps, note=f"loaded {event.kind}")
            case StepDone():
                update(self._steps, completed=event.step, total=event.steps, note="")
                update(self._all, completed=self.status.jobs_done + event.step / max(1, event.steps))
            case JobRendered() | JobKept():
                update(self._all, completed=event.number)
            case Previewed():
                self._preview = _drawn(event.image)
            case FileSaved(kind="image"):
                update(self._all, note=event.path)
                self._saved.append(event.path)
                return True
            case _:
                pass
        return False

    def show(self, text: str) -> None:
        """Write a line above the bars."""
        if self._progress is None:
            super().show(text)
        else:
            self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def below(self) -> Any:
        """Return what stands below the bars."""
        from rich.console import Group
        from rich.text import Text

        lines = [Text.from_ansi(self._preview)] if self._preview else []
        return Group(*lines, Text(self.status.line(), style="dim", overflow="ellipsis", no_wrap=True))

    def time_left(self) -> str:
        """Return how long all jobs left will take, at the speed that was measured."""
        left = self.status.seconds_left
        return f"{seconds(left)} left" if left is not None else ""

    def _open(self, event: StatementStarted) -> None:
        from dgen.cli.bars import Bars

        self._close()
        self._progress = Bars(self.below, self.time_left)
        self._all = self._progress.add_task("all jobs", total=event.jobs, note="", is_all=True)
        self._steps = self._progress.add_task("", total=None, note="", is_all=False)
        self._progress.start()

    def _close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
            self._preview = ""

    def __exit__(self, *trouble: object) -> None:
        """Take the bars away."""
        self._close()


def _drawn(image: Any) -> str:
    """Draw a preview, small enough to stand above the bars."""
    from dgen.terminal.pictures import blocks

    columns, lines = shutil.get_terminal_size()
    small = image.copy()
    small.thumbnail((columns - 1, 2 * max(2, lines - _LINES_BELOW)))
    return blocks(small)
