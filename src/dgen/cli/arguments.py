"""Splits the command line into what concerns the program and what joins invocations."""

from __future__ import annotations

import glob
import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

from dgen.diagnostic import DgenError, Diagnostic, Source, Span, Word, fail
from dgen.options.command import CommandOptions
from dgen.options.commands import COMMANDS
from dgen.plan.bind import Bound, Table, bind, is_flag
from dgen.schema import rows_of

SCRIPT_ENDINGS = (".dgen", ".txt")


@dataclass(slots=True)
class CommandLine:
    """A command line, taken apart."""

    span: Span
    command: str = ""  # one of COMMANDS, when it is named
    positional: list[Word] = field(default_factory=list[Word])
    rest: list[Word] = field(default_factory=list[Word])  # the words of options of an invocation
    assignments: list[tuple[str, Word]] = field(default_factory=list[tuple[str, Word]])  # ("set" or "setp", NAME=…)
    files: list[Word] = field(default_factory=list[Word])
    asked: dict[str, tuple[Word, ...]] = field(default_factory=dict[str, tuple[Word, ...]])  # other program options


@cache
def command_table() -> Table:
    """The rows of the program's own options."""
    return Table(rows_of(CommandOptions))


def command_words(argv: Sequence[str]) -> tuple[Word, ...]:
    """Give the arguments as words of a source that shows them as a shell would take them."""
    quoted = [shlex.quote(a) if a else "''" for a in argv]
    source = Source("command line", " ".join(["dgen", *quoted]))
    words: list[Word] = []
    position = len("dgen ")
    for text, shown in zip(argv, quoted, strict=True):
        span = source.span(position, position + len(shown))
        inner = Span(source, span.start + 1, span.end - 1) if shown[:1] == "'" and shown[1:-1] == text else span
        words.append(Word(text, inner))
        position += len(shown) + 1
    return tuple(words)


def options_alone(argv: Sequence[str]) -> Bound:
    """Take the command line of a command that has options of its own and no arguments.

    Raises:
        DgenError: `bad-arguments`, `unknown-option`, or whatever is wrong with a value.
    """
    name, *words = command_words(argv)
    stray = next((w for w in words if not is_flag(w)), None)
    if stray is not None:
        raise fail("bad-arguments", f"`{name.text}` takes no argument, found `{stray.text}`", stray.span)
    return bind(words, Table(COMMANDS[name.text].rows), name.span)


def read_command_line(argv: Sequence[str]) -> CommandLine:
    """Take a command line apart.

    Raises:
        DgenError: an option of the program has too few, too many or malformed values.
    """
    words = list(command_words(argv))
    span = words[0].span.to(words[-1].span) if words else Source("command line", "dgen").span(0, 4)
    line = CommandLine(span)
    if words and words[0].text in COMMANDS:
        line.command = words.pop(0).text
    while (
        words and not is_flag(words[0]) and not (line.positional and not is_script(words[0].text) and not line.command)
    ):
        line.positional.append(words.pop(0))
    own = command_table()
    while words:
        word = words.pop(0)
        row = own.flags.get(word.text.partition("=")[0]) if is_flag(word) else None
        if row is None:
            (line.rest if line.rest or is_flag(word) else line.positional).append(word)
            continue
        taken = [word]
        while words and row.takes_value and "=" not in word.text and not is_flag(words[0]):
            taken.append(words.pop(0))
        bound = bind(taken, own, word.span)
        _keep(line, row.name, bound.given[row.name].words)
    return line


def _keep(line: CommandLine, name: str, words: tuple[Word, ...]) -> None:
    if name in {"set", "setp"}:
        line.assignments += [(name, w) for w in words]
    elif name == "file":
        line.files += words
    else:
        line.asked[name] = words


def is_script(text: str) -> bool:
    """Whether a positional word names a script rather than a model."""
    return text.lower().endswith(SCRIPT_ENDINGS)


def script_paths(words: Sequence[Word]) -> Iterator[tuple[str, Word]]:
    """Yield the script files that words name; `*` is expanded, in sorted order.

    Raises:
        DgenError: `missing-file`, for all that are missing.
    """
    found: list[tuple[str, Word]] = []
    missing: list[Diagnostic] = []
    for word in words:
        paths = [word.text] if os.path.exists(word.text) else sorted(glob.glob(word.text, recursive=True))
        if not paths:
            what = "matches no file" if glob.has_magic(word.text) else "does not exist"
            missing.append(Diagnostic(code="missing-file", message=f"the file `{word.text}` {what}", span=word.span))
        found += [(p, word) for p in paths]
    if missing:
        raise DgenError(*missing)
    yield from found
