"""Records the animations of a statement while their frames are made."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dgen.diagnostic import Diagnostic, fail
from dgen.events import AnimationStarted, FrameDone, Listener, Warned
from dgen.media.decode import brought_to
from dgen.media.names import FRAMES_ALONE, animation_stems, format_of
from dgen.media.publish import trouble
from dgen.media.read import PictureFiles
from dgen.media.record import Recorder
from dgen.media.sound import Sound
from dgen.media.spool import Spool, spool_path
from dgen.media.video import Ended, is_video
from dgen.media.write import Page, WriterPool, Written
from dgen.options.animation import WITH_SOUND
from dgen.paging import Paging
from dgen.plan.bind import Bound
from dgen.plan.expand import Expansion
from dgen.plan.latents import writes_latents
from dgen.plan.resolve import Job
from dgen.plan.shots import Reel, Shot, reel_of, said_slice
from dgen.values.scalars import Size

LOSSLESS = ("png",)
"""The formats of frames from which an animation that was stopped can go on with the same bytes."""


def reels_of(
    bound: Bound, expansion: Expansion, pictures: PictureFiles, warn: Callable[[Diagnostic], None], *,
    makes_video: bool = False,
) -> tuple[Reel | None, ...]:  # fmt: skip
    """Return the frames of each image seed of a statement, None for those that don't move; warn of damaged files.

    A job that makes a video takes what moves as a whole.

    Raises:
        BadValue: an animation can't be read, or a slice lies outside of it.
        DgenError: an animation of latents.
    """
    seeds = [*enumerate(expansion.values("image_seed"))]
    whole = None if makes_video else said_slice(bound)
    reels = tuple(None if whole is None else reel_of(seed, whole, pictures.clip) for _, seed in seeds)
    film = next((index for index, reel in enumerate(reels) if reel is not None), None)
    if film is not None and writes_latents(bound):
        message = "an animation is made of pictures, and latents are written"
        raise fail("contradictory-options", message, bound.span_of("image_seed", film))
    for index, seed in seeds:
        for what in pictures.troubles(seed.pictures if seed is not None else ()):
            span = bound.span_of("image_seed", index)
            warn(Diagnostic(severity="warning", code="cut-short", message=what, span=span))
    return reels


@dataclass(slots=True)
class Film:
    """An animation: what becomes of it, and what writes it; what an earlier run finished has neither."""

    page: Page | Written
    recorder: Recorder | None = None
    spool: Spool | None = None  # its frames, where no lossless pictures of them are written
    kept: int = 0  # of those, what an earlier run made

    @property
    def is_whole(self) -> bool:
        """Whether an earlier run finished it."""
        return isinstance(self.page, Written)


@dataclass(slots=True)
class Take:
    """The animations of a combination: several for a batch, none when they failed or only frames are wanted."""

    films: list[Film]
    started: float


class Filming:
    """The animations that are being written."""

    def __init__(self, pool: WriterPool, paging: Paging, find: Callable[[str], Path], listener: Listener) -> None:
        """`pool` gives the files their names, `find` returns the file of an animation that is read."""
        self._pool, self._paging, self._find, self._emit = pool, paging, find, listener
        self._takes: dict[int, Take] = {}
        self._cut: tuple[Reel, int] | None = None  # the frames of this one end before that number
        self._complete_spools: list[Spool] = []

    # ---- from shot to shot ---------------------------------------------------------------------------------------

    def start(self, shot: Shot, job: Callable[[], Job]) -> None:
        """Begin the animations of a combination with its first frame; `job` makes the job of all its frames."""
        if shot.reel is None or shot.whole is None or not shot.is_first:
            return
        ending, films = format_of(shot.whole), list[Film]()
        if ending != FRAMES_ALONE:
            whole, step = job(), shot.count.step
            films = [
                Film(self._paging.film(whole, (index, stem), ending))
                for index, stem in enumerate(animation_stems(whole, step), 1)
            ]
            for film in films:
                if isinstance(film.page, Page) and (shot.whole.no_frames or shot.whole.image_format not in LOSSLESS):
                    self.spool(film, film.page)
        self._takes[shot.count.step] = Take(films, time.monotonic())
        self._emit(
            AnimationStarted(number=shot.count.number, frames=len(shot.reel), rate=str(shot.reel.rate), format=ending)
        )

    def spool(self, film: Film, page: Page) -> None:
        """Open what keeps the frames of an animation.

        Raises:
            BadValue: `disk-full` or `unwritable-output`.
        """
        try:
            place = spool_path(page.folder, page.job() if page.job is not None else "", page.index)
            film.spool = Spool(place, resumes=self._paging.resumption is not None)
        except OSError as error:
            raise trouble(error, page.folder) from None
        film.kept = len(film.spool)

    def has_kept(self, shot: Shot) -> bool:
        """Whether an earlier run left a frame for each animation of its combination."""
        take = self._takes.get(shot.count.step)
        if take is None or shot.reel is None:
            return False
        return all(film.is_whole or shot.frame - shot.reel.first < film.kept for film in take.films)

    def take_kept(self, shot: Shot) -> None:
        """Take a frame that an earlier run left into the animations of its combination.

        Raises:
            BadValue: as `add`.
        """
        if shot.reel is None:
            return
        for film in self._takes[shot.count.step].films:
            if isinstance(film.page, Page) and film.spool is not None:
                self._record(film, film.page, film.spool.frame(shot.frame - shot.reel.first), shot.reel)

    def wants(self, shot: Shot) -> bool:
        """Whether the pixels of a frame are needed for an animation."""
        take = self._takes.get(shot.count.step)
        return take is not None and any(not film.is_whole for film in take.films)

    def add(self, shot: Shot, images: Sequence[Any]) -> None:
        """Take the pictures of a frame.

        Raises:
            BadValue: `disk-full` or `unwritable-output`; what was written before is whole.
        """
        take = self._takes.get(shot.count.step)
        if take is None or shot.reel is None:
            return
        for film, image in zip(take.films, images, strict=False):
            if isinstance(film.page, Page):
                self._record(film, film.page, image, shot.reel)

    def end(self, shot: Shot) -> None:
        """Complete the animations of a combination after their last frame, and tell how far they are.

        Raises:
            BadValue: `disk-full` or `unwritable-output`.
        """
        take = self._takes.get(shot.count.step)
        if take is None or shot.reel is None:
            return
        done = shot.frame - shot.reel.first + 1
        frames = self._end_of(shot.reel) - shot.reel.first
        left = (time.monotonic() - take.started) / done * max(0, frames - done)
        self._emit(FrameDone(number=shot.count.number, frame=done, frames=frames, seconds_left=round(left, 3)))
        if done == frames:
            self.complete(shot, self._takes.pop(shot.count.step))

    def cut(self, shot: Shot, why: BaseException | None) -> bool:
        """End the animations before a frame that its file does not have any more; say whether that is the trouble."""
        if not isinstance(why, Ended) or shot.reel is None or shot.is_first:
            return False
        self._cut = (shot.reel, shot.frame)
        for step in list(self._takes):
            self.complete(shot, self._takes.pop(step))
        return True

    def is_cut(self, shot: Shot) -> bool:
        """Whether a frame is not there."""
        return shot.reel is not None and shot.frame >= self._end_of(shot.reel)

    def drop(self, shot: Shot) -> None:
        """Give the animations of a combination up: one of its frames failed."""
        take = self._takes.pop(shot.count.step, None)
        for film in take.films if take is not None else ():
            self._abandon(film)

    def abandon(self) -> None:
        """Give all up; the pictures of their frames stay, and where there are none, the frames themselves."""
        for take in self._takes.values():
            for film in take.films:
                self._abandon(film)
        self._takes.clear()
        self._cut = None

    def settle(self, *, is_written: bool) -> None:
        """Let go of the frames of complete animations, and remove them when those are on disk."""
        for spool in self._complete_spools:
            spool.remove() if is_written else spool.close()
        self._complete_spools.clear()

    def _abandon(self, film: Film) -> None:
        """Stop writing an animation, and tell what is kept of it."""
        if film.recorder is not None:
            film.recorder.abandon()
        spool, film.recorder, film.spool = film.spool, None, None
        if spool is None:
            return
        frames = len(spool)
        spool.close()
        if frames and isinstance(film.page, Page):
            self._emit(Warned(diagnostic=_unfinished(film.page, frames, spool.path)))

    def _end_of(self, reel: Reel) -> int:
        if self._cut is not None and self._cut[0] is reel:
            return self._cut[1]
        return reel.last + 1

    # ---- files ---------------------------------------------------------------------------------------------------

    def _record(self, film: Film, page: Page, image: Any, reel: Reel) -> None:
        try:
            if film.recorder is None:
                part = self._pool.start_film(page.folder)
                film.recorder = Recorder(
                    part, page.ending, Size(*image.size), reel.rate, spool=film.spool, config=page.label
                )
            film.recorder.add(brought_to(image, film.recorder.size))
        except OSError as error:
            self._abandon(film)
            raise trouble(error, page.folder) from None

    def complete(self, shot: Shot, take: Take) -> None:
        """Hand the animations of a combination over to the writers.

        Raises:
            BadValue: `disk-full` or `unwritable-output`.
        """
        for film in take.films:
            if isinstance(film.page, Written):
                self._pool.keep(film.page)
            elif (part := self.recorded(film, film.page, shot)) is not None:
                self._pool.submit(shot.count.number, film.page.of(part))
                self._complete_spools += [film.spool] if film.spool is not None else []

    def recorded(self, film: Film, page: Page, shot: Shot) -> Path | None:
        """Return the complete file of an animation, which has no name yet; None where an engine draws nothing."""
        if film.recorder is None:
            return None
        try:
            film.recorder.finish(self._sound(shot))
        except OSError as error:
            self._abandon(film)
            raise trouble(error, page.folder) from None
        return film.recorder.target

    def _sound(self, shot: Shot) -> Sound | None:
        if shot.whole is None or shot.reel is None or not shot.whole.keep_audio:
            return None
        path = self._find(shot.reel.lead)
        if not is_video(path) or format_of(shot.whole) not in WITH_SOUND:
            return None
        return Sound(path=path, start=shot.reel.first / shot.reel.rate)


def _unfinished(page: Page, frames: int, path: Path) -> Diagnostic:
    message = f"`{page.stem}.{page.ending}` is not complete, and {frames} frame{'s are' if frames > 1 else ' is'} kept"
    return Diagnostic(
        severity="warning", code="unfinished-animation", message=message,
        help=f"`--resume` goes on from there; the frames are in `{path}`",
    )  # fmt: skip
