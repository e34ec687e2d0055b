"""Makes toy models of the families beside Stable Diffusion: real classes with few, random weights, as folders."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from toy_models import SAMPLE_CELLS, clip_settings, make_tokenizer, seeded, toy_unet, toy_vae

WIDTH = 32
"""The width of every text that toy transformers read."""


def t5_tokenizer() -> Any:
    """Make a T5 tokenizer that knows single characters."""
    from transformers import T5Tokenizer

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    return T5Tokenizer(vocab=[*pieces, *((chr(c), -3.0) for c in range(33, 127))], extra_ids=0)


def t5_encoder(width: int = WIDTH) -> Any:
    """Make a T5 text encoder."""
    from transformers import T5Config, T5EncoderModel

    config = T5Config(vocab_size=100, d_model=width, d_kv=8, d_ff=32, num_layers=1, num_heads=2, pad_token_id=0)
    return T5EncoderModel(config)


def _clip(width: int, is_projecting: bool = True) -> Any:
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    return (CLIPTextModelWithProjection if is_projecting else CLIPTextModel)(clip_settings(width))


def _flow_scheduler(**more: Any) -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(shift=3.0, **more)


def _flow_vae(**more: Any) -> Any:
    return toy_vae(use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.06, scaling_factor=1.5, **more)


def make_sd3(folder: Path, channels: int = 16, **more: Any) -> Path:
    """Make a Stable Diffusion 3 model of 64x64 pixels; `channels` go into its transformer, and `more` is for it."""
    from diffusers import SD3Transformer2DModel, StableDiffusion3Pipeline

    seeded(31)
    transformer = SD3Transformer2DModel(
        sample_size=SAMPLE_CELLS, patch_size=2, in_channels=channels, num_layers=2, attention_head_dim=8,
        num_attention_heads=4, joint_attention_dim=WIDTH, caption_projection_dim=32, pooled_projection_dim=WIDTH,
        out_channels=16, pos_embed_max_size=64, **more,
    )  # fmt: skip
    StableDiffusion3Pipeline(
        transformer=transformer, scheduler=_flow_scheduler(), vae=_flow_vae(latent_channels=16), text_encoder=_clip(16),
        tokenizer=make_tokenizer(), text_encoder_2=_clip(16), tokenizer_2=make_tokenizer(),
        text_encoder_3=t5_encoder(), tokenizer_3=t5_tokenizer(),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def make_sd3_pix2pix(folder: Path, channels: int = 32) -> Path:
    """Make an UltraEdit model, whose transformer sees a picture, and a mask where there are more channels for it."""
    index = make_sd3(folder, channels) / "model_index.json"
    text = index.read_text(encoding="utf-8")
    index.write_text(text.replace("StableDiffusion3Pipeline", "StableDiffusion3InstructPix2PixPipeline"))
    return folder


def _flux(pipeline: str, folder: Path, channels: int = 16) -> Path:
    import diffusers

    seeded(32)
    transformer = diffusers.FluxTransformer2DModel(
        patch_size=1, in_channels=channels, out_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=WIDTH, pooled_projection_dim=WIDTH, axes_dims_rope=(4, 4, 8),
        guidance_embeds=True,
    )  # fmt: skip
    getattr(diffusers, pipeline)(
        scheduler=_flow_scheduler(use_dynamic_shifting=True), vae=_flow_vae(), text_encoder=_clip(WIDTH, False),
        tokenizer=make_tokenizer(), text_encoder_2=t5_encoder(), tokenizer_2=t5_tokenizer(), transformer=transformer,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def make_flux(folder: Path) -> Path:
    """Make a FLUX.1 model."""
    return _flux("FluxPipeline", folder)


def make_flux_fill(folder: Path) -> Path:
    """Make a FLUX.1 Fill model: its transformer sees latents, the masked picture and the mask."""
    return _flux("FluxFillPipeline", folder, channels=48)


def make_flux_kontext(folder: Path) -> Path:
    """Make a FLUX.1 Kontext model."""
    return _flux("FluxKontextPipeline", folder)


def make_flux_net(folder: Path, model: Path | None = None, modes: int | None = None) -> Path:
    """Make a ControlNet for the toy FLUX.1 model, which may be there already; with `modes` it is a union of them."""
    from diffusers import FluxControlNetModel, FluxTransformer2DModel

    model = model or make_flux(folder.parent / "flux-for-net")
    seeded(33)
    net = FluxControlNetModel.from_transformer(
        FluxTransformer2DModel.from_pretrained(model / "transformer"),
        num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
    )  # fmt: skip
    if modes is not None:
        own = {name: value for name, value in net.config.items() if name[0] != "_" and name != "out_channels"}
        net = FluxControlNetModel(**{**own, "num_mode": modes})
        net.controlnet_mode_embedder.weight.data.normal_(std=2)
    _shake(net)
    net.save_pretrained(folder)
    return folder


def make_sd3_net(folder: Path, sees_mask: bool = False) -> Path:
    """Make a ControlNet for the toy Stable Diffusion 3 model; one for inpainting sees the mask as well."""
    from diffusers import SD3ControlNetModel

    seeded(34)
    net = SD3ControlNetModel(
        sample_size=SAMPLE_CELLS, patch_size=2, in_channels=16, num_layers=1, attention_head_dim=8,
        num_attention_heads=4, joint_attention_dim=WIDTH, caption_projection_dim=32, pooled_projection_dim=WIDTH,
        out_channels=16, pos_embed_max_size=64, extra_conditioning_channels=int(sees_mask),
    )  # fmt: skip
    _shake(net)
    net.save_pretrained(folder)
    return folder


def make_flux_ip_adapter(file: Path, is_first: bool = False) -> Path:
    """Make an IP-adapter for the toy FLUX.1 model; `is_first`: with the names that the first ones had."""
    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(62)
    reader, layer = ("ip_adapter_proj_model", "double_blocks.0.processor.ip_adapter_double_stream_{}_proj") if (
        is_first
    ) else ("image_proj", "ip_adapter.0.to_{}_ip")  # fmt: skip
    shapes = {
        f"{reader}.proj.weight": (4 * WIDTH, 24), f"{reader}.proj.bias": (4 * WIDTH,),
        f"{reader}.norm.weight": (WIDTH,), f"{reader}.norm.bias": (WIDTH,),
    }  # fmt: skip
    for kind in "kv":
        name = layer.format(kind)
        shapes |= {f"{name}.weight": (32, WIDTH), f"{name}.bias": (32,)}
    save_file({name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}, file)
    return file


def make_transformer_lora(folder: Path, model: Path) -> Path:
    """Make a LoRA for the transformer of a toy model as diffusers saves it: a folder with one file."""
    import diffusers
    import torch
    from safetensors.torch import save_file

    seeded(39)
    folder.mkdir()
    config = json.loads((model / "transformer" / "config.json").read_text(encoding="utf-8"))
    cls = getattr(diffusers, config["_class_name"])
    tensors: dict[str, Any] = {}
    for name, layer in cls.from_pretrained(model / "transformer").named_modules():
        if name.endswith(("to_q", "to_k", "to_v")):
            out, width = layer.weight.shape
            tensors[f"transformer.{name}.lora_A.weight"] = torch.randn(2, width) * 0.3
            tensors[f"transformer.{name}.lora_B.weight"] = torch.randn(out, 2) * 0.3
    save_file(tensors, folder / "pytorch_lora_weights.safetensors", {"format": "pt"})
    return folder


def _shake(net: Any) -> None:
    """Give a ControlNet effect: fresh ones end in layers of zeros."""
    for name, values in net.named_parameters():
        if name.startswith("controlnet_"):
            values.data.normal_(std=0.3)


def make_sdxl_pix2pix(folder: Path) -> Path:
    """Make an SDXL InstructPix2Pix model."""
    from diffusers import StableDiffusionXLInstructPix2PixPipeline
    from toy_models import xl_parts

    seeded(35)
    StableDiffusionXLInstructPix2PixPipeline(**xl_parts(in_channels=8)).save_pretrained(folder)
    return folder


def make_upscaler_x2(folder: Path) -> Path:
    """Make a latent upscaler."""
    from diffusers import EulerDiscreteScheduler, StableDiffusionLatentUpscalePipeline, UNet2DConditionModel

    seeded(36)
    unet = UNet2DConditionModel(
        sample_size=SAMPLE_CELLS, in_channels=8, out_channels=5, layers_per_block=1, norm_num_groups=8,
        block_out_channels=(32, 32, 64, 64), act_fn="gelu", attention_head_dim=8, cross_attention_dim=32,
        conv_in_kernel=1, conv_out_kernel=1,
        down_block_types=("KDownBlock2D", *["KCrossAttnDownBlock2D"] * 3), mid_block_type=None,
        up_block_types=(*["KCrossAttnUpBlock2D"] * 3, "KUpBlock2D"), norm_eps=1e-5, only_cross_attention=False,
        resnet_time_scale_shift="scale_shift", time_cond_proj_dim=160, time_embedding_type="fourier",
        timestep_post_act="gelu",
    )  # fmt: skip
    StableDiffusionLatentUpscalePipeline(
        unet=unet, vae=toy_vae(), text_encoder=_clip(32, False), tokenizer=make_tokenizer(),
        scheduler=EulerDiscreteScheduler(prediction_type="sample"),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def make_upscaler_x4(folder: Path) -> Path:
    """Make an upscaler whose latents are as large as its input."""
    from diffusers import DDIMScheduler, DDPMScheduler, StableDiffusionUpscalePipeline

    seeded(37)
    unet = toy_unet(
        in_channels=7, num_class_embeds=1000, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    StableDiffusionUpscalePipeline(
        unet=unet, low_res_scheduler=DDPMScheduler(), scheduler=DDIMScheduler(prediction_type="v_prediction"),
        vae=toy_vae((8, 8, 8)), text_encoder=_clip(32, False), tokenizer=make_tokenizer(), max_noise_level=350,
    ).save_pretrained(folder)  # fmt: skip
    return folder


FAMILY_TOYS: dict[str, Callable[[Path], Path]] = {
    "sd3": make_sd3,
    "sd3-net": make_sd3_net,
    "sd3-inpaint-net": partial(make_sd3_net, sees_mask=True),
    "flux": make_flux,
    "flux-net": make_flux_net,
    "flux-fill": make_flux_fill,
    "flux-kontext": make_flux_kontext,
    "sdxl-pix2pix": make_sdxl_pix2pix,
    "upscaler-x2": make_upscaler_x2,
    "upscaler-x4": make_upscaler_x4,
}
