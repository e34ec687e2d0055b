"""Runs statements: the one place that sees the language, planning, the engine and the files together."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dgen import help as helps
from dgen.addresses import public_only
from dgen.diagnostic import DgenError, Source, Span, Word, fail
from dgen.engine.protocol import Engine, EngineError
from dgen.events import (
    Fetching,
    FileSaved,
    Interrupted,
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
from dgen.filming import reels_of
from dgen.inertness import inert
from dgen.lang.scope import Scope
from dgen.media.publish import make_folder, publish
from dgen.media.sheet import write_sheet
from dgen.media.write import Written
from dgen.misprocessing import processor_mistakes
from dgen.options.request import Request
from dgen.plan.again import changed_words
from dgen.plan.bind import Bound, bind, request_table
from dgen.plan.embedded import with_arguments
from dgen.plan.expand import Expansion, expand
from dgen.plan.packs import packs
from dgen.plan.remember import last_variables
from dgen.plan.second import refiner_request
from dgen.plan.shots import Reel, calls_of, shots
from dgen.plan.steps import total_steps
from dgen.plan.video import opaque, unheard
from dgen.preflight import (
    asked_about,
    blaming,
    encoder_lines,
    in_folder_of_script,
    look_into,
    option_help,
    plugin_mistakes,
    scheduler_lines,
    value_diagnostic,
)
from dgen.schema import BadValue
from dgen.studio import Studio
from dgen.upscaling import EngineWriter, upscaled, upscaler_mistakes

if TYPE_CHECKING:
    from dgen.lang.evaluate import Interpreter


class Session(Studio):
    """Runs statements, and holds what lives from one to the next: variables, loaded models, the writer pool."""

    def __init__(self, engine: Engine, listener: Listener = lambda event: None) -> None:
        """`listener` is told what happens, also from the threads that write files: see `dgen.events.serial`."""
        super().__init__(engine, listener)
        self.scope = Scope()
        self.rng: random.Random = random.SystemRandom()
        self.unmade: list[tuple[str, tuple[Word, ...]]] = []  # working directory and words of what failed, in part too
        self.injected: tuple[Word, ...] = ()
        self.provide(**last_variables(None, None), last_images=[], last_animations=[])
        self.inject(())

    def inject(self, words: Sequence[Word]) -> None:
        """Let words join every invocation, as those of the command line do."""
        self.injected = tuple(words)
        texts = [w.text for w in words]
        device = next((after for text, after in pairwise(texts) if text in {"-d", "--device"}), None)
        self.provide(
            injected_args=texts, injected_device=device, injected_verbose=bool({"-v", "--verbose"} & set(texts)),
            injected_plugin_modules=[],
        )  # fmt: skip

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
        with public_only():
            self.invoke((*words, *offline, *self.injected), words[0].span.to(words[-1].span))

    def invoke(self, words: tuple[Word, ...], span: Span) -> None:
        """Run one invocation.

        Raises:
            DgenError: it is wrong, or a job failed; what was rendered before is on disk.
        """
        before = self.failures
        try:
            with self._wary():
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

    def _wary(self) -> AbstractContextManager[None]:
        return nullcontext() if self.permissions.is_trusting else public_only()

    def _writer(self, bound: Bound) -> EngineWriter:
        return EngineWriter(self.engine, bound.value("device"), offline=bool(bound.value("offline_mode")))

    def _answer_help(self, bound: Bound) -> bool:
        for option, asked in asked_about(bound).items():
            if len(asked) > 1:
                raise fail("bad-value", f"`{asked[0]}` stands alone", bound.span_of(option))
            with blaming(bound):
                request = self._asking(bound, option)
                if option == "scheduler":
                    lines = scheduler_lines(self.engine.schedulers(request), asked[0] == "helpargs")
                else:
                    lines = encoder_lines(self.engine.contents(request, self.engine.inspect(request)))
                self.write("\n".join(lines) + "\n")
            return True
        return False

    def _asking(self, bound: Bound, option: str) -> Request:
        """Return the request of a statement that asks about an option, or that of its refiner."""
        request = replace(next(iter(expand(bound, self.rng))), scheduler=None, text_encoders=())
        return (refiner_request(request) or request) if option.startswith("second_") else request

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
        for odd in unheard(bound, facts.family):
            self.warn(odd)
        return facts, self.engine.device_kind(first.device)

    def make_folder(self, folder: Path) -> None:
        """Make an output folder.

        Raises:
            BadValue: `unwritable-output` or `disk-full`.
        """
        make_folder(folder)

    def _render_all(self, bound: Bound, expansion: Expansion, place: tuple[ModelFacts, str]) -> None:
        started = time.monotonic()
        makes_video = place[0].family.makes_video
        reels = self._patiently(lambda: self._reels(bound, expansion, place[0]))
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
            limit = (bound.value("batch_jobs") or 1) if self.packs_jobs else 1
            for pack in packs(shots(expansion, reels, makes_video=makes_video), limit):
                kept += self._attempt_pack(bound, pack, place)
                rendered += len(pack)
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

    def _reels(self, bound: Bound, expansion: Expansion, facts: ModelFacts) -> tuple[Reel | None, ...]:
        """Return the frames of each image seed, None for those that don't move; nothing when no pictures are named."""
        with blaming(bound):
            reels = reels_of(bound, expansion, self.pictures, self.warn, makes_video=facts.family.makes_video)
        for odd in opaque(bound, facts.family) if any(reels) else ():
            self.warn(odd)
        return reels

    # ---- variables ---------------------------------------------------------------------------------------------

    def _finish(self) -> tuple[Written, ...]:
        files = super()._finish()
        made = {kind: [str(f.image.resolve()) for f in files if f.kind == kind] for kind in ("image", "animation")}
        self.provide(last_images=made["image"], last_animations=made["animation"])
        return files

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

        with self._wary():
            run_command(self, name, words, span)

    def download(self, url: str, path: str | None, *, overwrite: bool, text: bool) -> str:
        """Fetch a URL into the cache, or to a path, and return where it lies."""
        self.permissions.require("network", None, "use the network")
        if path is not None:
            self.permissions.require_write(path, None)
        if path is not None and Path(path).exists() and not overwrite:
            return path
        order = Order(url=url, folder="text" if text else "web", types=(), text=text, limit_bytes=DOWNLOAD_BYTES)
        with self._wary():
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


def _no_network(why: str) -> Word:
    source = Source(why, "--offline-mode")
    return Word(source.text, source.span(0, len(source.text)))
