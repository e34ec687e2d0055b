"""Directives that change which statement runs next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dgen.diagnostic import Span, Word, fail
from dgen.lang.directives import directive

if TYPE_CHECKING:
    from dgen.lang.evaluate import Interpreter


@directive("exit", examples=(("\\print a\n\\exit\n\\print b", "a\n"),))
def exit_(run: Interpreter, span: Span, code: Word | None = None) -> None:
    """Stop, with an exit code."""
    from dgen.lang.evaluate import Exited

    if code is not None and not (code.text.isdecimal() and int(code.text) <= 255):
        raise fail("bad-value", f"expected an exit code from 0 to 255, found `{code.text}`", code.span)
    raise Exited(int(code.text) if code is not None else 0)
