"""Names files (LANGUAGE.md section 9)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from dgen.options.request import ROWS
from dgen.plan.resolve import Job


def stem(job: Job, step: int, image: int | None = None) -> str:
    """Return the name of a job's file without its ending; `image` counts a batch's pictures from 1."""
    parts = [*_head(job), *_tags(job), f"step_{step}"]
    if image is not None:
        parts.append(f"image_{image}")
    return "_".join(parts)[:200]


def _head(job: Job) -> Iterator[str]:
    if job.request.output_prefix:
        yield job.request.output_prefix
    if job.request.scheduler is not None:
        yield _written(job.request.scheduler.name)


def _tags(job: Job) -> Iterator[str]:
    for row in ROWS.values():
        value = getattr(job.request, row.name)
        if row.tag and value is not None:
            yield f"{row.tag}_{_written(value)}"


def _written(value: Any) -> str:
    return re.sub(r"[^\w]+", "-", str(value))
