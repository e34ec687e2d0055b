"""The commands that scripts have as directives too: one module each, with the function `run`, perhaps with `check`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Protocol

from dgen.darkroom import Darkroom
from dgen.diagnostic import Span, Word, fail
from dgen.engine.protocol import Engine
from dgen.events import Listener
from dgen.lang.permissions import Permissions
from dgen.media.read import PictureFiles
from dgen.options.commands import COMMANDS, Command
from dgen.plan.bind import Bound, Table, bind
from dgen.preflight import blaming


class CommandHost(Protocol):
    """The session, as commands see it."""

    engine: Engine
    emit: Listener
    pictures: PictureFiles
    permissions: Permissions
    darkroom: Darkroom

    def provide(self, **variables: Any) -> None:
        """Set variables that scripts can read but not set."""
        ...

    def write(self, text: str) -> None:
        """Write a text that holds its own newline to the user."""
        ...


def bind_command(command: Command, words: Sequence[Word], span: Span) -> Bound:
    """Bind the words of a command to its own rows.

    Raises:
        DgenError: `bad-arguments`: something is missing; and whatever `bind` finds.
    """
    bound = bind(words, Table(command.rows), span)
    for row in command.rows.values():
        if (row.default is ... or row.positional) and row.name not in bound:
            what = f"`{row.flag}`" if row.flag or row.value is None else row.value.metavar
            raise fail("bad-arguments", f"`{command.name}` lacks {what}", span, f"usage: {command.usage}")
    return bound


def check_command(name: str, words: Sequence[Word], span: Span) -> None:
    """Find what is wrong with the words after a command's name, without running it.

    Raises:
        DgenError: whatever is wrong with them.
    """
    bound = bind_command(COMMANDS[name], words, span)
    check = getattr(_module(name), "check", None)
    if check is not None:
        check(bound)


def _module(name: str) -> Any:
    return import_module(f"{__name__}.{COMMANDS[name].directive}")


def run_command(host: CommandHost, name: str, words: Sequence[Word], span: Span) -> None:
    """Run a command with the words after its name.

    Raises:
        DgenError: whatever is wrong with the words, or what goes wrong.
    """
    bound = bind_command(COMMANDS[name], words, span)
    with blaming(bound):
        _module(name).run(host, bound)
