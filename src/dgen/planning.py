"""Plans what a script would make: jobs, and the files they would become; nothing is rendered or written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dgen.check.follow import surroundings_kept
from dgen.diagnostic import Diagnostic, Source, Span, Word
from dgen.engine.protocol import Inputs
from dgen.engine.trace import Traced, TraceEngine
from dgen.events import Event, FileSaved, Warned
from dgen.families.inspection import ModelFacts
from dgen.lang.directives import find_directive
from dgen.lang.evaluate import Exited, Interpreter
from dgen.lang.nodes import Directive, Statement
from dgen.media.read import PictureFiles
from dgen.media.write import Names, Page, WriterPool, Written
from dgen.options.request import Request
from dgen.plan.resolve import Job, resolve
from dgen.session import Session
from dgen.values.scalars import Size

# Topics whose directives do something to the world outside the session; a plan passes them over.
_PASSED_OVER = ("files", "programs", "web", "plugins")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedJob:
    """A job, where in the script it comes from, and the pictures it would become."""

    job: Job
    where: str
    files: tuple[Path, ...]


@dataclass(slots=True)
class Plan:
    """What a script would make."""

    jobs: list[PlannedJob] = field(default_factory=list[PlannedJob])
    loads: list[str] = field(default_factory=list[str])  # the parts of models that would be loaded, in their order
    warnings: list[Diagnostic] = field(default_factory=list[Diagnostic])
    passed_over: list[str] = field(default_factory=list[str])  # directives that a plan does not run, with places

    @property
    def files(self) -> list[Path]:
        """The pictures that would be written."""
        return [path for planned in self.jobs for path in planned.files]

    @property
    def models(self) -> list[str]:
        """The models that would be used, each once."""
        return list(dict.fromkeys(planned.job.request.model for planned in self.jobs))

    def __str__(self) -> str:
        """Say it in a line for each job."""
        lines = [f"{p.job.request.model} {p.job.mode} {p.job.size} {' '.join(map(str, p.files))}" for p in self.jobs]
        return "\n".join([*lines, f"{len(self.jobs)} jobs, {len(self.files)} pictures, {len(self.models)} models"])


class PlannedPictures(PictureFiles):
    """Picture files, those included that earlier jobs of the plan would have written."""

    def __init__(self) -> None:
        """Start with what is on the disk."""
        super().__init__()
        self.planned: dict[Path, Size] = {}

    def size(self, path: str) -> Size:
        """Return width and height in pixels.

        Raises:
            BadValue: nobody has written it or will write it.
        """
        return self.planned.get(Path(path).absolute()) or super().size(path)


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

    def write(self, page: Page, files: Written) -> None:
        """Leave the files unwritten."""


class PlanningSession(Session):
    """Takes statements as a session does, up to the point where work would begin."""

    def __init__(self) -> None:
        """Start an empty plan."""
        self.plan = Plan()
        super().__init__(TraceEngine(self._hear), self._hear)
        self.planned = PlannedPictures()
        self.pictures = self.planned
        self._where = ""
        self._files: dict[int, list[Path]] = {}

    def make_pool(self) -> WriterPool:
        """Make what writes nothing."""
        return PlannedFiles(self._saved, workers=1)

    def make_folder(self, folder: Path) -> None:
        """Leave the folder unmade."""

    def make_interpreter(self) -> Interpreter:
        """Make what passes directives over that change the world."""
        return _PlanningInterpreter(self.scope, self)

    def _hear(self, event: Event) -> None:
        match event:
            case Traced(text=text) if text.startswith("load "):
                self.plan.loads.append(text.removeprefix("load "))
            case Warned():
                self.plan.warnings.append(event.diagnostic)
            case FileSaved(kind="image"):
                self._files.setdefault(event.number, []).append(Path(event.path))
            case _:
                pass

    def invoke(self, words: tuple[Word, ...], span: Span) -> None:
        """Plan one invocation."""
        self._where, first = str(span), len(self.plan.jobs)
        super().invoke(words, span)
        for number, planned in enumerate(self.plan.jobs[first:], 1):
            files = tuple(self._files.pop(number, ()))
            self.plan.jobs[first + number - 1] = PlannedJob(job=planned.job, where=planned.where, files=files)
            self.planned.planned.update(dict.fromkeys((f.absolute() for f in files), _written_size(planned.job)))

    def _render_one(self, count: tuple[int, int], request: Request, place: tuple[ModelFacts, str]) -> None:
        job = resolve(request, *place, self.pictures)
        self.engine.render(job, Inputs(), lambda step, steps: None)
        grids = job.request.batch_grid_size is not None
        pictures = 1 if grids else job.request.num_images_per_prompt or 1
        self.plan.jobs.append(PlannedJob(job=job, where=self._where, files=()))
        for page in self.pages(job, (None,) * pictures, count[0]):
            self._pool.submit(count[0], page)


class _PlanningInterpreter(Interpreter):
    def _run(self, statement: Statement) -> None:
        if isinstance(statement, Directive):
            row = find_directive(statement.name, statement.name_span)
            if row.call.__module__.rpartition(".")[2] in _PASSED_OVER and isinstance(self.host, PlanningSession):
                self.host.plan.passed_over.append(f"{statement.name_span} \\{row.name}")
                return
        super()._run(statement)


def _written_size(job: Job) -> Size:
    shape = job.request.batch_grid_size
    return Size(job.size.width * shape.width, job.size.height * shape.height) if shape else job.size


def plan_script(source: Source, injected: Sequence[Word] = ()) -> Plan:
    r"""Plan a script; `injected` words join every invocation.

    Raises:
        DgenError: something in it is wrong.
    """

    def work(session: PlanningSession) -> None:
        session.inject(injected)
        session.run(source)

    return _planned(work)


def plan_invocation(words: tuple[Word, ...], span: Span, injected: Sequence[Word] = ()) -> Plan:
    """Plan one invocation.

    Raises:
        DgenError: something in it is wrong.
    """

    def work(session: PlanningSession) -> None:
        session.invoke((*words, *injected), span)

    return _planned(work)


def _planned(work: Callable[[PlanningSession], None]) -> Plan:
    session = PlanningSession()
    try:
        with surroundings_kept():
            work(session)
    except Exited:
        pass
    finally:
        session.close()
    return session.plan
