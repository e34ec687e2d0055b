"""An engine as a Python program sees it: jobs and pictures, without scripts and without files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dgen.api.pictures import Picture, Pictures
from dgen.api.scripts import Invocation
from dgen.diagnostic import DgenError
from dgen.engine.protocol import Holding, OnStep
from dgen.engine.render import LocalEngine
from dgen.events import Listener
from dgen.media.read import PictureFiles
from dgen.plan.bind import Bound, bind, request_table
from dgen.plan.expand import expand
from dgen.plan.resolve import Job, resolve
from dgen.preflight import blaming, inputs_of, look_into
from dgen.values.image_seed import ImageSeed


class Engine:
    """Loads models and renders jobs; keeps what is loaded for the next one. It writes nothing."""

    def __init__(self, *, listener: Listener = lambda event: None) -> None:
        """`listener` is told what is read, loaded, reused and dropped."""
        self._engine = LocalEngine(listener)
        self._pictures = PictureFiles()

    def jobs(self, model: str | Path, **options: Any) -> list[Job]:
        """Return the jobs of an invocation, every combination of its values, completely decided and checked.

        Options are named and given as in `Invocation`.

        Raises:
            DgenError: every mistake there is.
        """
        words, span = Invocation(model, **options).words()
        bound = bind(words, request_table(), span)
        self._pictures.offline = bool(bound.value("offline_mode"))
        with blaming(bound):
            return self._jobs(bound)

    def _jobs(self, bound: Bound) -> list[Job]:
        expansion = expand(bound)
        facts, found = look_into(bound, expansion, self._engine, self._pictures)
        if found or facts is None:
            raise DgenError(*found)
        device = self._engine.device_kind(next(iter(expansion)).device)
        return [resolve(request, facts, device, self._pictures) for request in expansion]

    def render(self, job: Job, on_step: OnStep = lambda step, steps: None) -> Pictures:
        """Render a job; `on_step` is told each denoising step, counted from 1, and how many there are.

        Raises:
            DgenError: the model cannot be loaded, or the job failed.
            BaseException: whatever `on_step` raises, which stops the job.
        """
        seed: ImageSeed | None = job.request.image_seed
        words, span = Invocation(job.request.model, image_seeds=str(seed) if seed else None).words()
        with blaming(bind(words, request_table(), span)):
            result = self._engine.render(
                job, inputs_of(job, self._pictures), lambda step, of: on_step(step, of) and None
            )
        return Pictures([Picture(image, job) for image in result.images])

    def draw(self, model: str | Path, **options: Any) -> Pictures:
        """Render every job of an invocation: `engine.draw("builtin:shapes", prompts="a red circle", seeds=[1, 2])`.

        Raises:
            DgenError: as `jobs` and `render`.
        """
        return Pictures([picture for job in self.jobs(model, **options) for picture in self.render(job)])

    @property
    def holdings(self) -> tuple[Holding, ...]:
        """What is loaded: kinds, sources, classes, devices, bytes."""
        return self._engine.holdings()

    def clear(self) -> int:
        """Drop every loaded model; return how many parts they had."""
        return self._engine.clear("model")
