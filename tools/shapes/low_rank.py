"""Low-rank changes of a UNet: trained with peft, stored as plain factors, added to the base's weights."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file

LAYERS = ("to_q", "to_k", "to_v", "to_out.0", "conv1", "conv2", "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out")
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0", "ff.net.2")


def add_factors(unet: UNet2DConditionModel, rank: int, layers: tuple[str, ...] = LAYERS) -> None:
    """Freeze the UNet and add trainable factors to its layers."""
    unet.requires_grad_(False)
    unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, init_lora_weights=True, target_modules=list(layers)))


def widened(unet: UNet2DConditionModel, channels: int) -> UNet2DConditionModel:
    """Return a copy of the UNet that takes more input channels; the new ones start without effect."""
    wide = UNet2DConditionModel.from_config({**unet.config, "in_channels": channels})
    state = {name: tensor.float() for name, tensor in unet.state_dict().items()}
    kernel = torch.zeros_like(wide.conv_in.weight)
    kernel[:, : state["conv_in.weight"].shape[1]] = state["conv_in.weight"]
    wide.load_state_dict({**state, "conv_in.weight": kernel})
    return wide


def save_delta(unet: UNet2DConditionModel, path: Path) -> None:
    """Store what differs from the base: conv_in whole, LAYER.down and LAYER.up for the rest (float16)."""
    factors = get_peft_model_state_dict(unet)
    names = {".lora_A.weight": ".down", ".lora_B.weight": ".up"}
    delta = {"conv_in.weight": unet.conv_in.weight, "conv_in.bias": unet.conv_in.bias}
    for name, tensor in factors.items():
        for ending, short in names.items():
            if name.endswith(ending):
                delta[name.removesuffix(ending) + short] = tensor
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.detach().half().contiguous() for k, v in delta.items()}, path, metadata={"format": "pt"})
