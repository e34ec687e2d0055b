"""Tells what this machine has, fact by fact, as lines of JSON: a program of its own, so that it may break alone.

`python -m dgen.engine.report` is what `dgen doctor` runs: a library that cannot be imported, that crashes or that
never ends takes nothing with it but this process.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any


def _host() -> dict[str, Any]:
    import psutil

    from dgen.engine.memory import free_host_bytes

    total = int(psutil.virtual_memory().total)
    return {"cores": os.cpu_count(), "total_bytes": total, "free_bytes": free_host_bytes()}


def _hub() -> dict[str, Any]:
    from huggingface_hub import get_token
    from huggingface_hub.constants import HF_HUB_CACHE, HF_HUB_OFFLINE

    return {"has_token": get_token() is not None, "cache": HF_HUB_CACHE, "is_offline": bool(HF_HUB_OFFLINE)}


def _library(name: str) -> Callable[[], dict[str, Any]]:
    def look() -> dict[str, Any]:
        from dgen.engine.libraries import importing

        with importing():
            return {"version": str(getattr(import_module(name), "__version__", ""))}

    return look


def _devices() -> dict[str, Any]:
    from dgen.engine.devices import present
    from dgen.engine.libraries import load_torch

    torch = load_torch()
    found = [_device(torch, name) for name in present() if name != "cpu"]
    return {"devices": found, "threads": torch.get_num_threads(), "cuda": torch.version.cuda}


def _device(torch: Any, name: str) -> dict[str, Any]:
    from dgen.engine.devices import kind_of, total_bytes

    backend = getattr(torch, kind_of(name))
    told: dict[str, Any] = {"device": name, "name": name, "total_bytes": total_bytes(name), "free_bytes": None}
    if hasattr(backend, "get_device_name"):
        told["name"] = backend.get_device_name(name)
    if hasattr(backend, "mem_get_info"):
        told["free_bytes"] = backend.mem_get_info(name)[0]
    return told


LIBRARIES = ("numpy", "PIL", "safetensors", "torch", "accelerate", "transformers", "diffusers")

FACTS: dict[str, Callable[[], dict[str, Any]]] = {
    "host": _host,
    "hub": _hub,
    **{name: _library(name) for name in LIBRARIES},
    "devices": _devices,
}
"""What is looked at, in this order."""


def main() -> None:
    """Print each fact as a line: `fact`, and what was found, or the `error`."""
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries may print
    for name, look in FACTS.items():
        try:
            told = look()
        except Exception as error:
            told = {"error": f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), '')}"}
        print(json.dumps({"fact": name, **told}), file=answers, flush=True)


if __name__ == "__main__":
    main()
