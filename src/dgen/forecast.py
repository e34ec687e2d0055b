"""What a script would make, as values: jobs, files, sizes, times, and limits to them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dgen.demand import Demand
from dgen.diagnostic import DgenError, Diagnostic
from dgen.engine.footprint import Footprint
from dgen.footage import rate_of
from dgen.media.video import Clip
from dgen.plan.resolve import Job
from dgen.plan.shots import Reel
from dgen.values.scalars import Size

_CHANNELS = 3  # of a picture, a byte each


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedJob:
    """A job, where in the script it comes from, and the pictures it would become."""

    job: Job
    where: str
    files: tuple[Path, ...]
    configs: tuple[Path, ...] = ()  # beside the pictures
    animations: tuple[Path, ...] = ()  # of which it is the last frame
    reel: Reel | None = None  # the frames of those
    one: Size  # pixels of one picture, in a grid or alone
    seconds: float | None = None  # it takes, as earlier runs tell; None: nobody knows
    is_kept: bool = False  # an earlier run made it
    demand: Demand | None = None  # of memory

    @property
    def clip(self) -> Clip | None:
        """What its animations show."""
        if self.job.frames is not None:
            return Clip(size=self.size, frames=self.job.frames, rate=rate_of(self.job))
        return Clip(size=self.size, frames=len(self.reel), rate=self.reel.rate) if self.reel is not None else None

    @property
    def size(self) -> Size:
        """The size in pixels of each picture."""
        shape = self.job.request.batch_grid_size
        return Size(self.one.width * shape.width, self.one.height * shape.height) if shape else self.one


@dataclass(slots=True)
class Plan:
    """What a script would make."""

    jobs: list[PlannedJob] = field(default_factory=list[PlannedJob])
    loads: list[str] = field(default_factory=list[str])  # the parts of models that would be loaded, in their order
    parts: list[Footprint] = field(default_factory=list[Footprint])  # those parts, each once, with their sizes
    warnings: list[Diagnostic] = field(default_factory=list[Diagnostic])
    failures: list[Diagnostic] = field(default_factory=list[Diagnostic])  # of statements that `--keep-going` leaves
    passed_over: list[str] = field(default_factory=list[str])  # directives that a plan does not run, with places
    lost: dict[Path, str] = field(default_factory=dict[Path, str])  # files of earlier runs: what is wrong with them

    @property
    def files(self) -> list[Path]:
        """The pictures that would be there, those included that an earlier run made."""
        return [path for planned in self.jobs for path in (*planned.files, *planned.animations)]

    @property
    def to_make(self) -> list[PlannedJob]:
        """The jobs that would be rendered."""
        return [planned for planned in self.jobs if not planned.is_kept]

    @property
    def seconds(self) -> float:
        """The time that all jobs take of which it is known."""
        return sum(planned.seconds or 0 for planned in self.to_make)

    @property
    def untimed(self) -> list[PlannedJob]:
        """The jobs of which nobody knows how long they take."""
        return [planned for planned in self.to_make if planned.seconds is None]

    @property
    def free_bytes(self) -> int | None:
        """What is free on the disk of the pictures, on the fullest of several; None when there are none."""
        folders = {next(p for p in file.absolute().parents if p.exists()) for file in self.files}
        return min((shutil.disk_usage(folder).free for folder in folders), default=None)

    @property
    def demands(self) -> list[Demand]:
        """What the jobs demand of memory, each once, the largest first."""
        found = dict.fromkeys(planned.demand for planned in self.to_make if planned.demand is not None)
        return sorted(found, key=lambda d: -d.bytes)

    @property
    def weights_bytes(self) -> int:
        """The memory that all parts take whose size can be seen."""
        return sum(part.bytes or 0 for part in self.parts)

    @property
    def download_bytes(self) -> int:
        """What has to be fetched first, as far as the cache of the hub tells."""
        return sum(part.download_bytes or 0 for part in self.parts)

    @property
    def disk_bytes(self) -> int:
        """The most that the pictures can take on the disk, near enough: their pixels, not compressed."""
        return sum(len(p.files) * p.size.width * p.size.height * _CHANNELS for p in self.to_make)

    @property
    def models(self) -> list[str]:
        """The models that would be used, each once."""
        return list(dict.fromkeys(planned.job.request.model for planned in self.jobs))

    def __str__(self) -> str:
        """Say it in a line for each job."""
        lines = [f"{p.job.request.model} {p.job.mode} {p.job.size} {' '.join(map(str, p.files))}" for p in self.jobs]
        totals = {"job": len(self.jobs), "picture": len(self.files), "model": len(self.models)}
        counted = (f"{count} {noun if count == 1 else noun + 's'}" for noun, count in totals.items())
        return "\n".join([*lines, ", ".join(counted)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a run may make at most; None for no limit."""

    images: int | None = None
    disk_bytes: int | None = None
    seconds: float | None = None

    def __bool__(self) -> bool:
        """Whether there is a limit."""
        return self != Limits()

    def require(self, plan: Plan) -> None:
        """Refuse a plan that goes beyond a limit.

        Raises:
            DgenError: `over-limit`.
        """
        found: list[Diagnostic] = []
        pictures = sum(len(p.files) for p in plan.to_make)
        if self.images is not None and pictures > self.images:
            found.append(_over("--max-images", f"makes {pictures:,} pictures", f"{self.images:,}"))
        if self.disk_bytes is not None and plan.disk_bytes > self.disk_bytes:
            most = f"makes up to {plan.disk_bytes / GB:,.3f} GB of pictures"
            found.append(_over("--max-gb", most, f"{self.disk_bytes / GB:,.3f}"))
        if self.seconds is not None:
            found += _too_long(plan, self.seconds)
        if found:
            raise DgenError(*found)


GB = 10**9


def _too_long(plan: Plan, limit_s: float) -> Iterator[Diagnostic]:
    if plan.seconds > limit_s:
        yield _over("--max-minutes", f"takes about {plan.seconds / 60:,.1f} minutes", f"{limit_s / 60:,.1f}")
    elif plan.untimed:
        family = plan.untimed[0].job.family
        yield Diagnostic(
            code="over-limit", message="nobody knows how long this takes, so `--max-minutes` cannot allow it",
            help=f"nothing was started; a run of a `{family}` model on this machine leaves its time",
        )  # fmt: skip


def _over(flag: str, does: str, limit: str) -> Diagnostic:
    return Diagnostic(
        code="over-limit", message=f"this {does}, and `{flag}` allows {limit}",
        help="nothing was started; `dgen plan` lists what it makes",
    )  # fmt: skip
