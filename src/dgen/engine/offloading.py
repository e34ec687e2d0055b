"""Keeps weights on the host while a job runs elsewhere, as far as its device is too small for them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from dgen.engine.components import size_of
from dgen.engine.failures import flag_of
from dgen.options.memory import OFFLOADS, offload_said
from dgen.options.request import Request
from dgen.values.amounts import shown_bytes


@dataclass(frozen=True, slots=True)
class Offload:
    """How a job's weights come to its device, and why so."""

    mode: str  # of OFFLOADS
    reason: str

    @property
    def is_on(self) -> bool:
        """Whether weights stay on the host."""
        return self.mode != "none"


def choose(request: Request, modules: Mapping[str, Any], device: str, room_bytes: int) -> Offload:
    """Decide how the weights of modules come to a device that has room for so many bytes."""
    option, said = offload_said(request)
    if said is not None:
        return Offload(said, f"`{flag_of(option)}` says so")
    if device == "cpu":
        return Offload("none", "the job runs on the CPU")
    room = f"the {shown_bytes(room_bytes)} that {device} has for them"
    for mode in OFFLOADS:
        needed = _NEEDS[mode](modules)
        if needed <= room_bytes:
            return Offload(mode, _reason(mode, modules, needed, room))
    return Offload(OFFLOADS[-1], f"nothing larger than a layer fits into {room}")


def _reason(mode: str, modules: Mapping[str, Any], needed: int, room: str) -> str:
    total = shown_bytes(sum(map(size_of, modules.values())))
    if mode == "none":
        return f"its {total} fit into {room}"
    what = {"model": "largest part", "group": "largest block", "sequential": "largest layer"}[mode]
    return f"its {total} do not fit into {room}; its {what} of {shown_bytes(needed)} does"


def lower(mode: str) -> str | None:
    """Return the mode that takes less of the device than another; None when there is none."""
    rest = OFFLOADS[OFFLOADS.index(mode) + 1 :]
    return rest[0] if rest else None


# ---- how much of a device each mode takes -------------------------------------------------------------------------


def _largest_group(module: Any) -> int:
    """Return the bytes of a module that are on the device together, at most, when its blocks come one by one."""
    import torch

    if not _has_blocks(module):
        return _largest_leaf(module)
    named = getattr(module, "_group_offload_block_modules", None) or ()
    blocks: list[Any] = []
    for name, child in module.named_children():
        if isinstance(child, (torch.nn.ModuleList, torch.nn.Sequential)):
            blocks += child
        elif name in named:
            blocks.append(child)
    sizes = [size_of(block) for block in blocks]
    return size_of(module) - sum(sizes) + max(sizes, default=0)


def _has_blocks(module: Any) -> bool:
    return getattr(module, "_supports_group_offloading", False)


def _largest_leaf(module: Any) -> int:
    own = (sum(t.nbytes for t in (*each._parameters.values(), *each._buffers.values()) if t is not None)
           for each in module.modules())  # fmt: skip
    return max(own, default=0)


def _largest(of: Callable[[Any], int]) -> Callable[[Mapping[str, Any]], int]:
    return lambda modules: max(map(of, modules.values()), default=0)


_NEEDS: dict[str, Callable[[Mapping[str, Any]], int]] = {
    "none": lambda modules: sum(map(size_of, modules.values())),
    "model": _largest(size_of),
    "group": _largest(_largest_group),
    "sequential": _largest(_largest_leaf),
}


# ---- hooks -------------------------------------------------------------------------------------------------------


def attach(stack: ExitStack, pipeline: Any, mode: str, device: str) -> None:
    """Let a pipeline whose modules are on the host run on a device, until the stack closes."""
    import torch

    modules = {k: m for k, m in pipeline.components.items() if isinstance(m, torch.nn.Module)}
    for module in modules.values():
        stack.enter_context(_on_the_host(module))
    _HOOKS[mode](pipeline, modules, torch.device(device))


_GROUP_HOOKS = ("group_offloading", "layer_execution_tracker", "lazy_prefetch_group_offloading")


@contextmanager
def _on_the_host(module: Any) -> Generator[None]:
    """Give every layer of a module its own tensors and attributes back after the block, on the host."""
    kept = [(each, dict(vars(each)), dict(each._parameters), dict(each._buffers)) for each in module.modules()]
    try:
        yield
    finally:
        for layer, *tensors in kept:
            _restore(layer, *tensors)
        module.to("cpu")


def _restore(layer: Any, own: dict[str, Any], parameters: dict[str, Any], buffers: dict[str, Any]) -> None:
    for name in _GROUP_HOOKS if "_diffusers_hook" in own else ():  # where other hooks of diffusers were before
        own["_diffusers_hook"].remove_hook(name, recurse=False)
    for held, before in ((vars(layer), own), (layer._parameters, parameters), (layer._buffers, buffers)):
        held.clear()
        held.update(before)


def _by_model(pipeline: Any, modules: dict[str, Any], device: Any) -> None:
    """Let each module come when it is called, and go when the next one of the pipeline's sequence is called."""
    from accelerate import cpu_offload_with_hook

    sequence = [name for name in (pipeline.model_cpu_offload_seq or "").split("->") if name in modules]
    last = None
    for name in sequence:
        _, last = cpu_offload_with_hook(modules[name], device, last)
    for name, module in modules.items():
        if name in pipeline._exclude_from_cpu_offload:
            module.to(device)
        elif name not in sequence:
            cpu_offload_with_hook(module, device)


def _by_group(pipeline: Any, modules: dict[str, Any], device: Any) -> None:
    """Let blocks of layers come and go; layers one by one where a module is not made of blocks."""
    from diffusers.hooks.group_offloading import apply_group_offloading

    for module in modules.values():
        if _has_blocks(module):
            module.enable_group_offload(onload_device=device, offload_type="block_level", num_blocks_per_group=1)
        else:
            apply_group_offloading(module, onload_device=device, offload_type="leaf_level")


def _by_layer(pipeline: Any, modules: dict[str, Any], device: Any) -> None:
    """Let each layer come and go."""
    from accelerate import cpu_offload

    for name, module in modules.items():
        if name in pipeline._exclude_from_cpu_offload:
            module.to(device)
        else:
            cpu_offload(module, device, offload_buffers=len(module._parameters) > 0)


_HOOKS: dict[str, Callable[[Any, dict[str, Any], Any], None]] = {
    "none": lambda pipeline, modules, device: None,
    "model": _by_model,
    "group": _by_group,
    "sequential": _by_layer,
}


_HOOKED = frozenset({"_hf_hook", "_diffusers_hook"})
"""The attributes of layers that hooks of accelerate and diffusers are on."""


def inference(may_move: bool, pipeline: Any) -> Any:
    """Return the context in which a pipeline is called: weights that move in it must not become inference tensors."""
    import torch

    if not may_move:
        return torch.inference_mode()
    layers = (e for m in pipeline.components.values() if isinstance(m, torch.nn.Module) for e in m.modules())
    return torch.no_grad() if any(not _HOOKED.isdisjoint(vars(each)) for each in layers) else torch.inference_mode()
