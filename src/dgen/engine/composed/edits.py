"""Pipelines that edit a picture as a prompt says, where diffusers has none.

InstructPix2Pix: Brooks et al. (2023). UltraEdit, which does the same with Stable Diffusion 3: Zhao et al. (2024).
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
from diffusers.image_processor import PipelineImageInput
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion_instruct_pix2pix import (
    StableDiffusionInstructPix2PixPipeline,
    retrieve_latents,
)
from diffusers.pipelines.stable_diffusion_3.pipeline_stable_diffusion_3 import StableDiffusion3Pipeline
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl_instruct_pix2pix import (
    StableDiffusionXLInstructPix2PixPipeline,
)

from dgen.engine.composed.keeping import Keeper, keeping, mask_pixels, scaled


class _KeepsTheRest:
    """Edits what is white in a mask, and keeps the rest."""

    _keeper: Keeper

    def __call__(self: Any, *args: Any, mask_image: PipelineImageInput, **named: Any) -> Any:
        """Call the pipeline, which knows nothing of the mask."""
        pipeline: Any = super()
        with keeping(self, mask_image, (named.get("height"), named.get("width"))) as self._keeper:
            return pipeline.__call__(*args, **named)

    def prepare_image_latents(self: Any, image: Any, count: int, each: int, *placed: Any, **named: Any) -> Any:
        """Encode pictures as the pipeline does, and remember them as its denoiser would draw them."""
        pipeline: Any = super()
        made = pipeline.prepare_image_latents(image, count, each, *placed, **named)
        own = made[: count * each]
        self._keeper.known = own if getattr(self, "is_cosxl_edit", False) else scaled(self.vae, own)
        return made


class StableDiffusionInstructPix2PixInpaintPipeline(_KeepsTheRest, StableDiffusionInstructPix2PixPipeline):
    """Edits what is white in a mask with Stable Diffusion."""


class StableDiffusionXLInstructPix2PixInpaintPipeline(_KeepsTheRest, StableDiffusionXLInstructPix2PixPipeline):
    """Edits what is white in a mask with SDXL."""


class _Sight:
    """Shows a transformer a picture beside the noise, and guides it by the picture and by the text.

    Brooks et al. (2023), equation 3: e(0, 0) + s_I (e(c_I, 0) - e(0, 0)) + s_T (e(c_I, c_T) - e(c_I, 0)). The
    pipeline of text alone computes u + s_T (t - u) of the two predictions that it gets, so it gets
    u = e(0, 0) + s_I (e(c_I, 0) - e(0, 0)) and t = u + e(c_I, c_T) - e(c_I, 0).
    """

    def __init__(self, picture: Any, mask: Any, scale: float) -> None:
        """`picture`: (n, channels, h, w); `mask`: what of the same size stands behind it, with or without channels."""
        self.seen = torch.cat([picture, mask], dim=1)
        self.blank = torch.cat([torch.zeros_like(picture), mask], dim=1)
        self.scale = scale
        self.count = 1  # how many pictures are made at once
        self._is_guided = False

    def enter(self, _: Any, args: Any, named: dict[str, Any]) -> Any:
        """Show the picture; where there is guidance, to two calls of three."""
        noisy = named["hidden_states"]
        times = self.count // self.seen.shape[0]
        seen, blank = (each.to(noisy).repeat(times, 1, 1, 1) for each in (self.seen, self.blank))
        self._is_guided = noisy.shape[0] == 2 * self.count
        if not self._is_guided:
            return args, {**named, "hidden_states": torch.cat([noisy, seen], dim=1)}
        shown = torch.cat([blank, seen, seen])
        thrice = {name: _of_three(value) for name, value in named.items() if name in _FOR_EACH}
        return args, {**named, **thrice, "hidden_states": torch.cat([_of_three(noisy), shown], dim=1)}

    def leave(self, _: Any, args: Any, made: Any) -> Any:
        """Bring three predictions to the two that the pipeline expects."""
        if not self._is_guided:
            return made
        nothing, picture, text = made[0].chunk(3)
        led = nothing + self.scale * (picture - nothing)
        return (torch.cat([led, led + text - picture]), *made[1:])


_FOR_EACH = ("timestep", "encoder_hidden_states", "pooled_projections")


def _of_three(value: Any) -> Any:
    """Return what is without and with a text as without, without, with."""
    without, told = value.chunk(2)
    return torch.cat([without, without, told])


class StableDiffusion3InstructPix2PixPipeline(StableDiffusion3Pipeline):
    """Edits a picture as a prompt says.

    The transformer sees the picture's latents, as the VAE makes them, after the noisy ones. One that was trained with
    masks sees one after those: as one channel of cells, or as the latents of a picture, white where something may
    change; how many channels it has tells. Without a mask, everything may.
    """

    _sight: _Sight

    def __call__(self, *args: Any, image: PipelineImageInput, image_guidance_scale: float = 1.5, **named: Any) -> Any:
        """Call the pipeline, while its transformer sees the picture."""
        size = (named.get("height"), named.get("width"))
        picture = self._latents(image, size)
        with self._seeing(picture, self._mask(None, picture, size), image_guidance_scale):
            return super().__call__(*args, **named)

    def prepare_latents(self, count: int, channels: int, *placed: Any, **named: Any) -> Any:
        """Make noise of the channels that are drawn, where the transformer sees more."""
        self._sight.count = count
        return super().prepare_latents(count, self.vae.config.latent_channels, *placed, **named)

    @contextmanager
    def _seeing(self, picture: Any, mask: Any, scale: float) -> Generator[None]:
        self._sight = _Sight(picture, mask, scale)
        hooks = (
            self.transformer.register_forward_pre_hook(self._sight.enter, with_kwargs=True),
            self.transformer.register_forward_hook(self._sight.leave),
        )
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _latents(self, image: Any, size: tuple[int | None, int | None]) -> Any:
        """Encode pictures; those that are latents already are brought to what the VAE makes of pictures."""
        config = self.vae.config
        if isinstance(image, torch.Tensor) and image.shape[1] == config.latent_channels:
            return image / config.scaling_factor + (config.shift_factor or 0)
        pixels = self.image_processor.preprocess(image, *size)
        pixels = pixels.to(device=self._execution_device, dtype=self.vae.dtype)
        return retrieve_latents(self.vae.encode(pixels), sample_mode="argmax")

    def _mask(self, mask: Any, picture: Any, size: tuple[int | None, int | None]) -> Any:
        """Return a mask, or where there is none a white one, as the transformer sees it: (n, 0 or more, h, w)."""
        cells = tuple(picture.shape[-2:])
        white = torch.ones(1, 1, *(side * self.vae_scale_factor for side in cells))
        pixels = white if mask is None else mask_pixels(self, mask, size)
        further = self.transformer.config.in_channels - 2 * picture.shape[1]
        if further == picture.shape[1]:
            return self._each(self._latents(pixels.repeat(1, 3, 1, 1), size), picture)
        return self._each(torch.nn.functional.interpolate(pixels, size=cells)[:, :further], picture)

    @staticmethod
    def _each(mask: Any, picture: Any) -> Any:
        return mask.to(picture).expand(picture.shape[0], -1, -1, -1)


class StableDiffusion3InstructPix2PixInpaintPipeline(StableDiffusion3InstructPix2PixPipeline):
    """Edits what is white in a mask: one that sees no masks keeps the rest by blending."""

    def __call__(
        self, *args: Any, mask_image: PipelineImageInput, image: PipelineImageInput,
        image_guidance_scale: float = 1.5, **named: Any,
    ) -> Any:  # fmt: skip
        """Call the pipeline, while its transformer sees the picture and the mask."""
        size = (named.get("height"), named.get("width"))
        picture = self._latents(image, size)
        mask = self._mask(mask_image, picture, size)
        with self._seeing(picture, mask, image_guidance_scale):
            if mask.shape[1]:
                return StableDiffusion3Pipeline.__call__(self, *args, **named)
            with keeping(self, mask_image, size) as keeper:
                keeper.known = scaled(self.vae, picture)
                return StableDiffusion3Pipeline.__call__(self, *args, **named)
