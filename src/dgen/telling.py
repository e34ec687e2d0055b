"""Tells how a job goes on: its start, each step with time and memory, previews, its pictures."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dgen.diagnostic import Diagnostic
from dgen.engine.protocol import Engine, OnStep, Preview
from dgen.events import JobRendered, JobStarted, Listener, Previewed, StepDone, Warned
from dgen.plan.resolve import Job
from dgen.plan.steps import preview_every, steps_of


def on_steps(each: Sequence[OnStep]) -> OnStep:
    """Return what tells a step of several jobs that are made at once."""

    def told(step: int, of: int) -> None:
        for tell in each:
            tell(step, of)

    return told


@dataclass(slots=True)
class Telling:
    """Tells of the job `number` of `jobs` of a statement; `heed` raises when the run is cancelled."""

    engine: Engine
    emit: Listener
    heed: Callable[[], None]
    job: Job
    number: int
    jobs: int
    _started: float = 0.0

    def start(self) -> None:
        """Tell that the job starts."""
        r = self.job.request
        self.emit(
            JobStarted(
                number=self.number, jobs=self.jobs, mode=self.job.mode, seed=r.seed or 0, steps=steps_of(r),
                size=str(self.job.size),
            )
        )  # fmt: skip
        self._started = time.monotonic()

    def on_step(self) -> OnStep:
        """Return what tells each step."""
        last: float | None = None

        def told(step: int, of: int) -> None:
            nonlocal last
            now = time.monotonic()
            took = None if last is None else round(now - last, 4)
            last = now
            self.emit(StepDone(number=self.number, step=step, steps=of, seconds=took, **self._used()))
            self.heed()

        return told

    def preview(self) -> Preview | None:
        """Return where previews go; None when none are wanted."""
        every = preview_every(self.job.request)
        if every is None:
            return None
        return Preview(every, lambda step, image: self.emit(Previewed(number=self.number, step=step, image=image)))

    def rendered(self, images: tuple[Any, ...], flagged: Sequence[bool] = ()) -> None:
        """Tell that the pictures are made; `flagged` are those that a safety checker blacked out."""
        if any(flagged):
            what = "the picture" if len(flagged) == 1 else f"{sum(flagged)} of {len(flagged)} pictures"
            message = f"the safety checker blacked out {what} of seed {self.job.request.seed}"
            warned = Diagnostic(
                code="blacked-out", message=message, severity="warning", help="try another seed or prompt"
            )
            self.emit(Warned(diagnostic=warned))
        took = round(time.monotonic() - self._started, 3)
        self.emit(JobRendered(number=self.number, seconds=took, job=self.job, images=images, **self._used()))

    def _used(self) -> dict[str, Any]:
        return asdict(self.engine.memory(self.job.request.device))
