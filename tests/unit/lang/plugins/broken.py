"""A plugin that fails after it has registered something."""

from __future__ import annotations

from dgen.plugins import Interpreter, Span, directive


@directive("half_done")
def half_done(run: Interpreter, span: Span) -> None:
    """Never be there."""


raise RuntimeError("no driver")
