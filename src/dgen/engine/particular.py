"""What single families want of their calls beyond the keywords that options become."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from dgen.plan.resolve import Job, family_of


def prepared(job: Job, named: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords of a job's call as its family wants them."""
    module, _, name = family_of(job).prepares.partition(":")
    return getattr(importlib.import_module(module), name)(job, named) if name else dict(named)


def in_sana_sprint(job: Job, named: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the timestep between two steps where there are more or fewer than two (Chen et al. 2025)."""
    return dict(named) if job.request.num_inference_steps == 2 else {**named, "intermediate_timesteps": None}
