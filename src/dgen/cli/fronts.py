"""Shows what happens: a live display on a terminal, plain lines in a pipe, JSON lines, or nothing."""

from __future__ import annotations

import sys
import time
from typing import Protocol

from dgen.cli.status import Status, seconds
from dgen.diagnostic import render, wants_color
from dgen.events import (
    ComponentDropped,
    ComponentLoaded,
    ComponentMoved,
    ComponentReused,
    Event,
    Failed,
    Fetching,
    FileLost,
    FileRead,
    FileSaved,
    FrameDone,
    Interrupted,
    JobKept,
    JobRendered,
    MemoryShort,
    OffloadChosen,
    Printed,
    Shown,
    StatementFinished,
    StatementStarted,
    Warned,
    to_json,
)
from dgen.values.amounts import shown_bytes

STANDING_S = 10.0
"""How often plain output tells how far a run is, in seconds."""


class Front(Protocol):
    """Listens to events and shows them; `status` is where the run stands."""

    status: Status

    def listen(self, event: Event) -> None:
        """Show an event."""
        ...

    def show(self, text: str) -> None:
        """Write a line that belongs to no event."""
        ...

    def __enter__(self) -> Front: ...

    def __exit__(self, *trouble: object) -> None: ...


def make_front(*, quiet: bool, json: bool, verbose: bool) -> Front:
    """Choose the display: JSON when asked, silence when asked, live on a terminal, otherwise plain lines."""
    if json:
        return JsonFront()
    if quiet:
        return QuietFront()
    from dgen.cli.live import LiveFront

    return LiveFront(verbose) if sys.stderr.isatty() else PlainFront(verbose)


def detail(event: Event) -> str | None:
    """Return the line that `--verbose` adds for an event."""
    match event:
        case FileRead():
            return f"read {event.path} ({shown_bytes(event.bytes)})"
        case ComponentLoaded():
            size = shown_bytes(event.bytes)
            return f"loaded {event.kind} of {event.source} ({event.class_name}, {size}, {event.seconds:.2f} s)"
        case ComponentReused():
            return f"kept {event.kind} of {event.source}"
        case JobKept():
            return f"kept {', '.join(event.paths)}"
        case ComponentDropped():
            return f"dropped {event.kind} of {event.source}"
        case OffloadChosen():
            return f"offload {event.mode}: {event.reason}"
        case ComponentMoved():
            return f"moved {event.kind} of {event.source} to {event.device}"
        case _:
            return None


def line(event: Event) -> str | None:
    """Return the line that plain output shows for an event."""
    match event:
        case StatementStarted():
            return f"{event.model}: {event.jobs} {'job' if event.jobs == 1 else 'jobs'}"
        case Fetching():
            return f"fetching {event.what}"
        case FileSaved(kind="image" | "animation" | "model" | "sheet"):
            return f"saved {event.path}"
        case MemoryShort():
            return f"{event.failure}: {event.remedy}"
        case StatementFinished():
            kept = f", {event.kept} of {event.jobs} jobs were done before" if event.kept else ""
            return f"done: {event.files} {'file' if event.files == 1 else 'files'} in {seconds(event.seconds)}{kept}"
        case FileLost():
            return f"{event.why}: {event.path} is made again"
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
        self.status = Status()
        self._told = time.monotonic()

    def listen(self, event: Event) -> None:
        """Show an event."""
        self.status.listen(event)
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
        told = self.line(event) or self.standing(event) or self.filmed(event)
        text = told or (detail(event) if self._verbose else None)
        if text is not None:
            self.show(text)

    def line(self, event: Event) -> str | None:
        """Return the line that an event is told by."""
        return line(event)

    def standing(self, event: Event) -> str | None:
        """Return a line that tells how far a long run is, now and then."""
        now = time.monotonic()
        if not isinstance(event, JobRendered) or not self.status.jobs_left or now - self._told < STANDING_S:
            return None
        self._told = now
        return self.status.line()

    def filmed(self, event: Event) -> str | None:
        """Return a line that tells, now and then, how far an animation is that no statement makes."""
        now = time.monotonic()
        if not isinstance(event, FrameDone) or self.status.jobs_left or now - self._told < STANDING_S:
            return None
        self._told = now
        return f"frame {event.frame} of {event.frames}, {seconds(event.seconds_left)} left"

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
        else:
            self.status.listen(event)


class JsonFront(PlainFront):
    """Writes every event as a line of JSON to standard output."""

    def __init__(self) -> None:
        """Start writing; events are timed from now on."""
        super().__init__(verbose=True)
        self._started = time.monotonic()

    def listen(self, event: Event) -> None:
        """Show an event."""
        self.status.listen(event)
        print(to_json(event, time.monotonic() - self._started), flush=True)
