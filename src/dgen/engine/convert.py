"""Writes a loaded model as a folder in diffusers layout."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dgen.engine.failures import first_line
from dgen.engine.protocol import EngineError
from dgen.engine.sources import ASKED_BY, Layout, Part, parts_of, source_of
from dgen.plan.resolve import Job, component_key

_FULL = ("No space left", "os error 28")


def every_part(job: Job, layout: Layout) -> Iterator[Part]:
    """Yield the parts of a job, and those of its model's folder that a job only has when it asks for them.

    Raises:
        EngineError: as `parts_of`.
    """
    found: set[str] = set()
    for part in parts_of(job, layout):
        found.add(part.kind)
        yield part
    for kind in ASKED_BY if not layout.is_file else ():
        entry = layout.index.get(kind)
        if kind not in found and isinstance(entry, list) and entry[0] is not None:
            yield Part(
                kind=kind, key=component_key(job.request, kind), source=source_of(job.request),
                dtype=job.request.dtype, library=str(entry[0]), class_name=str(entry[1]),
            )  # fmt: skip


def write(pipeline: Any, folder: Path, variant: str | None) -> None:
    """Write a pipeline into a folder, its weights as a variant, beside the variants that are there.

    Raises:
        EngineError: `render-failed`: a part of it cannot be written.
        OSError: the folder cannot be written.
    """
    try:
        pipeline.save_pretrained(str(folder), variant=variant, safe_serialization=True)
    except OSError:
        raise
    except Exception as error:
        if any(sign in str(error) for sign in _FULL):  # safetensors says it in words
            raise OSError(errno.ENOSPC, "No space left on device") from error
        name = type(pipeline).__name__
        raise EngineError("render-failed", f"{name} cannot be written: {first_line(error)}") from error
