"""Loads the exported model in float32 with plain diffusers and paints batches of pictures."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image

from dgen.engine.deltas import load_changed

STEPS = 20
GUIDANCE = 2.0
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
    base = models / "shapes" / "unet" / "diffusion_pytorch_model.safetensors"
    return load_changed(UNet2DConditionModel, models / f"shapes-{name}" / "unet", [base]).eval()


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
