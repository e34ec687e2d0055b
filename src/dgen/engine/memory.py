"""Measures memory, and decides how much of it components may hold."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from dgen.engine import devices

HOST = "cpu"
"""The device whose memory is the machine's own."""

_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Budget:
    """Lets components fill a memory but for a reserve for the work itself, and no more than a limit that was said."""

    free: Callable[[], int]  # bytes that can still be taken
    limit_bytes: int | None = None
    reserve_bytes: int = 2 * 2**30

    def excess(self, held_bytes: int, wanted_bytes: int) -> int:
        """Return how many bytes have to go before `wanted_bytes` more fit; 0 when they fit."""
        free = self.free()
        reserve = min(self.reserve_bytes, (free + held_bytes) // 4)
        over = [wanted_bytes + reserve - free]
        if self.limit_bytes is not None:
            over.append(held_bytes + wanted_bytes - self.limit_bytes)
        return max(0, min(held_bytes, max(over)))

    def room(self, held_bytes: int) -> int:
        """Return how many bytes can be held beside the reserve if nothing else were; `held_bytes` are."""
        room = self.free() + held_bytes
        room -= min(self.reserve_bytes, room // 4)
        return room if self.limit_bytes is None else min(room, self.limit_bytes)

    def most(self, held_bytes: int) -> int:
        """Return how many bytes could be held if nothing else were; `held_bytes` are."""
        room = self.free() + held_bytes
        return room if self.limit_bytes is None else min(room, self.limit_bytes)


def budgets(device: str = HOST, limits: tuple[int | None, int | None] = (None, None)) -> Callable[[str], Budget]:
    """Return what gives the budget of each device; `limits` are in bytes, those of `device` and of the host.

    On the CPU both are limits of the same memory.
    """
    said = {HOST: limits[1]}
    said[device] = min((n for n in limits if n is not None), default=None) if device == HOST else limits[0]

    def give(where: str) -> Budget:
        free = free_host_bytes if where == HOST else lambda: devices.free_bytes(where)
        return Budget(free, said.get(where))

    return give


def free_host_bytes() -> int:
    """Return the memory in bytes that this process can still take, the limit of its container included."""
    import psutil

    free = int(psutil.virtual_memory().available)
    limit, used = _cgroup("memory.max"), _cgroup("memory.current")
    return free if limit is None or used is None else max(0, min(free, limit - used))


def _cgroup(name: str) -> int | None:
    try:
        text = (_CGROUP / name).read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def resident_bytes() -> int:
    """Return the memory in bytes that this process holds."""
    return int(_process(os.getpid()).memory_info().rss)


@cache
def _process(number: int) -> Any:
    import psutil

    return psutil.Process(number)
