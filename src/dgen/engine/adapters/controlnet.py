"""Fits ControlNets (Zhang et al., 2023) to the model that they steer."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dgen.engine.protocol import EngineError
from dgen.engine.sources import Source

_SHARED = (
    "block_out_channels", "cross_attention_dim", "layers_per_block", "addition_embed_type", "joint_attention_dim",
    "pooled_projection_dim", "encoder_hid_dim",
)  # fmt: skip
"""Settings that a ControlNet and the denoiser have in common when they fit."""


def read_config(folder: Path) -> dict[str, Any] | None:
    """Return the configuration in a part's folder; None when there is none to read."""
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def check_class(source: Source, config: Mapping[str, Any], wanted: str, *, has_mode: bool) -> None:
    """Refuse what is no ControlNet, and a union ControlNet without a `mode`, or the other way round.

    Raises:
        EngineError: `bad-model`, `bad-uri`.
    """
    found = str(config.get("_class_name"))
    is_union = found == "ControlNetUnionModel" or config.get("num_mode") is not None
    of_wanted = found == wanted or {found, wanted} == {"ControlNetModel", "ControlNetUnionModel"}
    if not of_wanted and found.endswith(("ControlNetModel", "ControlNetUnionModel")):
        raise EngineError(
            "bad-model", f"`{source.shown}` is a ControlNet of another family: it is a `{found}`, not a `{wanted}`",
            source.option,
        )  # fmt: skip
    if not of_wanted:
        raise EngineError("bad-model", f"`{source.shown}` is no ControlNet: its class is `{found}`", source.option)
    if is_union and not has_mode:
        raise EngineError(
            "bad-uri", f"`{source.shown}` is a union ControlNet, which has to be told what the control image shows",
            source.option, help="add `;mode=canny`, say",
        )  # fmt: skip
    if has_mode and not is_union:
        raise EngineError("bad-uri", f"`{source.shown}` is no union ControlNet, so it takes no `mode`", source.option)


def check_fit(source: Source, net: Mapping[str, Any], unet: Mapping[str, Any]) -> None:
    """Refuse a ControlNet whose configuration says that it was made for another model.

    Raises:
        EngineError: `bad-weights`.
    """
    for name in _SHARED:
        own, wanted = (_plain(config.get(name)) for config in (net, unet))
        if name in net and name in unet and own != wanted:
            raise EngineError(
                "bad-weights",
                f"the ControlNet `{source.name}` does not fit: its `{name}` is {own}, the model's {wanted}",
                source.option, help="it was made for another model, or for another family",
            )  # fmt: skip


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value


@contextmanager
def lending(net: Any) -> Generator[None]:
    """Take back from a ControlNet what its pipeline lends it of the model's own layers (Z-Image's does)."""
    own = (dict(net._modules), dict(net._parameters))
    try:
        yield
    finally:
        for held, before in zip((net._modules, net._parameters), own, strict=True):
            for name in held.keys() - before.keys():
                del held[name]


@contextmanager
def speaking(net: Any, dtype: Any) -> Generator[None]:
    """Let a ControlNet of another precision than its pipeline take and give tensors of the pipeline's."""
    if net.dtype == dtype:
        yield
        return

    def enter(_: Any, args: Any, named: Any) -> Any:
        return _cast(args, net.dtype), _cast(named, net.dtype)

    hooks = [
        net.register_forward_pre_hook(enter, with_kwargs=True),
        net.register_forward_hook(lambda _, args, answer: _cast(answer, dtype)),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def projecting(net: Any) -> Generator[None]:
    """Let a ControlNet bring the states of texts, (n, length, `encoder_hid_dim`), to its own width.

    Those of Kolors have a layer for it, as its UNet has one; diffusers 0.42 makes it, loads it and never asks it.
    """
    layer = getattr(net, "encoder_hid_proj", None)
    if layer is None:
        yield
        return

    def enter(_: Any, args: Any, named: Any) -> Any:
        return args, {**named, "encoder_hidden_states": layer(named["encoder_hidden_states"])}

    hook = net.register_forward_pre_hook(enter, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


def _cast(value: Any, dtype: Any) -> Any:
    import torch

    if isinstance(value, torch.Tensor):
        return value.to(dtype) if value.is_floating_point() else value
    if isinstance(value, dict) and type(value) is dict:
        return {k: _cast(v, dtype) for k, v in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_cast(v, dtype) for v in value)
    return value
