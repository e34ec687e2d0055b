"""Writes files so that each is whole or absent, on a few threads while the next job renders."""

from __future__ import annotations

import contextlib
import hashlib
import io
import shutil
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from dgen.media.encode import encode
from dgen.media.ledger import Entry, Ledger
from dgen.media.metadata import CONFIG, PARAMETERS
from dgen.media.publish import (
    give_name,
    new_part,
    publish,
    publish_text,
    trouble,
)
from dgen.schema import BadValue

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A picture to be written, or an animation to be given its name; and the config beside it."""

    image: Image | None = None
    film: Path | None = None  # an animation that is complete, under another name in the same folder
    is_film: bool = False  # an animation that is not complete yet
    folder: Path
    stem: str
    ending: str
    config: Callable[[], str] | None = None  # computed on the writer's thread
    embeds_config: bool = False
    writes_config: bool = False
    parameters: str | None = None  # what other programs read
    overwrite: bool = False
    index: int = 1  # counts the pictures of a job
    job: Callable[[], str] | None = None  # the key under which the ledger has it; without, it is not entered
    name: str | None = None  # the stem that an earlier run gave it: what is left there is replaced
    is_unfinished: bool = False  # with `name`: nobody knows whether what lies there is that picture

    @property
    def replaces(self) -> bool:
        """Whether its file takes the place of another one."""
        return self.overwrite or (self.name is not None and not self.is_unfinished)

    @property
    def kind(self) -> str:
        """What its file is: `image` or `animation`."""
        return "animation" if self.film is not None or self.is_film else "image"

    @property
    def label(self) -> str:
        """The config that an animation carries; nothing when it carries none."""
        return self.texts().get(CONFIG, "")

    def showing(self, image: Image) -> Page:
        """Return the page of a picture."""
        return replace(self, image=image)

    def of(self, film: Path) -> Page:
        """Return the page of an animation that is complete."""
        return replace(self, film=film)

    def fill(self, file: BinaryIO) -> None:
        """Write the bytes of the file."""
        if self.film is not None:
            with self.film.open("rb") as film:
                shutil.copyfileobj(film, file)
        elif self.image is not None:
            encode(self.image, self.ending, self.texts(), file)

    def encoded(self) -> bytes:
        """Return the bytes of the file."""
        buffer = io.BytesIO()
        self.fill(buffer)
        return buffer.getvalue()

    def texts(self) -> dict[str, str]:
        """Return what the picture itself carries."""
        found = {PARAMETERS: self.parameters} if self.parameters is not None else {}
        return found | {CONFIG: self.config()} if self.config is not None and self.embeds_config else found


@dataclass(frozen=True, slots=True)
class Written:
    """The files that a page became."""

    image: Path
    config: Path | None
    index: int = 1
    kind: str = "image"  # or "animation"

    @property
    def paths(self) -> tuple[Path, ...]:
        """The picture, and the config when there is one."""
        return (self.image,) if self.config is None else (self.image, self.config)


class Names:
    """Gives every page of a process a name of its own, on disk and among those still being written."""

    def __init__(self) -> None:
        """Start with nothing promised."""
        self._lock = threading.Lock()
        self._promised: set[Path] = set()

    def claim(self, folder: Path, stem: str, endings: Sequence[str], overwrite: bool) -> str:
        """Return the stem to use: `stem`, or `stem_duplicate_N` when one of its files is taken."""
        with self._lock:
            number, name = 0, stem
            while self._taken([folder / f"{name}.{e}" for e in endings], overwrite):
                number += 1
                name = f"{stem}_duplicate_{number}"
            self._promised.update(folder / f"{name}.{e}" for e in endings)
            return name

    def _taken(self, paths: list[Path], overwrite: bool) -> bool:
        return any(p in self._promised or (not overwrite and p.exists()) for p in paths)

    def release(self, paths: Sequence[Path | None]) -> None:
        """Forget promises once the files are there, or will never be."""
        with self._lock:
            self._promised.difference_update(p for p in paths if p)


class WriterPool:
    """Writes pages on threads; holds a bounded number that are not on disk yet."""

    def __init__(self, on_written: Callable[[int, Written], None], workers: int = 2, waiting: int = 16) -> None:
        """`on_written(number, files)` is called on a writer's thread."""
        self._on_written = on_written
        self.made_on = ""  # the kind of device, for the ledger
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="dgen-writer")
        self._room = threading.BoundedSemaphore(waiting)
        self._names = self.make_names()
        self._last = 0  # the number of the job that was submitted last
        self._running: deque[tuple[int, Future[Written]]] = deque()
        self._written: list[tuple[int, Written]] = []
        self._ledgers: dict[Path, Ledger] = {}
        self._opening = threading.Lock()
        self._rescuing = threading.Lock()
        self._rescue_folder: Path | None = None

    def make_names(self) -> Names:
        """Make what names the files."""
        return Names()

    def submit(self, number: int, page: Page) -> None:
        """Queue a page of the job of a number; waits when too many are queued.

        Raises:
            BadValue: an earlier page could not be written.
        """
        self._room.acquire()
        task = self._pool.submit(self._write, number, page, self._claim(page))
        task.add_done_callback(lambda _: self._room.release())
        self._append(number, task)

    def keep(self, files: Written, number: int | None = None) -> None:
        """Count files that are on disk already among those that are written, by default those of the last job.

        Raises:
            BadValue: an earlier page could not be written.
        """
        task: Future[Written] = Future()
        task.set_result(files)
        self._append(self._last if number is None else number, task)

    def _append(self, number: int, task: Future[Written]) -> None:
        self._last = number
        self._running.append((number, task))
        self._collect()

    def _claim(self, page: Page) -> Written:
        """Return the files that a page shall become, which nobody else in this process will write."""
        endings = [page.ending, "dgen"] if page.writes_config else [page.ending]
        is_free = page.overwrite or page.name is not None
        name = self._names.claim(page.folder, page.name or page.stem, endings, is_free)
        config = page.folder / f"{name}.dgen" if page.writes_config else None
        return Written(page.folder / f"{name}.{page.ending}", config, page.index, page.kind)

    def finish(self) -> tuple[Written, ...]:
        """Wait until everything is on disk; return the files since the last call, in the order of the jobs.

        Raises:
            BadValue: `disk-full` or `unwritable-output`; everything else was written all the same.
        """
        wait([task for _, task in self._running])
        self._close_ledgers()
        self._collect()
        written, self._written = self._written, []
        return tuple(files for _, files in sorted(written, key=lambda pair: pair[0]))

    def _collect(self) -> None:
        """Take what is written off the queue, in order, so that a long run holds paths and nothing else."""
        while self._running and self._running[0][1].done():
            number, task = self._running.popleft()
            error = task.exception()
            if error is not None:
                wait([each for _, each in self._running])
                self._running.clear()
                self._written.clear()
                raise error
            self._written.append((number, task.result()))

    def close(self) -> None:
        """End the threads, after what they are writing."""
        self._pool.shutdown(wait=True)
        self._close_ledgers()

    def _write(self, number: int, page: Page, files: Written) -> Written:
        try:
            written = self.write(page, files)
        except OSError as error:
            raise self._rescue(page, files.image.stem, error) from None
        finally:
            self._names.release([files.image, files.config])
        self._on_written(number, written)
        return written

    def write(self, page: Page, files: Written) -> Written:
        """Write a page into its files, and enter them into the ledger of their folder; return them.

        They have other names in the end when another process was faster. The entry before a file is there lets a
        run that is resumed know the name of what was being written; the one after it says that it is whole.
        """
        ledger, job = (self._ledger(page.folder), page.job()) if page.job is not None else (None, "")
        if ledger is not None:
            ledger.add(Entry(job=job, index=page.index, files=dict.fromkeys(p.name for p in files.paths)))
        try:
            digests = _publish_page(page, files)
        except FileExistsError:
            other = self._claim(replace(page, name=None))
            try:
                return self.write(replace(page, name=None), other)
            finally:
                self._names.release([other.image, other.config])
        if ledger is not None:
            names = (p.name for p in files.paths)
            ledger.add(
                Entry(job=job, index=page.index, files=dict(zip(names, digests, strict=True)), made_on=self.made_on)
            )
        return files

    def _ledger(self, folder: Path) -> Ledger:
        """Return the ledger of a folder, which stays open until everything is written."""
        place = folder.absolute()
        with self._opening:
            if place not in self._ledgers:
                self._ledgers[place] = Ledger(place)
            return self._ledgers[place]

    def start_film(self, folder: Path) -> Path:
        """Make the file into which an animation is written until it is complete.

        The ledger is open from now on: nobody takes the file for something that a killed process left.

        Raises:
            BadValue: `disk-full` or `unwritable-output`.
        """
        try:
            self._ledger(folder)
            return new_part(folder)
        except OSError as error:
            raise trouble(error, folder) from None

    def _close_ledgers(self) -> None:
        with self._opening:
            for ledger in self._ledgers.values():
                ledger.close()
            self._ledgers.clear()

    def _rescue(self, page: Page, name: str, error: OSError) -> BadValue:
        """Keep a rendered picture elsewhere when its own folder fails."""
        found = trouble(error, page.folder)
        with contextlib.suppress(OSError), self._rescuing:
            self._rescue_folder = self._rescue_folder or Path(tempfile.mkdtemp(prefix="dgen-rescued-"))
            kept = self._rescue_folder / f"{name}.{page.ending}"
            publish(kept, page.fill)
            found.help = f"what was rendered is kept in `{self._rescue_folder}`"
        return found


def _publish_page(page: Page, files: Written) -> list[str]:
    """Write a page into its files, the picture first; return their digests."""
    try:
        found = [_publish_own(page, files.image)]
    except FileExistsError:
        if page.name is None or files.image.read_bytes() != page.encoded():
            raise
        found = [hashlib.sha256(page.encoded()).hexdigest()]
    if files.config is not None and page.config is not None:
        found.append(publish_text(files.config, page.config()))
    return found


def _publish_own(page: Page, path: Path) -> str:
    """Write a picture, or give an animation its name; return its digest."""
    if page.film is None:
        return publish(path, page.fill, replaces=page.replaces)
    with page.film.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    give_name(str(page.film), path, replaces=page.replaces)
    return digest
