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


def make_lycoris(file: Path, model: Path, kind: str, seed: int = 15) -> Path:
    """Make a LoHa or a LoKr (`kind`) as LyCORIS saves it: one file, with an alpha for each layer."""
    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> Any:
        return torch.randn(shape, generator=generator) * 0.3

    tensors: dict[str, Any] = {}
    for part, start in (("unet", "lora_unet_"), ("text_encoder", "lora_te_text_model_")):
        for layer, module in _load(model, part).named_modules():
            if not layer.endswith((*LAYERS[part], "resnets.0.conv1")):
                continue
            out, width, *size = module.weight.shape
            across = width * (size[0] * size[1] if size else 1)
            if kind == "loha":
                own = {"hada_w1_a": drawn(out, RANK), "hada_w1_b": drawn(RANK, across), "hada_w2_a": drawn(out, RANK),
                       "hada_w2_b": drawn(RANK, across)}  # fmt: skip
            else:
                own = {"lokr_w1": drawn(4, 4), "lokr_w2_a": drawn(out // 4, RANK),
                       "lokr_w2_b": drawn(RANK, across // 4)}  # fmt: skip
            name = start + layer.removeprefix("text_model.").replace(".", "_")
            tensors |= {f"{name}.{n}": t for n, t in {**own, "alpha": torch.tensor(ALPHA)}.items()}
    save_file(tensors, file)
    return file


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


def make_t2i_adapter(folder: Path, kind: str, seed: int = 41) -> Path:
    """Make a T2I adapter of a kind of diffusers for a toy model: `full_adapter` for sd, `full_adapter_xl` for sdxl."""
    import torch
    from diffusers import T2IAdapter

    torch.manual_seed(seed)
    channels, factor = ([32, 64], 2) if kind == "full_adapter" else ([32, 64, 64, 64], 4)
    made = T2IAdapter(channels=channels, num_res_blocks=1, downscale_factor=factor, adapter_type=kind)
    made.save_pretrained(folder)
    return folder


def make_image_encoder(folder: Path) -> Path:
    """Make a CLIP image encoder of 32x32 pixels that tells a picture as 24 numbers."""
    import torch
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(51)
    CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=32, intermediate_size=64, projection_dim=24, num_hidden_layers=2, num_attention_heads=2,
            image_size=32, patch_size=16,
        )
    ).save_pretrained(folder)  # fmt: skip
    return folder


def make_ip_adapter(file: Path, model: Path, seed: int = 61, plus: bool = False) -> Path:
    """Make an IP-adapter for a toy model, as its authors save it: one file. `plus` reads every patch of a picture."""
    import torch
    from safetensors.torch import save_file

    unet = _load(model, "unet")
    width = unet.config.cross_attention_dim
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> Any:
        return torch.randn(shape, generator=generator) * 0.3

    names = [n for n in unet.attn_processors if n.endswith("attn2.processor")]
    layers = {n: unet.get_submodule(n.removesuffix(".processor")).to_k.weight.shape for n in names}
    tensors: dict[str, Any] = {}
    for number, shape in enumerate(layers.values()):
        tensors |= {f"ip_adapter.{2 * number + 1}.to_{k}_ip.weight": drawn(*shape) for k in "kv"}
    tensors |= {f"image_proj.{k}": v for k, v in (_plus(drawn, width) if plus else _plain(drawn, width)).items()}
    if file.suffix == ".safetensors":
        save_file(tensors, file)
    else:
        held: dict[str, dict[str, Any]] = {"image_proj": {}, "ip_adapter": {}}
        for name, tensor in tensors.items():
            part, _, inner = name.partition(".")
            held[part][inner] = tensor
        torch.save(held, file)
    return file


def _plain(drawn: Any, width: int) -> dict[str, Any]:
    """Return what makes 4 words of the whole picture."""
    return {
        "proj.weight": drawn(4 * width, 24), "proj.bias": drawn(4 * width), "norm.weight": drawn(width),
        "norm.bias": drawn(width),
    }  # fmt: skip


def _plus(drawn: Any, width: int) -> dict[str, Any]:
    """Return what makes 3 words of the patches of a picture, in four layers of one head."""
    inner = 64  # diffusers tells the number of heads from it
    shapes = {
        "0.norm1.weight": (inner,), "0.norm1.bias": (inner,), "0.norm2.weight": (inner,), "0.norm2.bias": (inner,),
        "0.to_q.weight": (inner, inner), "0.to_kv.weight": (2 * inner, inner), "0.to_out.weight": (inner, inner),
        "1.0.weight": (inner,), "1.0.bias": (inner,), "1.1.weight": (4 * inner, inner),
        "1.3.weight": (inner, 4 * inner),
    }  # fmt: skip
    return {
        "latents": drawn(1, 3, inner), "proj_in.weight": drawn(inner, 32), "proj_in.bias": drawn(inner),
        "proj_out.weight": drawn(width, inner), "proj_out.bias": drawn(width), "norm_out.weight": drawn(width),
        "norm_out.bias": drawn(width),
        **{f"layers.{n}.{name}": drawn(*shape) for n in range(4) for name, shape in shapes.items()},
    }  # fmt: skip


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
        make_ip_adapter(folder / f"{name}-ip.safetensors", model)
        make_ip_adapter(folder / f"{name}-ip-plus.bin", model, seed=62, plus=True)
    make_image_encoder(folder / "image_encoder")
    for number in (1, 2):
        make_t2i_adapter(folder / f"sd-t2i-{number}", "full_adapter", 40 + number)
        make_t2i_adapter(folder / f"sdxl-t2i-{number}", "full_adapter_xl", 40 + number)
    make_kohya_lora(folder / "sd-lora.pt", folder / "sd")
    for kind in ("loha", "lokr"):
        make_lycoris(folder / f"sd-{kind}.safetensors", folder / "sd", kind)
    make_controlnet(folder / "sdxl-union", folder / "sdxl", union=True)
    make_word(folder / "word", "<badge>")
    make_old_word(folder / "word.pt", "zork", 3)
    make_sdxl_word(folder / "sdxl-word.safetensors")
