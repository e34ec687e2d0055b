"""Kolors where diffusers has no pipeline: SDXL's, which denoise alike, told by ChatGLM what to draw.

Kolors Team (2024), "Kolors: Effective Training of Diffusion Model for Photorealistic Text-to-Image Synthesis".
"""

from __future__ import annotations

from typing import Any

from diffusers.pipelines.controlnet.pipeline_controlnet_inpaint_sd_xl import StableDiffusionXLControlNetInpaintPipeline
from diffusers.pipelines.controlnet.pipeline_controlnet_sd_xl import StableDiffusionXLControlNetPipeline
from diffusers.pipelines.controlnet.pipeline_controlnet_sd_xl_img2img import StableDiffusionXLControlNetImg2ImgPipeline
from diffusers.pipelines.kolors.pipeline_kolors import KolorsPipeline
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl_inpaint import (
    StableDiffusionXLInpaintPipeline,
)


class _ReadByChatGlm:
    """Encodes prompts as the pipelines of Kolors do, in the place of two CLIP text encoders."""

    def encode_prompt(
        self: Any, prompt: Any = None, prompt_2: Any = None, *placed: Any, **named: Any
    ) -> tuple[Any, ...]:
        """Return states, (n, 256, width), of the texts and of the negative ones, and summaries, (n, width), of both."""
        told = {**dict(zip(_PLACES, placed, strict=False)), **named}
        return KolorsPipeline.encode_prompt(self, prompt, **{k: v for k, v in told.items() if k not in _OF_CLIP})


_PLACES = ("device", "num_images_per_prompt", "do_classifier_free_guidance", "negative_prompt", "negative_prompt_2")
"""What SDXL's pipelines tell by its place after the prompts."""

_OF_CLIP = ("negative_prompt_2", "lora_scale", "clip_skip")


class KolorsInpaintPipeline(_ReadByChatGlm, StableDiffusionXLInpaintPipeline):
    """Repaints what is white in a mask; at each step the rest is what the picture is at that noise."""


class KolorsControlNetPipeline(_ReadByChatGlm, StableDiffusionXLControlNetPipeline):
    """Draws from text, following ControlNets."""


class KolorsControlNetImg2ImgPipeline(_ReadByChatGlm, StableDiffusionXLControlNetImg2ImgPipeline):
    """Draws from a picture, following ControlNets."""


class KolorsControlNetInpaintPipeline(_ReadByChatGlm, StableDiffusionXLControlNetInpaintPipeline):
    """Repaints what is white in a mask, following ControlNets."""
