"""Loads the exported model in float32 with plain diffusers and paints batches of pictures."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image
from safetensors.torch import load_file

from .low_rank import apply_delta

STEPS = 20
GUIDANCE = 4.0
BATCH = 24


def load(models: Path) -> StableDiffusionPipeline:
    """Return the base pipeline of the folder that holds `shapes/`."""
    return quiet(StableDiffusionPipeline.from_pretrained(models / "shapes", torch_dtype=torch.float32))


def quiet(pipeline: StableDiffusionPipeline) -> StableDiffusionPipeline:
    """Turn the progress bars off."""
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def load_wide_unet(models: Path, name: str) -> UNet2DConditionModel:
    """Return the UNet of `shapes-NAME`: the base's weights with the delta added."""
    folder = models / f"shapes-{name}"
    base = UNet2DConditionModel.from_pretrained(models / "shapes", subfolder="unet", torch_dtype=torch.float32)
    config = json.loads((folder / "unet" / "config.json").read_text(encoding="utf-8"))
    unet = UNet2DConditionModel.from_config(config)
    unet.load_state_dict(apply_delta(base.state_dict(), load_file(folder / "unet" / "delta.safetensors")))
    return unet.eval()


def generators(seeds: list[int]) -> list[torch.Generator]:
    """Return one CPU generator per picture."""
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def paint(
    pipeline: StableDiffusionPipeline, texts: list[str], seeds: list[int], **options: object
) -> list[Image.Image]:
    """Return one picture per text and seed. A list among the options is dealt out batch by batch."""
    found: list[Image.Image] = []
    for start in range(0, len(texts), BATCH):
        part = slice(start, start + BATCH)
        own = {k: v[part] if isinstance(v, list) else v for k, v in options.items()}
        call = {"num_inference_steps": STEPS, "guidance_scale": GUIDANCE, **own}
        found += pipeline(prompt=texts[part], generator=generators(seeds[part]), **call).images
    return found
