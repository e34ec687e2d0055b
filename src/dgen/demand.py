"""Says how much memory the weights of a job take, and how they will come to its device, from the sizes of its parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dgen.options.memory import offload_said
from dgen.options.request import ROWS, Request
from dgen.values.amounts import shown_bytes


@dataclass(frozen=True, slots=True)
class Demand:
    """The weights of a job: what they take together, what the largest part takes, and how they are offloaded."""

    bytes: int
    largest_bytes: int
    offload: str
    reason: str


def demand(request: Request, sizes: Sequence[int], device: str) -> Demand:
    """Return what a job demands whose parts have some sizes, on a kind of device."""
    total, largest = sum(sizes), max(sizes, default=0)
    return Demand(total, largest, *_offload(request, (total, largest), device))


def _offload(request: Request, sizes: tuple[int, int], device: str) -> tuple[str, str]:
    """Decide as the engine does, as far as that can be done without asking the device what it has."""
    total, largest = map(shown_bytes, sizes)
    option, said = offload_said(request)
    if said is not None:
        return said, f"`{ROWS[option].flag}` says so"
    if device == "cpu":
        return "none", "the job runs on the CPU"
    limit = request.device_memory
    if limit is None:
        return "none", f"if {total} are free on {device}; with {largest} its parts come one at a time"
    room = f"the {shown_bytes(limit)} of `--device-memory`"
    if sizes[0] <= limit:
        return "none", f"its {total} fit into {room}"
    if sizes[1] <= limit:
        return "model", f"its {total} do not fit into {room}; its largest part of {largest} does"
    return (
        "group",
        f"its largest part of {largest} does not fit into {room}, or `sequential` where blocks do not either",
    )
