"""Plans what a script would make: jobs, and the files they would become; nothing is rendered or written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dgen.calibration import read_paces
from dgen.check.follow import surroundings_kept
from dgen.darkroom import Darkroom
from dgen.demand import demand
from dgen.diagnostic import Source, Span, Word
from dgen.engine.protocol import Inputs, Result
from dgen.engine.trace import Traced, TraceEngine
from dgen.events import Event, Failed, FileLost, FileSaved, JobKept, Warned
from dgen.families.inspection import ModelFacts
from dgen.filming import Film, Filming, Take
from dgen.footage import Footage, PlannedFootage
from dgen.forecast import Plan, PlannedJob
from dgen.lang.directives import find_directive
from dgen.lang.evaluate import Exited, Interpreter
from dgen.lang.nodes import Directive, Statement
from dgen.media.names import pictures_of
from dgen.media.read import PictureFiles
from dgen.media.resume import Resumption
from dgen.media.spool import frames_kept, spool_path
from dgen.media.video import Clip
from dgen.media.write import Names, Page, WriterPool, Written
from dgen.plan.bind import Bound
from dgen.plan.expand import Expansion
from dgen.plan.shots import Shot
from dgen.schema import BadValue
from dgen.session import Session
from dgen.values.scalars import Size

if TYPE_CHECKING:
    from PIL.Image import Image

# Topics whose directives do something to the world outside the session; a plan passes them over.
_PASSED_OVER = ("files", "programs", "web", "plugins", "pictures", "commands")


class PlannedPictures(PictureFiles):
    """Picture files, those included that earlier jobs of the plan would have written."""

    def __init__(self) -> None:
        """Start with what is on the disk."""
        super().__init__()
        self.planned: dict[Path, Size] = {}
        self.planned_clips: dict[Path, Clip] = {}

    def size(self, path: str) -> Size:
        """Return width and height in pixels.

        Raises:
            BadValue: nobody has written it or will write it.
        """
        return self.planned.get(Path(path).absolute()) or super().size(path)

    def clip(self, path: str) -> Clip | None:
        """Return what an animation shows; None for a still picture.

        Raises:
            BadValue: nobody has written it or will write it.
        """
        place = Path(path).absolute()
        return self.planned_clips.get(place) if place in self.planned else super().clip(path)

    def picture(self, path: str, frame: int | None = None) -> Image:
        """Return a picture, or a frame of one; a black one of its size when it is not there yet.

        Raises:
            BadValue: nobody has written it or will write it.
        """
        planned = self.planned.get(Path(path).absolute())
        if planned is None:
            return super().picture(path, frame)
        from PIL import Image as Pictures

        return Pictures.new("RGB", (planned.width, planned.height))


class PlannedNames(Names):
    """Gives names as they will be given when what was planned before is on the disk."""

    def __init__(self) -> None:
        """Start with what is on the disk."""
        super().__init__()
        self._there: set[Path] = set()

    def release(self, paths: Sequence[Path | None]) -> None:
        """Count files as written."""
        self._there.update(p for p in paths if p)
        super().release(paths)

    def _taken(self, paths: list[Path], overwrite: bool) -> bool:
        return super()._taken(paths, overwrite) or (not overwrite and not self._there.isdisjoint(paths))


class PlannedFiles(WriterPool):
    """Takes pages and writes none of them."""

    def make_names(self) -> Names:
        """Make what names the files."""
        return PlannedNames()

    def write(self, page: Page, files: Written) -> Written:
        """Leave the files unwritten."""
        return files


class PlannedFilming(Filming):
    """Takes frames and writes no animation."""

    def add(self, shot: Shot, images: Sequence[Image | None]) -> None:
        """Leave the frames unwritten."""

    def spool(self, film: Film, page: Page) -> None:
        """Count the frames that an earlier run left."""
        with suppress(BadValue):  # it starts from a picture that is not made yet
            if self._paging.resumption is not None and page.job is not None:
                film.kept = frames_kept(spool_path(page.folder, page.job(), page.index))

    def take_kept(self, shot: Shot) -> None:
        """Leave the frames where they are."""

    def complete(self, shot: Shot, take: Take) -> None:
        """Tell of the animations that are there, and of those that would be."""
        for film in take.films:
            if isinstance(film.page, Written):
                self._emit(FileSaved(number=shot.count.number, path=str(film.page.image), kind="animation"))
        super().complete(shot, take)

    def recorded(self, film: Film, page: Page, shot: Shot) -> Path | None:
        """Return what stands for a complete file."""
        return page.folder


class PlanningSession(Session):
    """Takes statements as a session does, up to the point where work would begin."""

    packs_jobs = False

    def __init__(self) -> None:
        """Start an empty plan."""
        self.plan = Plan()
        self.paces = read_paces()
        self._tracing = TraceEngine(self._hear)
        super().__init__(self._tracing, self._hear)
        self.planned = PlannedPictures()
        self.pictures = self.planned
        self.darkroom = Darkroom(self.planned, self._tracing)
        self._where = ""
        self._sizes: dict[str, int] = {}  # of parts, by what the trace calls them
        self._parts: list[str] = []  # of the job that is planned
        self._files: dict[tuple[int, str], list[Path]] = {}  # by the number of the job, and "image" or "config"

    def make_pool(self) -> WriterPool:
        """Make what writes nothing."""
        return PlannedFiles(self._saved, workers=1)

    def make_filming(self) -> Filming:
        """Make what records nothing."""
        return PlannedFilming(self._pool, self.paging, lambda path: self.pictures.find(path), self._hear)

    def make_footage(self) -> Footage:
        """Make what writes no video."""
        return PlannedFootage(self._pool, self.paging, self._hear)

    def open_desk(self, bound: Bound, expansion: Expansion) -> None:
        """Lay nothing out."""

    def make_folder(self, folder: Path) -> None:
        """Leave the folder unmade."""

    def resume(self, *, any_name: bool = False) -> None:
        """Plan nothing that earlier runs did."""
        self.paging.resumption = Resumption(any_name=any_name, sweeps=False)
        self._tracing.names_files = True

    def make_interpreter(self) -> Interpreter:
        """Make what passes directives over that change the world."""
        return _PlanningInterpreter(self.scope, self)

    def _hear(self, event: Event) -> None:
        if isinstance(event, Traced):
            self._parts.append(event.text.partition(" ")[2])
        match event:
            case Traced(text=text, loads=part) if part is not None:
                self._sizes[text.partition(" ")[2]] = part.bytes or 0
                self.plan.loads.append(text.removeprefix("load "))
                if part not in self.plan.parts:
                    self.plan.parts.append(part)
            case Warned():
                self.plan.warnings.append(event.diagnostic)
            case Failed():
                self.plan.failures += event.diagnostics
            case FileLost():
                self.plan.lost[Path(event.path)] = event.why
            case JobKept():
                self._files[event.number, "image"] = [*map(Path, event.paths)]
                self._files[event.number, "animation"] = [*map(Path, event.animations)]
            case FileSaved():
                self._files.setdefault((event.number, event.kind), []).append(Path(event.path))
            case _:
                pass

    def invoke(self, words: tuple[Word, ...], span: Span) -> None:
        """Plan one invocation."""
        self._where, first = str(span), len(self.plan.jobs)
        super().invoke(words, span)
        for number, planned in enumerate(self.plan.jobs[first:], 1):
            kinds = ("image", "config", "animation")
            files, configs, films = (tuple(self._files.pop((number, kind), ())) for kind in kinds)
            if planned.is_kept and planned.job.request.output_configs:
                configs = tuple(path.with_suffix(".dgen") for path in (planned.job.frames and films) or files)
            whole = replace(planned, files=files, configs=configs, animations=films)
            self.plan.jobs[first + number - 1] = whole
            self.planned.planned.update(dict.fromkeys((f.absolute() for f in (*files, *films)), whole.size))
            if (clip := whole.clip) is not None:
                self.planned.planned_clips.update(dict.fromkeys((f.absolute() for f in films), clip))

    def _render_one(self, shot: Shot, place: tuple[ModelFacts, str]) -> bool:
        job = self.darkroom.resolve(shot.request, *place)
        self._start_film(shot, place)
        size = self.darkroom.finished_size(job)
        device = shot.request.device and place[1]
        planned = PlannedJob(
            job=job, where=self._where, files=(), one=size, seconds=self.paces.seconds_of(job, device),
            is_kept=self._keeps(job, shot), reel=shot.reel,
        )  # fmt: skip
        self.plan.jobs.append(planned)
        if planned.is_kept:
            return True
        self._parts.clear()
        self.engine.render(job, Inputs(), lambda step, steps: None)
        sizes = [self._sizes.get(name, 0) for name in self._parts]
        self.plan.jobs[-1] = replace(planned, demand=demand(job.request, sizes, place[1]))
        if job.frames is not None:
            self._write_films(job, Result(()), shot, lambda images: images)
        else:
            self._write(job, (None,) * pictures_of(job), shot)
        return False


class _PlanningInterpreter(Interpreter):
    def _run(self, statement: Statement) -> None:
        if isinstance(statement, Directive):
            row = find_directive(statement.name, statement.name_span)
            if row.call.__module__.rpartition(".")[2] in _PASSED_OVER and isinstance(self.host, PlanningSession):
                self.host.plan.passed_over.append(f"{statement.name_span} \\{row.name}")
                return
        super()._run(statement)


def plan_script(source: Source, injected: Sequence[Word] = ()) -> Plan:
    r"""Plan a script; `injected` words join every invocation.

    Raises:
        DgenError: something in it is wrong.
    """

    def work(session: PlanningSession) -> None:
        session.inject(injected)
        session.run(source)

    return planned(work)


def plan_invocation(words: tuple[Word, ...], span: Span, injected: Sequence[Word] = ()) -> Plan:
    """Plan one invocation.

    Raises:
        DgenError: something in it is wrong.
    """

    def work(session: PlanningSession) -> None:
        session.invoke((*words, *injected), span)

    return planned(work)


def planned(work: Callable[[PlanningSession], object]) -> Plan:
    """Return the plan of what some work would do with a session.

    Raises:
        DgenError: something in it is wrong.
    """
    session = PlanningSession()
    try:
        with surroundings_kept():
            work(session)
    except Exited:
        pass
    finally:
        session.close()
    return session.plan
