"""Lets layers of a denoiser repeat what they computed in earlier steps, with the caches of diffusers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from dgen.engine.libraries import class_named
from dgen.plan.resolve import Job, family_of
from dgen.values.step_cache import BATCHED_GUIDANCE, StepCache

ATTENTION = r"(.*\.)?(single_)?transformer_blocks\.\d+\.attn[12]?"
"""The names of the attention layers of UNets and transformers: those that diffusers lists leave UNets out."""

_TIMES = 1000
"""The timesteps of training: some transformers are told fractions of it."""


@dataclass(frozen=True, slots=True)
class Adding:
    """A cache of a job."""

    name: str
    arguments: dict[str, Any]
    halves: bool  # whether the batch of each call has an unguided half before the guided one


def step_cache(job: Job, cache: StepCache) -> Adding:
    """Return a job's cache."""
    is_guided = (job.request.guidance_scale or 0) > 1
    halves = is_guided and BATCHED_GUIDANCE in family_of(job).capabilities
    return Adding(cache.name, dict(cache.arguments), halves)


def add_cache(stack: ExitStack, pipeline: Any, denoiser: Any, cache: Adding) -> None:
    """Let a denoiser use a cache until the stack closes.

    The caller restores the attributes and hooks of the denoiser and of every module in it.
    """
    for module in denoiser.modules():
        vars(module).pop("_diffusers_hook", None)  # an older list of hooks would keep the new ones after the job
    _ADD[cache.name](pipeline, denoiser, cache)
    stack.enter_context(class_named("diffusers", "CacheMixin").cache_context(denoiser, "denoising"))


def _add_pab(pipeline: Any, denoiser: Any, cache: Adding) -> None:
    """Add Pyramid Attention Broadcast (Zhao et al. 2024)."""
    hooks = _hooks()
    arguments = cache.arguments
    if not any(name.endswith("block_skip_range") for name in arguments):
        arguments["spatial_attention_block_skip_range"] = 2  # what diffusers takes, after a warning
    now = _Now.of(denoiser)
    config = hooks.PyramidAttentionBroadcastConfig(current_timestep_callback=lambda: now.timestep, **arguments)
    hooks.apply_pyramid_attention_broadcast(denoiser, config)


def _add_taylor(pipeline: Any, denoiser: Any, cache: Adding) -> None:
    """Add TaylorSeer (Liu et al. 2025)."""
    hooks = _hooks()
    config = hooks.TaylorSeerCacheConfig(
        cache_identifiers=[ATTENTION], taylor_factors_dtype=denoiser.dtype, **cache.arguments
    )
    hooks.apply_taylorseer_cache(denoiser, config)


def _add_first_block(pipeline: Any, denoiser: Any, cache: Adding) -> None:
    """Add First Block Cache, after TeaCache (Liu et al. 2024)."""
    hooks = _hooks()
    _keep_texts(denoiser)
    hooks.apply_first_block_cache(denoiser, hooks.FirstBlockCacheConfig(**cache.arguments))


def _add_mag(pipeline: Any, denoiser: Any, cache: Adding) -> None:
    """Add MagCache (Ma et al. 2025)."""
    import torch

    hooks, mag = _hooks(), import_module("diffusers.hooks.mag_cache")
    _keep_texts(denoiser)
    given = cache.arguments.pop("mag_ratios", None)
    ratios = mag.FLUX_MAG_RATIOS if given is None else torch.tensor(given)
    config = hooks.MagCacheConfig(mag_ratios=ratios, **cache.arguments)

    def begin(*_: Any) -> None:
        """Bring the ratios to the steps of the schedule, which a pipeline makes just before its first one."""
        handle.remove()
        config.num_inference_steps = pipeline.num_timesteps
        config.mag_ratios = mag.nearest_interp(ratios, pipeline.num_timesteps)

    handle = denoiser.register_forward_pre_hook(begin)
    hooks.apply_mag_cache(denoiser, config)


def _add_faster(pipeline: Any, denoiser: Any, cache: Adding) -> None:
    """Add FasterCache (Lv et al. 2024)."""
    hooks = _hooks()
    weight = cache.arguments.pop("attention_weight", 0.5)  # what diffusers takes, after a warning
    now = _Now.of(denoiser, keeps_first=True)
    config = hooks.FasterCacheConfig(
        current_timestep_callback=lambda: now.timestep, attention_weight_callback=lambda layer: weight,
        tensor_format="BCHW", is_guidance_distilled=not cache.halves, spatial_attention_block_identifiers=(ATTENTION,),
        _unconditional_conditional_input_kwargs_identifiers=_HALVED, **cache.arguments,
    )  # fmt: skip
    hooks.apply_faster_cache(denoiser, config)


_HALVED = ("hidden_states", "encoder_hidden_states", "pooled_projections", "timestep")
"""The inputs of a transformer of which the unguided half is left out; diffusers forgets one of them."""


def _keep_texts(denoiser: Any) -> None:
    """Let the last block answer with the text states that it got where it drops them: the caches subtract them."""
    last = denoiser.transformer_blocks[-1]
    if not getattr(last, "context_pre_only", False):
        return
    forward = last.forward

    def whole(**named: Any) -> tuple[Any, Any]:
        texts, states = forward(**named)
        return named["encoder_hidden_states"] if texts is None else texts, states

    vars(last)["forward"] = whole


def _hooks() -> Any:
    """Import the caches of diffusers, which it does not declare to type checkers."""
    return import_module("diffusers.hooks")


_ADD: dict[str, Callable[[Any, Any, Adding], None]] = {
    "PAB": _add_pab,
    "TaylorSeer": _add_taylor,
    "FirstBlock": _add_first_block,
    "MagCache": _add_mag,
    "FasterCache": _add_faster,
}


class _Now:
    """Knows the timestep, from 0 to 1000, of the call that a denoiser is in."""

    timestep = float("inf")

    def __init__(self, *, keeps_first: bool) -> None:
        self._keeps_first, self._factor = keeps_first, 0

    @classmethod
    def of(cls, denoiser: Any, *, keeps_first: bool = False) -> _Now:
        """Watch a denoiser; with `keeps_first` its first call is at no timestep, as nothing can be repeated there."""
        now = cls(keeps_first=keeps_first)
        denoiser.register_forward_pre_hook(now, with_kwargs=True)
        return now

    def __call__(self, _: Any, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Begin a call."""
        told = float(named["timestep"].max() if "timestep" in named else args[1])
        is_first = not self._factor
        if is_first:
            self._factor = _TIMES if told <= 1 else 1  # no schedule begins with its last timestep
        self.timestep = float("inf") if is_first and self._keeps_first else told * self._factor
