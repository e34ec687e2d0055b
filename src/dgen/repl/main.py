"""Starts a session: at a prompt on a terminal, otherwise from standard input."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dgen.repl.runner import Runner

SELF = ("repl", "--shell")


def run(argv: Sequence[str]) -> int:
    """Run `dgen`, `dgen repl` or `dgen --shell`; return its exit code.

    Raises:
        DgenError: the command line is wrong.
    """
    has_terminal = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    says_more = any(word not in SELF for word in argv)
    if has_terminal and not says_more:
        from dgen.repl.prompt import converse

        return _leave(converse(None))
    runner, code = _prepared(argv, takes_drafts=has_terminal)
    if code is not None:
        runner.close()
        return code
    if has_terminal:
        from dgen.repl.prompt import converse

        return _leave(converse(runner))
    from dgen.repl.stream import read_statements

    return read_statements(runner, sys.stdin.buffer if sys.stdin is not None else io.BytesIO())


def _prepared(argv: Sequence[str], *, takes_drafts: bool) -> tuple[Runner, int | None]:
    r"""Make a session as the command line says and run the scripts that it names; the code is what `\exit` says."""
    from functools import partial

    from dgen.cli.arguments import read_command_line
    from dgen.cli.commands import front_of, named_scripts, refuse, settle
    from dgen.lang.evaluate import Exited
    from dgen.lang.format import quote
    from dgen.repl.runner import Runner

    line = read_command_line(argv)
    line.command = "repl"
    refuse(line, "max_images", "max_gb", "max_minutes", "frozen", "save_failed")
    paths = [path for path, _ in named_scripts(line)]
    runner = Runner(front_of(line), takes_drafts=takes_drafts, settle=partial(settle, line=line))
    try:
        for path in paths:
            runner.run(f"\\include {quote(path)}")
    except Exited as stop:
        return runner, stop.code
    return runner, None


def _leave(code: int) -> int:
    """End at once when a library is still being imported: to wait for it would make the user wait for nothing."""
    from dgen.repl.preparation import is_busy

    if is_busy():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code
