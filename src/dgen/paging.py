"""Turns what jobs make into pages, with their configs and the names that earlier runs gave them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from dgen import config as configs
from dgen.engine.protocol import Engine
from dgen.events import FileLost, JobKept, Listener
from dgen.media.names import FileName, has_config, names_of, stems_of
from dgen.media.resume import Find, Resumption, Wanted
from dgen.media.write import Page, Written
from dgen.plan.resolve import Job
from dgen.plan.shots import Count
from dgen.plan.steps import steps_of
from dgen.schema import BadValue


class Paging:
    """Makes the pages of jobs, and finds those that need not be made."""

    def __init__(self, engine: Engine, find: Callable[[str], Path], listener: Listener) -> None:
        """`find` returns the file of a picture that a job starts from."""
        self._engine, self._find_picture, self._emit = engine, find, listener
        self.resumption: Resumption | None = None  # with one, what earlier runs have done is not done again

    def keep(self, job: Job, count: Count) -> tuple[Written, ...]:
        """Return the files of a job that are all there from an earlier run, and tell of it; otherwise none."""
        if self.resumption is None:
            return ()
        text = self._config_maker(job)
        names = names_of(job, count.step)
        finds = [(name, self._find(job, name, text)) for name in names]
        whole = [(name, find) for name, find in finds if find is not None and find.is_whole]
        if len(whole) < len(names):
            return ()
        for _, find in whole:
            self.resumption.take(find)
        written = tuple(replace(find.written, kind=name.kind) for name, find in whole)
        paths = {kind: tuple(str(w.image) for w in written if w.kind == kind) for kind in ("image", "animation")}
        steps = steps_of(job.request)
        self._emit(JobKept(number=count.number, steps=steps, paths=paths["image"], animations=paths["animation"]))
        return written

    def pages(
        self, job: Job, images: Sequence[Any], step: int, beside: tuple[configs.Ingredient, ...] = ()
    ) -> Iterator[Page | Written]:
        """Yield the pages that a job's pictures become, or the files of those that an earlier run finished.

        `step` counts the combinations of a statement from 1; `beside` tells of jobs that were made at once with it.
        """
        text = self._config_maker(job, beside)
        for index, (image, stem) in enumerate(zip(images, stems_of(job, step, len(images)), strict=True), 1):
            name = FileName(index=index, stem=stem, ending=job.request.image_format)
            page = self._page(job, name, text)
            yield page if isinstance(page, Written) else page.showing(image)

    def outputs(self, job: Job, step: int) -> Iterator[tuple[FileName, Page | Written]]:
        """Yield the names of everything that a job with frames becomes, with pages that are still empty.

        What an earlier run finished has its files in the place of a page.
        """
        text = self._config_maker(job)
        for name in names_of(job, step):
            page = self._film_page(job, name, text) if name.kind == "animation" else self._page(job, name, text)
            yield name, page

    def _page(self, job: Job, name: FileName, text: Callable[[], str]) -> Page | Written:
        """Return the page of a picture, which is not on it yet."""
        r = job.request
        before = self._name_before(job, name, text)
        if before is not None and before.is_whole:  # the run was killed between two pictures of a batch
            return before.written
        return Page(
            folder=Path(r.output_path), stem=name.stem, ending=name.ending, config=text,
            embeds_config=not r.no_output_metadata, index=name.index,
            writes_config=has_config(job, name), overwrite=r.output_overwrite,
            parameters=configs.a1111_parameters(job) if r.output_auto1111_metadata else None,
            job=lambda: configs.job_key(text()), name=before.stem if before is not None else None,
            is_unfinished=before is not None and not before.entry.is_complete,
        )  # fmt: skip

    def film(self, job: Job, name: tuple[int, str], ending: str) -> Page | Written:
        """Return the page that an animation becomes, or its files when an earlier run finished it.

        `name` is its number among those of the job, from 1, and the stem of its file.
        """
        index, stem = name
        return self._film_page(job, FileName(index=index, stem=stem, ending=ending), self._config_maker(job))

    def _film_page(self, job: Job, name: FileName, text: Callable[[], str]) -> Page | Written:
        r = job.request
        before = self._name_before(job, name, text)
        if before is not None and before.is_whole:
            return replace(before.written, kind="animation")
        return Page(
            is_film=True, folder=Path(r.output_path), stem=name.stem, ending=name.ending, config=text,
            embeds_config=not r.no_output_metadata,
            index=name.index, writes_config=r.output_configs, overwrite=r.output_overwrite,
            job=lambda: configs.job_key(text()), name=before.stem if before is not None else None,
            is_unfinished=before is not None and not before.entry.is_complete,
        )  # fmt: skip

    def config_of(self, job: Job) -> str:
        """Return the config of a job.

        Raises:
            BadValue: a picture that it starts from is not there.
        """
        return self._config_maker(job)()

    def _find(self, job: Job, name: FileName, text: Callable[[], str]) -> Find | None:
        if self.resumption is None:
            return None
        try:
            key = configs.job_key(text())
        except BadValue:  # in a plan: it starts from a picture that is not made yet
            return None
        wanted = Wanted(
            job=key, index=name.index, stem=name.stem, has_config=has_config(job, name),
            any_name=self.resumption.any_name,
        )  # fmt: skip
        return self.resumption.find(Path(job.request.output_path), wanted)

    def _name_before(self, job: Job, name: FileName, text: Callable[[], str]) -> Find | None:
        """Return where an earlier run put a picture that is made again, and tell what is wrong with its files."""
        find = self._find(job, name, text)
        if find is not None and self.resumption is not None:
            self.resumption.take(find)
            for file, why in find.wrong:
                self._emit(FileLost(path=str(find.folder / file), why=why))
        return find

    def _config_maker(self, job: Job, beside: tuple[configs.Ingredient, ...] = ()) -> Callable[[], str]:
        """Return what writes a job's config: once, when it is first asked for."""
        models = self._engine.model_files(job.request)

        @cache
        def make() -> str:
            inputs = configs.input_ingredients(job, self._find_picture)
            made_from = (*map(configs.model_ingredient, models), *inputs, *beside)
            return configs.config(job, Path(job.request.output_path), made_from)

        return make
