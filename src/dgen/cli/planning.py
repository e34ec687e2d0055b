"""The command that says what a run would make: `dgen plan`, and the limits of `dgen run`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from dgen.cli.arguments import CommandLine, command_table, read_command_line
from dgen.cli.commands import refuse, run_session, sources_of
from dgen.cli.status import mebibytes
from dgen.diagnostic import Exit, Source, render, wants_color
from dgen.plan.steps import steps_of
from dgen.planning import GB, Limits, Plan, PlannedJob, planned


def run(argv: Sequence[str]) -> int:
    """Run `dgen plan`; return its exit code.

    Raises:
        DgenError: something in the command line or a script is wrong, or the plan goes beyond a limit.
    """
    line = read_command_line(argv)
    refuse(line, "resume", "save_failed")
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
    images, gigabytes = (
        rows[name].parse(line.asked[name][-1].text) if name in line.asked else None for name in ("max_images", "max_gb")
    )
    return Limits(images=images, disk_bytes=None if gigabytes is None else int(gigabytes * GB))


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
        yield from (f"  {path}" for job in jobs for path in (*job.files, *job.configs))
    if plan.parts:
        yield "models"
        yield from (f"  {p.kind} of {p.source} ({p.dtype}): {_bytes(p.bytes)}" for p in plan.parts)
    if plan.passed_over:
        yield "passed over, for it touches more than the session"
        yield from (f"  {each}" for each in plan.passed_over)
    yield _total(plan)


def _head(jobs: list[PlannedJob]) -> str:
    sizes = ", ".join(dict.fromkeys(f"{p.job.mode} {p.size}" for p in jobs))
    pictures = sum(len(p.files) for p in jobs)
    return f"{jobs[0].where} {jobs[0].job.request.model}: {_count(pictures, 'picture')}, {sizes}"


def _total(plan: Plan) -> str:
    unknown = sum(part.bytes is None for part in plan.parts)
    more = f" and {_count(unknown, 'part')} of unknown size" if unknown else ""
    return (
        f"total: {_count(len(plan.jobs), 'job')}, {_count(len(plan.files), 'picture')}, "
        f"{_count(sum(steps_of(p.job.request) for p in plan.jobs), 'step')}, "
        f"up to {mebibytes(plan.disk_bytes)} on the disk, {mebibytes(plan.weights_bytes)} of models{more}"
    )


def _bytes(count: int | None) -> str:
    return "not on this machine" if count is None else mebibytes(count) if count else "small"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


# ---- as JSON ---------------------------------------------------------------------------------------------------


def as_object(plan: Plan) -> dict[str, Any]:
    """Return a plan as JSON has it; sizes are in pixels and bytes."""
    return {
        "invocations": [_invocation(list(group)) for _, group in groupby(plan.jobs, key=lambda p: p.where)],
        "parts": [{"kind": p.kind, "source": p.source, "dtype": p.dtype, "bytes": p.bytes} for p in plan.parts],
        "passed_over": plan.passed_over,
        "warnings": [render([each]) for each in plan.warnings],
        "failures": [render([each]) for each in plan.failures],
        "totals": {
            "jobs": len(plan.jobs), "pictures": len(plan.files), "disk_bytes": plan.disk_bytes,
            "steps": sum(steps_of(p.job.request) for p in plan.jobs), "weights_bytes": plan.weights_bytes,
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
        "configs": [str(p) for p in planned.configs],
    }  # fmt: skip
