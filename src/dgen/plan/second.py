"""Makes of a job with a refiner the job that the refiner runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from dgen.families.rows import FAMILIES, IMG2IMG, INPAINT, PAG, TXT2IMG
from dgen.families.signatures import accepts
from dgen.options.request import ROWS, Request
from dgen.plan.control import PAG_OPTIONS, variant_of
from dgen.plan.resolve import Job

_PREFIX = "second_"

_OF_THE_MODEL = (
    "seed", "num_images_per_prompt", "output_size", "image_format", "device", "dtype", "variant", "offline_mode",
    "auth_token", "device_memory", "host_memory", "vae_tiling", "vae_slicing", "latents_post_processors",
)  # fmt: skip
"""The options that the refiner has in common with the model; of all others it has its own, or none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """What a refiner runs, and after which fraction of the noise schedule it takes over."""

    job: Job
    fraction: float
    is_edit: bool  # it repaints the finished picture
    is_decoder: bool = False  # it draws what the model only thought of


def refiner_request(request: Request) -> Request | None:
    """Return what a request says of its refiner, as if it were the model; None when there is none."""
    uri = request.sdxl_refiner or request.s_cascade_decoder
    if uri is None:
        return None
    said: dict[str, Any] = {name: getattr(request, name) for name in _OF_THE_MODEL}
    own = {n: getattr(request, _PREFIX + n) for n in ROWS if _PREFIX + n in ROWS}
    if request.second_prompt is None:  # what the model is told weighs as much for the other one
        said |= {"prompt": request.prompt, "prompt_weighter": request.prompt_weighter}
    said |= {n: value for n, value in own.items() if value is not None}
    said |= {"model": uri.model, "revision": uri.revision, "subfolder": uri.subfolder}
    said |= {"variant": uri.variant or request.variant, "dtype": uri.dtype or request.dtype}
    return Request(**said)


def prior_request(request: Request) -> Request | None:
    """Return what a request says of its prior, as if it were the model; None when there is none."""
    uri = request.prior
    if uri is None:
        return None
    said: dict[str, Any] = {name: getattr(request, name) for name in _OF_THE_MODEL}
    said |= {"model": uri.model, "revision": uri.revision, "subfolder": uri.subfolder}
    said |= {"variant": uri.variant or request.variant, "dtype": uri.dtype or request.dtype}
    return Request(**said)


def second_of(job: Job) -> Handover | None:
    """Return what the second model of a job does; None when it has none, or leaves nothing to it."""
    if job.request.s_cascade_decoder is not None:
        return Handover(job=_decoding(job), fraction=0.0, is_edit=False, is_decoder=True)
    request, fraction = refiner_request(job.request), job.request.high_noise_fraction
    if request is None or fraction is None or fraction >= 1:
        return None
    family = FAMILIES[job.family]
    is_edit = job.request.sdxl_refiner_edit or not accepts(job.pipeline, "denoising_end", family.package)
    mode = INPAINT if job.mode == INPAINT else IMG2IMG
    pipelines = family.variants[PAG] if variant_of(lambda name: getattr(request, name), family) else family.pipelines
    if any(getattr(request, name) is not None for name in PAG_OPTIONS[1:]) or request.pag:
        request = replace(
            request, pag_scale=ROWS["pag_scale"].implied if request.pag_scale is None else request.pag_scale,
            pag_adaptive_scale=request.pag_adaptive_scale or 0.0,
        )  # fmt: skip
    strength = round(1 - fraction, 6) if is_edit else None
    request = replace(request, strength=strength, num_images_per_prompt=job.pictures)
    second = replace(job, request=request, mode=mode, pipeline=pipelines[mode])
    return Handover(job=second, fraction=fraction, is_edit=is_edit)


def _decoding(job: Job) -> Job:
    """Return the job of a decoder, which gets one thought for each picture."""
    request = refiner_request(job.request)
    if request is None:
        raise ValueError("the job has no decoder")
    request = replace(request, num_images_per_prompt=1, image_seed=None)
    return replace(job, request=request, mode=TXT2IMG, pipeline=FAMILIES[job.family].decoder)
