"""Makes the keywords of a pipeline call from a job."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cache
from itertools import count
from typing import Any

from dgen.engine.adapters.layers import standing_in
from dgen.engine.latents import Window
from dgen.engine.particular import function_at
from dgen.engine.protocol import Inputs, OnStep
from dgen.plan.extras import extras_of
from dgen.plan.resolve import Job, family_of, made_size
from dgen.values.control_modes import number_of
from dgen.values.prompt import Prompt
from dgen.values.scalars import Point, Size


def keywords(job: Job, inputs: Inputs, taken: frozenset[str]) -> dict[str, Any]:
    """Return the keywords of a job's call among those that are `taken`, without generator and callback.

    Sizes become (height, width) and points (y, x), as diffusers wants them.
    """
    family = family_of(job)
    found: dict[str, Any] = {"output_type": "pil", **family.call}
    for row, value in job.call_options():
        keyword = family.keyword(row.name, str(row.keyword))
        if isinstance(value, Prompt):
            found[keyword] = value.positive
        elif isinstance(value, (Size, Point)):
            found[keyword] = (value[1], value[0])
        else:
            found[keyword] = value
    found |= _negatives(job)
    size = made_size(job)
    found |= {"width": size.width, "height": size.height, "max_area": size.width * size.height}
    found |= {"image": inputs.image, "mask_image": inputs.mask, "control_mask": inputs.mask}
    if job.frames is not None:
        found |= _video(job, inputs) | _told(job, inputs, taken)
    if "images" in taken and "image" not in taken and inputs.image is not None:
        found["images"] = [inputs.image]
    if inputs.stage is not None:
        found |= {"image": inputs.stage, "original_image": inputs.image}
    if inputs.batch and job.gathers:
        found["image"] = [inputs.image, *inputs.batch]
    elif inputs.batch or job.repeats:
        found |= _batch(found, inputs, job.begun if job.repeats else 1 + len(inputs.batch))
    if job.request.control_nets:
        found |= _control(job, inputs, taken)
    if job.request.t2i_adapters:
        found |= _t2i(job, inputs)
    if inputs.adapters:
        found["ip_adapter_image"] = [list(group) for group in inputs.adapters]
        from PIL import Image

        black = Image.new("RGB", (size.width, size.height))
        found["negative_ip_adapter_image"] = [black] * len(inputs.adapters)  # what pipelines forget for several
    if "image" in family.keywords and "image" in found:
        found[family.keywords["image"]] = found.pop("image")
    found |= extras_of(job.request, job.pipeline, family.package)
    return {k: v for k, v in found.items() if k in taken and v is not None}


def _video(job: Job, inputs: Inputs) -> dict[str, Any]:
    """Return the keywords of what makes a video, whose frames come as a tensor."""
    found: dict[str, Any] = {"output_type": "pt", "fps": job.request.fps, "frame_rate": job.request.fps}
    if inputs.last is not None:
        found[family_of(job).ends] = inputs.last
    found |= {"video": list(inputs.video) or None, "mask": list(inputs.video_mask) or None}
    if (references := family_of(job).references) and inputs.adapters:
        found[references] = [each for group in inputs.adapters for each in group]
    if (follows := family_of(job).follows) and inputs.control_videos:
        found[follows] = list(inputs.control_videos[0])
    return found | (_filled(job, inputs) if family_of(job).fills else {})


def _told(job: Job, inputs: Inputs, taken: frozenset[str]) -> dict[str, Any]:
    """Return the keywords by which a pipeline is told of frames, where it takes them with their places."""
    told = family_of(job).told
    return function_at(told)(job, inputs) if told and "conditions" in taken else {}


def _filled(job: Job, inputs: Inputs) -> dict[str, Any]:
    """Return a video of which what is not known is grey, and white in its mask; and pictures of what it shows."""
    from PIL import Image

    if inputs.image is None or job.frames is None:
        return {}
    grey = Image.new("RGB", job.size, (128, 128, 128))
    white, black = (Image.new("L", job.size, value) for value in (255, 0))
    ends = [] if inputs.last is None else [inputs.last]
    between = max(0, job.frames - 1 - len(ends))
    known = [black] * len(ends)
    return {"video": [inputs.image, *[grey] * between, *ends], "mask": [black, *[white] * between, *known]}


def _control(job: Job, inputs: Inputs, taken: frozenset[str]) -> dict[str, Any]:
    """Return the keywords of ControlNets: plain values for one, lists for several."""
    nets = job.request.control_nets
    found: dict[str, list[Any]] = {
        "control_image" if "control_image" in taken else "image": list(inputs.controls),
        "conditioning_frames": [list(frames) for frames in inputs.control_videos],
        "controlnet_conditioning_scale": [net.scale for net in nets],
        "control_guidance_start": [net.start for net in nets],
        "control_guidance_end": [net.end for net in nets],
        "control_mode": [None if net.mode is None else number_of(net.mode, family_of(job).union_modes) for net in nets],
    }
    return found if len(nets) > 1 else {name: values[0] for name, values in found.items() if values}


def _t2i(job: Job, inputs: Inputs) -> dict[str, Any]:
    """Return the keywords of T2I adapters: plain values for one, lists for several."""
    scales = [adapter.scale for adapter in job.request.t2i_adapters]
    found = {"image": list(inputs.controls), "adapter_conditioning_scale": scales}
    return found if len(scales) > 1 else {name: values[0] for name, values in found.items()}


def _batch(found: dict[str, Any], inputs: Inputs, count: int) -> dict[str, Any]:
    """Return lists in place of the pictures and the prompts: so many prompts, and a picture for each, in turn."""
    several: dict[str, Any] = {k: [v] * count for k, v in found.items() if "prompt" in k and isinstance(v, str)}
    if count > 1 + len(inputs.batch):
        several["num_images_per_prompt"] = 1
    images = [inputs.image, *inputs.batch]
    masks = [inputs.mask, *(inputs.batch_masks or (inputs.mask,) * len(inputs.batch))]
    several |= {"image": [images[k % len(images)] for k in range(count)], "mask_image": None}
    return several | ({"mask_image": [masks[k % len(masks)] for k in range(count)]} if inputs.mask is not None else {})


def _negatives(job: Job) -> dict[str, str]:
    """Return the negative prompts that were given; the first is there when any of them is."""
    prompts = [(str(r.keyword), v) for r, v in job.call_options() if isinstance(v, Prompt)]
    if not any(p.negative for _, p in prompts):
        return {}
    return {f"negative_{k}": p.negative for k, p in prompts if p.negative or k == "prompt"}


@cache
def taken_by(cls: Any) -> frozenset[str]:
    """Return the keywords that a pipeline class takes: one that takes any hands them on to the class before it."""
    found: set[str] = set()
    for each in (owner for owner in cls.__mro__ if "__call__" in vars(owner)):
        own = inspect.signature(each.__call__).parameters
        found |= own.keys()
        if not any(p.kind is p.VAR_KEYWORD for p in own.values()):
            break
    return frozenset(found)


def generators(seed: int, count: int) -> Any:
    """Return the random generators of a call, on the CPU: image k of a batch has the seed `seed + k`."""
    import torch

    made = [torch.Generator("cpu").manual_seed(seed + k) for k in range(count)]
    return made[0] if count == 1 else made


class Steps:
    """Tells of each denoising step, in the way that a pipeline offers; remembers what the listener raised."""

    def __init__(self, on_step: OnStep, steps: int, window: Window) -> None:
        """`steps` is used when the pipeline doesn't tell how many it takes."""
        self.on_step, self.steps, self.window = on_step, steps, window
        self.raised: BaseException | None = None

    def keywords(self, taken: frozenset[str], pipeline: Any) -> dict[str, Callable[..., Any]]:
        """Return the keyword that makes a pipeline call back."""

        def at_end(pipe: Any, step: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
            self._tell(step, pipe)
            return values

        def older(step: int, timestep: Any, latents: Any) -> None:
            self._tell(step, pipeline)

        if "callback_on_step_end" in taken:
            return {"callback_on_step_end": at_end}
        return {"callback": older} if "callback" in taken else {}

    @contextmanager
    def counted(self, taken: frozenset[str], pipeline: Any) -> Generator[None]:
        """Tell of what the scheduler does inside the block, where a pipeline calls nobody back."""
        scheduler = getattr(pipeline, "scheduler", None)
        if "callback_on_step_end" in taken or "callback" in taken or scheduler is None:
            yield
            return
        order, calls = getattr(scheduler, "order", 1), count()

        def counting(original: Callable[..., Any]) -> Callable[..., Any]:
            def step(*given: Any, **named: Any) -> Any:
                answer, number = original(*given, **named), next(calls)
                if number % order == 0:
                    self._tell(number // order, pipeline)
                return answer

            return step

        with standing_in(scheduler, "step", counting):
            yield

    def _tell(self, step: int, pipeline: Any) -> None:
        steps = self.window.steps(int(getattr(pipeline, "num_timesteps", None) or self.steps))
        taken = step + 1 - self.window.start
        try:
            self.on_step(taken, max(steps, taken))
        except BaseException as error:
            self.raised = error
            raise
