"""Makes the row of a diffusers pipeline that has none, from what its signature says."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from dgen.families.definitions import Parameter
from dgen.families.family import IMG2IMG, INPAINT, TXT2IMG, Family
from dgen.families.signatures import beside, components, parameters

_AFTER = {TXT2IMG: "Pipeline", IMG2IMG: "Img2ImgPipeline", INPAINT: "InpaintPipeline"}
"""How the names of the pipelines of one model end, by their mode."""

_SIGNED = ("num_inference_steps", "guidance_scale", "strength", "noise_level", "image_guidance_scale")
_NEEDS_AN_IMAGE = ("Img2Img", "ImageToImage", "Upscal", "SuperResolution", "InstructPix2Pix")


@cache
@cache
def generic(pipeline: str) -> Family:
    """Make the row of a pipeline: what it starts from, and the defaults of its own signature."""
    pipelines = _pipelines(pipeline)
    is_told = any(p.name == "prompt" for p in parameters(pipeline, "__call__"))
    return Family(
        name="generic", label=pipeline, pipelines=pipelines, as_signed=_SIGNED,
        accelerated_dtype="bfloat16" if is_told else "float32",  # without text, pipelines draw float32 noise
    )  # fmt: skip


def _pipelines(pipeline: str) -> Mapping[str, str]:
    """Return the modes of a pipeline, and those of the pipelines beside it that take the same parts."""
    found = dict.fromkeys(_modes(pipeline), pipeline)
    stem = next((pipeline.removesuffix(end) for end in reversed(_AFTER.values()) if pipeline.endswith(end)), pipeline)
    present = beside(pipeline)
    for mode, end in _AFTER.items():
        other = stem + end
        if mode not in found and other in present and set(components(other)) <= set(components(pipeline)):
            found |= {m: other for m in _modes(other) if m not in found}
    return found


def _modes(pipeline: str) -> tuple[str, ...]:
    """Return what a pipeline can start from: nothing but a prompt, or not even that; an image; an image and a mask."""
    taken = {p.name: p for p in parameters(pipeline, "__call__")}
    if "mask_image" in taken:
        return (INPAINT,)
    if "image" not in taken:
        return (TXT2IMG,)
    return (TXT2IMG, IMG2IMG) if _is_optional(taken["image"], pipeline) else (IMG2IMG,)


def _is_optional(image: Parameter, pipeline: str) -> bool:
    return image.default is not None and "None" in image.annotation and not any(n in pipeline for n in _NEEDS_AN_IMAGE)
