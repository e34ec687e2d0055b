"""Lets the attention layers of a UNet repeat what they computed in earlier steps, with the caches of diffusers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from importlib import import_module
from typing import Any

from dgen.engine.libraries import class_named
from dgen.values.step_cache import StepCache

ATTENTION = r".*\.transformer_blocks\.\d+\.attn[12]"
"""The names of a UNet's attention layers: those that diffusers lists belong to transformers."""


def add_cache(stack: ExitStack, unet: Any, cache: StepCache) -> None:
    """Let a UNet use a cache until the stack closes.

    The caller restores the attributes and hooks of the UNet and of every module in it.
    """
    _ADD[cache.name](stack, unet, dict(cache.arguments))


def _add_pab(stack: ExitStack, unet: Any, arguments: dict[str, Any]) -> None:
    """Add Pyramid Attention Broadcast (Zhao et al. 2024)."""
    hooks = _hooks()
    now = _Now()
    unet.register_forward_pre_hook(now, with_kwargs=True)
    if not any(name.endswith("block_skip_range") for name in arguments):
        arguments["spatial_attention_block_skip_range"] = 2  # what diffusers takes, after a warning
    config = hooks.PyramidAttentionBroadcastConfig(current_timestep_callback=lambda: now.timestep, **arguments)
    hooks.apply_pyramid_attention_broadcast(unet, config)


def _add_taylor(stack: ExitStack, unet: Any, arguments: dict[str, Any]) -> None:
    """Add TaylorSeer (Liu et al. 2025)."""
    hooks = _hooks()
    config = hooks.TaylorSeerCacheConfig(cache_identifiers=[ATTENTION], taylor_factors_dtype=unet.dtype, **arguments)
    hooks.apply_taylorseer_cache(unet, config)
    stack.enter_context(class_named("diffusers", "CacheMixin").cache_context(unet, "denoising"))


def _hooks() -> Any:
    """Import the caches of diffusers, which it does not declare to type checkers."""
    return import_module("diffusers.hooks")


_ADD: dict[str, Callable[[ExitStack, Any, dict[str, Any]], None]] = {"PAB": _add_pab, "TaylorSeer": _add_taylor}


class _Now:
    """Knows the timestep of the call that a UNet is in."""

    timestep = 0

    def __call__(self, _: Any, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Begin a call."""
        told = args[1] if len(args) > 1 else named["timestep"]
        self.timestep = int(told.max() if hasattr(told, "max") else told)
