"""What single families want of their calls beyond the keywords that options become."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from itertools import count
from types import SimpleNamespace
from typing import Any

from dgen.engine.blocks import foretell
from dgen.engine.protocol import EngineError
from dgen.families.signatures import default_of
from dgen.plan.resolve import Job, family_of


def prepared(pipeline: Any, job: Job, named: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords of a job's call as its family wants them."""
    prepare = family_of(job).prepares
    return function_at(prepare)(pipeline, job, named) if prepare else dict(named)


def shown(pipeline: Any, job: Job, made: Any) -> Any:
    """Return the pictures, or the latents, in what a pipeline made.

    Raises:
        EngineError: `bad-model`: there are none.
    """
    show = family_of(job).shows
    if not show and not hasattr(made, "images"):
        raise EngineError("bad-model", f"{job.pipeline} makes no pictures, but a {type(made).__name__}")
    return function_at(show)(pipeline, made) if show else made.images


def function_at(place: str) -> Callable[..., Any]:
    """Return the function that a row names as `module:name`."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def in_sana_sprint(pipeline: Any, job: Job, named: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the timestep between two steps where there are more or fewer than two (Chen et al. 2025)."""
    return dict(named) if job.request.num_inference_steps == 2 else {**named, "intermediate_timesteps": None}


def in_hunyuan_image(pipeline: Any, job: Job, named: Mapping[str, Any]) -> dict[str, Any]:
    """Guide with fresh copies of the model's guiders, as strongly as the job says: they remember earlier calls."""
    scale = job.request.guidance_scale
    said = {} if scale is None else {"guidance_scale": scale}
    own = {kind: getattr(pipeline, kind, None) for kind in ("guider", "ocr_guider")}
    pipeline.register_modules(**{kind: guider.new(**said) for kind, guider in own.items() if guider is not None})
    return dict(named)


def in_hunyuan_refiner(pipeline: Any, job: Job, named: Mapping[str, Any]) -> dict[str, Any]:
    """Guide with a fresh copy of the model's guider, when it has one: it remembers earlier calls."""
    if pipeline.guider is not None:
        pipeline.register_modules(guider=pipeline.guider.new())
    return dict(named)


def in_omnigen(pipeline: Any, job: Job, named: Mapping[str, Any]) -> dict[str, Any]:
    """Give pictures as a list, and name them before a prompt that names none (Xiao et al. 2024, section 3.1)."""
    seen = named.get("input_images")
    if seen is None:
        return dict(named)
    pictures = seen if isinstance(seen, list) else [seen]
    marks = "".join(f"<img><|image_{number}|></img>" for number, _ in enumerate(pictures, 1))
    said = str(named["prompt"])
    return {**named, "input_images": pictures, "prompt": said if "<|image_1|>" in said else f"{marks} {said}"}


def in_fibo_edit(pipeline: Any, job: Job, named: Mapping[str, Any]) -> dict[str, Any]:
    """Give the prompt as what the model reads, an object of JSON with an instruction, unless it is one."""
    said = str(named["prompt"])
    return {**named, "prompt": said if _is_instruction(said) else json.dumps({"edit_instruction": said})}


def _is_instruction(text: str) -> bool:
    try:
        found: Any = json.loads(text)
    except ValueError:
        return False
    return isinstance(found, dict) and "edit_instruction" in found


def in_ideogram(pipeline: Any, job: Job, named: Mapping[str, Any]) -> dict[str, Any]:
    """Guide each step as the pipeline's own schedule does, however many there are, or all as the job says."""
    if "guidance_schedule" in named or "guidance_scale" in named:
        return {"guidance_schedule": None, **named}
    steps = int(named["num_inference_steps"])
    last = round(steps / 16)  # of 48 steps the last 3 polish
    return {**named, "guidance_schedule": [7.0] * (steps - last) + [3.0] * last}


def in_hunyuan_video(pipeline: Any, job: Job, named: Mapping[str, Any]) -> dict[str, Any]:
    """Ask for four frames more of a model that is shown the picture as a frame, which its pipeline takes off again."""
    is_beside = pipeline.transformer.config.image_condition_type == "latent_concat"
    return {**named, "num_frames": named["num_frames"] + 4} if is_beside else dict(named)


def in_hunyuan_video_15(pipeline: Any, job: Job, named: Mapping[str, Any]) -> dict[str, Any]:
    """Guide as `in_hunyuan_image` does, and make the size of the job, where the pipeline would choose one near it."""
    size = (job.size.height, job.size.width)
    pipeline.video_processor.calculate_default_height_width = lambda height, width, target_size: size
    return in_hunyuan_image(pipeline, job, named)


def in_wan_animate(pipeline: Any, job: Job, named: Mapping[str, Any]) -> dict[str, Any]:
    """Make one part of a short video, for which the blocks would repeat frames, and the size of the job exactly.

    The blocks find the sides anew from area and aspect, and cut the fraction off: floats may fall just short of them.
    """
    ratio, frames = 2 ** sum(pipeline.vae.temperal_downsample), job.frames or 1
    usual = int(default_of(job.pipeline, "segment_frame_length"))
    found = {"segment_frame_length": min(usual, -(-(frames - 1) // ratio) * ratio + 1), **named}
    again = int(found.get("prev_segment_conditioning_frames", 1))
    parts = max(1, -(-(frames - again) // (found["segment_frame_length"] - again)))
    foretell(pipeline, parts * (job.request.num_inference_steps or 1))
    return {**found, "height": named["height"] + 1e-6}


def in_minimax(pipeline: Any, job: Job, named: Mapping[str, Any]) -> dict[str, Any]:
    """Say what kind the things are that are referred to: pictures."""
    from diffusers.modular_pipelines.minimax_h3.references import MiniMaxH3ImageReference

    seen = named.get("references")
    return dict(named) if seen is None else {**named, "references": [MiniMaxH3ImageReference(each) for each in seen]}


def in_helios(pipeline: Any, job: Job, named: Mapping[str, Any]) -> dict[str, Any]:
    """Ask for as many parts as hold the frames of the job, and count the steps of all of them together.

    The pipeline leaves frames out at the end, until a multiple of what a latent cell stands for and one more are left.
    """
    ratio = pipeline.vae_scale_factor_temporal
    cells = named.get("num_latent_frames_per_chunk", default_of(job.pipeline, "num_latent_frames_per_chunk", "helios"))
    part, frames, parts = (int(cells) - 1) * ratio + 1, job.frames or 1, 1
    while (parts * part - 1) // ratio * ratio + 1 < frames:
        parts += 1
    stages = named.get("pyramid_num_inference_steps_list") or default_of(
        job.pipeline, "pyramid_num_inference_steps_list", "helios"
    )
    steps = sum(stages) if stages else job.request.num_inference_steps or 1
    tell, calls, known = named["callback_on_step_end"], count(), SimpleNamespace(num_timesteps=steps * parts)

    def onward(pipe: Any, step: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
        return tell(known, next(calls), timestep, values)

    return {**named, "num_frames": parts * part, "callback_on_step_end": onward}


def of_kandinsky5(pipeline: Any, made: Any) -> Any:
    """Return the pictures of Kandinsky 5."""
    return made.image


def of_chronoedit(pipeline: Any, made: Any) -> Any:
    """Return the last frame of the change that ChronoEdit imagines (Wu et al. 2025): the picture as it is wanted."""
    return made.frames if hasattr(made.frames, "shape") else [video[-1] for video in made.frames]


def in_layers(pipeline: Any, job: Job, named: Mapping[str, Any]) -> dict[str, Any]:
    """Give the picture with transparency, of which it has none: the model's VAE sees four channels."""
    return {**named, "image": named["image"].convert("RGBA")}


def of_layers(pipeline: Any, made: Any) -> list[Any]:
    """Return the layers of every picture, from the lowest one up.

    diffusers 0.42 cuts the list of all layers into lists that are each one too long; together they are in order.
    """
    return [layer for layers in made.images for layer in layers]


def of_depth(pipeline: Any, made: Any) -> list[Any]:
    """Draw depths, (n, h, w, 1) float in [0, 1] with 0 the nearest, in greys, the nearest white."""
    import numpy as np
    from PIL import Image

    greys = np.rint((1 - made.prediction[..., 0]) * 255).clip(0, 255).astype(np.uint8)
    return [Image.fromarray(grey) for grey in greys]


def of_normals(pipeline: Any, made: Any) -> list[Any]:
    """Draw surface normals, (n, h, w, 3) float in [-1, 1], as colours."""
    return pipeline.image_processor.visualize_normals(made.prediction)


def of_intrinsics(pipeline: Any, made: Any) -> list[Any]:
    """Draw what each picture is decomposed into, (n * targets, h, w, 3) float in [0, 1], in the order of the model."""
    names = pipeline.target_properties["target_names"]
    every = pipeline.image_processor.visualize_intrinsics(made.prediction, pipeline.target_properties)
    return [drawn[name] for drawn in every for name in names]


def in_floyd(pipeline: Any, job: Job, named: Mapping[str, Any]) -> dict[str, Any]:
    """Give pictures as tensors, (n, 3, h, w) float32 in [-1, 1]: others would be brought to the model's own size."""
    import torch

    found = dict(named)
    name = "original_image" if "original_image" in named else "image"
    if name in named and (name != "image" or family_of(job).enlarges == 1):
        found[name] = torch.from_numpy(_pixels(named[name]) / 127.5 - 1)
    if "mask_image" in named:
        found["mask_image"] = torch.from_numpy((_pixels(named["mask_image"]) / 255 >= 0.5).astype("float32"))
    return found


def _pixels(pictures: Any) -> Any:
    """Return pictures as an array, (n, channels, h, w) float32 in [0, 255]."""
    import numpy as np

    every = pictures if isinstance(pictures, list) else [pictures]
    arrays = [np.asarray(each, np.float32) for each in every]
    return np.stack([a.reshape(*a.shape[:2], -1).transpose(2, 0, 1) for a in arrays])
