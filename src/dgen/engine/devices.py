"""Names the devices of this machine and refuses those it lacks."""

from __future__ import annotations

import re
import sys
from typing import Any

from dgen.diagnostic import did_you_mean
from dgen.engine.libraries import load_torch
from dgen.engine.protocol import EngineError
from dgen.values.amounts import UNITS

_ACCELERATORS = ("cuda", "xpu", "mps")
_DEVICE = re.compile(r"(?P<kind>cpu|cuda|xpu|mps)(?::(?P<number>\d{1,3}))?")


def device_named(device: str | None) -> str:
    """Return the torch name of a device, of the fastest one for None.

    Raises:
        EngineError: `bad-device`: this machine has none of that name.
    """
    if device is None:
        return next((k for k in _ACCELERATORS if count(k)), "cpu")
    found = _DEVICE.fullmatch(device.strip().lower())
    if found is None:
        raise _missing(device)
    kind, number = found["kind"], int(found["number"] or 0)
    if kind == "cpu":
        return "cpu"
    if number >= count(kind):
        raise _missing(device)
    return found[0]


def kind_of(device: str) -> str:
    """Return the kind of a device: `cuda` of `cuda:1`."""
    return device.partition(":")[0]


def count(kind: str) -> int:
    """Count the devices of a kind."""
    torch = load_torch()
    if kind == "mps":
        return int(torch.backends.mps.is_available())
    backend: Any = getattr(torch, kind, None)
    return backend.device_count() if backend is not None and backend.is_available() else 0


def present() -> list[str]:
    """List the devices of this machine."""
    found = ["cpu"]
    for kind in _ACCELERATORS:
        found += [f"{kind}:{n}" if kind != "mps" else kind for n in range(count(kind))]
    return found


def _missing(device: str) -> EngineError:
    names = present()
    listed = "there is " + ", ".join(f"`{d}`" for d in names)
    return EngineError(
        "bad-device", f"this machine has no device `{device}`", "device", help=did_you_mean(device, names, listed)
    )


def total_bytes(device: str | None) -> int:
    """Return the memory of a device in bytes, of the machine for `cpu`.

    Raises:
        EngineError: `bad-device`.
    """
    name = device_named(device)
    kind = kind_of(name)
    if kind in ("cuda", "xpu"):
        backend: Any = getattr(load_torch(), kind)
        return int(backend.get_device_properties(name).total_memory)
    import psutil

    return int(psutil.virtual_memory().total)


def free_bytes(device: str) -> int:
    """Return the memory in bytes that can still be taken on a device other than the CPU.

    What torch keeps for itself counts as free: `release` gives it back.
    """
    torch = load_torch()
    if kind_of(device) == "mps":
        return max(0, int(torch.mps.recommended_max_memory()) - int(torch.mps.current_allocated_memory()))
    backend: Any = getattr(torch, kind_of(device))
    kept = int(backend.memory_reserved(device)) - int(backend.memory_allocated(device))
    return int(backend.mem_get_info(device)[0]) + kept


def used_bytes(device: str) -> int | None:
    """Return the memory in bytes that this process uses on a device; None on the CPU."""
    kind = kind_of(device)
    if kind == "mps":
        return int(load_torch().mps.current_allocated_memory())
    return int(getattr(load_torch(), kind).memory_allocated(device)) if kind in ("cuda", "xpu") else None


def release() -> None:
    """Give memory that torch keeps for itself back to the devices."""
    if "torch" in sys.modules:
        for kind in _ACCELERATORS:
            if count(kind):
                getattr(load_torch(), kind).empty_cache()


def fact(name: str, *arguments: Any) -> Any:
    """Answer a question about devices: `have_cuda`, `have_xpu`, `have_mps`, `default_device`, `total_memory`.

    Raises:
        EngineError: `bad-device`: it is about a device that does not exist.
        ValueError: the question or the unit is unknown.
    """
    if name.removeprefix("have_") in _ACCELERATORS:
        return count(name.removeprefix("have_")) > 0
    if name == "default_device":
        return device_named(None)
    if name != "total_memory":
        raise ValueError(f"unknown question: {name}")
    device, unit = (*arguments, None, None)[:2] if arguments else (None, None)
    size = UNITS.get(str(unit or "b").lower())
    if size is None:
        raise ValueError("expected a unit: " + ", ".join(UNITS))
    return total_bytes(device) / size
