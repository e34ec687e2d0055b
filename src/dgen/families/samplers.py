"""The names that AUTOMATIC1111's web UI gives to samplers, and the schedulers of diffusers that they mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Arguments = Mapping[str, object]

SAMPLERS: Mapping[str, tuple[str, Arguments]] = {
    "Euler": ("EulerDiscreteScheduler", {}),
    "Euler a": ("EulerAncestralDiscreteScheduler", {}),
    "LMS": ("LMSDiscreteScheduler", {}),
    "Heun": ("HeunDiscreteScheduler", {}),
    "DPM2": ("KDPM2DiscreteScheduler", {}),
    "DPM2 a": ("KDPM2AncestralDiscreteScheduler", {}),
    "DPM++ 2S a": ("DPMSolverSinglestepScheduler", {}),
    "DPM++ 2M": ("DPMSolverMultistepScheduler", {}),
    "DPM++ SDE": ("DPMSolverSinglestepScheduler", {}),
    "DPM++ 2M SDE": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "DPM++ 2M SDE Heun": (
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "sde-dpmsolver++", "solver_type": "heun"},
    ),
    "DPM++ 3M SDE": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++", "solver_order": 3}),
    "DDIM": ("DDIMScheduler", {}),
    "PLMS": ("PNDMScheduler", {"skip_prk_steps": True}),
    "UniPC": ("UniPCMultistepScheduler", {}),
    "LCM": ("LCMScheduler", {}),
    "TCD": ("TCDScheduler", {}),
}
"""Sampler -> scheduler and what differs from its defaults, after the table of diffusers' documentation."""

SPACINGS: Mapping[str, Arguments] = {
    "Karras": {"use_karras_sigmas": True},
    "Exponential": {"timestep_spacing": "linspace", "use_exponential_sigmas": True},
    "Beta": {"timestep_spacing": "linspace", "use_beta_sigmas": True},
    "SGM Uniform": {"timestep_spacing": "trailing"},
    "Simple": {"timestep_spacing": "trailing"},
}
"""What may stand after a sampler: how its steps are spaced."""


@dataclass(frozen=True, slots=True)
class Sampler:
    """What a name means: the class of a scheduler, and arguments."""

    name: str
    spacing: str
    scheduler: str
    arguments: Arguments


def sampler_named(text: str) -> Sampler | None:
    """Return what a name such as `DPM++ 2M Karras` means; None when it is none of these names."""
    wanted = " ".join(text.split()).casefold()
    return next((made for made in _every() if f"{made.name} {made.spacing}".strip().casefold() == wanted), None)


def _every() -> Iterator[Sampler]:
    for name, (scheduler, arguments) in SAMPLERS.items():
        yield Sampler(name, "", scheduler, arguments)
        for spacing, more in SPACINGS.items():
            yield Sampler(name, spacing, scheduler, {**arguments, **more})
