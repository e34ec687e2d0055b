"""Tells the pipelines of LTX what is known of a video: its first frames, and its last one."""

from __future__ import annotations

from typing import Any

from dgen.engine.protocol import Inputs
from dgen.plan.resolve import Job


def of_ltx(job: Job, inputs: Inputs) -> dict[str, Any]:
    """Return the conditions of LTX-Video: pictures and videos with the numbers of frames."""
    from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition

    known = [LTXVideoCondition(image=inputs.image, video=list(inputs.video) or None, frame_index=0)]
    if inputs.last is not None:
        known.append(LTXVideoCondition(image=inputs.last, frame_index=(job.frames or 1) - 1))
    return {"conditions": known, "image": None, "video": None}


def of_ltx2(job: Job, inputs: Inputs) -> dict[str, Any]:
    """Return the conditions of LTX-2: pictures and videos with the numbers of latent cells, -1 for the last one."""
    from diffusers.pipelines.ltx2.pipeline_ltx2_condition import LTX2VideoCondition

    begun: Any = list(inputs.video) or inputs.image
    known = [LTX2VideoCondition(frames=begun, index=0)]
    if inputs.last is not None:
        known.append(LTX2VideoCondition(frames=inputs.last, index=-1))
    return {"conditions": known}


def of_ltx25(job: Job, inputs: Inputs) -> dict[str, Any]:
    """Return the conditions of LTX-2.5, as those of LTX-2: a first picture alone is its image."""
    is_known = inputs.video or inputs.last is not None
    return {"image": None, **of_ltx2(job, inputs)} if is_known else {}
