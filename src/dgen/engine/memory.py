"""Measures memory, and decides how much of it components may hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class HostBudget:
    """Lets components fill the memory of the machine but for a reserve for the work itself."""

    reserve_bytes: int = 2 * 2**30

    def excess(self, held_bytes: int, wanted_bytes: int) -> int:
        """Return how many of the bytes held have to go before `wanted_bytes` more fit."""
        free = free_host_bytes()
        reserve = min(self.reserve_bytes, (free + held_bytes) // 4)
        return max(0, min(held_bytes, wanted_bytes + reserve - free))


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
    import psutil

    return int(psutil.Process().memory_info().rss)
