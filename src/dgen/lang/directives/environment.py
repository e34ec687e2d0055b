"""Directives about environment variables."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dgen.diagnostic import Span, Word, fail
from dgen.lang.directives import directive

if TYPE_CHECKING:
    from dgen.lang.evaluate import Interpreter


@directive(
    "env",
    takes="environment",
    examples=(('\\env DGEN_EXAMPLE="a b"\n\\print $DGEN_EXAMPLE\n\\unset_env DGEN_EXAMPLE', "a b\n"),),
)
def env(run: Interpreter, span: Span, *assignments: Word) -> None:
    """Set environment variables, or write them all."""
    from dgen.lang.words import unquote

    run.permissions.require("environment", span, "see or change the environment")
    pairs = [(word, *word.text.partition("=")) for word in assignments]
    for word, name, equals, _ in pairs:
        if not equals or not name.isidentifier():
            raise fail("bad-arguments", f"expected NAME=VALUE, found `{word.text}`", word.span)
    for word, name, _, value in pairs:
        try:
            os.environ[name] = unquote(value)
        except ValueError as error:
            raise fail("bad-value", f"the environment cannot hold this value: {error}", word.span) from None
    if not assignments:
        run.host.write("".join(f"{name}={value}\n" for name, value in sorted(os.environ.items())))


@directive(
    "unset_env",
    takes="environment",
    examples=(("\\env DGEN_EXAMPLE=a\n\\unset_env DGEN_EXAMPLE\n\\print [$DGEN_EXAMPLE]", "[]\n"),),
)
def unset_env(run: Interpreter, span: Span, name: Word, *names: Word) -> None:
    """Forget environment variables; one that is not set is left alone."""
    run.permissions.require("environment", span, "see or change the environment")
    for each in (name, *names):
        if not each.text or "=" in each.text or "\0" in each.text:
            raise fail("bad-name", f"`{each.text}` is not the name of an environment variable", each.span)
        os.environ.pop(each.text, None)
