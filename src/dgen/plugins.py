"""The public API of plugins: what a plugin file imports, and nothing else of dgen.

A plugin is a Python file. It registers directives, template functions and prompt upscalers with the same decorators
as dgen itself; scripts load it with `\\import_plugins FILE.py`.
"""

from __future__ import annotations

from dgen.diagnostic import DgenError, Span, Word, fail
from dgen.lang.directives import directive
from dgen.lang.evaluate import Interpreter
from dgen.lang.functions import function
from dgen.lang.host import Host
from dgen.lang.line import Line
from dgen.schema import BadValue, opt, options, record
from dgen.upscalers import TextOrder, Upscaling, Writer, prompt_upscaler
from dgen.values.scalars import Choice, FilePath, Flag, Integer, ModelSource, Real, Text

__all__ = [
    "BadValue",
    "Choice",
    "DgenError",
    "FilePath",
    "Flag",
    "Host",
    "Integer",
    "Interpreter",
    "Line",
    "ModelSource",
    "Real",
    "Span",
    "Text",
    "TextOrder",
    "Upscaling",
    "Word",
    "Writer",
    "directive",
    "fail",
    "function",
    "opt",
    "options",
    "prompt_upscaler",
    "record",
]
