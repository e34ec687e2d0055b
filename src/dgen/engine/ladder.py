"""Tries a job again when memory ran out: once each in every way that needs less of it, telling the user."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from dgen.engine import offloading
from dgen.engine.failures import TooBig
from dgen.engine.protocol import EngineError, Result
from dgen.events import Listener, MemoryShort
from dgen.options.memory import said_so
from dgen.plan.resolve import Job
from dgen.values.amounts import shown_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """What the ladder can do, and ask about the last attempt."""

    draw: Callable[[Job], Result]
    free: Callable[[], int]  # drops what the job does not need; returns how many bytes that were
    can_tile: Callable[[], bool]  # whether its VAE can work in tiles
    offload: Callable[[], str | None]  # how its weights came to the device; None: there is no other way
    emit: Listener


def climb(job: Job, hands: Hands, *, can_split: bool) -> Result:
    """Render a job; when memory runs out, in another way. `can_split`: its pictures can be made one by one.

    Raises:
        EngineError: `out-of-memory` after everything was tried, and whatever else `Hands.draw` raises.
    """
    jobs = _parts(job, can_split)
    remedies = _remedies(job, hands, can_split)
    tried: list[str] = []
    while True:
        try:
            return joined([hands.draw(each) for each in jobs])
        except TooBig:
            raise
        except EngineError as error:
            found = next(remedies, None) if error.code == "out-of-memory" else None
            if found is None:
                raise _after(error, tried) from error.__cause__
            jobs, remedy = found
            failure = error.message
        freed = hands.free()  # the exception is gone, and with it what held the tensors of the failed attempt
        tried.append(remedy or (f"after {shown_bytes(freed)} were freed" if freed else "after the caches were emptied"))
        hands.emit(MemoryShort(failure=failure, remedy=f"tried again {tried[-1]}"))


def _after(error: EngineError, tried: list[str]) -> EngineError:
    """Let an error say what was tried before it."""
    if tried and error.code == "out-of-memory":
        error.help = f"it was tried {', '.join(tried)}; a smaller size or `--dtype bfloat16` needs less"
    return error


def _remedies(job: Job, hands: Hands, can_split: bool) -> Iterator[tuple[tuple[Job, ...], str | None]]:
    """Yield what to render instead of a job, and how that is called; each keeps what the ones before changed.

    The first is the job itself: freeing memory, which every retry does, may be enough.
    """
    yield _parts(job, can_split), None
    request = job.request
    if hands.can_tile() and not (request.vae_tiling and request.vae_slicing):
        job = _changed(job, vae_tiling=True, vae_slicing=True)
        yield _parts(job, can_split), "with `--vae-tiling --vae-slicing`"
    jobs = tuple(one_by_one(job, job.request.num_images_per_prompt or 1)) if can_split else (job,)
    if len(jobs) > len(_parts(job, can_split)):
        yield jobs, "one picture at a time"
    mode = hands.offload()
    while mode is not None and (mode := offloading.lower(mode)) is not None:
        jobs = tuple(_changed(each, **said_so(mode)) for each in jobs)
        yield jobs, f"with `--offload {mode}`"


def _parts(job: Job, can_split: bool) -> tuple[Job, ...]:
    """Return what a job is rendered as: one after another where its pipeline cannot make several at once."""
    return tuple(one_by_one(job, job.begun)) if can_split and job.is_in_turns else (job,)


def one_by_one(job: Job, count: int) -> Iterator[Job]:
    """Yield the jobs that make so many pictures one after another: picture k has the seed `seed + k`."""
    seed = job.request.image_seed
    alone = None if seed is None else replace(seed, batch=())
    for k in range(count):
        yield _changed(job, num_images_per_prompt=1, seed=(job.request.seed or 0) + k, image_seed=alone)


def _changed(job: Job, **said: Any) -> Job:
    return replace(job, request=replace(job.request, **said))


def joined(results: list[Result]) -> Result:
    """Return what several renderings made as one result."""
    if len(results) == 1:
        return results[0]
    return replace(
        results[0],
        images=tuple(image for each in results for image in each.images),
        flagged=tuple(flag for each in results for flag in each.flagged),
        films=tuple(film for each in results for film in each.films),
        sounds=tuple(sound for each in results for sound in each.sounds),
        latents=tuple(held for each in results for held in each.latents),
        parts=tuple(count for each in results for count in each.parts),
    )
