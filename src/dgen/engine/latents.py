"""Latents as files: reads them, starts jobs from them, runs parts of a schedule, and writes what comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from dgen.engine.failures import first_line
from dgen.engine.protocol import EngineError, Inputs
from dgen.engine.weights import check_files, is_safe_format
from dgen.options.output import TENSOR_FORMATS
from dgen.plan.resolve import Job
from dgen.refiners import chains_of
from dgen.schema import BadValue
from dgen.values.uri import NamedUri

NAME = "latents"
"""What the tensor is called in files that are written."""


@dataclass(frozen=True, slots=True)
class Latents:
    """The latents of one picture, ready to be written: (channels, h, w)."""

    tensor: Any

    def write(self, file: BinaryIO, ending: str, texts: Mapping[str, str]) -> None:
        """Write them with texts; the same latents and texts give the same bytes."""
        import torch
        from safetensors.torch import save

        if ending == "safetensors":
            file.write(save({NAME: self.tensor}, metadata=dict(texts) or None))
        else:
            torch.save({NAME: self.tensor, **texts}, file)


def makes_latents(job: Job) -> bool:
    """Whether a job makes latents in place of pictures."""
    return job.request.image_format in TENSOR_FORMATS


def read(path: Path) -> Any:
    """Read the latents of a file: (n, channels, h, w).

    Raises:
        EngineError: `bad-weights`, `unsafe-weights`, `bad-file`: it holds something else.
    """
    import torch
    from safetensors.torch import load_file

    check_files([path], "image_seed")
    try:
        if is_safe_format(path):
            held: Any = load_file(path)
        else:
            held = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise EngineError("bad-file", f"`{path.name}` cannot be read: {first_line(error)}", "image_seed") from error
    tensors = {n: t for n, t in held.items() if hasattr(t, "shape")} if isinstance(held, dict) else {NAME: held}
    found = tensors.get(NAME, next(iter(tensors.values()), None) if len(tensors) == 1 else None)
    if found is None or getattr(found, "ndim", 0) not in (3, 4) or not found.is_floating_point():
        kinds = ", ".join(f"`{n}` {tuple(t.shape)}" for n, t in list(tensors.items())[:3]) or "no tensor"
        raise EngineError("bad-file", f"`{path.name}` holds no latents, but {kinds}", "image_seed")
    return found if found.ndim == 4 else found[None]


def starting(pipeline: Any, job: Job, inputs: Inputs) -> dict[str, Any]:
    """Return the keywords of a call that make it start from latents, and give latents back.

    Raises:
        EngineError: as `read`, `size-mismatch`, `unsupported-mode`, or what a processor does not like.
    """
    found: dict[str, Any] = {"output_type": "latent"} if makes_latents(job) else {}
    if inputs.image_latents is not None:
        chains = job.request.img2img_latents_processors
        made = _gathered(pipeline, job, (inputs.image_latents,), ("img2img_latents_processors", chains))
        found["image"] = _counted(made, 1)
    if inputs.latents:
        made = _gathered(pipeline, job, inputs.latents, ("latents_processors", job.request.latents_processors))
        found["latents"] = _counted(made, job.pictures)
    return found


def _counted(latents: Any, wanted: int) -> Any:
    if latents.shape[0] != wanted:
        message = f"{wanted} picture{'s' if wanted > 1 else ''} start from {latents.shape[0]} latents"
        raise EngineError("bad-image-seed", message, "image_seed", "give each picture of a batch latents of its own")
    return latents


def _gathered(pipeline: Any, job: Job, paths: Sequence[Path], said: tuple[str, Sequence[NamedUri]]) -> Any:
    import torch

    option, uris = said
    chains = _chains(option, uris)
    if len(chains) > max(1, len(paths)):
        raise EngineError("processor-chains", f"there are {len(chains)} chains for {len(paths)} files", option)
    parts: list[Any] = []
    for number, path in enumerate(paths):
        latents = read(path)
        _check_shape(pipeline, job, path, latents)
        chain = chains[0] if len(chains) == 1 else chains[number] if number < len(chains) else []
        parts.append(_refined(pipeline, job, latents.float(), (option, chain)))
    denoiser: Any = getattr(pipeline, "unet", None) or getattr(pipeline, "transformer", None)
    return torch.cat(parts).to(device=pipeline._execution_device, dtype=denoiser.dtype)


def _check_shape(pipeline: Any, job: Job, path: Path, latents: Any) -> None:
    """Refuse latents of another family, or of another size than the job's."""
    channels, factor = getattr(pipeline.vae.config, "latent_channels", None), pipeline.vae_scale_factor
    _, own, height, width = latents.shape
    if channels is not None and own != channels:
        message = f"`{path.name}` has latents of {own} channels, the model's have {channels}"
        raise EngineError("bad-weights", message, "image_seed", "they were made with a model of another family")
    if (width * factor, height * factor) != tuple(job.size):
        size = f"{width * factor}x{height * factor}"
        message = f"`{path.name}` has {width}x{height} cells, which are {size} pixels, but the job is {job.size}"
        raise EngineError("size-mismatch", message, "image_seed", f"add `--output-size {size}`")


def _chains(option: str, uris: Sequence[NamedUri]) -> list[list[Any]]:
    try:
        return chains_of(uris)
    except BadValue as error:
        raise EngineError(error.code, error.message, option, error.help) from error


def _refined(pipeline: Any, job: Job, latents: Any, said: tuple[str, Sequence[Any]]) -> Any:
    option, chain = said
    for chosen in chain:
        name = chosen.row.name
        try:
            made = chosen.row.call(chosen.said, latents.clone(), _SchedulerNoise(pipeline.scheduler, job))
        except BadValue as error:
            raise EngineError(error.code, f"`{name}`: {error.message}", option, error.help) from error
        except Exception as error:
            path, line = chosen.row.place
            message = f"the latents processor `{name}` failed: {type(error).__name__}: {first_line(error)}"
            raise EngineError("bad-plugin", message, option, f"it is written in `{path.name}`, line {line}") from error
        if getattr(made, "shape", None) != latents.shape:
            raise EngineError("bad-plugin", f"the latents processor `{name}` made something of another shape", option)
        latents = made
    return latents


class _SchedulerNoise:
    """Gives the noise of a scheduler."""

    def __init__(self, scheduler: Any, job: Job) -> None:
        """Keep what the noise comes from."""
        self._scheduler, self._job = scheduler, job

    def noised(self, latents: Any, timestep: int, seed: int | None) -> Any:
        """Return latents with the noise of a timestep."""
        import torch

        own = type(self._scheduler).from_config(self._scheduler.config)  # on its whole schedule
        generator = torch.Generator("cpu").manual_seed(self._job.request.seed or 0 if seed is None else seed)
        noise = torch.randn(latents.shape, generator=generator)
        return own.add_noise(latents.cpu(), noise, torch.tensor([timestep] * latents.shape[0]))


def finished(pipeline: Any, job: Job, made: Any) -> tuple[Latents, ...]:
    """Return the latents that a job made, (n, channels, h, w), after `--latents-post-processors`."""
    option = "latents_post_processors"
    chains = _chains(option, job.request.latents_post_processors)
    latents = made.detach().to("cpu")
    refined = _refined(pipeline, job, latents.float(), (option, [each for chain in chains for each in chain]))
    return tuple(Latents(each.contiguous()) for each in refined.to(latents.dtype))


# ---- a part of the schedule ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Window:
    """Which of a pipeline's steps are taken: those from `start` on, before `stop`, counted from 0."""

    start: int = 0
    stop: int | None = None  # None: to the end

    def steps(self, count: int) -> int:
        """Return how many of `count` steps are taken."""
        return (count if self.stop is None else self.stop) - self.start


def window(pipeline: Any, job: Job) -> Window:
    """Let a pipeline take only the steps that a job asks for, and start from latents as they are there.

    Raises:
        EngineError: `unsupported-option`: it can take nothing but all; `bad-value`: there is none to take.
    """
    start, end = job.request.denoising_start, job.request.denoising_end
    if start is None and end is None:
        return Window()
    cls, option = type(pipeline), "denoising_end" if start is None else "denoising_start"
    if not hasattr(cls, "interrupt"):
        raise EngineError("unsupported-option", f"{job.pipeline} cannot take a part of its steps", option)
    found = Window()
    pipeline.__class__ = type(cls.__name__, (cls,), {"interrupt": _outside(found, start, end)})
    if start is not None:
        own = type(pipeline.scheduler)
        pipeline.scheduler.__class__ = type(own.__name__, (own,), {"init_noise_sigma": property(lambda self: 1.0)})
    return found


def _outside(found: Window, start: float | None, end: float | None) -> property:
    """Return the property that a pipeline asks once before each step whether to leave it out."""
    seen = iter(range(10**9))

    def interrupt(pipeline: Any) -> bool:
        index = next(seen)
        if index == 0:
            found.start = 0 if start is None else _steps_before(pipeline.scheduler, start)
            found.stop = None if end is None else _steps_before(pipeline.scheduler, end)
            if found.stop is not None and found.stop <= found.start:
                option = "denoising_end" if start is None else "denoising_start"
                raise EngineError("bad-value", "no step is left to take", option, "take more steps, or a larger part")
            if found.start and hasattr(pipeline.scheduler, "set_begin_index"):
                pipeline.scheduler.set_begin_index(found.start)
        return index < found.start or (found.stop is not None and index >= found.stop)

    return property(interrupt)


def _steps_before(scheduler: Any, part: float) -> int:
    """Count the steps before a part of the schedule, as diffusers does for SDXL; whole ones for those of two halves."""
    cutoff = round(scheduler.config.num_train_timesteps * (1 - part))
    count = int((scheduler.timesteps >= cutoff).sum())
    return count - count % 2 if getattr(scheduler, "order", 1) == 2 else count
