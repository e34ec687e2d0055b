"""Writes what a job with frames made: an animation of each video, and a picture of each frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from dgen.engine.protocol import Result, Waves
from dgen.events import AnimationStarted, Listener
from dgen.media.names import FileName, format_of
from dgen.media.publish import trouble
from dgen.media.record import Recorder
from dgen.media.sound import sound_of
from dgen.media.write import Page, WriterPool, Written
from dgen.options.animation import WITH_SOUND
from dgen.paging import Paging
from dgen.plan.resolve import Job
from dgen.plan.shots import Count
from dgen.values.scalars import Size

if TYPE_CHECKING:
    from PIL.Image import Image

Pages = Mapping[int | None, Page | Written]
"""The pages of a video: of its animation under None, of each frame under its number."""


@dataclass(frozen=True, slots=True)
class Video:
    """A video that is written: the number of its job, its frames a second, its frames, its sound."""

    number: int
    rate: Fraction
    frames: Iterator[Image]
    sound: Waves | None


class Footage:
    """Hands videos over to the writers, frame by frame; none is held in memory as a whole."""

    records = True  # whether animations are written, and not their frames alone

    def __init__(self, pool: WriterPool, paging: Paging, listener: Listener) -> None:
        """`pool` writes the pictures of frames, and gives animations their names."""
        self._pool, self._paging, self._emit = pool, paging, listener

    def write(self, job: Job, made: Result, count: Count, finish: Callable[[Image], Image]) -> Image | None:
        """Write the videos of a job; `finish` is what happens to each frame first. Return the first frame.

        Raises:
            BadValue: `disk-full` or `unwritable-output`.
        """
        rate, ending = rate_of(job), format_of(job.request)
        if made.films:
            self._emit(AnimationStarted(number=count.number, frames=len(made.films[0]), rate=str(rate), format=ending))
        first: Image | None = None
        for film, sound, pages in zip(made.films, _heard(made), self.pages(job, count.step), strict=False):
            for image in self._written(Video(count.number, rate, map(finish, film), sound), pages):
                first = first or image
        return first

    def pages(self, job: Job, step: int) -> Iterator[Pages]:
        """Yield the pages that each video of a job becomes."""
        found = list(self._paging.outputs(job, step))
        for video in range(job.pictures):
            yield {name.frame: page for name, page in found if name.video == video and self._is_wanted(name)}

    def _is_wanted(self, name: FileName) -> bool:
        return self.records or name.kind == "image"

    def _written(self, video: Video, pages: Pages) -> Iterator[Image]:
        """Write the frames of a video and its animation, and yield each frame."""
        number, film, recorder = video.number, pages.get(None), None
        try:
            for index, image in enumerate(video.frames):
                if isinstance(film, Page):
                    recorder = recorder or self._recorder(film, image, video.rate)
                    recorder.add(image)
                self._put(number, pages.get(index), image)
                yield image
            if isinstance(film, Page) and recorder is not None:
                _finish(recorder, video.sound if film.ending in WITH_SOUND else None)
                target, recorder = recorder.target, None  # from now on it is the pool's
                self._pool.submit(number, film.of(target))
            elif isinstance(film, Written):
                self._pool.keep(film)
        except BaseException as error:
            if recorder is not None:
                recorder.abandon()
            if isinstance(error, OSError) and isinstance(film, Page):
                raise trouble(error, film.folder) from None
            raise

    def _recorder(self, page: Page, image: Image, rate: Fraction) -> Recorder:
        part = self._pool.start_film(page.folder)
        return Recorder(part, page.ending, Size(*image.size), rate, config=page.label)

    def _put(self, number: int, page: Page | Written | None, image: Image) -> None:
        if isinstance(page, Written):
            self._pool.keep(page)
        elif page is not None:
            self._pool.submit(number, page.showing(image))


def _heard(made: Result) -> tuple[Waves | None, ...]:
    """Return the sound of each video that was made, None for one without."""
    return made.sounds or (None,) * len(made.films)


def _finish(recorder: Recorder, sound: Waves | None) -> None:
    if sound is None:
        recorder.finish()
        return
    with sound_of(sound.samples, (sound.rate, sound.channels), recorder.target) as heard:
        recorder.finish(heard)


class PlannedFootage(Footage):
    """Counts videos as written."""

    def write(self, job: Job, made: Result, count: Count, finish: Callable[[Image], Image]) -> Image | None:
        """Hand pages over that nobody will fill."""
        for pages in self.pages(job, count.step):
            for page in pages.values():
                if isinstance(page, Written):
                    self._pool.keep(page)
                else:
                    self._pool.submit(count.number, page.of(page.folder) if page.kind == "animation" else page)
        return None


def rate_of(job: Job) -> Fraction:
    """Return the frames a second of a job's videos."""
    return Fraction(str(job.request.fps)).limit_denominator(10_000)
