"""Lists the models of this machine, and what they can use, for completion."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dgen.engine.protocol import EngineError
from dgen.engine.trace import TraceEngine
from dgen.families.indices import INDICES
from dgen.options.request import Request


def cached_models() -> Iterator[str]:
    """Yield the models that the hub's cache holds, by name."""
    from huggingface_hub.constants import HF_HUB_CACHE  # light; the rest of the package is not

    found = (index for name in INDICES for index in Path(HF_HUB_CACHE).glob(f"models--*/snapshots/*/{name}"))
    for model in sorted({index.parts[-4] for index in found}):
        yield model.removeprefix("models--").replace("--", "/")


def schedulers_of(model: str) -> tuple[str, ...]:
    """Return the schedulers that a model on this machine can use, its own first; nothing when it cannot be seen."""
    make: Any = Request  # its defaults are rows, which a type checker cannot see
    engine, request = TraceEngine(), make(model=model)
    try:
        return engine.schedulers(request) if model and engine.sees(request) else ()
    except EngineError:
        return ()
