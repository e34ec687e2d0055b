"""What single families want of their calls beyond the keywords that options become."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from dgen.plan.resolve import Job, family_of


def prepared(pipeline: Any, job: Job, named: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords of a job's call as its family wants them."""
    module, _, name = family_of(job).prepares.partition(":")
    return getattr(importlib.import_module(module), name)(pipeline, job, named) if name else dict(named)


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
