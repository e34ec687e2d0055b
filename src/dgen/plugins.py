"""The public API of plugins: what a plugin file imports, and nothing else of dgen.

A plugin is a Python file. It registers directives and template functions with the same decorators as dgen itself;
scripts load it with `\\import_plugins FILE.py`.
"""

from __future__ import annotations

from dgen.diagnostic import DgenError, Span, Word, fail
from dgen.lang.directives import directive
from dgen.lang.evaluate import Interpreter
from dgen.lang.functions import function
from dgen.lang.host import Host
from dgen.lang.line import Line

__all__ = ["DgenError", "Host", "Interpreter", "Line", "Span", "Word", "directive", "fail", "function"]
