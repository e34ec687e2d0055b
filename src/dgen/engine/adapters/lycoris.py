"""Adds LoHa and LoKr (Yeh et al. 2023) to the weights of a model for the time of a job, as peft computes them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from dgen.engine.adapters.layers import as_it_was
from dgen.engine.protocol import EngineError
from dgen.options.attachments import LoraUri
from dgen.values.blocks import factor_at

_FACTOR = re.compile(
    r"(?P<start>lora_unet_|lora_te1_|lora_te2_|lora_te_|unet\.|text_encoder_2\.|text_encoder\.)(?P<layer>.+)"
    r"\.(?P<factor>(?:hada|lokr)_[wt][12](?:_[ab])?|alpha)(?:\.weight)?"
)
"""How kohya's scripts and LyCORIS, and peft after `read_peft`, call a factor of a layer."""

_PARTS = {"lora_te": "text_encoder", "lora_te1": "text_encoder", "lora_te2": "text_encoder_2", "lora_unet": "unet"}


@dataclass(frozen=True, slots=True)
class Change:
    """What a file changes of one layer: its factors by name."""

    part: str
    layer: str  # the path of the module, with `_` in the place of `.`
    factors: Mapping[str, Any]


def is_lycoris(names: Sequence[str]) -> bool:
    """Whether tensors of these names are those of a LoHa, or of a LoKr for a UNet."""
    return any((m := _FACTOR.fullmatch(n)) is not None and m["factor"] != "alpha" for n in names)


def changes(tensors: Mapping[str, Any], unet_config: Any = None) -> Iterator[Change]:
    """Yield what tensors change; the configuration of a UNet helps to read the names of original SDXL checkpoints."""
    if unet_config is not None and any("input_blocks" in n or "output_blocks" in n for n in tensors):
        names: Any = import_module("diffusers.loaders.lora_conversion_utils")
        tensors = names._maybe_map_sgm_blocks_to_diffusers(dict(tensors), unet_config)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for name, tensor in tensors.items():
        match = _FACTOR.fullmatch(name)
        if match is not None:
            start = match["start"][:-1]
            part, layer = _PARTS.get(start, start), _renamed(match["layer"].replace(".", "_"))
            found.setdefault((part, layer), {})[match["factor"]] = tensor
    for (part, layer), factors in found.items():
        yield Change(part, layer.removeprefix("text_model_"), factors)


def _renamed(layer: str) -> str:
    """Return a layer as diffusers calls it, whose blocks are numbered as there."""
    for old, new in _ORIGINAL.items():
        layer = layer.replace(old, new)
    return layer


_ORIGINAL = {
    "input_blocks": "down_blocks", "middle_block": "mid_block", "output_blocks": "up_blocks",
    "in_layers_2": "conv1", "out_layers_3": "conv2", "emb_layers_1": "time_emb_proj",
    "skip_connection": "conv_shortcut", "downsamplers_0_op": "downsamplers_0_conv",
}  # fmt: skip
"""How the original checkpoints of SDXL call what diffusers calls otherwise."""


def check_lycoris(found: Mapping[str, Sequence[int]], unet: Mapping[str, Sequence[int]]) -> None:
    """Refuse a file of which the headers tell that a layer of the UNet has another shape.

    Raises:
        EngineError: `bad-weights`.
    """
    layers = {n.removesuffix(".weight").replace(".", "_"): (n, shape) for n, shape in unet.items()}
    for change in changes(found):
        layer = layers.get(change.layer) if change.part == "unet" else None
        own = _shape(change.factors)
        if layer is not None and own is not None and own != [layer[1][0], math.prod(layer[1][1:])]:
            name = f"unet.{layer[0].removesuffix('.weight')}"
            raise _unfit(f"`{name}` is {list(layer[1])}, and its change {own}")


def _shape(factors: Mapping[str, Sequence[int]]) -> list[int] | None:
    """Return rows and columns of the change that factors of these shapes make; None for one of several cores."""
    if "hada_w1_a" in factors and "hada_w1_b" in factors and "hada_t1" not in factors:
        return [factors["hada_w1_a"][0], math.prod(factors["hada_w1_b"][1:])]
    sizes: list[list[int]] = []
    for name in ("lokr_w1", "lokr_w2"):
        pair = factors.get(f"{name}_a"), factors.get(f"{name}_b")
        whole = factors.get(name) or ([pair[0][0], *pair[1][1:]] if pair[0] and pair[1] else None)
        if whole is None or "lokr_t2" in factors:
            return None
        sizes.append([whole[0], math.prod(whole[1:])])
    return [sizes[0][0] * sizes[1][0], sizes[0][1] * sizes[1][1]]


def add_lycoris(stack: ExitStack, modules: Mapping[str, Any], uri: LoraUri, held: Any, scale: float) -> frozenset[str]:
    """Add what a file changes to the weights of modules until the stack closes; return the parts that it changes.

    Raises:
        EngineError: `bad-weights`: it does not fit.
    """
    unet = modules.get("unet")
    every = [c for c in changes(held.tensors, getattr(unet, "config", None)) if c.part in modules]
    parts = {c.part for c in every}
    layers = {part: {n.replace(".", "_").removeprefix("text_model_"): n for n, _ in modules[part].named_modules()}
              for part in parts}  # fmt: skip
    if not every:
        raise _unfit(f"it changes none of {', '.join(modules)}")
    for part in parts:
        stack.enter_context(as_it_was(modules[part]))
    for change in every:
        path = layers[change.part].get(change.layer)
        if path is None:
            raise _unfit(f"the model's {change.part} has no layer `{change.layer}`")
        module = modules[change.part].get_submodule(path)
        own = scale * factor_at(uri.blocks or (), change.part, path)
        _add(module, f"{change.part}.{path}", change.factors, (own, held.metadata or {}))
    return frozenset(parts)


def _add(module: Any, name: str, factors: Mapping[str, Any], how: tuple[float, Mapping[str, Any]]) -> None:
    import torch

    scale, settings = how
    weight = module.weight
    delta = _delta({n: t.float() for n, t in factors.items()}, settings.get(f"{name.partition('.')[0]}.alpha"))
    if delta.numel() != weight.numel() or delta.shape[0] != weight.shape[0]:
        raise _unfit(f"`{name}` is {list(weight.shape)}, and its change {list(delta.shape)}")
    if not weight.is_floating_point():
        raise _unfit(f"`{name}` is quantized, and cannot be changed")
    changed = weight + scale * delta.reshape(weight.shape).to(device=weight.device, dtype=weight.dtype)
    module._parameters["weight"] = torch.nn.Parameter(changed.detach(), requires_grad=False)


def _delta(factors: Mapping[str, Any], alpha: float | None) -> Any:
    """Return the change of a layer's weight."""
    from peft.tuners.loha import layer as loha
    from peft.tuners.lokr import layer as lokr

    if "alpha" in factors:
        alpha = float(factors["alpha"])
    rank = next((factors[n].shape[0] for n in ("hada_w1_b", "lokr_w2_b", "lokr_w1_b") if n in factors), None)
    scaling = 1.0 if rank is None or alpha is None else alpha / rank
    names = ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b")
    if names[0] in factors and "hada_t1" in factors:
        ordered = [factors[n] for n in ("hada_t1", *names[:2], "hada_t2", *names[2:])]
        return _loha(loha.make_weight_cp, ordered, scaling)
    if names[0] in factors:
        return _loha(loha.make_weight, [factors[n].flatten(1) for n in names], scaling)
    first = factors["lokr_w1"] if "lokr_w1" in factors else factors["lokr_w1_a"] @ factors["lokr_w1_b"]
    if "lokr_w2" in factors:
        second = factors["lokr_w2"]
    elif "lokr_t2" in factors:
        second = lokr.make_weight_cp(factors["lokr_t2"], factors["lokr_w2_a"], factors["lokr_w2_b"])
    else:
        second = factors["lokr_w2_a"] @ factors["lokr_w2_b"].flatten(1)
    return lokr.make_kron(first, second, scaling)


def _loha(make: Any, factors: list[Any], scaling: float) -> Any:
    import torch

    return make(*factors, torch.tensor(scaling))


def _unfit(reason: str) -> EngineError:
    return EngineError(
        "bad-weights", f"the LoRA does not fit: {reason}", "loras",
        help="it was made for another model, or for another family",
    )  # fmt: skip
