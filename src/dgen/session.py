"""Runs statements: the one place that sees the language, planning, the engine and the files together."""

from __future__ import annotations

import os
import random
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dgen import config as configs
from dgen import help as helps
from dgen.contact import Desk
from dgen.darkroom import Darkroom, processor_mistakes
from dgen.diagnostic import DgenError, Diagnostic, Source, Span, Word, fail
from dgen.engine.protocol import Engine, EngineError
from dgen.events import (
    Failed,
    Fetching,
    FileSaved,
    Interrupted,
    JobKept,
    Listener,
    Printed,
    Shown,
    StatementFinished,
    StatementStarted,
    Warned,
)
from dgen.families.inspection import ModelFacts
from dgen.families.rows import FAMILIES
from dgen.fetch import DOWNLOAD_BYTES, Order, fetch
from dgen.filming import LOSSLESS, Filming, reels_of
from dgen.inertness import inert
from dgen.lang.permissions import Permissions
from dgen.lang.scope import Scope
from dgen.media.read import PictureFiles
from dgen.media.resume import Resumption
from dgen.media.sheet import write_sheet
from dgen.media.write import WriterPool, Written, grid, make_folder, publish
from dgen.options.output import TENSOR_FORMATS
from dgen.paging import Paging
from dgen.patience import Patience
from dgen.plan.again import changed_words
from dgen.plan.bind import Bound, bind, request_table
from dgen.plan.embedded import with_arguments
from dgen.plan.expand import Expansion, expand
from dgen.plan.packs import packs
from dgen.plan.remember import last_variables
from dgen.plan.resolve import Job
from dgen.plan.shots import Reel, Shot, calls_of, shots
from dgen.plan.steps import steps_of, total_steps
from dgen.preflight import (
    asks_for_help,
    blaming,
    in_folder_of_script,
    look_into,
    option_help,
    plugin_mistakes,
    scheduler_lines,
    value_diagnostic,
)
from dgen.schema import BadValue
from dgen.telling import Telling, on_steps
from dgen.upscaling import EngineWriter, upscaled, upscaler_mistakes

if TYPE_CHECKING:
    from dgen.lang.evaluate import Interpreter


_OF_A_JOB = {"out-of-memory", "render-failed"}
"""The failures after which other jobs of a statement may still succeed."""


class Cancelled(KeyboardInterrupt):
    """`Session.cancel` was called: the run ends as if the user had interrupted it."""


class Session:
    """Holds what lives from one statement to the next: variables, loaded models, the writer pool."""

    packs_jobs = True  # whether `--batch-jobs` is heeded

    def __init__(self, engine: Engine, listener: Listener = lambda event: None) -> None:
        """`listener` is told what happens, also from the threads that write files: see `dgen.events.serial`."""
        self.engine = engine
        self.scope = Scope()
        self.rng: random.Random = random.SystemRandom()
        self.pictures = PictureFiles(lambda what: self.emit(Fetching(what=what)))
        self.failed = self.keep_going = False
        self.failures = 0  # of statements and jobs that a run went on after
        self.unmade: list[tuple[str, tuple[Word, ...]]] = []  # working directory and words of what failed, in part too
        self.injected: tuple[Word, ...] = ()
        self.permissions = Permissions()
        self.emit = listener
        self.darkroom = Darkroom(self.pictures, engine, lambda path, span: self.permissions.require_write(path, span))
        self.paging = Paging(engine, lambda path: self.pictures.find(path), lambda event: self.emit(event))
        self._pool = self.make_pool()
        self.desk = Desk()
        self.filming = self.make_filming()
        self._stop, self._stop_between = threading.Event(), threading.Event()
        self.patience = Patience(self.warn, self._wait)
        self.provide(**last_variables(None, None), last_images=[], last_animations=[])
        self.inject(())

    def make_pool(self) -> WriterPool:
        """Make what writes the pictures."""
        return WriterPool(self._saved)

    def make_filming(self) -> Filming:
        """Make what records animations."""
        return Filming(self._pool, self.paging, lambda path: self.pictures.find(path), lambda event: self.emit(event))

    def inject(self, words: Sequence[Word]) -> None:
        """Let words join every invocation, as those of the command line do."""
        self.injected = tuple(words)
        texts = [w.text for w in words]
        device = next((after for text, after in pairwise(texts) if text in {"-d", "--device"}), None)
        self.provide(
            injected_args=texts, injected_device=device, injected_verbose=bool({"-v", "--verbose"} & set(texts)),
            injected_plugin_modules=[],
        )  # fmt: skip

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

    # ---- running -----------------------------------------------------------------------------------------------

    def run(self, source: Source, *, keep_going: bool = False) -> None:
        """Run a script; its syntax errors are all reported before anything runs.

        Raises:
            DgenError: the script is wrong or a statement failed.
            Exited: `\\exit` ran.
        """
        from dgen.lang.parse import parse

        interpreter = self.make_interpreter()
        interpreter.argv = self.injected
        interpreter.keep_going = self.keep_going = keep_going
        interpreter.permissions = self.permissions
        interpreter.run(parse(source))

    def make_interpreter(self) -> Interpreter:
        """Make what runs statements."""
        from dgen.lang.evaluate import Interpreter

        return Interpreter(self.scope, self)

    def replay(self, source: Source, *, network: bool = False) -> None:
        """Run a config that an output carries. It is inert: nothing in it is evaluated or fetched.

        Raises:
            DgenError: `not-replayable`: it is more than one invocation, or says what no config says.
        """
        words, _ = inert(source)
        offline = () if network else (_no_network("replay"),)
        self.invoke((*words, *offline, *self.injected), words[0].span.to(words[-1].span))

    def report(self, error: DgenError) -> None:
        """Tell of a statement or a job that failed while the script goes on."""
        self.failed = True
        self.failures += 1
        self.emit(Failed(diagnostics=error.diagnostics))

    def invoke(self, words: tuple[Word, ...], span: Span) -> None:
        """Run one invocation.

        Raises:
            DgenError: it is wrong, or a job failed; what was rendered before is on disk.
        """
        before = self.failures
        try:
            self._invoke(words, span)
        except DgenError as error:
            self.unmade.append((os.getcwd(), words))
            raise self.permissions.hinted(error) from error.__cause__
        if self.failures > before:
            self.unmade.append((os.getcwd(), words))

    def _invoke(self, words: tuple[Word, ...], span: Span) -> None:
        self.heed(is_between=True)
        bound = bind(words, request_table(), span)
        if not self.permissions.network and not bound.value("offline_mode"):
            bound = bind((*words, _no_network("--sandbox")), request_table(), span)
        for warning in bound.warnings:
            self.emit(Warned(diagnostic=warning))
        if "model" not in bound:
            raise fail("missing-model", "an invocation starts with a model", span, help="as in `builtin:shapes`")
        bound = in_folder_of_script(bound)
        self.pictures.offline = bool(bound.value("offline_mode"))
        if self._answer_help(bound):
            return
        with blaming(bound):
            bound = with_arguments(bound)
            expansion = expand(bound, self.rng)
            facts, device = self._patiently(lambda: self._prepare(bound, expansion))
            self._pool.made_on = device
            if (changed := upscaled(bound, self._writer(bound))) is not bound:
                bound, expansion = changed, expand(changed, self.rng)
            self._remember(bound, expansion)
            self._render_all(bound, expansion, (facts, device))

    def _writer(self, bound: Bound) -> EngineWriter:
        return EngineWriter(self.engine, bound.value("device"), offline=bool(bound.value("offline_mode")))

    def _answer_help(self, bound: Bound) -> bool:
        if not asks_for_help(bound):
            return False
        asked = [v.name for v in bound.given["scheduler"].values]
        if len(asked) > 1:
            raise fail("bad-value", f"`{asked[0]}` stands alone", bound.span_of("scheduler"))
        with blaming(bound):
            request = replace(next(iter(expand(bound, self.rng))), scheduler=None)
            names = self.engine.schedulers(request)
            self.write("\n".join(scheduler_lines(names, asked[0] == "helpargs")) + "\n")
        return True

    def _prepare(self, bound: Bound, expansion: Expansion) -> tuple[ModelFacts, str]:
        """Check everything that can be checked before the expensive things start, and report it together.

        The device comes last: it is the first question that imports torch.
        """
        first = next(iter(expansion))
        self.permissions.require_write(first.output_path, bound.span_of("output_path"))
        facts, found = look_into(bound, expansion, self.engine, self.pictures)
        found += upscaler_mistakes(bound)
        found += plugin_mistakes(bound)
        found += processor_mistakes(bound)
        try:
            self.make_folder(Path(first.output_path))
        except BadValue as error:
            found.append(value_diagnostic(error, bound.span_of("output_path")))
        if found or facts is None:
            raise DgenError(*found)
        return facts, self.engine.device_kind(first.device)

    def resume(self, *, any_name: bool = False) -> None:
        """Do not do again what earlier runs did; `any_name`: under whatever name it is there."""
        self.paging.resumption = Resumption(any_name=any_name)

    def make_folder(self, folder: Path) -> None:
        """Make an output folder.

        Raises:
            BadValue: `unwritable-output` or `disk-full`.
        """
        make_folder(folder)

    def _render_all(self, bound: Bound, expansion: Expansion, place: tuple[ModelFacts, str]) -> None:
        started = time.monotonic()
        reels = self._patiently(lambda: self._reels(bound, expansion))
        total = calls_of(expansion, reels)
        self.emit(
            StatementStarted(
                where=str(bound.span), model=bound.value("model"), jobs=total, verbose=bool(bound.value("verbose")),
                steps=total_steps(expansion) * total // len(expansion), device=bound.value("device") or place[1],
            )
        )  # fmt: skip
        self.open_desk(bound, expansion)
        rendered = kept = 0
        try:
            for pack in packs(shots(expansion, reels), bound.value("batch_jobs") or 1):
                kept += self._attempt_pack(bound, pack, place)
                rendered = pack[-1].count.number
        except KeyboardInterrupt:
            self._finish()
            self.emit(Interrupted(done=rendered, left=total - rendered))
            raise
        except BaseException:
            self._finish()
            raise
        files = self._finish()
        took = round(time.monotonic() - started, 3)
        self.emit(StatementFinished(jobs=total, files=len(files), seconds=took, kept=kept))

    def _reels(self, bound: Bound, expansion: Expansion) -> tuple[Reel | None, ...]:
        """Return the frames of each image seed, None for those that don't move; nothing when no pictures are named."""
        with blaming(bound):
            return reels_of(bound, expansion, self.pictures, lambda odd: self.emit(Warned(diagnostic=odd)))

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
        self.filming.abandon()
        files = self._pool.finish()
        if (sheet := self.desk.close()) is not None:
            self.emit(FileSaved(number=1, path=str(sheet), kind="sheet"))
        made = {kind: [str(f.image.resolve()) for f in files if f.kind == kind] for kind in ("image", "animation")}
        self.provide(last_images=made["image"], last_animations=made["animation"])
        return files

    def _attempt_pack(self, bound: Bound, pack: tuple[Shot, ...], place: tuple[ModelFacts, str]) -> int:
        """Render jobs at once; when that fails in a run that keeps going, one by one. Return how many were there."""
        if len(pack) > 1 and self.packs_jobs:
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
            images = _sheets(job, self.darkroom.finished(job, result.images[part]))
            tellings[index].rendered(images)
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
        result = self._patiently(lambda: self.engine.render(job, inputs, telling.on_step(), telling.preview()))
        images = _sheets(job, self.darkroom.finished(job, result.images))
        telling.rendered(images)
        self._write(job, images or result.latents, shot)
        return False

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
                self._pool.keep(page)
            else:
                self._pool.submit(shot.count.number, page)

    def _keeps(self, job: Job, shot: Shot) -> bool:
        """Whether all pictures of a job are there from an earlier run; they count as its own then."""
        self.desk.note(shot.count.number, job)
        is_filmed = self.filming.wants(shot)
        if shot.is_without_picture:
            if not is_filmed:
                self.emit(JobKept(number=shot.count.number, steps=steps_of(job.request), paths=()))
            return not is_filmed
        if is_filmed and job.request.image_format not in LOSSLESS:
            return False
        kept = self.paging.keep(job, shot.count)
        for files in kept:
            self._pool.keep(files)
            self.desk.add(shot.count.number, files)
        if kept and is_filmed:
            self.filming.add(shot, [self.pictures.picture(str(files.image)) for files in kept])
        return bool(kept)

    def _saved(self, number: int, files: Written) -> None:
        self.desk.add(number, files)
        self.emit(FileSaved(number=number, path=str(files.image), kind=files.kind, index=files.index))
        if files.config is not None:
            self.emit(FileSaved(number=number, path=str(files.config), kind="config", index=files.index))

    # ---- variables ---------------------------------------------------------------------------------------------

    def _remember(self, bound: Bound, expansion: Expansion) -> None:
        """Set the `last_*` variables."""
        self.provide(**last_variables(bound, expansion))

    def provide(self, **variables: Any) -> None:
        """Set variables that scripts can read but not set."""
        for name, value in variables.items():
            self.scope.provide(name, value)

    # ---- what the language asks of its host ----------------------------------------------------------------------

    def write(self, text: str) -> None:
        """Write text of a script."""
        self.emit(Printed(text=text))

    def changed(self, words: tuple[Word, ...], changes: tuple[Word, ...]) -> tuple[Word, ...]:
        """Return the words of an invocation with options replaced, and with another model when one is named."""
        return changed_words(words, changes, request_table())

    def show(self, paths: tuple[str, ...]) -> None:
        """Show pictures to the user.

        Raises:
            BadValue: one of them cannot be read.
        """
        for path in paths:
            self.pictures.size(path)
        self.emit(Shown(paths=paths))

    def grid(self, paths: tuple[str, ...], target: Path) -> str:
        """Write pictures as one into a file; return its path.

        Raises:
            BadValue: one of them cannot be read, or the file cannot be written.
        """
        path = str(write_sheet([self.pictures.picture(path) for path in paths], target))
        self.emit(FileSaved(number=1, path=path, kind="image"))
        return path

    def warn(self, diagnostic: Diagnostic) -> None:
        """Tell of something odd."""
        self.emit(Warned(diagnostic=diagnostic))

    def help(self, topic: str, names: tuple[Word, ...], scope: Scope) -> str:
        """Return help on options or on what is loaded."""
        if topic == "cache":
            return self._cache_table()
        return option_help(names)

    def _cache_table(self) -> str:
        held = self.engine.holdings()
        rows = [
            (h.kind, h.class_name, h.device, h.dtype, f"{h.bytes / 2**20:.1f} MiB", str(h.uses), h.source)
            for h in held
        ]  # fmt: skip
        heads = ("kind", "class", "device", "dtype", "size", "uses", "source")
        return helps.table(heads, rows) if rows else "nothing is loaded\n"

    def clear_cache(self, kind: str, names: tuple[Word, ...]) -> None:
        """Drop cached components."""
        self.engine.clear(kind, [w.text for w in names])

    def save_modules(self, names: tuple[Word, ...]) -> object:
        """Keep modules of the last pipeline."""
        try:
            return self.engine.save_modules([w.text for w in names])
        except EngineError as error:
            near = [w for w in names if f"`{w.text}`" in error.message]
            span = near[0].span if near else names[0].span
            raise fail(error.code, error.message, span, error.help) from error

    def use_modules(self, saved: object, span: Span | None = None) -> None:
        """Use saved modules in the next invocation."""
        self.engine.use_modules(saved)

    def clear_modules(self, saved: object) -> None:
        """Let saved modules go."""
        self.engine.use_modules(None)

    def command(self, name: str, words: Sequence[Word], span: Span) -> None:
        """Run a command that is a directive too.

        Raises:
            DgenError: whatever is wrong with its words, or what goes wrong.
        """
        from dgen.commands import run_command

        run_command(self, name, words, span)

    def download(self, url: str, path: str | None, *, overwrite: bool, text: bool) -> str:
        """Fetch a URL into the cache, or to a path, and return where it lies."""
        self.permissions.require("network", None, "use the network")
        if path is not None:
            self.permissions.require_write(path, None)
        if path is not None and Path(path).exists() and not overwrite:
            return path
        order = Order(url=url, folder="text" if text else "web", types=(), text=text, limit_bytes=DOWNLOAD_BYTES)
        found = fetch(order, lambda what: self.emit(Fetching(what=what)))
        if path is None:
            return str(found)
        with found.open("rb") as file:
            publish(Path(path), partial(shutil.copyfileobj, file))
        return path

    def device_fact(self, name: str, *arguments: object) -> object:
        """Answer the functions of templates that ask for devices."""
        return self.engine.device_fact(name, *arguments)

    def model_types(self) -> tuple[str, ...]:
        """List the model families."""
        return tuple(FAMILIES)


def _sheets(job: Job, images: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a batch as the pictures that are written: one when a grid is asked for."""
    shape = job.request.batch_grid_size
    return (grid(images, *shape),) if shape is not None and images else images


def _no_network(why: str) -> Word:
    source = Source(why, "--offline-mode")
    return Word(source.text, source.span(0, len(source.text)))
