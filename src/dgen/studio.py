"""Makes the pictures of one statement: renders its shots, and hands what they become over to the writers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from dgen import config as configs
from dgen.contact import Desk
from dgen.darkroom import Darkroom
from dgen.detailing import Detailing, said_of_picture
from dgen.detailing import Telling as Watching
from dgen.diagnostic import DgenError, Diagnostic
from dgen.engine.protocol import Engine, Result
from dgen.events import Failed, Fetching, FileSaved, JobKept, Listener, Warned
from dgen.families.inspection import ModelFacts
from dgen.filming import LOSSLESS, Filming
from dgen.footage import Footage
from dgen.lang.permissions import Permissions
from dgen.media.decode import as_written
from dgen.media.encode import grid
from dgen.media.read import PictureFiles
from dgen.media.resume import Resumption
from dgen.media.write import WriterPool, Written
from dgen.options.output import TENSOR_FORMATS
from dgen.paging import Paging
from dgen.patience import Patience
from dgen.plan.bind import Bound
from dgen.plan.expand import Expansion
from dgen.plan.resolve import Job
from dgen.plan.shots import Shot
from dgen.plan.steps import steps_of
from dgen.preflight import blaming
from dgen.telling import Telling, on_steps

_OF_A_JOB = {"out-of-memory", "render-failed"}
"""The failures after which other jobs of a statement may still succeed."""


class Cancelled(KeyboardInterrupt):
    """`Session.cancel` was called: the run ends as if the user had interrupted it."""


class Studio:
    """Holds what makes pictures: the engine, the files that are read and written, and the way to stop."""

    packs_jobs = True  # whether `--batch-jobs` is heeded

    def __init__(self, engine: Engine, listener: Listener = lambda event: None) -> None:
        """`listener` is told what happens, also from the threads that write files: see `dgen.events.serial`."""
        self.engine = engine
        self.emit = listener
        self.pictures = PictureFiles(lambda what: self.emit(Fetching(what=what)))
        self.permissions = Permissions()
        self.failed = self.keep_going = False
        self.failures = 0  # of statements and jobs that a run went on after
        self.darkroom = Darkroom(self.pictures, engine, lambda path, span: self.permissions.require_write(path, span))
        self.detailing = Detailing(engine, lambda: self.pictures.offline, self.warn)
        self.paging = Paging(engine, lambda path: self.pictures.find(path), lambda event: self.emit(event))
        self._pool = self.make_pool()
        self.desk = Desk()
        self.filming = self.make_filming()
        self.footage = self.make_footage()
        self._stop, self._stop_between = threading.Event(), threading.Event()
        self.patience = Patience(self.warn, self._wait)

    def make_pool(self) -> WriterPool:
        """Make what writes the pictures."""
        return WriterPool(self._saved)

    def make_filming(self) -> Filming:
        """Make what records animations."""
        return Filming(self._pool, self.paging, lambda path: self.pictures.find(path), lambda event: self.emit(event))

    def make_footage(self) -> Footage:
        """Make what writes the videos of jobs."""
        return Footage(self._pool, self.paging, lambda event: self.emit(event))

    def close(self) -> None:
        """End the writer's threads, after what they are writing."""
        self._pool.close()
        self.pictures.close()

    def cancel(self) -> None:
        """End the run that goes on in another thread: at its next step, statement or part that is loaded."""
        self._stop.set()

    def stop_after_picture(self) -> None:
        """End the run once the picture that is made now is finished."""
        self._stop_between.set()

    def forget_cancel(self) -> None:
        """Forget a `cancel` that came when nothing ran any more."""
        self._stop.clear()
        self._stop_between.clear()

    def heed(self, *, is_between: bool = False) -> None:
        """Stop here when the run was cancelled; `is_between`: no picture is being made.

        Raises:
            Cancelled: it was.
        """
        if self._stop.is_set() or (is_between and self._stop_between.is_set()):
            self.forget_cancel()
            raise Cancelled

    def _wait(self, seconds: float) -> None:
        self._stop.wait(seconds)
        self.heed(is_between=True)

    def _patiently(self, do: Callable[[], Any]) -> Any:
        return self.patience.work(do, offline=self.pictures.offline)

    def warn(self, diagnostic: Diagnostic) -> None:
        """Tell of something odd."""
        self.emit(Warned(diagnostic=diagnostic))

    def report(self, error: DgenError) -> None:
        """Tell of a statement or a job that failed while the script goes on."""
        self.failed = True
        self.failures += 1
        self.emit(Failed(diagnostics=error.diagnostics))

    def resume(self, *, any_name: bool = False) -> None:
        """Do not do again what earlier runs did; `any_name`: under whatever name it is there."""
        self.paging.resumption = Resumption(any_name=any_name)

    def open_desk(self, bound: Bound, expansion: Expansion) -> None:
        """Begin the contact sheet of a statement, when one is wanted.

        Raises:
            DgenError: its file may not be written.
        """
        target = bound.value("contact_sheet")
        if target is not None:
            self.permissions.require_write(target, bound.span_of("contact_sheet"))
            with blaming(bound):
                self.desk.open(target, bound.value("model"), expansion)

    def _finish(self) -> tuple[Written, ...]:
        """Wait until everything that was rendered is on disk; return the files, in the order of the jobs."""
        self.filming.abandon()
        try:
            files = self._pool.finish()
        except BaseException:
            self.filming.settle(is_written=False)
            raise
        self.filming.settle(is_written=True)
        if (sheet := self.desk.close()) is not None:
            self.emit(FileSaved(number=1, path=str(sheet), kind="sheet"))
        return files

    def _attempt_pack(self, bound: Bound, pack: tuple[Shot, ...], place: tuple[ModelFacts, str]) -> int:
        """Render jobs at once; when that fails in a run that keeps going, one by one. Return how many were there."""
        if len(pack) > 1:
            try:
                with blaming(bound):
                    return self._render_pack(pack, place)
            except DgenError as error:
                if not self.keep_going or error.diagnostics[0].code not in _OF_A_JOB:
                    raise
        return sum(self._attempt(bound, shot, place) for shot in pack if not self.filming.is_cut(shot))

    def _render_pack(self, pack: tuple[Shot, ...], place: tuple[ModelFacts, str]) -> int:
        """Render jobs at once; return how many were there already."""
        self.heed(is_between=True)
        found = [(shot, self.darkroom.resolve(shot.request, *place)) for shot in pack]
        left = [(shot, job) for shot, job in found if not self._keeps(job, shot)]
        if not left:
            return len(pack)
        jobs = tuple(job for _, job in left)
        tellings = [Telling(self.engine, self.emit, self.heed, job, *shot.count[:2]) for shot, job in left]
        for telling in tellings:
            telling.start()
        first = left[0][1]
        inputs = replace(self.darkroom.inputs_of(first), pack=jobs if len(jobs) > 1 else ())
        result = self.engine.render(first, inputs, on_steps([each.on_step() for each in tellings]))
        for index, (shot, job) in enumerate(left):
            part = slice(index * job.pictures, (index + 1) * job.pictures)
            watching = Watching(tellings[index].on_step(), None)
            images = _sheets(job, self.finished(job, result.images[part], place[0], watching))
            tellings[index].rendered(images, result.flagged[part])
            self._write(job, images or result.latents[part], shot, configs.at_once(jobs, index, result.parts))
        return len(pack) - len(left)

    def _attempt(self, bound: Bound, shot: Shot, place: tuple[ModelFacts, str]) -> bool:
        """Render a job; in a run that keeps going, one that fails is told of, and the others are rendered."""
        try:
            with blaming(bound):
                is_kept = self._render_one(shot, place)
                self.filming.end(shot)
                return is_kept
        except DgenError as error:
            if self.filming.cut(shot, error.__cause__):
                self.emit(Warned(diagnostic=replace(error.diagnostics[0], severity="warning", code="cut-short")))
                return False
            self.filming.drop(shot)
            if not self.keep_going or error.diagnostics[0].code not in _OF_A_JOB:
                raise
            self.report(error)
            return False

    def _render_one(self, shot: Shot, place: tuple[ModelFacts, str]) -> bool:
        """Render a job; say whether its pictures were there already."""
        facts, device = place
        number, total, _ = shot.count
        self.heed(is_between=True)
        job = self._patiently(lambda: self.darkroom.resolve(shot.request, facts, device))
        self._start_film(shot, place)
        if self._keeps(job, shot):
            return True
        inputs = self._patiently(lambda: self.darkroom.inputs_of(job))
        telling = Telling(self.engine, self.emit, self.heed, job, number, total)
        telling.start()
        watching = Watching(telling.on_step(), telling.preview())
        result = self._patiently(lambda: self.detailing.render(job, inputs, facts, watching))
        if job.frames is not None:
            telling.rendered(self._write_films(job, result, shot, lambda i: self.finished(job, i, facts, watching)))
            return False
        images = _sheets(job, self.finished(job, result.images, facts, watching))
        telling.rendered(images, result.flagged)
        self._write(job, images or result.latents, shot)
        return False

    def finished(self, job: Job, images: tuple[Any, ...], facts: ModelFacts, watching: Watching) -> tuple[Any, ...]:
        """Return the pictures of a job after its `--post-processors`, which may paint parts of them once more."""

        def repainted(number: int, image: Any, said: Any) -> Any:
            return self.detailing.repaint(job, facts, watching, image, said_of_picture(said, job, number))

        return self.darkroom.finished(job, images, repainted)

    def _write_films(
        self, job: Job, made: Result, shot: Shot, finish: Callable[[tuple[Any, ...]], tuple[Any, ...]]
    ) -> tuple[Any, ...]:
        """Write the videos of a job; return what stands for them, a picture of the first frame."""
        first = self.footage.write(job, made, shot.count, lambda image: finish((image,))[0])
        return () if first is None else (first,)

    def _start_film(self, shot: Shot, place: tuple[ModelFacts, str]) -> None:
        whole = shot.whole
        if whole is not None:
            self.filming.start(shot, lambda: self.darkroom.resolve(whole, *place))

    def _write(self, job: Job, images: Sequence[Any], shot: Shot, beside: tuple[configs.Ingredient, ...] = ()) -> None:
        """Hand the pictures of a job over to the writers."""
        if job.request.image_format not in TENSOR_FORMATS:
            self.filming.add(shot, images)
        for page in self.paging.pages(job, images, shot.count.step, beside) if not shot.is_without_picture else ():
            if isinstance(page, Written):
                self._pool.keep(page, shot.count.number)
            else:
                self._pool.submit(shot.count.number, page)

    def _keeps(self, job: Job, shot: Shot) -> bool:
        """Whether all pictures of a job are there from an earlier run; they count as its own then."""
        self.desk.note(shot.count.number, job)
        is_filmed = self.filming.wants(shot)
        is_lossless = job.request.image_format in LOSSLESS and not shot.is_without_picture
        if is_filmed and not is_lossless and not self.filming.has_kept(shot):
            return False
        kept = () if shot.is_without_picture else self._kept(job, shot)
        if shot.is_without_picture:
            self.emit(JobKept(number=shot.count.number, steps=steps_of(job.request), paths=()))
        elif not kept:
            return False
        if is_filmed and is_lossless:
            self.filming.add(shot, [as_written(files.image) for files in kept])
        elif is_filmed:
            self.filming.take_kept(shot)
        return True

    def _kept(self, job: Job, shot: Shot) -> tuple[Written, ...]:
        """Return the files of a job that are there from an earlier run, and count them as its own."""
        kept = self.paging.keep(job, shot.count)
        for files in kept:
            self._pool.keep(files, shot.count.number)
            self.desk.add(shot.count.number, files)
        return kept

    def _saved(self, number: int, files: Written) -> None:
        self.desk.add(number, files)
        self.emit(FileSaved(number=number, path=str(files.image), kind=files.kind, index=files.index))
        if files.config is not None:
            self.emit(FileSaved(number=number, path=str(files.config), kind="config", index=files.index))


def _sheets(job: Job, images: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a batch as the pictures that are written: one when a grid is asked for."""
    shape = job.request.batch_grid_size
    return (grid(images, *shape),) if shape is not None and images else images
