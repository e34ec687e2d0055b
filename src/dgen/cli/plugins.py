"""The command that lists plugins: `dgen plugins`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dgen.cli.arguments import command_words
from dgen.diagnostic import DgenError, Diagnostic, Exit, Word, render, wants_color
from dgen.lang.directives import directives
from dgen.lang.functions import functions
from dgen.lang.modules import load_installed, load_plugin, load_plugins, plugin_files
from dgen.options.commands import COMMANDS
from dgen.plan.bind import Table, bind
from dgen.registry import REGISTRIES, load_first_party


@dataclass(frozen=True, slots=True)
class Listed:
    """A plugin, as the list shows it."""

    name: str
    kind: str
    file: str
    line: int
    help: str


def run(argv: Sequence[str]) -> int:
    """Run `dgen plugins`; return its exit code.

    Raises:
        DgenError: the command line is wrong.
    """
    name, *words = command_words(argv)
    bound = bind(words, Table(COMMANDS[name.text].rows), name.span)
    wrong = [*load_installed(), *_loaded(bound.given["files"].words if "files" in bound else ())]
    found = sorted(listed(), key=lambda each: (each.kind, each.name))
    print(json.dumps([asdict(each) for each in found], indent=2) if "json" in bound else as_table(found))
    failures = load_first_party()
    for failure in failures:
        print(f"{failure.path.name} could not be loaded: {failure.reason}", file=sys.stderr)
    if wrong:
        print(render(wrong, color=wants_color()), file=sys.stderr)
    return Exit.USAGE if wrong or failures else Exit.OK


def _loaded(words: Sequence[Word]) -> Iterator[Diagnostic]:
    """Load plugin files; yield what is wrong with those that fail."""
    for word in words:
        files = plugin_files(word.text)
        if not files:
            load_plugins(word)
        for file in files:
            try:
                load_plugin(file, word)
            except DgenError as error:
                yield from error.diagnostics


def listed() -> Iterator[Listed]:
    """Yield every plugin that is registered, of every kind."""
    for registry in REGISTRIES:
        for row in registry.rows().values():
            yield _listed(row.name, registry.noun, row.call, row.help)
    for name, row in directives().items():
        if not _is_own(row.call) and name == row.name:
            yield _listed(name, "directive", row.call, row.help)
    for name, row in functions().items():
        if not row.is_builtin and not _is_own(row.call):
            yield _listed(name, "function", row.call, row.help)


def _is_own(call: Callable[..., Any]) -> bool:
    return call.__module__.partition(".")[0] == "dgen"


def _listed(name: str, kind: str, call: Callable[..., Any], help: str) -> Listed:
    code = call.__code__
    return Listed(name, kind, Path(code.co_filename).name, code.co_firstlineno, help.strip().partition("\n\n")[0])


def as_table(found: Sequence[Listed]) -> str:
    """Return one line a plugin: its name, its kind, the file it is written in, what it does."""
    rows = [(each.name, each.kind, f"{each.file}:{each.line}", each.help) for each in found]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    pairs = ([*zip(row[:3], widths, strict=True), (row[3], 0)] for row in rows)
    return "\n".join("  ".join(cell.ljust(width) for cell, width in row) for row in pairs)
