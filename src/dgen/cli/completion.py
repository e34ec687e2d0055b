"""The command that writes the completion scripts of shells: `dgen completion bash`."""

from __future__ import annotations

from collections.abc import Sequence

from dgen.cli.arguments import command_words
from dgen.diagnostic import Exit, fail
from dgen.options.commands import COMMANDS
from dgen.plan.bind import Table, bind


def run(argv: Sequence[str]) -> int:
    """Run `dgen completion`; return its exit code.

    Raises:
        DgenError: the shell is not named, or not known.
    """
    from dgen.complete.shells import SHELLS

    name, *words = command_words(argv)
    bound = bind(words, Table(COMMANDS[name.text].rows), name.span)
    if "shell" not in bound:
        shells = ", ".join(f"`{s}`" for s in SHELLS)
        raise fail("bad-arguments", f"`{name.text}` takes a shell, got none", name.span, f"shells are {shells}")
    print(SHELLS[bound.value("shell")](), end="")
    return Exit.OK
