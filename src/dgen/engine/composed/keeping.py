"""Keeps what is black in a mask as it is in a picture, in pipelines that know no masks."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from dgen.engine.adapters.layers import standing_in


class Keeper:
    """Puts a picture, as noisy as a step wants it, where a mask is black, as the inpainting of diffusers does."""

    def __init__(self, pipeline: Any, mask_image: Any, size: tuple[int | None, int | None]) -> None:
        """Read masks of a size, (height, width) in pixels; `known` is to be told before the first step."""
        import torch

        pixels = mask_pixels(pipeline, mask_image, size)
        cells = tuple(side // pipeline.vae_scale_factor for side in pixels.shape[-2:])
        self.mask = torch.nn.functional.interpolate(pixels, size=cells)  # (masks, 1, h, w), 1 where it is white
        self.known: Any = None  # (pictures, channels, h, w), or one for several pictures
        self._scheduler = pipeline.scheduler
        self._noise: Any = None
        self._index = 0

    def step(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return the step of a scheduler, after which what is black in the mask is as it was."""

        def step(model_output: Any, timestep: Any, sample: Any, *rest: Any, **named: Any) -> Any:
            if self._noise is None:
                self._begin(timestep, sample)
            made = original(model_output, timestep, sample, *rest, **named)
            self._index += 1
            latents = made[0]
            mask, known = (_each(held, latents) for held in (self.mask, self.known))
            return ((1 - mask) * self._noisy(known, latents) + mask * latents, *made[1:])

        return step

    def _begin(self, timestep: Any, sample: Any) -> None:
        self._noise = sample / getattr(self._scheduler, "init_noise_sigma", 1.0)
        self._index = int((self._scheduler.timesteps == timestep).nonzero()[0])

    def _noisy(self, known: Any, latents: Any) -> Any:
        """Return the picture as noisy as the next step wants it: after the last one, without noise."""
        if self._index >= len(self._scheduler.timesteps):
            return known
        add = getattr(self._scheduler, "scale_noise", None)
        timestep = self._scheduler.timesteps[self._index].reshape(1).to(latents.device)
        noise = self._noise.to(latents.dtype)
        return add(known, timestep, noise) if add is not None else self._scheduler.add_noise(known, noise, timestep)


def mask_pixels(pipeline: Any, mask_image: Any, size: tuple[int | None, int | None]) -> Any:
    """Return masks as a pipeline of inpainting reads them: (n, 1, height, width), 0 or 1 where they are white."""
    from diffusers.image_processor import VaeImageProcessor

    factor = pipeline.vae_scale_factor
    reader = VaeImageProcessor(vae_scale_factor=factor, do_normalize=False, do_binarize=True, do_convert_grayscale=True)
    return reader.preprocess(mask_image, *size)


def _each(held: Any, latents: Any) -> Any:
    """Return what there is one of for each of some pictures, again and again, as pipelines do with the pictures."""
    return held.to(latents).repeat(latents.shape[0] // held.shape[0], 1, 1, 1)


def scaled(vae: Any, latents: Any) -> Any:
    """Bring latents, (n, channels, h, w), from what a VAE makes to what a denoiser sees."""
    import torch

    config = vae.config
    mean, deviation = (
        torch.tensor(found).view(1, -1, 1, 1).to(latents) if (found := getattr(config, name, None)) is not None else own
        for name, own in (("latents_mean", getattr(config, "shift_factor", None) or 0.0), ("latents_std", 1.0))
    )
    return (latents - mean) * config.scaling_factor / deviation


@contextmanager
def keeping(pipeline: Any, mask_image: Any, size: tuple[int | None, int | None]) -> Generator[Keeper]:
    """Keep what is black in a mask, as long as the block lasts."""
    keeper = Keeper(pipeline, mask_image, size)
    with standing_in(pipeline.scheduler, "step", keeper.step):
        yield keeper
