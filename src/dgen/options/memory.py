"""How much memory a model may take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dgen.schema import opt, options
from dgen.values.amounts import Amount
from dgen.values.scalars import Choice

if TYPE_CHECKING:
    from dgen.options.request import Request

OFFLOADS = ("none", "model", "group", "sequential")
"""How the weights of a model lie on the host while it runs elsewhere: each takes less of the device, and more time."""

_OLD_FLAGS = {"model_cpu_offload": "model", "model_sequential_offload": "sequential"}


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
    offload: str | None = opt(
        None, flag="--offload", value=Choice(OFFLOADS, metavar="HOW"), excludes=tuple(_OLD_FLAGS),
        help="Keep weights on the host and bring them to the device by `model`, by `group` of layers, or layer after "
        "layer (`sequential`); by default the first that fits, `none` if all does. On a CPU it saves nothing.",
    )  # fmt: skip
    model_cpu_offload: bool = opt(
        False, flag="--model-cpu-offload", short="-mco", excludes=("model_sequential_offload",),
        help="The same as `--offload model`.",
    )  # fmt: skip
    model_sequential_offload: bool = opt(
        False, flag="--model-sequential-offload", short="-mqo", help="The same as `--offload sequential`.",
    )  # fmt: skip


def offload_said(request: Request) -> tuple[str, str | None]:
    """Return the option that says how weights are offloaded, and what it says; None when nobody said."""
    old = next((option for option in _OLD_FLAGS if getattr(request, option)), None)
    return (old, _OLD_FLAGS[old]) if old is not None else ("offload", request.offload)
