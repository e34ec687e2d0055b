"""The public API of plugins: what a plugin file imports, and nothing else of dgen.

A plugin is a Python file. It registers directives, template functions, image and latents processors, detectors, prompt
weighters, prompt upscalers and model families with the same decorators as dgen itself; scripts load it with
`\\import_plugins FILE.py`.
"""

from __future__ import annotations

from dgen.detectors import MASK_SHAPE, Detecting, Finding, Found, Looking, Sight, area, detect, detector
from dgen.diagnostic import DgenError, Span, Word, fail
from dgen.families.added import model_family
from dgen.families.family import Family
from dgen.lang.directives import directive
from dgen.lang.evaluate import Interpreter
from dgen.lang.functions import function
from dgen.lang.host import Host
from dgen.lang.line import Line
from dgen.networks import OnnxFile
from dgen.options.quantizers import QuantizerText
from dgen.processors import (
    Bench,
    ChainText,
    ColorText,
    Completing,
    Computing,
    Detection,
    Lens,
    Processing,
    Seeing,
    Seer,
    image_processor,
)
from dgen.refiners import Noise, Refining, latents_processor
from dgen.repainting import Repainting
from dgen.schema import BadValue, opt, options, record, same_as
from dgen.upscalers import TextOrder, Upscaling, Writer, prompt_upscaler
from dgen.values.scalars import (
    Choice,
    FilePath,
    Flag,
    Integer,
    ModelSource,
    Odd,
    PointText,
    Real,
    Size,
    SizeText,
    Text,
)
from dgen.weighters import Encoded, Reader, Weighting, prompt_weighter

__all__ = [
    "MASK_SHAPE",
    "BadValue",
    "Bench",
    "ChainText",
    "Choice",
    "ColorText",
    "Completing",
    "Computing",
    "Detecting",
    "Detection",
    "DgenError",
    "Encoded",
    "Family",
    "FilePath",
    "Finding",
    "Flag",
    "Found",
    "Host",
    "Integer",
    "Interpreter",
    "Lens",
    "Line",
    "Looking",
    "ModelSource",
    "Noise",
    "Odd",
    "OnnxFile",
    "PointText",
    "Processing",
    "QuantizerText",
    "Reader",
    "Real",
    "Refining",
    "Repainting",
    "Seeing",
    "Seer",
    "Sight",
    "Size",
    "SizeText",
    "Span",
    "Text",
    "TextOrder",
    "Upscaling",
    "Weighting",
    "Word",
    "Writer",
    "area",
    "detect",
    "detector",
    "directive",
    "fail",
    "function",
    "image_processor",
    "latents_processor",
    "model_family",
    "opt",
    "options",
    "prompt_upscaler",
    "prompt_weighter",
    "record",
    "same_as",
]
