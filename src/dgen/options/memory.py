"""How much memory a model may take."""

from __future__ import annotations

from dgen.schema import opt, options
from dgen.values.amounts import Amount


@options("memory")
class MemoryOptions:
    """Where a model's weights lie, and how much memory they may take."""

    device_memory: int | None = opt(
        None, flag="--device-memory", value=Amount(),
        help="The most memory that parts of models may hold on the device, as in `6GB`; by default what is free.",
    )  # fmt: skip
    host_memory: int | None = opt(
        None, flag="--host-memory", value=Amount(),
        help="The most memory that parts of models may hold on the host; the ones longest unused go first.",
    )  # fmt: skip
