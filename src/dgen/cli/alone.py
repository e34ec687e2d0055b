"""Runs a command that is a directive too, alone: `dgen to-diffusers …`."""

from __future__ import annotations

from collections.abc import Sequence

from dgen.cli.arguments import command_words
from dgen.cli.fronts import make_front
from dgen.diagnostic import Exit
from dgen.engine.render import LocalEngine
from dgen.events import serial
from dgen.lang.modules import load_installed
from dgen.session import Session


def run(argv: Sequence[str]) -> int:
    """Run a command line of which the first word is the command; return its exit code.

    Raises:
        DgenError: something in it is wrong, or the command failed.
    """
    name, *words = command_words(argv)
    front = make_front(quiet=False, json=False, verbose=any(w.text in {"-v", "--verbose"} for w in words))
    with front:
        listen = serial(front.listen)
        session = Session(LocalEngine(listen), listen)
        try:
            for wrong in load_installed():
                session.warn(wrong)
            session.command(name.text, words, name.span)
        finally:
            session.close()
    return Exit.OK
