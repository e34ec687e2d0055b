"""Reads the steps of any scheduler in straight coordinates, and the pictures that its denoiser foresees in them.

What a scheduler holds is `sample = a data + s noise`; `a` and `s` are its own. Divided by `a + s` it is
`z = (1 - u) data + u noise` with `u = s / (a + s)`, the coordinates of rectified flows (Liu et al. 2022), in which the
probability flow of every such scheduler is `dz/du = noise - data`.
"""

from __future__ import annotations

from typing import Any

Scale = tuple[float, float]
"""`a` and `s`: how much of the data and how much of the noise a sample holds."""


def kind_of(scheduler: Any) -> str:
    """Return what a denoiser predicts for a scheduler: `epsilon`, `v_prediction`, `sample` or `flow_prediction`."""
    if type(scheduler).__name__.startswith("FlowMatch"):
        return "flow_prediction"
    return str(scheduler.config.prediction_type)


def scale_at(scheduler: Any, place: int) -> Scale:
    """Return how much data and noise what a step gets holds; `place` is where its timestep stands in the schedule."""
    if not hasattr(scheduler, "sigmas"):
        alpha = float(scheduler.alphas_cumprod[int(scheduler.timesteps[place])])
        return (alpha**0.5, (1 - alpha) ** 0.5)
    sigma = scheduler.sigmas[place]
    if kind_of(scheduler) == "flow_prediction":
        return (1 - float(sigma), float(sigma))
    if hasattr(scheduler, "_sigma_to_alpha_sigma_t"):
        alpha, sigma = scheduler._sigma_to_alpha_sigma_t(sigma)
        return (float(alpha), float(sigma))
    return (1.0, float(sigma))


def data_in(kind: str, output: Any, sample: Any, scale: Scale) -> Any:
    """Return the picture without noise that an output of a denoiser means, in float32."""
    a, s = scale
    size = (a * a + s * s) ** 0.5
    output, sample = output.float(), sample.float()
    if kind == "epsilon":
        return (sample - s * output) / a
    if kind == "v_prediction":
        return a / size * (sample / size) - s / size * output
    return output if kind == "sample" else (sample - s * output) / (a + s)


def output_for(kind: str, data: Any, sample: Any, scale: Scale) -> Any:
    """Return the output of a denoiser that means a picture, in float32: the other way round than `data_in`."""
    a, s = scale
    noise = noise_in(data, sample, scale)
    if kind == "epsilon":
        return noise
    if kind == "v_prediction":
        return (a * noise - s * data) / (a * a + s * s) ** 0.5
    return data if kind == "sample" else noise - data


def noise_in(data: Any, sample: Any, scale: Scale) -> Any:
    """Return the noise in a sample beside a picture, in float32."""
    a, s = scale
    return (sample.float() - a * data) / s
