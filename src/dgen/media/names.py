"""Names files (LANGUAGE.md section 9)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dgen.options.request import ROWS, Request
from dgen.plan.resolve import Job

DEFAULT_FORMAT = "mp4"
FRAMES_ALONE = "frames"


def format_of(request: Request) -> str:
    """Return the format of a request's animations."""
    return request.animation_format or DEFAULT_FORMAT


@dataclass(frozen=True, slots=True, kw_only=True)
class FileName:
    """How one of a job's files is to be called, and what it is."""

    index: int  # among the files of the job, from 1
    stem: str
    ending: str
    kind: str = "image"  # or "animation"
    video: int = 0  # of the videos of a job which, from 0
    frame: int | None = None  # of a video which, from 0


def names_of(job: Job, step: int) -> list[FileName]:
    """Return the names of everything that a job becomes; animations come before their frames."""
    if job.frames is None:
        stems = stems_of(job, step, pictures_of(job))
        return [FileName(index=k, stem=each, ending=job.request.image_format) for k, each in enumerate(stems, 1)]
    return [*_films(job, step), *_frames(job, step, job.frames)]


def has_config(job: Job, name: FileName) -> bool:
    """Whether a config lies beside a file: of a video beside its animation, beside its frames when they are alone."""
    return job.request.output_configs and (name.frame is None or format_of(job.request) == FRAMES_ALONE)


def _films(job: Job, step: int) -> Iterator[FileName]:
    ending = format_of(job.request)
    if ending != FRAMES_ALONE:
        for video, each in enumerate(animation_stems(job, step)):
            yield FileName(index=video + 1, stem=each, ending=ending, kind="animation", video=video)


def _frames(job: Job, step: int, count: int) -> Iterator[FileName]:
    """Yield the names of the frames of each video; they are counted on after all animations."""
    for video in range(job.pictures if not job.request.no_frames else 0):
        for frame in range(count):
            yield FileName(
                index=job.pictures + video * count + frame + 1, ending=job.request.image_format, video=video,
                frame=frame, stem=stem(job, step, video + 1 if job.pictures > 1 else None, frame),
            )  # fmt: skip


def stem(job: Job, step: int, image: int | None = None, frame: int | None = None) -> str:
    """Return the name of a job's file without its ending.

    `image` counts a batch's pictures from 1, `frame` those of a video from 0.
    """
    frames = _frame(job) if frame is None else [f"frame_{frame}"]
    parts = [*_head(job), *_tags(job), *frames, f"step_{step}"]
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
        if row.tag and value is not None and value != ():
            yield f"{row.tag}_{_written(' '.join(row.words(value)) if row.many else value)}"


def _written(value: Any) -> str:
    return re.sub(r"[^\w]+", "-", str(value))
