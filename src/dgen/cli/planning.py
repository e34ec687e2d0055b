"""The command that says what a run would make: `dgen plan`, and the limits of `dgen run`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

from dgen.cli.arguments import CommandLine, command_table, read_command_line
from dgen.cli.commands import refuse, run_session, sources_of
from dgen.cli.status import seconds
from dgen.diagnostic import Exit, Source, render, wants_color
from dgen.engine.footprint import Footprint
from dgen.forecast import GB, Limits, Plan, PlannedJob
from dgen.plan.steps import steps_of
from dgen.planning import planned
from dgen.values.amounts import shown_bytes


def run(argv: Sequence[str]) -> int:
    """Run `dgen plan`; return its exit code.

    Raises:
        DgenError: something in the command line or a script is wrong, or the plan goes beyond a limit.
    """
    line = read_command_line(argv)
    refuse(line, "save_failed", "frozen")
    plan = _plan(line, list(sources_of(line)))
    if "json" in line.asked:
        print(json.dumps(as_object(plan), indent=2, ensure_ascii=False))
    else:
        print("\n".join(_lines(plan)))
        _tell(plan)
    _limits(line).require(plan)
    return Exit.USAGE if plan.failures else Exit.OK


def guard(line: CommandLine, sources: list[Source]) -> None:
    """Refuse a command line whose plan goes beyond the limits that it names.

    Raises:
        DgenError: `over-limit`, or whatever is wrong with it.
    """
    _limits(line).require(_plan(line, sources))


def _plan(line: CommandLine, sources: list[Source]) -> Plan:
    return planned(lambda session: run_session(session, line, sources))


def _limits(line: CommandLine) -> Limits:
    rows = command_table().rows
    images, gigabytes, minutes = (
        rows[name].parse(line.asked[name][-1].text) if name in line.asked else None
        for name in ("max_images", "max_gb", "max_minutes")
    )
    return Limits(
        images=images, disk_bytes=None if gigabytes is None else int(gigabytes * GB),
        seconds=None if minutes is None else minutes * 60,
    )  # fmt: skip


def _tell(plan: Plan) -> None:
    """Show what is odd or fails, beside the plan."""
    sys.stdout.flush()
    told = [*plan.warnings, *plan.failures]
    if told:
        print(render(told, color=wants_color()), file=sys.stderr)


# ---- as text ---------------------------------------------------------------------------------------------------


def _lines(plan: Plan) -> Iterator[str]:
    for _, group in groupby(plan.jobs, key=lambda p: p.where):
        jobs = list(group)
        yield _head(jobs)
        yield from (f"  {path}{_state(plan, job, path)}" for job in jobs for path in _files(job))
    if plan.parts:
        yield "models"
        yield from (f"  {p.kind} of {p.source} ({p.dtype}): {_bytes(p)}" for p in plan.parts)
        yield from _memory(plan)
    if plan.passed_over:
        yield "passed over, for it touches more than the session"
        yield from (f"  {each}" for each in plan.passed_over)
    yield _total(plan)


def _files(job: PlannedJob) -> tuple[Path, ...]:
    return (*job.files, *job.animations, *job.configs)


def _memory(plan: Plan) -> Iterator[str]:
    yield "memory"
    if plan.demands:
        most = plan.demands[0]
        weights, largest = shown_bytes(most.bytes), shown_bytes(most.largest_bytes)
        yield f"  on the device: {weights} of weights for the largest job, {largest} for its largest part"
    yield f"  on the host: {shown_bytes(plan.weights_bytes)} of weights, if nothing is let go"
    told = dict.fromkeys((d.offload, d.reason) for d in plan.demands)
    yield from (f"  offload {mode}: {reason}" for mode, reason in told)


def _state(plan: Plan, job: PlannedJob, path: Path) -> str:
    """Say what is known of a file from earlier runs."""
    return " (kept)" if job.is_kept else f" ({plan.lost[path]})" if path in plan.lost else ""


def _head(jobs: list[PlannedJob]) -> str:
    sizes = ", ".join(dict.fromkeys(f"{p.job.mode} {p.size}" for p in jobs))
    pictures = sum(len(p.files) for p in jobs)
    return f"{jobs[0].where} {jobs[0].job.request.model}: {_count(pictures, 'picture')}, {sizes}"


def _total(plan: Plan) -> str:
    unknown = sum(part.bytes is None for part in plan.parts)
    more = f" and {_count(unknown, 'part')} of unknown size" if unknown else ""
    more += f", {shown_bytes(plan.download_bytes)} to download" if plan.download_bytes else ""
    pictures = sum(len(p.files) for p in plan.to_make)
    all_pictures, animations = (sum(map(len, counted)) for counted in _made(plan))
    kept = f" ({_count(all_pictures - pictures, 'more picture')} kept)" if len(plan.to_make) < len(plan.jobs) else ""
    moving = f", {_count(animations, 'animation')}" if animations else ""
    free = "" if plan.free_bytes is None else f" of {shown_bytes(plan.free_bytes)} that are free"
    return (
        f"total: {_count(len(plan.to_make), 'job')}, {_count(pictures, 'picture')}{kept}{moving}, "
        f"{_count(_steps(plan), 'step')}, {_time(plan)}, "
        f"up to {shown_bytes(plan.disk_bytes)} on the disk{free}, {shown_bytes(plan.weights_bytes)} of models{more}"
    )


def _made(plan: Plan) -> tuple[list[tuple[Path, ...]], list[tuple[Path, ...]]]:
    """Return the pictures and the animations of each job."""
    return [p.files for p in plan.jobs], [p.animations for p in plan.jobs]


def _steps(plan: Plan) -> int:
    return sum(steps_of(p.job.request) for p in plan.to_make)


def _time(plan: Plan) -> str:
    if plan.untimed:
        families = ", ".join(dict.fromkeys(f"`{p.job.family}`" for p in plan.untimed))
        return f"time unknown: no run of {families} was timed here"
    return f"about {seconds(plan.seconds)}"


def _bytes(part: Footprint) -> str:
    if part.bytes is not None:
        return shown_bytes(part.bytes) if part.bytes else "small"
    return f"to download, {shown_bytes(part.download_bytes)}" if part.download_bytes else "not on this machine"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


# ---- as JSON ---------------------------------------------------------------------------------------------------


def as_object(plan: Plan) -> dict[str, Any]:
    """Return a plan as JSON has it; sizes are in pixels and bytes."""
    return {
        "invocations": [_invocation(list(group)) for _, group in groupby(plan.jobs, key=lambda p: p.where)],
        "parts": [asdict(part) for part in plan.parts],
        "memory": [asdict(demand) for demand in plan.demands],
        "lost": {str(path): why for path, why in plan.lost.items()},
        "passed_over": plan.passed_over,
        "warnings": [render([each]) for each in plan.warnings],
        "failures": [render([each]) for each in plan.failures],
        "totals": {
            "jobs": len(plan.jobs), "kept_jobs": len(plan.jobs) - len(plan.to_make),
            "pictures": sum(map(len, _made(plan)[0])), "animations": sum(map(len, _made(plan)[1])),
            "disk_bytes": plan.disk_bytes, "free_bytes": plan.free_bytes,
            "steps": _steps(plan), "weights_bytes": plan.weights_bytes,
            "download_bytes": plan.download_bytes, "seconds": None if plan.untimed else round(plan.seconds, 1),
            "unknown_parts": sum(part.bytes is None for part in plan.parts),
        },
    }  # fmt: skip


def _invocation(jobs: list[PlannedJob]) -> dict[str, Any]:
    first = jobs[0]
    return {
        "where": first.where, "model": first.job.request.model, "family": first.job.family,
        "pictures": sum(len(p.files) for p in jobs), "jobs": [_job(p) for p in jobs],
    }  # fmt: skip


def _job(planned: PlannedJob) -> dict[str, Any]:
    return {
        "mode": planned.job.mode, "seed": planned.job.request.seed, "size": list(planned.size),
        "steps": steps_of(planned.job.request), "files": [str(p) for p in planned.files],
        "animations": [str(p) for p in planned.animations],
        "configs": [str(p) for p in planned.configs], "seconds": planned.seconds, "kept": planned.is_kept,
    }  # fmt: skip
