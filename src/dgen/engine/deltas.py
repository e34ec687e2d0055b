"""Makes the weights of a part that is stored as a low-rank change of another model's part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

FILE = "delta.safetensors"
"""Beside `config.json`, in place of weights: LAYER.down and LAYER.up, or a whole tensor that takes another's place."""


def apply_delta(base: dict[str, Any], delta: dict[str, Any]) -> dict[str, Any]:
    """Return the base's weights with the delta in them, float32: W + up @ down (Hu et al., 2021), or replaced."""
    state = {name: tensor.float() for name, tensor in base.items()}
    for name, tensor in delta.items():
        if name.endswith(".down"):
            layer = name.removesuffix(".down")
            up, weight = delta[f"{layer}.up"].float(), state[f"{layer}.weight"]
            state[f"{layer}.weight"] = weight + (up.flatten(1) @ tensor.float().flatten(1)).view_as(weight)
        elif not name.endswith(".up"):
            state[name] = tensor.float()
    return state


def load_changed(cls: Any, folder: Path, base: list[Path]) -> Any:
    """Return the module of class `cls` that `folder` configures, with the weights of `base` and its delta: float32."""
    from safetensors.torch import load_file

    weights = {name: tensor for path in base for name, tensor in load_file(path).items()}
    module = cls.from_config(cls.load_config(str(folder)))
    module.load_state_dict(apply_delta(weights, load_file(folder / FILE)))
    return module
