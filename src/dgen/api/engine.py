"""An engine as a Python program sees it: jobs and pictures, without scripts and without files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dgen import session as inner
from dgen.api.pictures import Picture, Pictures
from dgen.api.scripts import Invocation
from dgen.detailing import Telling
from dgen.engine.protocol import Holding, OnStep
from dgen.engine.render import LocalEngine
from dgen.events import Fetching, Listener, Warned
from dgen.families.inspection import ModelFacts
from dgen.plan.bind import Bound, bind, request_table
from dgen.plan.expand import Expansion
from dgen.plan.resolve import Job
from dgen.plan.shots import shots
from dgen.preflight import blaming


class _Jobs(inner.Session):
    """Takes an invocation up to its jobs, as a session does; makes no folder."""

    def __init__(self, engine: LocalEngine, listener: Listener) -> None:
        super().__init__(engine, lambda event: listener(event) if isinstance(event, (Fetching, Warned)) else None)
        self.found: list[Job] = []

    def make_folder(self, folder: Path) -> None:
        """Leave the folder unmade."""

    def _render_all(self, bound: Bound, expansion: Expansion, place: tuple[ModelFacts, str]) -> None:
        reels = self._reels(bound, expansion, place[0])
        made = shots(expansion, reels, makes_video=place[0].family.makes_video)
        self.found += [self.darkroom.resolve(shot.request, *place) for shot in made]


class Engine:
    """Loads models and renders jobs; keeps what is loaded for the next one. It writes no file."""

    def __init__(self, *, listener: Listener = lambda event: None) -> None:
        """`listener` is told what is read, loaded, reused and dropped."""
        self._engine = LocalEngine(listener)
        self._listener = listener

    def jobs(self, model: str | Path, **options: Any) -> list[Job]:
        """Return the jobs of an invocation, every combination of its values, completely decided and checked.

        Options are named and given as in `Invocation`.

        Raises:
            DgenError: every mistake there is.
        """
        session = _Jobs(self._engine, self._listener)
        try:
            session.invoke(*Invocation(model, **options).words())
        finally:
            session.close()
        return session.found

    def render(self, job: Job, on_step: OnStep = lambda step, steps: None) -> Pictures:
        """Render a job; `on_step` is told each denoising step, counted from 1, and how many there are.

        Raises:
            DgenError: the model cannot be loaded, or the job failed.
            BaseException: whatever `on_step` raises, which stops the job.
        """
        words, span = Invocation(job.request.model).words()
        session = _Jobs(self._engine, self._listener)
        session.pictures.offline = bool(job.request.offline_mode)
        try:
            with blaming(bind(words, request_table(), span)):
                facts, telling = self._engine.inspect(job.request), Telling(on_step, None)
                made = session.detailing.render(job, session.darkroom.inputs_of(job), facts, telling)
                shown = (*made.images, *(frame for film in made.films for frame in film))
                images = session.finished(job, shown, facts, telling)
        finally:
            session.close()
        return Pictures([Picture(image, job) for image in images])

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
