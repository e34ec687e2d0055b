"""Remembers how long jobs take on this machine, so that a plan can say how long a script will."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from functools import partial
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any

from dgen.cache import cache_folder
from dgen.events import (
    Event,
    Interrupted,
    JobRendered,
    JobStarted,
    Listener,
    StatementFinished,
    StatementStarted,
    StepDone,
)
from dgen.media.publish import publish
from dgen.plan.resolve import Job
from dgen.plan.steps import steps_of

_FILE, _MOST = "paces.json", 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long the jobs of a family took on a kind of device."""

    family: str
    device: str  # cpu, cuda …
    pixels: int  # of all pictures of a job
    step_s: float
    rest_s: float  # of a job beside its steps, when everything was loaded

    def seconds(self, pixels: int, steps: int) -> float:
        """Return what a job of some pixels takes; time grows with the pixels."""
        return (steps * self.step_s + self.rest_s) * pixels / self.pixels


def pixels_of(job: Job) -> int:
    """Count the pixels of all pictures that a job makes."""
    return job.size.width * job.size.height * job.pictures


class Paces:
    """The paces that earlier runs left, the latest last."""

    def __init__(self, known: tuple[Pace, ...] = ()) -> None:
        """Start with some."""
        self.known = list(known)

    def note(self, pace: Pace) -> None:
        """Take a pace; it replaces the one of the same family, device and pixels."""
        same = (pace.family, pace.device, pace.pixels)
        self.known = [p for p in self.known if (p.family, p.device, p.pixels) != same][-_MOST:]
        self.known.append(pace)

    def seconds_of(self, job: Job, device: str | None) -> float | None:
        """Return how long a job takes on a kind of device, the one of the last run for None; None: nobody knows."""
        near = [p for p in self.known if p.family == job.family and device in (None, p.device)]
        if not near:
            return None
        wanted = pixels_of(job)
        last = [p for p in near if p.device == near[-1].device]
        return min(last, key=lambda p: abs(p.pixels - wanted)).seconds(wanted, steps_of(job.request))


def read_paces() -> Paces:
    """Return the paces of this machine; none where the file is missing or not understood."""
    try:
        told = json.loads(_path().read_text(encoding="utf-8"))
        return Paces(tuple(_pace(each) for each in told))
    except (OSError, ValueError, TypeError, KeyError):
        return Paces()


def _path() -> Path:
    return cache_folder("calibration") / _FILE


def _pace(told: dict[str, Any]) -> Pace:
    pace = Pace(**{f.name: _KINDS[str(f.type)](told[f.name]) for f in fields(Pace)})
    if pace.pixels <= 0 or not (0 <= pace.step_s < 1e6 and 0 <= pace.rest_s < 1e6):
        raise ValueError
    return pace


_KINDS: dict[str, Callable[[Any], Any]] = {"str": str, "int": int, "float": float}


def _save(paces: Paces) -> None:
    text = json.dumps([asdict(p) for p in paces.known], indent=1)
    with contextlib.suppress(OSError):  # a run is worth more than its time
        _path().parent.mkdir(parents=True, exist_ok=True)
        publish(_path(), partial(shutil.copyfileobj, BytesIO(text.encode())))


class Stopwatch:
    """Hears the events of a run on their way, and leaves its paces when a statement is over."""

    def __init__(self, listener: Listener) -> None:
        """Hand every event on to `listener`."""
        self._listener = listener
        self._device = ""
        self._steps: list[float] = []  # seconds, of the job that runs
        self._jobs: dict[tuple[str, int], list[tuple[float, float]]] = {}  # seconds of a step, and of the rest

    def listen(self, event: Event) -> None:
        """Take an event, and hand it on."""
        match event:
            case StatementStarted():
                self._device, self._jobs = event.device.partition(":")[0], {}
            case JobStarted():
                self._steps = []
            case StepDone(seconds=float(took)):
                self._steps.append(took)
            case JobRendered():
                self._note(event.job, event.seconds)
            case StatementFinished() | Interrupted():
                self._leave()
            case _:
                pass
        self._listener(event)

    def _note(self, job: Job, seconds: float) -> None:
        if self._steps:
            step = median(self._steps)
            rest = max(0.0, seconds - step * steps_of(job.request))
            self._jobs.setdefault((job.family, pixels_of(job)), []).append((step, rest))

    def _leave(self) -> None:
        if not self._jobs:
            return
        paces = read_paces()
        for pace in self._paces():
            paces.note(pace)
        _save(paces)
        self._jobs = {}

    def _paces(self) -> Iterator[Pace]:
        for (family, pixels), took in self._jobs.items():
            step = median(t[0] for t in took)
            rest = min(t[1] for t in took)  # the first job may have loaded weights
            yield Pace(
                family=family, device=self._device, pixels=pixels, step_s=round(step, 5), rest_s=round(rest, 4)
            )  # fmt: skip
