"""Keeps what a status line shows: model, device, memory, jobs left, speed, and the time that is left."""

from __future__ import annotations

from collections import deque
from statistics import mean, median

from dgen.events import (
    ComponentLoaded,
    Event,
    Failed,
    Interrupted,
    JobKept,
    JobRendered,
    JobStarted,
    StatementFinished,
    StatementStarted,
    StepDone,
)
from dgen.values.amounts import shown_bytes

_STEPS, _JOBS = 20, 5  # how many of the last ones count


def seconds(duration: float) -> str:
    """Write a duration as minutes and seconds when it is long."""
    return f"{duration:.1f} s" if duration < 100 else f"{int(duration) // 60} min {int(duration) % 60} s"


class Status:
    """Where a run stands. It listens to the events of a session, as every front end does."""

    def __init__(self) -> None:
        """Start idle."""
        self.model = self.device = ""
        self.is_running = False
        self.memory_bytes = 0  # of the device; of the process when the device has none of its own
        self._step_seconds: deque[float] = deque(maxlen=_STEPS)
        self._extra_seconds: deque[float] = deque(maxlen=_JOBS)  # of a job beside its steps: encoding, decoding
        self._start(StatementStarted(where="", model="", jobs=0))

    def listen(self, event: Event) -> None:
        """Take what an event tells."""
        match event:
            case StatementStarted():
                self._start(event)
                self.is_running = True
            case JobStarted():
                self.job, self.step, self.steps = event.number, 0, event.steps
                self._job_steps, self._loading = event.steps, 0.0
            case ComponentLoaded():
                self._loading += event.seconds
            case StepDone():
                self.step, self.steps = event.step, event.steps
                self._measure(event.resident_bytes, event.device_bytes)
                if event.seconds is not None:
                    self._step_seconds.append(event.seconds)
            case JobRendered():
                self._finish_job(event)
            case JobKept():
                self.jobs_done = event.number
                self._steps_done += event.steps
            case StatementFinished() | Interrupted() | Failed():
                self.is_running = False
            case _:
                pass

    def _start(self, event: StatementStarted) -> None:
        if (event.model, event.device) != (self.model, self.device):
            self._step_seconds.clear()
            self._extra_seconds.clear()
        self.model, self.device = event.model, event.device
        self.jobs, self._all_steps = event.jobs, event.steps
        self.job = self.step = self.steps = self.jobs_done = self._steps_done = self._job_steps = 0
        self._loading = 0.0

    def _finish_job(self, event: JobRendered) -> None:
        self._measure(event.resident_bytes, event.device_bytes)
        if self.step and not self._step_seconds:
            self._step_seconds.append(max(0.0, event.seconds - self._loading) / self.step)
        if not self._loading:  # a job that loads says nothing about those that don't
            self._extra_seconds.append(max(0.0, event.seconds - self.step * (self.seconds_per_step or 0)))
        self.jobs_done = event.number
        self._steps_done += self._job_steps
        self.step = 0

    def _measure(self, resident: int, device: int | None) -> None:
        self.memory_bytes = resident if device is None else device

    @property
    def seconds_per_step(self) -> float | None:
        """The median of the last steps; None before any was measured."""
        return median(self._step_seconds) if self._step_seconds else None

    @property
    def jobs_left(self) -> int:
        """The jobs that are not rendered."""
        return self.jobs - self.jobs_done

    @property
    def progress(self) -> float:
        """The jobs that are done, with the part of this one."""
        return self.jobs_done + (self.step / self.steps if self.steps else 0)

    @property
    def seconds_left(self) -> float | None:
        """How long all jobs left will take: their steps and what each takes beside them, at the measured speed."""
        each = self.seconds_per_step
        if each is None:
            return None
        part = self.step / self.steps * self._job_steps if self.steps else 0
        steps_left = max(0.0, self._all_steps - self._steps_done - part)
        return steps_left * each + self.jobs_left * (mean(self._extra_seconds) if self._extra_seconds else 0)

    @property
    def speed(self) -> str:
        """The speed as steps a second, or seconds a step when one takes longer."""
        each = self.seconds_per_step
        if not each:
            return ""
        return f"{1 / each:.1f} it/s" if each <= 1 else f"{each:.1f} s/it"

    def line(self) -> str:
        """Write everything that is known on a line."""
        left = self.seconds_left
        parts = [
            self.model,
            self.device,
            shown_bytes(self.memory_bytes) if self.memory_bytes else "",
            f"{self.jobs_left} of {self.jobs} jobs left" if self.is_running else "",
            self.speed,
            f"{seconds(left)} left" if self.is_running and left is not None else "",
        ]
        return " · ".join(part for part in parts if part)
