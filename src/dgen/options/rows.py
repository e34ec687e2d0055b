"""The rows of every topic, joined: what an invocation can say."""

from __future__ import annotations

from dgen.options.animation import AnimationOptions
from dgen.options.attachments import AttachmentOptions
from dgen.options.detailing import DetailingOptions
from dgen.options.guidance import GuidanceOptions
from dgen.options.images import ImageOptions
from dgen.options.inpainting import InpaintingOptions
from dgen.options.latents import LatentsOptions
from dgen.options.memory import MemoryOptions
from dgen.options.model import ModelOptions
from dgen.options.output import OutputOptions
from dgen.options.prompts import PromptOptions
from dgen.options.ras import RasOptions
from dgen.options.refiner import RefinerOptions
from dgen.options.sampling import SamplingOptions
from dgen.options.sdxl import SdxlOptions
from dgen.options.submodels import SubModelOptions
from dgen.options.video import VideoOptions
from dgen.schema import Option, options, rows_of


@options("invocation")
class InvocationOptions(
    ModelOptions,
    MemoryOptions,
    SubModelOptions,
    AttachmentOptions,
    PromptOptions,
    SamplingOptions,
    GuidanceOptions,
    RasOptions,
    SdxlOptions,
    RefinerOptions,
    ImageOptions,
    LatentsOptions,
    InpaintingOptions,
    VideoOptions,
    DetailingOptions,
    AnimationOptions,
    OutputOptions,
):
    """Everything that an invocation can say."""


ROWS: dict[str, Option] = rows_of(InvocationOptions)
