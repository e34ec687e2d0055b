"""Attaches everything that a job names to the parts of its pipeline, and says what that changes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from dgen.engine.adapters.controlnet import check_fit, lending, projecting, speaking
from dgen.engine.adapters.ip import IpAdapter, IpAdapters
from dgen.engine.adapters.lora import Lora, add_loras
from dgen.engine.adapters.t2i import check_size
from dgen.engine.adapters.words import Learned, add_words
from dgen.engine.failures import memory_errors
from dgen.engine.libraries import class_named
from dgen.engine.sources import attached_sources
from dgen.options.request import Request
from dgen.plan.resolve import Job

State = dict[str, tuple[Any, ...]]
"""What adapters do to parts of a model, by the kind of part: equal states mean equal answers."""


def attach_steering(stack: ExitStack, job: Job, values: dict[str, Any]) -> None:
    """Fit what follows control images to the UNet among the parts of a pipeline, and put it there as pipelines take it.

    Raises:
        EngineError: `bad-weights`: one of them was made for another model; `size-mismatch`.
    """
    nets = [values.pop(name) for name in [*values] if name.partition("#")[0] == "controlnet"]
    attach_nets(stack, job.request, values, nets)
    adapters = [values.pop(name) for name in [*values] if name.partition("#")[0] == "adapter"]
    for source, adapter in zip(attached_sources(job.request, "t2i_adapters"), adapters, strict=False):
        check_size(source, adapter.config, job.size)
        stack.enter_context(speaking(adapter, values["unet"].dtype))
    if adapters:
        together = class_named("diffusers", "MultiAdapter")
        values["adapter"] = together(adapters) if len(adapters) > 1 else adapters[0]


def attach_ip(stack: ExitStack, request: Request, pipeline: Any, held: Sequence[Any], made: IpAdapters) -> None:
    """Let a job's IP-adapters act in its pipeline.

    Raises:
        EngineError: `bad-weights`, `out-of-memory`.
    """
    if held:
        sources = attached_sources(request, "ip_adapters")
        adapters = [IpAdapter(*each) for each in zip(request.ip_adapters, sources, held, strict=True)]
        with memory_errors("IP-adapters were added", "ip_adapters"):
            made.add(stack, pipeline, adapters)


def attach_nets(stack: ExitStack, request: Request, values: dict[str, Any], nets: Sequence[Any]) -> None:
    """Fit ControlNets to the denoiser among `values`, and put them there in the way that pipelines take them.

    Raises:
        EngineError: `bad-weights`: one of them was made for another model.
    """
    denoiser = values.get("unet") or values.get("transformer")
    for source, net in zip(attached_sources(request, "control_nets"), nets, strict=False):
        if denoiser is not None:
            check_fit(source, net.config, denoiser.config)
            stack.enter_context(speaking(net, denoiser.dtype))
            stack.enter_context(projecting(net))
            stack.enter_context(lending(net))
    if nets:
        values["controlnet"] = list(nets) if len(nets) > 1 else nets[0]


def attach_words(stack: ExitStack, request: Request, values: dict[str, Any], held: Sequence[Any]) -> State:
    """Teach the text encoders among `values` a job's words; the tokenizers there become ones that know them.

    Raises:
        EngineError: `bad-weights`, `out-of-memory`.
    """
    sources = attached_sources(request, "textual_inversions")
    words = [Learned(*each) for each in zip(request.textual_inversions, sources, held, strict=True)]
    with memory_errors("words were taught", "textual_inversions"):
        tokenizers = add_words(stack, values, words)
    values.update(tokenizers)
    return {kind.replace("tokenizer", "text_encoder"): request.textual_inversions for kind in tokenizers}


def attach_loras(stack: ExitStack, request: Request, pipeline: Any, held: Sequence[Any]) -> State:
    """Let a job's LoRAs act in its pipeline.

    Raises:
        EngineError: `bad-weights`, `out-of-memory`.
    """
    if not held:
        return {}
    factor = 1.0 if request.lora_fuse_scale is None else request.lora_fuse_scale
    loras = [Lora(*each) for each in zip(request.loras, attached_sources(request, "loras"), held, strict=True)]
    with memory_errors("LoRAs were added", "loras"):
        changed = add_loras(stack, pipeline, loras, factor)
    return dict.fromkeys(changed, (*request.loras, factor))
