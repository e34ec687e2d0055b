"""Writes the config that makes a job again; reading it and resolving it gives the same job."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from dgen import __version__
from dgen.engine.protocol import ModelFiles
from dgen.lang.format import in_quotes, quote
from dgen.options.request import ROWS, Request
from dgen.plan.resolve import Job
from dgen.processors import ProcessorText, paths_in
from dgen.schema import Option
from dgen.values.scalars import Size, is_url


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingredient:
    """A file or model that a picture was made from, as a comment names it."""

    name: str
    digest: str

    def __str__(self) -> str:
        return f"# {self.name}: {self.digest}"


AT_ONCE = "batch"
"""How the comment about the jobs that were made at once is called."""


def at_once(jobs: Sequence[Job], index: int, parts: Sequence[int]) -> tuple[Ingredient, ...]:
    """Say which of the jobs that were made at once a picture is of, counted from 0; nothing of one made alone.

    `parts` are how many were made each time.
    """
    first = 0
    for count in parts:
        if first <= index < first + count and count > 1:
            seeds = ", ".join(str(job.request.seed) for job in jobs[first : first + count])
            text = f"number {index - first + 1} of {count} made at once, of the seeds {seeds}"
            return (Ingredient(name=AT_ONCE, digest=text),)
        first += count
    return ()


def config(job: Job, folder: Path, ingredients: tuple[Ingredient, ...] = ()) -> str:
    """Return the text of a job's config that lies in `folder`; the same job gives the same text."""
    rename = _relative_to(folder)
    lines = [
        f"#! dgen {__version__}",
        "# Made by dgen. Run this file, or `dgen replay` it, to make the same picture again.",
        "# Relative paths in it are read from the folder it lies in (--relative-inputs).",
        *(str(i) for i in ingredients),
        "",
        *(as_value(w) for w in _words(ROWS["model"], job.request.model, rename)),
        "--relative-inputs",
        *_option_lines(job, rename),
    ]
    return "\n".join(lines) + "\n"


def _option_lines(job: Job, rename: Callable[[str], str]) -> Iterator[str]:
    for row in ROWS.values():
        value = row.as_recorded(getattr(job.request, row.name))
        if not row.is_recorded or row.positional or not is_worth_saying(row, value):
            continue
        yield " ".join((row.flag, *(as_value(w) for w in _words(row, value, rename))))


def command_words(job: Job, folder: Path) -> tuple[str, ...]:
    """Return the words of the command that makes a job again when it is given in a folder."""
    rename = _relative_to(folder)
    found = [*_words(ROWS["model"], job.request.model, rename)]
    for row in ROWS.values():
        value = row.as_recorded(getattr(job.request, row.name))
        if row.is_recorded and not row.positional and is_worth_saying(row, value):
            found += (row.flag, *_words(row, value, rename))
    return tuple(found)


def job_key(text: str) -> str:
    """Return the key that ledgers know a job by, from its config: options, inputs, models.

    dgen's version, and what was made at once with it, are no part of it.
    """
    lines = [line for line in text.splitlines(keepends=True)[1:] if not line.startswith(f"# {AT_ONCE}: ")]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def is_worth_saying(row: Option, value: Any) -> bool:
    """Whether a config repeats an option: what has a value is said, so that no default can change it."""
    return value is not None and value is not False and value != ()


def as_value(word: str) -> str:
    """Quote a value; one that starts like an option stands in quotes, which make it a value."""
    return in_quotes(word) if word.startswith("-") else quote(word)


def _words(row: Option, value: Any, rename: Callable[[str], str]) -> tuple[str, ...]:
    """Write a value with its paths renamed, and addresses in it without their queries, which may hold tokens."""
    if not row.names_paths:
        return row.words(value)
    return tuple(_QUERY.sub(r"\1", w) for w in row.words(row.map_paths(value, rename)))


_QUERY = re.compile(r"(https?://[^\s?;\"']+)\?[^\s;\"']*")


def _relative_to(folder: Path) -> Callable[[str], str]:
    base = os.path.realpath(folder)

    def rename(path: str) -> str:
        if not os.path.isabs(path):
            return path
        try:
            relative = os.path.relpath(os.path.realpath(path), base)
        except ValueError:  # another drive
            return path
        return Path(relative).as_posix() if relative.startswith("..") else f"./{Path(relative).as_posix()}"

    return rename


@cache
def _digest(path: str, _changed: int, _size: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(path: Path) -> str:
    """Return the sha256 of a file; computed once while it does not change."""
    facts = path.stat()
    return _digest(str(path), facts.st_mtime_ns, facts.st_size)


def model_ingredient(model: ModelFiles) -> Ingredient:
    """Name a model with its commit, and one digest over those of its weights files in their order."""
    digests = [digest_of(f) for f in model.files]
    whole = digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    commit = f"revision {model.commit}, " if model.commit else ""
    return Ingredient(name=model.name, digest=f"{commit}sha256 {whole}")


def input_ingredients(job: Job, find: Callable[[str], Path]) -> tuple[Ingredient, ...]:
    """Name the picture files a job starts from, with their digests; an address without its query."""
    return tuple(Ingredient(name=_short(p), digest=f"sha256 {digest_of(find(p))}") for p in input_paths(job))


def input_paths(job: Job) -> tuple[str, ...]:
    """Return the files and addresses of the pictures that a job starts from, those of processors included."""
    seed = job.request.image_seed
    return (*(seed.paths if seed is not None else ()), *_processor_files(job))


def _processor_files(job: Job) -> Iterator[str]:
    for row in ROWS.values():
        if isinstance(row.value, ProcessorText):
            yield from paths_in(getattr(job.request, row.name))


def _short(path: str) -> str:
    return path.partition("?")[0].rpartition("/")[2] if is_url(path) else Path(path).name


def a1111_parameters(job: Job) -> str:
    """Return the `parameters` text of a job."""
    return parameters_text(job.request, job.size)


def parameters_text(r: Request, size: Size) -> str:
    """Return the `parameters` text that AUTOMATIC1111's web UI and its readers understand.

    `size` is that of the picture, in pixels.
    """
    named: dict[str, Any] = {
        "Steps": r.num_inference_steps,
        "Sampler": r.scheduler.name.removesuffix("Scheduler") if r.scheduler else None,
        "CFG scale": r.guidance_scale,
        "Seed": r.seed,
        "Size": size,
        "Model": Path(r.model).stem,
        "Denoising strength": r.strength,
        "Clip skip": r.clip_skip,
    }
    lines = [r.prompt.positive]
    if r.prompt.negative:
        lines.append(f"Negative prompt: {r.prompt.negative}")
    if r.prompt.template:
        named["Template"] = json.dumps(r.prompt.template, ensure_ascii=False)
    lines.append(", ".join(f"{k}: {v}" for k, v in named.items() if v is not None))
    return "\n".join(lines)
