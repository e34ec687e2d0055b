"""One combination of everything that an invocation can say, as the user said it."""

from __future__ import annotations

from dgen.options.images import ImageOptions
from dgen.options.model import ModelOptions
from dgen.options.output import OutputOptions
from dgen.options.prompts import PromptOptions
from dgen.options.sampling import SamplingOptions
from dgen.options.sdxl import SdxlOptions
from dgen.options.submodels import SubModelOptions
from dgen.schema import Option, options, rows_of


@options("request")
class Request(ModelOptions, SubModelOptions, PromptOptions, SamplingOptions, SdxlOptions, ImageOptions, OutputOptions):
    """One combination of the values of an invocation; None is what was not said."""


ROWS: dict[str, Option] = rows_of(Request)
