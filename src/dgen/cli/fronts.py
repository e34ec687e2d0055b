"""Shows what happens: a live display on a terminal, plain lines in a pipe, JSON lines, or nothing."""

from __future__ import annotations

import sys
from typing import Any, Protocol

from dgen.diagnostic import render, wants_color
from dgen.events import (
    ComponentDropped,
    ComponentLoaded,
    ComponentReused,
    Event,
    Failed,
    Fetching,
    FileRead,
    FileSaved,
    Interrupted,
    JobStarted,
    Printed,
    Shown,
    StatementFinished,
    StatementStarted,
    StepDone,
    Warned,
    to_json,
)


class Front(Protocol):
    """Listens to events and shows them."""

    def listen(self, event: Event) -> None:
        """Show an event."""
        ...

    def __enter__(self) -> Front: ...

    def __exit__(self, *trouble: object) -> None: ...


def make_front(*, quiet: bool, json: bool, verbose: bool) -> Front:
    """Choose the display: JSON when asked, silence when asked, live on a terminal, otherwise plain lines."""
    if json:
        return JsonFront()
    if quiet:
        return QuietFront()
    return LiveFront(verbose) if sys.stderr.isatty() else PlainFront(verbose)


def mebibytes(count: int) -> str:
    """Write a number of bytes."""
    return f"{count / 2**20:.1f} MiB"


def seconds(duration: float) -> str:
    """Write a duration as minutes and seconds when it is long."""
    return f"{duration:.1f} s" if duration < 100 else f"{int(duration) // 60} min {int(duration) % 60} s"


def detail(event: Event) -> str | None:
    """Return the line that `--verbose` adds for an event."""
    match event:
        case FileRead():
            return f"read {event.path} ({mebibytes(event.bytes)})"
        case ComponentLoaded():
            size = mebibytes(event.bytes)
            return f"loaded {event.kind} of {event.source} ({event.class_name}, {size}, {event.seconds:.2f} s)"
        case ComponentReused():
            return f"kept {event.kind} of {event.source}"
        case ComponentDropped():
            return f"dropped {event.kind} of {event.source}"
        case _:
            return None


def line(event: Event) -> str | None:
    """Return the line that plain output shows for an event."""
    match event:
        case StatementStarted():
            return f"{event.model}: {event.jobs} {'job' if event.jobs == 1 else 'jobs'}"
        case Fetching():
            return f"fetching {event.what}"
        case FileSaved(kind="image" | "model"):
            return f"saved {event.path}"
        case StatementFinished():
            return f"done: {event.files} {'file' if event.files == 1 else 'files'} in {seconds(event.seconds)}"
        case Interrupted():
            return f"interrupted: {event.done} {'job' if event.done == 1 else 'jobs'} done, {event.left} not rendered"
        case Warned():
            return render([event.diagnostic], color=wants_color())
        case Failed():
            return render(event.diagnostics, color=wants_color())
        case _:
            return None


class PlainFront:
    """Writes a line per file and statement to standard error, and what scripts print to standard output."""

    def __init__(self, verbose: bool) -> None:
        """`verbose` is the command line's; a statement may switch it on for itself."""
        self._always = self._verbose = verbose

    def listen(self, event: Event) -> None:
        """Show an event."""
        if isinstance(event, Printed):
            sys.stdout.write(event.text)
            sys.stdout.flush()
            return
        if isinstance(event, Shown):
            from dgen.terminal.pictures import show_files

            show_files(event.paths, sys.stdout)
            return
        if isinstance(event, StatementStarted):
            self._verbose = self._always or event.verbose
        text = line(event) or (detail(event) if self._verbose else None)
        if text is not None:
            self.show(text)

    def show(self, text: str) -> None:
        """Write a line."""
        print(text, file=sys.stderr, flush=True)

    def __enter__(self) -> PlainFront:
        return self

    def __exit__(self, *trouble: object) -> None:
        return None


class QuietFront(PlainFront):
    """Shows what scripts print, warnings and failures, and nothing else."""

    def __init__(self) -> None:
        """Start quiet."""
        super().__init__(verbose=False)

    def listen(self, event: Event) -> None:
        """Show an event."""
        if isinstance(event, (Printed, Shown, Warned, Failed)):
            super().listen(event)


class JsonFront(PlainFront):
    """Writes every event as a line of JSON to standard output."""

    def __init__(self) -> None:
        """Start writing."""
        super().__init__(verbose=True)

    def listen(self, event: Event) -> None:
        """Show an event."""
        print(to_json(event), flush=True)


class LiveFront(PlainFront):
    """Shows bars for all jobs and for the steps of this one, with the last file, on a terminal."""

    def __init__(self, verbose: bool) -> None:
        """Start without bars; they appear with the first statement."""
        super().__init__(verbose)
        self._progress: Any = None
        self._all: Any = None
        self._steps: Any = None

    def listen(self, event: Event) -> None:
        """Show an event."""
        if isinstance(event, StatementStarted):
            self._open(event)
        elif isinstance(event, (StatementFinished, Interrupted, Failed)):
            self._close()
        elif self._progress is not None and self._advance(event):
            return
        super().listen(event)

    def _advance(self, event: Event) -> bool:
        """Move the bars; say whether they show the event well enough."""
        update = self._progress.update
        match event:
            case JobStarted():
                update(self._all, completed=event.number - 1)
                name = f"{event.mode} {event.number}/{event.jobs}"
                self._progress.reset(self._steps, total=event.steps, description=name, note="")
            case ComponentLoaded():
                update(self._steps, note=f"loaded {event.kind}")
            case StepDone():
                update(self._steps, completed=event.step, total=event.steps, note="")
                update(self._all, completed=event.number - 1 + event.step / max(1, event.steps))
            case FileSaved(kind="image"):
                update(self._all, note=event.path)
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

    def _open(self, event: StatementStarted) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._close()
        columns = (
            TextColumn("{task.description}"), BarColumn(bar_width=30), MofNCompleteColumn(), TimeRemainingColumn(),
            TextColumn("[dim]{task.fields[note]}", markup=True),
        )  # fmt: skip
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._all = self._progress.add_task("all jobs", total=event.jobs, note="")
        self._steps = self._progress.add_task("", total=None, note="")
        self._progress.start()

    def _close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def __exit__(self, *trouble: object) -> None:
        """Take the bars away."""
        self._close()
