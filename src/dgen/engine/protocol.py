"""What a session asks of an engine; the real engine and the trace engine both answer it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dgen.families.inspection import ModelFacts
from dgen.options.request import Request
from dgen.plan.resolve import Job
from dgen.processors import Lens, Seer
from dgen.upscalers import TextOrder

if TYPE_CHECKING:
    from PIL.Image import Image

MODULES = (
    "unet", "transformer", "vae", "text_encoder", "text_encoder_2", "text_encoder_3", "tokenizer", "tokenizer_2",
    "tokenizer_3", "safety_checker", "feature_extractor", "image_encoder", "controlnet", "scheduler",
)  # fmt: skip
"""The component kinds that `\\save_modules` can name."""

CACHE_KINDS = (
    "model", "pipeline", "unet", "transformer", "vae", "text_encoder", "image_encoder", "controlnet", "adapter",
    "object", "device",
)  # fmt: skip
"""What the `\\clear_…_cache` directives can drop."""

CLEARED = {"adapter": ("lora", "textual_inversion", "ip_adapter", "adapter")}
"""The kinds of components that a kind of `CACHE_KINDS` stands for, where it is not their own name."""

OnStep = Callable[[int, int], None]
"""Called after each denoising step with the step, counted from 1, and the number of steps; may raise to stop."""


@dataclass(frozen=True, slots=True)
class Preview:
    """Where pictures of the denoising go: `show` gets a step and a small RGB picture, every so many steps."""

    every: int
    show: Callable[[int, Image], None]


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory in bytes that this process uses; None for a device that has none of its own."""

    resident_bytes: int = 0
    device_bytes: int | None = None


class EngineError(Exception):
    """Something that the user can mend, without a place: the session knows where `option` was said."""

    def __init__(self, code: str, message: str, option: str = "model", help: str | None = None) -> None:
        """Keep a diagnostic code, the field of `Request` that it is about, and what to do instead."""
        super().__init__(message)
        self.code, self.message, self.option, self.help = code, message, option, help
        self.index = 0  # which value of the option
        self.more: tuple[EngineError, ...] = ()  # what else is wrong

    def at(self, index: int) -> EngineError:
        """Say which value of its option an error is about, counted from 0."""
        self.index = index
        return self


@dataclass(frozen=True, slots=True)
class Inputs:
    """The decoded pictures of a job, brought to its size: RGB, and a mask in which white is repainted."""

    image: Image | None = None
    mask: Image | None = None
    controls: tuple[Image, ...] = ()  # one for each ControlNet or T2I adapter
    batch: tuple[Image, ...] = ()  # further images, each changed on its own in the same call
    batch_masks: tuple[Image, ...] = ()  # one for each of them; without, they share the first mask
    adapters: tuple[tuple[Image, ...], ...] = ()  # for each IP-adapter, pictures of any size
    latents: tuple[Path, ...] = ()  # files of latents to start from in place of noise
    control_videos: tuple[tuple[Image, ...], ...] = ()  # for each ControlNet, a frame for each of the video
    video: tuple[Image, ...] = ()  # the frames that a video starts from
    video_mask: tuple[Image, ...] = ()  # for each of them, what is made anew of it: white
    last: Image | None = None  # what a video ends with
    image_latents: Path | None = None  # a file of latents in place of the image
    stage: Image | None = None  # what the first of two stages made of the image, of its own size
    pack: tuple[Job, ...] = ()  # jobs to render at once, the first one among them; they share these inputs


class Frames(Protocol):
    """The frames of a video, which are given out one after another: RGB pictures of the job's size."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def __iter__(self) -> Iterator[Image]:
        """Give them, from the first one on."""
        ...


@dataclass(frozen=True, slots=True)
class Waves:
    """The sound of a video."""

    samples: bytes  # of 16 bits, little-endian, those of all channels side by side
    rate: int  # how many samples of each channel there are a second
    channels: int


@dataclass(frozen=True, slots=True)
class Result:
    """What a job made: RGB pictures of the job's size, and which of them a safety checker blacked out.

    A job that makes videos makes no pictures, but the frames of each, and the sound of each where the model makes any.
    A job that writes latents makes no pictures, but something with `write(file, ending, texts)` for each.
    """

    images: tuple[Image, ...]
    flagged: tuple[bool, ...] = ()
    latents: tuple[Any, ...] = ()
    films: tuple[Frames, ...] = ()
    sounds: tuple[Waves, ...] = ()
    parts: tuple[int, ...] = ()  # how many jobs of a pack were made at once, one number for each time


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A component that an engine keeps loaded."""

    kind: str
    source: str
    class_name: str
    device: str
    dtype: str
    bytes: int
    uses: int


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The files of a model, weights and settings, and its commit when it comes from the hub."""

    name: str
    commit: str | None
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFacts:
    """A part of a model as its files tell it."""

    kind: str  # "" for a file that tells nothing of its parts
    library: str
    class_name: str
    bytes: int | None = 0  # on the disk; None when its weights are not on this machine
    parameters: int = 0
    dtypes: tuple[str, ...] = ()  # that of most parameters first


class Engine(Protocol):
    """Loads models and runs jobs."""

    @property
    def draws(self) -> bool:
        """Whether it makes pictures, and does not only tell how it would."""
        ...

    def inspect(self, request: Request) -> ModelFacts:
        """Look into a request's model without loading weights; may fetch its index from the hub.

        Raises:
            EngineError: `bad-model`, `missing-file`, `bad-weights`, `offline`, `hub-refused`, `unknown-model-type`.
        """
        ...

    def contents(self, request: Request, facts: ModelFacts) -> tuple[PartFacts, ...]:
        """List the parts of a request's model; reads no weights, but the headers of their files.

        Raises:
            EngineError: as `inspect`.
        """
        ...

    def device_kind(self, device: str | None) -> str:
        """Return the kind of a device (`cpu`, `cuda`, `xpu`, `mps`), of the fastest one for None.

        Raises:
            EngineError: `bad-device`.
        """
        ...

    def schedulers(self, request: Request) -> tuple[str, ...]:
        """List the schedulers that a request's model can use, its own first."""
        ...

    def check(self, request: Request, facts: ModelFacts) -> None:
        """Check what can be checked before anything is loaded: scheduler names and arguments, VAE sources.

        Raises:
            EngineError: `unknown-scheduler`, `bad-uri`, `missing-file`, `bad-model`.
        """
        ...

    def render(self, job: Job, inputs: Inputs, on_step: OnStep, preview: Preview | None = None) -> Result:
        """Run a job; what it needs is loaded, or found in the store. A preview never changes the result.

        Raises:
            EngineError: `bad-weights`, `unsafe-weights`, `bad-model`, `out-of-memory`, `render-failed` …
        """
        ...

    def convert(self, jobs: Sequence[tuple[Job, str | None]], folder: Path) -> None:
        """Write the whole model of jobs, that differ in precision alone, into a folder, each as its own variant.

        Raises:
            EngineError: `bad-weights`, `unsafe-weights`, `bad-model`, `out-of-memory` …
            OSError: the folder cannot be written.
        """
        ...

    def memory(self, device: str | None) -> Memory:
        """Measure what this process uses, on a device that a job has used."""
        ...

    def continue_texts(self, order: TextOrder, device: str | None, *, offline: bool) -> tuple[str, ...]:
        """Return texts with what a language model wrote after each.

        Raises:
            EngineError: `bad-model`, `bad-weights`, `bad-device`, `offline`, `hub-refused`, `out-of-memory` …
        """
        ...

    def look(self, lens: Lens, device: str | None, *, offline: bool, stays: bool) -> AbstractContextManager[Seer]:
        """Give a model of an image processor for as long as a block lasts; then it `stays` on its device.

        Raises:
            EngineError: as `continue_texts`, and `missing-file`, `bad-weights`, `unsafe-weights`, `render-failed`.
            Unseen: this engine runs no models.
        """
        ...

    def model_files(self, request: Request) -> tuple[ModelFiles, ...]:
        """Name the weights files that a rendered job was made from."""
        ...

    def clear(self, kind: str, names: Sequence[str] = ()) -> int:
        """Drop cached components of a kind of `CACHE_KINDS`; return how many."""
        ...

    def holdings(self) -> tuple[Holding, ...]:
        """List the components that are loaded."""
        ...

    def save_modules(self, names: Sequence[str]) -> Any:
        """Keep modules of the last pipeline.

        Raises:
            EngineError: `unknown-module`: nothing ran yet, or the pipeline has no such module.
        """
        ...

    def use_modules(self, saved: Any) -> None:
        """Use modules that `save_modules` kept in the next job, and until None is given."""
        ...

    def device_fact(self, name: str, *arguments: Any) -> Any:
        """Answer `have_cuda`, `have_xpu`, `have_mps`, `default_device` and `total_memory` (device, unit)."""
        ...
