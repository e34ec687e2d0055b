"""Assembles the pipeline of a job from loaded components, and calls it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from dgen.engine import latents
from dgen.engine.batching import together
from dgen.engine.blocks import as_pipeline, is_of_blocks
from dgen.engine.calls import Steps, generators, keywords, taken_by
from dgen.engine.chunks import taken_from
from dgen.engine.failures import first_line, is_short_of_memory
from dgen.engine.frames import Spool, films_of
from dgen.engine.libraries import class_named
from dgen.engine.offloading import inference
from dgen.engine.particular import prepared, shown
from dgen.engine.precision import dtype_of
from dgen.engine.prompts import weighted
from dgen.engine.protocol import EngineError, Inputs, OnStep, Result
from dgen.engine.remembering import remember
from dgen.engine.schedules import schedule
from dgen.engine.second import Leg
from dgen.engine.sounds import sounds_of
from dgen.engine.sources import Layout, options_of
from dgen.families.modular import MODULAR
from dgen.plan.resolve import Job, family_of


def assemble(job: Job, layout: Layout, components: Mapping[str, Any]) -> Any:
    """Make a job's pipeline; the parts it goes without are None.

    Raises:
        EngineError: `bad-model`: diffusers has no such class, or it refuses the components.
    """
    cls = class_named("diffusers", job.pipeline)
    cls = as_pipeline(cls) if job.pipeline.endswith(MODULAR) else cls
    if cls is None:
        raise EngineError("bad-model", f"the installed diffusers has no pipeline `{job.pipeline}`")
    cls = _mixed(cls, family_of(job).mixes) if job.request.textual_inversions else cls
    cls = _placed(cls)
    expected, optional = _taken_when_made(cls)
    given = {k: components.get(k) for k in expected} | options_of(job, layout)
    given |= {k: v for k, v in components.items() if k in optional}
    if "requires_safety_checker" in optional:
        given["requires_safety_checker"] = components.get("safety_checker") is not None
    if "add_watermarker" in optional:
        given["add_watermarker"] = False  # else it depends on which packages are installed
    try:
        pipeline = cls(**given)
    except Exception as error:
        raise EngineError("bad-model", f"{job.pipeline} refuses its components: {first_line(error)}") from error
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@cache
def _taken_when_made(cls: Any) -> tuple[Any, Any]:
    """Return the names of the components of a pipeline class, and of its other arguments."""
    return cls._get_signature_keys(cls)


def place(pipeline: Any, device: str) -> None:
    """Tell an assembled pipeline the device that all of it is on, for its next call."""
    import torch

    vars(pipeline)[_PLACE] = torch.device(device)


_PLACE = "_dgen_place"


@cache
def _placed(cls: Any) -> Any:
    """Return a pipeline class that may be told where it computes, with `place`.

    diffusers looks for hooks in every layer of every component to find it out, at every call.
    """

    def execution_device(self: Any) -> Any:
        return vars(self).get(_PLACE) or cls._execution_device.fget(self)

    if not isinstance(getattr(cls, "_execution_device", None), property):
        return cls
    remember(cls.__init__)
    return type(cls.__name__, (cls,), {"__module__": cls.__module__, "_execution_device": property(execution_device)})


@cache
def _mixed(cls: Any, names: tuple[str, ...]) -> Any:
    """Return a pipeline class with loaders that its code asks for and its bases forget: they spell words out."""
    import diffusers.loaders

    missing = [getattr(diffusers.loaders, name) for name in names if not hasattr(cls, "maybe_convert_prompt")]
    return type(cls.__name__, (cls, *missing), {"__module__": cls.__module__}) if missing else cls


def call(pipeline: Any, job: Job, inputs: Inputs, on_step: OnStep, leg: Leg) -> Result:
    """Call a pipeline for a job, or for the leg of a job that has two.

    Raises:
        EngineError: `out-of-memory`, `render-failed`.
        BaseException: whatever `on_step` raised.
    """
    import torch

    taken = taken_by(type(pipeline))
    steps = Steps(on_step, job.request.num_inference_steps or 0, latents.window(pipeline, job))
    seed = job.request.seed or 0
    named = keywords(job, inputs, taken) | steps.keywords(taken, pipeline)
    named = prepared(pipeline, job, named | schedule(getattr(pipeline, "scheduler", None), job))
    try:
        is_whole = job.frames is not None and not is_of_blocks(pipeline) and not family_of(job).parted
        vae = getattr(pipeline, "vae", None) if is_whole else None
        with inference(leg.may_move, pipeline), torch.random.fork_rng(devices=[]), taken_from(vae, job.begun) as films:
            _seed_devices(seed)  # for schedulers that draw without the generator
            begun = weighted(pipeline, job, named | latents.starting(pipeline, job, inputs))
            named = {**begun, **together(inputs, taken)}
            with steps.counted(taken, pipeline):
                made = pipeline(**{"generator": generators(seed, job.begun), **named, **leg.named})
    except Exception as error:
        if error is steps.raised or isinstance(error, EngineError):
            raise
        raise failure(error, job, pipeline) from error
    if leg.hands_over:
        return Result((), latents=(getattr(made, "image_embeddings", None) if leg.thinks else made.images,))
    if latents.makes_latents(job):
        return Result((), latents=latents.finished(pipeline, job, shown(pipeline, job, made)))
    if job.frames is not None:
        sounds = sounds_of(pipeline, made) if family_of(job).sounds else ()
        return Result((), films=_taken(films, made.frames[:, : job.frames]), sounds=sounds)
    flagged = getattr(made, "nsfw_content_detected", getattr(made, "nsfw_detected", None)) or ()
    mode = "RGB" if job.request.layers is None else "RGBA"
    return Result(tuple(i.convert(mode) for i in shown(pipeline, job, made)), tuple(map(bool, flagged)))


def _taken(films: Sequence[Spool], frames: Any) -> tuple[Spool, ...]:
    """Return the frames that were taken out of the VAE, or those that the pipeline made: (videos, n, 3, h, w)."""
    return tuple(film.keep_last(frames.shape[1]) for film in films) or films_of(frames)


def _seed_devices(seed: int) -> None:
    """Seed torch's own generators of the devices in use.

    `torch.manual_seed` would, for each kind of device that is not, keep the call and its stack for ever.
    """
    import torch

    torch.default_generator.manual_seed(seed)
    for kind in ("cuda", "xpu"):
        module: Any = getattr(torch, kind)
        if module.is_initialized():
            module.manual_seed_all(seed)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(seed)


def failure(error: Exception, job: Job, pipeline: Any) -> EngineError:
    """Make the error for an exception that a pipeline raised."""
    device = str(getattr(pipeline, "device", "cpu"))
    shape = f"{job.size} pixels, {job.request.num_images_per_prompt or 1} at once, {job.request.dtype}, on {device}"
    if is_short_of_memory(error):
        return EngineError(
            "out-of-memory", f"memory ran out: {shape}", "output_size",
            help="try a smaller size or batch, or `--vae-tiling`",
        )  # fmt: skip
    return EngineError("render-failed", f"{job.pipeline} failed ({shape}): {type(error).__name__}: {first_line(error)}")


@contextmanager
def vae_modes(vae: Any, wanted: Mapping[str, bool]) -> Generator[None]:
    """Switch tiling and slicing of a VAE as a job wants them, and back afterwards; keys are options of `Request`.

    Raises:
        EngineError: `unsupported-option`: this VAE has no such mode.
    """
    changed: list[tuple[str, bool]] = []
    for option, on in wanted.items():
        mode = f"use_{option.removeprefix('vae_')}"
        before = getattr(vae, mode, None)
        if before is None and on:
            raise EngineError("unsupported-option", f"{type(vae).__name__} cannot do that", option)
        if before is not None and before != on:
            changed.append((mode, before))
            setattr(vae, mode, on)
    try:
        yield
    finally:
        for mode, before in changed:
            setattr(vae, mode, before)


@contextmanager
def keeping_precision(vae: Any) -> Generator[None]:
    """Give a VAE that its pipeline converted for itself (SDXL's does) its own precision back."""
    before, first = dtype_of(vae), _first_dtype(vae)
    try:
        yield
    finally:
        if before is not None and _first_dtype(vae) != first:
            vae.to(dtype=before)


def _first_dtype(network: Any) -> Any:
    """Return the precision of the first weight, which changes when that of all does."""
    return next((p.dtype for p in network.parameters()), None) if hasattr(network, "parameters") else None


@contextmanager
def converting(vae: Any, dtype: Any) -> Generator[None]:
    """Let a VAE take tensors of any precision and encode in its pipeline's, as long as the block lasts."""
    if vae is None or dtype is None or not hasattr(vae, "dtype"):
        yield
        return
    kept = {name: getattr(vae, name) for name in ("encode", "decode")}

    def taking(method: Callable[..., Any]) -> Callable[..., Any]:
        return lambda tensor, *args, **named: _in_precision(method(tensor.to(vae.dtype), *args, **named), dtype)

    for name, method in kept.items():
        setattr(vae, name, taking(method))
    try:
        yield
    finally:
        for name in kept:
            delattr(vae, name)


def _in_precision(answer: Any, dtype: Any) -> Any:
    """Bring what a VAE encoded to a precision; pictures that it decoded stay as they are."""
    from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

    if hasattr(answer, "latent_dist"):
        own = answer.latent_dist
        return type(answer)(latent_dist=DiagonalGaussianDistribution(own.parameters.to(dtype), own.deterministic))
    return type(answer)(latents=answer.latents.to(dtype)) if hasattr(answer, "latents") else answer


@contextmanager
def as_its_own_text_model(encoder: Any) -> Generator[None]:
    """Let a CLIP text encoder answer to `text_model`, by which `clip_skip` of diffusers reaches its last norm.

    transformers 5.6 flattened `CLIPTextModel`; diffusers 0.42 still asks for the inner model.
    """
    flat = hasattr(encoder, "final_layer_norm") and not hasattr(encoder, "text_model")
    if flat:
        vars(encoder)["text_model"] = encoder  # not `setattr`: a module that contains itself never ends
    try:
        yield
    finally:
        if flat:
            del vars(encoder)["text_model"]
