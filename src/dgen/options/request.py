"""One combination of everything that an invocation can say, as the user said it."""

from __future__ import annotations

from dgen.options.rows import ROWS, InvocationOptions
from dgen.schema import record


@record
class Request(InvocationOptions):
    """One combination of the values of an invocation; None is what was not said."""


__all__ = ["ROWS", "Request"]
