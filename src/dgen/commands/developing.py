"""Develops the pictures of `image-process` and writes them: stills, and animations frame by frame."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from dgen.commands import CommandHost
from dgen.diagnostic import Diagnostic, Word, fail
from dgen.events import AnimationStarted, FileSaved, FrameDone, Warned
from dgen.media.encode import encode
from dgen.media.publish import publish
from dgen.media.read import brought_to
from dgen.media.record import Recorder
from dgen.media.sound import Sound
from dgen.media.video import Ended, is_video
from dgen.media.write import Names
from dgen.plan.bind import Bound
from dgen.plan.resolve import align, fit
from dgen.processors import Chain
from dgen.values.scalars import Size

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A picture to change: where it lies, the word that names it, and the file to write."""

    source: str
    word: Word
    target: Path
    named: Word | None = None  # the word that names the target
    frames: range | None = None  # of an animation: those that are used; of a single one a still picture is made
    rate: Fraction = Fraction(1)  # frames a second

    @property
    def is_film(self) -> bool:
        """Whether it becomes an animation."""
        return self.frames is not None and len(self.frames) > 1


@dataclass(slots=True)
class Developing:
    """Makes and writes files; `pictures` and `films` are those that are written."""

    host: CommandHost
    bound: Bound
    pictures: list[str] = field(default_factory=list[str])
    films: list[str] = field(default_factory=list[str])
    _names: Names = field(default_factory=Names)

    def make(self, number: int, work: Work, chain: Chain) -> None:
        """Make the files of a picture, which is counted from 1.

        Raises:
            DgenError: `file-failed`.
            BadValue, EngineError: as `Darkroom.develop`.
        """
        try:
            work.target.parent.mkdir(parents=True, exist_ok=True)
            if work.is_film:
                self._film(number, work, chain)
                return
            image = self._developed(work, work.frames[0] if work.frames else None, chain)
            self.pictures.append(self._written(number, work.target, image))
        except OSError as error:
            raise fail("file-failed", f"`{work.target}` cannot be written: {error.strerror}", work.word.span) from None

    def _developed(self, work: Work, frame: int | None, chain: Chain) -> Image:
        room, bound = self.host.darkroom, self.bound
        picture = self.host.pictures.picture(work.source, frame)
        image = room.develop(picture, tuple(s for s in chain if s.chosen.said.pre_resize))
        wanted, multiple = bound.value("resize"), bound.value("align", 1)
        size = align(fit(Size(*image.size), wanted, "no_aspect" not in bound, 1), multiple)
        return room.develop(brought_to(image, size), tuple(s for s in chain if not s.chosen.said.pre_resize))

    def _written(self, number: int, target: Path, image: Image) -> str:
        ending = target.suffix[1:]
        return self._published(number, target, "image", lambda file: encode(image, ending.lower(), {}, file))

    def _published(self, number: int, target: Path, kind: str, fill: Callable[[BinaryIO], None]) -> str:
        """Write a file under a name that is free; return it."""
        folder, ending = target.parent, target.suffix[1:]
        path = folder / f"{self._names.claim(folder, target.stem, [ending], 'output_overwrite' in self.bound)}.{ending}"
        publish(path, fill)
        self.host.emit(FileSaved(number=number, path=str(path), kind=kind))
        return str(path.resolve())

    # ---- animations ----------------------------------------------------------------------------------------------

    def _film(self, number: int, work: Work, chain: Chain) -> None:
        """Make the animation and the picture of each of its frames, as far as they are wanted."""
        ending, writes_film = work.target.suffix[1:].lower(), "no_animation_file" not in self.bound
        count = len(work.frames or ())
        self.host.emit(AnimationStarted(number=number, frames=count, rate=str(work.rate), format=ending))
        with tempfile.TemporaryDirectory(dir=work.target.parent, prefix=".dgen-") as room:
            film = _Film(Path(room) / f"film.{ending}", ending, work.rate, self._sound(work)) if writes_film else None
            self._shoot(number, work, chain, film)
            if film is not None:
                self.films.append(self._published(number, work.target, "animation", film.copy_to))

    def _sound(self, work: Work) -> Sound | None:
        """Return the sound that goes along with the frames that are used."""
        path = self.host.pictures.find(work.source)
        if "keep_audio" not in self.bound or not is_video(path):
            return None
        return Sound(path=path, start=(work.frames or range(1))[0] / work.rate)

    def _shoot(self, number: int, work: Work, chain: Chain, film: _Film | None) -> None:
        with film.closing() if film is not None else contextlib.nullcontext():
            for frame, image in self._frames(number, work, chain):
                if "no_frames" not in self.bound:
                    self._write_frame(number, work, (frame, image))
                if film is not None:
                    film.add(image)

    def _write_frame(self, number: int, work: Work, made: tuple[int, Image]) -> None:
        name = f"{work.target.stem}_frame_{made[0]}.{self.bound.value('frame_format', 'png')}"
        self.pictures.append(self._written(number, work.target.with_name(name), made[1]))

    def _frames(self, number: int, work: Work, chain: Chain) -> Iterator[tuple[int, Image]]:
        """Yield the frames with their numbers, and tell how far they are; a file that ends too early ends them."""
        started, frames = time.monotonic(), work.frames or range(0)
        for done, frame in enumerate(frames, 1):
            try:
                image = self._developed(work, frame, chain)
            except Ended as error:
                if done == 1:
                    raise
                message = (
                    f"`{Path(work.source).name}` is cut short, and its {done - 1} good frames are used: {error.why}"
                )
                self.host.emit(Warned(diagnostic=Diagnostic(code="cut-short", message=message, span=work.word.span)))
                return
            yield frame, image
            left = (time.monotonic() - started) / done * (len(frames) - done)
            self.host.emit(FrameDone(number=number, frame=done, frames=len(frames), seconds_left=round(left, 3)))


class _Film:
    """An animation that is being written; its first frame decides the size."""

    def __init__(self, path: Path, ending: str, rate: Fraction, sound: Sound | None) -> None:
        self.path, self._ending, self._rate, self._sound = path, ending, rate, sound
        self._recorder: Recorder | None = None

    def add(self, image: Image) -> None:
        if self._recorder is None:
            self._recorder = Recorder(self.path, self._ending, Size(*image.size), self._rate)
        self._recorder.add(brought_to(image, self._recorder.size))

    @contextlib.contextmanager
    def closing(self) -> Iterator[None]:
        """Complete the file, or remove it when something fails."""
        try:
            yield
            if self._recorder is not None:
                self._recorder.finish(self._sound)
        except BaseException:
            if self._recorder is not None:
                self._recorder.abandon()
            raise

    def copy_to(self, file: BinaryIO) -> None:
        """Write the complete animation into another file."""
        with self.path.open("rb") as made:
            shutil.copyfileobj(made, file)
