"""Names files (LANGUAGE.md section 9)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from dgen.options.request import ROWS
from dgen.plan.resolve import Job


def stem(job: Job, step: int, image: int | None = None) -> str:
    """Return the name of a job's file without its ending; `image` counts a batch's pictures from 1."""
    parts = [*_head(job), *_tags(job), *_frame(job), f"step_{step}"]
    if image is not None:
        parts.append(f"image_{image}")
    return "_".join(parts)[:200]


def stems_of(job: Job, step: int, pictures: int) -> list[str]:
    """Return the names of a job's files without their endings, one for each of its pictures."""
    return [stem(job, step, index if pictures > 1 else None) for index in range(1, pictures + 1)]


def animation_stems(job: Job, step: int) -> list[str]:
    """Return the names of a job's animations without their endings: one, or one for each picture of a batch."""
    count = pictures_of(job)
    return [f"ANIM_{stem(job, step)}"[:200] + (f"_animation_{k}" if count > 1 else "") for k in range(1, count + 1)]


def pictures_of(job: Job) -> int:
    """Return how many pictures a job writes: one for a whole batch when a grid is asked for."""
    return 1 if job.request.batch_grid_size is not None else job.pictures


def _head(job: Job) -> Iterator[str]:
    if job.request.output_prefix:
        yield job.request.output_prefix
    if job.request.scheduler is not None:
        yield _written(job.request.scheduler.name)


def _frame(job: Job) -> Iterator[str]:
    seed = job.request.image_seed
    if seed is not None and seed.frame is not None:
        yield f"frame_{seed.frame}"


def _tags(job: Job) -> Iterator[str]:
    for row in ROWS.values():
        value = getattr(job.request, row.name)
        if row.tag and value is not None:
            yield f"{row.tag}_{_written(value)}"


def _written(value: Any) -> str:
    return re.sub(r"[^\w]+", "-", str(value))
