"""The command `dgen`: finds out what is asked and turns every outcome into an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from dgen import __version__


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _guarded(lambda: _dispatch(arguments))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _guarded(command: Callable[[], int]) -> int:
    try:
        return command()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        raise
    except Exception as error:
        return explain(error)


def explain(error: Exception) -> int:
    """Show what went wrong: a mistake of the user's as such, anything else as the bug it is."""
    from dgen.diagnostic import DgenError, Exit, render, wants_color

    sys.stdout.flush()
    if isinstance(error, DgenError):
        print(render(error.diagnostics, color=wants_color()), file=sys.stderr)
        return error.exit_code
    import traceback

    traceback.print_exception(error)
    print(f"\nthis is a bug of dgen {__version__}; please report it with the lines above", file=sys.stderr)
    return Exit.JOB_FAILED


def _dispatch(argv: list[str]) -> int:
    if argv == ["--version"]:
        print(f"dgen {__version__}")
        return 0
    if argv in (["--help"], ["-h"]):
        return _short_help()
    argv = _without_sub_command(argv)
    if argv[:1] == ["--sub-command-help"]:
        return _help_on_commands(argv[1:])
    wanted = next((i for i, a in enumerate(argv) if a in {"--help", "-h"}), None)
    if wanted is not None:
        return _help(argv[:wanted], argv[wanted + 1 :])
    from importlib import import_module

    from dgen.options.commands import COMMANDS

    name = "repl" if _starts_session(argv) else argv[0] if argv else ""
    command = COMMANDS.get(name, COMMANDS["run"])
    module, _, function = command.entry.partition(":")
    return getattr(import_module(module), function)(argv)


def _short_help() -> int:
    """Show the page that was made of the rows beforehand: to read them takes longer than to show it."""
    path = os.path.join(os.path.dirname(os.path.dirname(__file__)), "help.txt")
    with open(path, encoding="utf-8") as file:
        sys.stdout.write(file.read())
    return 0


def _starts_session(argv: list[str]) -> bool:
    """Whether statements are to be typed: nothing was said on a terminal, or a session was asked for."""
    return "--shell" in argv or (not argv and all(s is not None and s.isatty() for s in (sys.stdin, sys.stdout)))


def _without_sub_command(argv: list[str]) -> list[str]:
    """Read `--sub-command NAME …` as `NAME …`."""
    first, equals, name = argv[0].partition("=") if argv else ("", "", "")
    if first != "--sub-command":
        return argv
    words = [name, *argv[1:]] if equals else argv[1:]
    _check_command(words[0] if words else "")
    return words


def _check_command(name: str) -> None:
    from dgen.options.commands import COMMANDS

    if name not in COMMANDS:
        from dgen.diagnostic import did_you_mean, fail

        help = did_you_mean(name, COMMANDS, "commands are " + ", ".join(COMMANDS))
        raise fail("unknown-topic", f"no command named `{name}`" if name else "`--sub-command` lacks NAME", help=help)


def _help_on_commands(names: list[str]) -> int:
    """Describe the commands of the given names; without a name, say what each does."""
    from dgen.help import command_page, command_table
    from dgen.options.commands import COMMANDS

    for name in names:
        _check_command(name)
    pages = [command_page(COMMANDS[name]) for name in names]
    sys.stdout.write("\n".join(pages) if pages else command_table())
    return 0


def _help(before: list[str], names: list[str]) -> int:
    from dgen.help import command_page, page
    from dgen.options.commands import COMMANDS
    from dgen.schema import BadValue

    command = COMMANDS.get(before[0] if before else "")
    try:
        sys.stdout.write(command_page(command) if command is not None and not names else page(names))
    except BadValue as error:
        from dgen.diagnostic import fail

        raise fail(error.code, error.message, help=error.help) from None
    return 0
