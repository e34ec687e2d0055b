"""Makes toy LoRAs, learned words and ControlNets with few, random weights for the models of toy_models.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

RANK, ALPHA = 2, 4.0
LAYERS = {"unet": ("to_q", "to_k", "to_v"), "text_encoder": ("q_proj", "v_proj", "out_proj")}


def _load(model: Path, kind: str) -> Any:
    import transformers
    from diffusers import UNet2DConditionModel

    if kind == "unet":
        return UNet2DConditionModel.from_pretrained(model / kind)
    name = "CLIPTextModelWithProjection" if kind == "text_encoder_2" else "CLIPTextModel"
    return getattr(transformers, name).from_pretrained(model / kind)


def factors(model: Path, kind: str, seed: int) -> Iterator[tuple[str, Any, Any]]:
    """Yield a layer, its down factor (RANK, in) and its up factor (out, RANK) for each layer that a LoRA changes."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    for name, layer in _load(model, kind).named_modules():
        if name.endswith(LAYERS[kind.removesuffix("_2")]):
            out, width = layer.weight.shape
            down = torch.randn((RANK, width), generator=generator) * 0.3
            yield name, down, torch.randn((out, RANK), generator=generator) * 0.3


def _kinds(model: Path) -> list[str]:
    return [k for k in ("unet", "text_encoder", "text_encoder_2") if (model / k).is_dir()]


def make_diffusers_lora(folder: Path, model: Path, seed: int = 11, kinds: tuple[str, ...] = ()) -> Path:
    """Make a LoRA as diffusers saves it: a folder with one file."""
    from safetensors.torch import save_file

    folder.mkdir()
    tensors: dict[str, Any] = {}
    for kind in kinds or _kinds(model):
        inner = "" if kind == "unet" else "text_model."
        for layer, down, up in factors(model, kind, seed):
            name = f"{kind}.{inner}{layer.removeprefix('text_model.')}"
            down_name, up_name = ("lora.down", "lora.up") if kind == "unet" else (
                "lora_linear_layer.down", "lora_linear_layer.up"
            )  # fmt: skip
            tensors |= {f"{name}.{down_name}.weight": down, f"{name}.{up_name}.weight": up}
    save_file(tensors, folder / "pytorch_lora_weights.safetensors", {"format": "pt"})
    return folder


def make_kohya_lora(file: Path, model: Path, seed: int = 12) -> Path:
    """Make a LoRA as kohya's scripts save it: one file, with an alpha for each layer."""
    import torch
    from safetensors.torch import save_file

    kinds = _kinds(model)
    first = "lora_te1" if len(kinds) > 2 else "lora_te"
    short = {"unet": "lora_unet", "text_encoder": first, "text_encoder_2": "lora_te2"}
    tensors: dict[str, Any] = {}
    for kind in kinds:
        inner = "" if kind == "unet" else "text_model_"
        for layer, down, up in factors(model, kind, seed):
            name = f"{short[kind]}_{inner}{layer.removeprefix('text_model.').replace('.', '_')}"
            tensors |= {
                f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up, f"{name}.alpha": torch.tensor(ALPHA),
            }  # fmt: skip
    if file.suffix == ".safetensors":
        save_file(tensors, file)
    else:
        torch.save(tensors, file)
    return file


def make_peft_lora(folder: Path, model: Path, seed: int = 13) -> Path:
    """Make a LoRA of a UNet as peft itself saves it: a folder with weights and settings."""
    from peft import LoraConfig
    from safetensors.torch import save_file

    folder.mkdir()
    tensors: dict[str, Any] = {}
    for layer, down, up in factors(model, "unet", seed):
        tensors |= {
            f"base_model.model.{layer}.lora_A.weight": down, f"base_model.model.{layer}.lora_B.weight": up,
        }  # fmt: skip
    save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})
    LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=list(LAYERS["unet"])).save_pretrained(folder)
    return folder


def vectors(width: int, count: int, seed: int) -> Any:
    """Return learned vectors of the size of the toy encoders' own: (count, width)."""
    import torch

    return torch.randn((count, width), generator=torch.Generator().manual_seed(seed))


def make_word(folder: Path, token: str, width: int = 32) -> Path:
    """Make a learned word of one vector as diffusers saves it: a folder with one file."""
    from safetensors.torch import save_file

    folder.mkdir()
    save_file({token: vectors(width, 1, 21)[0]}, folder / "learned_embeds.safetensors", {"format": "pt"})
    return folder


def make_old_word(file: Path, name: str, count: int, width: int = 32) -> Path:
    """Make a learned word of several vectors as AUTOMATIC1111's web UI saves it: a pickle of plain tensors."""
    import torch

    torch.save({"string_to_token": {"*": 265}, "string_to_param": {"*": vectors(width, count, 22)}, "name": name}, file)
    return file


def make_sdxl_word(file: Path, count: int = 2) -> Path:
    """Make a learned word for both text encoders of the toy SDXL model: one file, which names no word."""
    from safetensors.torch import save_file

    save_file({"clip_l": vectors(32, count, 23), "clip_g": vectors(48, count, 24)}, file)
    return file


def make_controlnet(folder: Path, model: Path, seed: int = 31, union: bool = False) -> Path:
    """Make a ControlNet for a toy model; its last convolutions aren't zero, so that it has an effect."""
    import torch
    from diffusers import ControlNetModel, ControlNetUnionModel

    torch.manual_seed(seed)
    cls = ControlNetUnionModel if union else ControlNetModel
    made = cls.from_unet(_load(model, "unet"), conditioning_embedding_out_channels=(8, 16))
    if union:  # from_unet leaves the transformer over the control types as wide as the real one
        small = {"num_trans_channel": 32, "num_trans_head": 4, "num_proj_channel": 32}
        made = cls.from_config({**made.config, **small, "_use_default_values": []})
    for convolution in (made.controlnet_mid_block, *made.controlnet_down_blocks):
        torch.nn.init.normal_(convolution.weight, std=0.1)
    torch.nn.init.normal_(made.controlnet_cond_embedding.conv_out.weight, std=0.1)
    made.save_pretrained(folder)
    return folder


def make_all(folder: Path) -> None:
    """Make something of every kind for the toy models `sd` and `sdxl` of a folder, beside them."""
    for name in ("sd", "sdxl"):
        model = folder / name
        make_diffusers_lora(folder / f"{name}-lora", model)
        make_diffusers_lora(folder / f"{name}-unet-lora", model, seed=14, kinds=("unet",))
        make_kohya_lora(folder / f"{name}-lora.safetensors", model)
        make_peft_lora(folder / f"{name}-peft-lora", model)
        make_controlnet(folder / f"{name}-net", model)
        make_controlnet(folder / f"{name}-net-2", model, seed=32)
    make_kohya_lora(folder / "sd-lora.pt", folder / "sd")
    make_controlnet(folder / "sdxl-union", folder / "sdxl", union=True)
    make_word(folder / "word", "<badge>")
    make_old_word(folder / "word.pt", "zork", 3)
    make_sdxl_word(folder / "sdxl-word.safetensors")
