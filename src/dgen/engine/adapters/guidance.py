"""Changes how a denoiser works for the time of a job: FreeU, PAG, HiDiffusion, caches."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from dgen.engine.adapters.deepcache import branches, remember_depths
from dgen.engine.adapters.hidiffusion import Phase, shrink_depths, window_attention
from dgen.engine.adapters.layers import as_it_was
from dgen.engine.adapters.ras import ras_of, sample_regions
from dgen.engine.adapters.stepcache import add_cache, step_cache
from dgen.engine.adapters.teacache import skip_blocks
from dgen.engine.protocol import EngineError
from dgen.options.request import Request
from dgen.plan.control import no_branch
from dgen.plan.resolve import Job

DEEP_CACHE_INTERVAL, DEEP_CACHE_BRANCH = 5, 1
"""What DeepCache does when only `--deep-cache` is said."""

TEA_CACHE_THRESHOLD = 0.6
"""What TeaCache allows when only `--tea-cache` is said."""


def change_denoiser(stack: ExitStack, job: Job, pipeline: Any) -> None:
    """Change the UNet or transformer of a pipeline as a job asks, until the stack closes.

    Raises:
        EngineError: `bad-value`: DeepCache is told of a skip connection that the UNet has not.
    """
    request = job.request
    has_pag = hasattr(pipeline, "pag_applied_layers")
    regions = ras_of(request)
    is_cached = request.step_cache or uses_deep_cache(request) or uses_tea_cache(request) or regions
    if not (has_pag or request.freeu or request.hi_diffusion or is_cached):
        return
    unet = getattr(pipeline, "unet", None) or pipeline.transformer
    stack.enter_context(as_it_was(unet))  # guidance leaves its processors behind in a job that fails
    if request.freeu is not None:
        pipeline.enable_freeu(*request.freeu)
    phase = _add_hi_diffusion(stack, request, pipeline) if request.hi_diffusion else None
    if request.step_cache is not None:
        add_cache(stack, pipeline, unet, step_cache(job, request.step_cache))
    if uses_tea_cache(request):
        threshold = request.tea_cache_rel_l1_threshold
        skip_blocks(pipeline, unet, TEA_CACHE_THRESHOLD if threshold is None else threshold)
    if regions is not None:
        sample_regions(stack, pipeline, unet, regions)
    if uses_deep_cache(request):
        interval, branch = _deep_cache(request)
        if branch >= branches(unet):
            raise EngineError("bad-value", no_branch(branch, branches(unet)), "deep_cache_branch_id")
        remember_depths(unet, interval, branch, lambda: phase and phase.factor)


def _add_hi_diffusion(stack: ExitStack, request: Request, pipeline: Any) -> Phase:
    """Let a pipeline draw larger pictures than it was trained for; its UNet is restored by the caller."""
    held = pipeline.components.get("controlnet")
    nets = getattr(held, "nets", [held] if held is not None else [])
    phase = Phase(pipeline.unet.config.sample_size or 64, pipeline.scheduler)  # None: of an old checkpoint
    for network in (pipeline.unet, *nets):
        if network is not pipeline.unet:
            stack.enter_context(as_it_was(network))
        network.register_forward_pre_hook(phase.tick, with_kwargs=True)
        if not request.hi_diffusion_no_raunet:
            shrink_depths(network, phase)  # what ControlNets add to the depths is of their size
    if not request.hi_diffusion_no_win_attn:
        window_attention(pipeline.unet, phase)
    return phase


def uses_deep_cache(request: Request) -> bool:
    """Whether a job uses DeepCache."""
    return request.deep_cache or request.deep_cache_interval is not None or request.deep_cache_branch_id is not None


def uses_tea_cache(request: Request) -> bool:
    """Whether a job uses TeaCache."""
    return request.tea_cache or request.tea_cache_rel_l1_threshold is not None


def _deep_cache(request: Request) -> tuple[int, int]:
    interval, branch = request.deep_cache_interval, request.deep_cache_branch_id
    return interval or DEEP_CACHE_INTERVAL, DEEP_CACHE_BRANCH if branch is None else branch
