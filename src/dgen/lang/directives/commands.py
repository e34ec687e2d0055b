"""The directives that are commands of the program too; their rows are those of the commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dgen.diagnostic import Span, Word
from dgen.lang.directives import directive
from dgen.options.commands import COMMANDS, Command

if TYPE_CHECKING:
    from dgen.lang.evaluate import Interpreter


def _declare(command: Command) -> None:
    sentence = command.help[0].upper() + command.help[1:]

    @directive(
        command.directive, arguments=command.arguments,
        help=f"{sentence}; `dgen {command.name} --help` lists the options.",
    )  # fmt: skip
    def call(run: Interpreter, span: Span, *words: Word) -> None:
        run.host.command(command.name, words, span)


for _command in COMMANDS.values():
    if _command.is_directive:
        _declare(_command)
