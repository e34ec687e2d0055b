"""What the small parts share: the frozen base, texts to states, and the loss of a UNet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from . import dataset
from .base import DRAWINGS, SEED, Noise, new_scheduler, random_times, tokens
from .drawings import Drawing


@dataclass(slots=True)
class Base:
    """The trained base in float32, frozen."""

    pipeline: StableDiffusionPipeline
    noise: Noise

    @torch.no_grad()
    def states(self, texts: list[str]) -> Tensor:
        """Return the text encoder's states: (n, LENGTH, 128) float32."""
        return self.pipeline.text_encoder(tokens(self.pipeline.tokenizer, texts)).last_hidden_state


def load_base(folder: Path) -> Base:
    """Load the exported base."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder / "shapes", torch_dtype=torch.float32)
    for module in (pipeline.unet, pipeline.vae, pipeline.text_encoder):
        module.requires_grad_(False)
    pipeline.vae.to(memory_format=torch.channels_last)
    return Base(pipeline, Noise(new_scheduler()))


def base_set(folder: Path) -> tuple[list[Drawing], Tensor]:
    """Return the drawings that the base was trained on and their latents: (n, 4, 8, 8) float16."""
    latents = torch.load(folder / "base-latents.pt", weights_only=True, mmap=True)
    return dataset.drawings(DRAWINGS, SEED), latents


def denoising_loss(
    base: Base,
    clean: Tensor,
    generator: torch.Generator,
    predict: Callable[[Tensor, Tensor], Tensor],
    cells: Tensor | float = 1.0,
) -> Tensor:
    """Return the v loss of one batch: clean latents (n, 4, h, w); `predict` takes noisy latents and times."""
    times = random_times(len(clean), generator)
    clean = clean.float()
    noisy, target = base.noise.add(clean, torch.randn(clean.shape, generator=generator), times)
    return base.noise.loss(predict(noisy, times), target, times, cells)
