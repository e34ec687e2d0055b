"""Writes a toy model's tensors under the names of the original (LDM) checkpoints: the inverse of diffusers' loader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

Tensors = dict[str, Any]

_RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
    "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
_UNET = {
    "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
}  # fmt: skip
_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
_OPEN_CLIP = {
    "layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}  # fmt: skip


def original_tensors(folder: Path) -> Tensors:
    """Return every tensor of a toy model in diffusers layout, under its original name."""
    unet = _config(folder / "unet")
    attends = [n for n, kind in enumerate(unet["up_block_types"]) if "Attn" in kind]
    shape = _Shape(unet["layers_per_block"], attends, len(_config(folder / "vae")["block_out_channels"]))
    found = {f"model.diffusion_model.{_unet_name(k, shape)}": v for k, v in _read(folder / "unet").items()}
    for name, tensor in _read(folder / "vae").items():
        original = _vae_name(name, shape)
        is_square = ".attn_1." in original and original.endswith("weight") and tensor.dim() == 2
        found[f"first_stage_model.{original}"] = tensor[:, :, None, None].contiguous() if is_square else tensor
    second, is_refiner = folder / "text_encoder_2", not (folder / "text_encoder").is_dir()
    prefix = "conditioner.embedders.0.transformer" if second.is_dir() else "cond_stage_model.transformer"
    for name, tensor in ({} if is_refiner else _read(folder / "text_encoder")).items():
        found[f"{prefix}.text_model.{name.removeprefix('text_model.')}"] = tensor
    if second.is_dir():
        found |= {
            f"conditioner.embedders.{0 if is_refiner else 1}.model.{k}": v for k, v in open_clip(_read(second)).items()
        }
    return found


class _Shape(NamedTuple):
    layers: int  # of a UNet block
    attends: list[int]  # the UNet's upward blocks with attention
    vae_levels: int


def _config(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))


def _read(folder: Path) -> Tensors:
    from safetensors.torch import load_file

    (file,) = folder.glob("*.safetensors")
    return load_file(file)


def _renamed(name: str, table: dict[str, str]) -> str:
    for new, old in table.items():
        if name == new or name.startswith(f"{new}."):
            return old + name[len(new) :]
    return name


def _unet_name(name: str, shape: _Shape) -> str:
    head, _, rest = name.partition(".")
    if head == "mid_block":
        kind, number, tail = rest.split(".", 2)
        is_resnet = kind == "resnets"
        return f"middle_block.{int(number) * 2 if is_resnet else 1}." + (_renamed(tail, _RESNET) if is_resnet else tail)
    if head not in ("down_blocks", "up_blocks"):
        return _renamed(name, _UNET)
    block, kind, number, tail = rest.split(".", 3)
    first, last = int(block) * (shape.layers + 1), (int(block) + 1) * (shape.layers + 1)
    down = head == "down_blocks"
    stem = "input_blocks" if down else "output_blocks"
    place = first + int(number) + down
    if kind == "resnets":
        return f"{stem}.{place}.0.{_renamed(tail, _RESNET)}"
    if kind == "attentions":
        return f"{stem}.{place}.1.{tail}"
    if down:
        return f"{stem}.{last}.0.op.{tail.removeprefix('conv.')}"
    return f"{stem}.{last - 1}.{2 if int(block) in shape.attends else 1}.{tail}"


def _vae_name(name: str, shape: _Shape) -> str:
    side, _, rest = name.partition(".")
    parts = rest.split(".")
    if parts[0] == "mid_block" and parts[1] == "attentions":
        return f"{side}.mid.attn_1.{_renamed('.'.join(parts[3:]), _VAE_ATTENTION)}"
    if parts[0] == "mid_block":
        return f"{side}.mid.block_{int(parts[2]) + 1}." + ".".join(parts[3:])
    if parts[0] not in ("down_blocks", "up_blocks"):
        return name.replace("conv_norm_out", "norm_out")
    down = parts[0] == "down_blocks"
    level = int(parts[1]) if down else shape.vae_levels - 1 - int(parts[1])
    stem = f"{side}.{'down' if down else 'up'}.{level}"
    if parts[2] == "resnets":
        return f"{stem}.block.{parts[3]}." + ".".join(parts[4:]).replace("conv_shortcut", "nin_shortcut")
    return f"{stem}.{'downsample' if down else 'upsample'}." + ".".join(parts[4:])


def open_clip(tensors: Tensors) -> Tensors:
    """Return the tensors of a CLIP text encoder under the names that OpenCLIP gives them."""
    import torch

    found: Tensors = {}
    for name, tensor in tensors.items():
        plain = name.removeprefix("text_model.")
        if plain.startswith("encoder.layers."):
            number, tail = plain.removeprefix("encoder.layers.").split(".", 1)
            stem = f"transformer.resblocks.{number}"
            if tail.startswith("self_attn.q_proj."):
                kind = tail.rpartition(".")[2]
                rows = [tensors[name.replace("q_proj", f"{p}_proj")] for p in "qkv"]
                found[f"{stem}.attn.in_proj_{kind}"] = torch.cat(rows)
            elif "_proj." not in tail or "out_proj" in tail:
                found[f"{stem}.{_renamed(tail, _OPEN_CLIP)}"] = tensor
        elif plain == "text_projection.weight":
            found["text_projection"] = tensor.T.contiguous()
    found["token_embedding.weight"] = tensors["text_model.embeddings.token_embedding.weight"]
    found["positional_embedding"] = tensors["text_model.embeddings.position_embedding.weight"]
    for kind in ("weight", "bias"):
        found[f"ln_final.{kind}"] = tensors[f"text_model.final_layer_norm.{kind}"]
    return found
