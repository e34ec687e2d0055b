"""Writes help from the rows of the schema: a short page, a topic, one option."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence

from dgen import __version__
from dgen.options.command import CommandOptions
from dgen.options.commands import COMMANDS, Command
from dgen.options.rows import ROWS
from dgen.schema import BadValue, Option, Stage, rows_of
from dgen.values.uri import Uri, uris_in

WIDTH = 96
_INDENT = 28

USAGE = """\
dgen MODEL [OPTIONS]              make pictures with a model
dgen SCRIPT.dgen... [OPTIONS]     run scripts; the options join every invocation in them
dgen [OPTIONS] < SCRIPT.dgen      the same from standard input"""

USAGE_WIDTH = 33

EXAMPLE = """\
dgen builtin:shapes --prompts "a red circle; blurry" "a blue star" --seeds 1 2 3"""


def all_rows() -> dict[str, Option]:
    """Every option of the program and of an invocation, by field name."""
    return {**ROWS, **rows_of(CommandOptions)}


def topics(rows: Mapping[str, Option]) -> dict[str, list[Option]]:
    """Group options by their topic, in the order of declaration."""
    grouped: dict[str, list[Option]] = {}
    for row in rows.values():
        grouped.setdefault(row.topic, []).append(row)
    return grouped


def short_page() -> str:
    """Return the page of `dgen --help`."""
    lines = [f"dgen {__version__}: a small language for making images with diffusion models", "", "Usage"]
    lines += [f"  {line}" for line in USAGE.splitlines()]
    lines += [f"  {line}" for line in command_table().splitlines()]
    lines += ["", "Example", f"  {EXAMPLE}", "", "Options by topic"]
    for topic, rows in topics(all_rows()).items():
        flags = " ".join(r.flag or "MODEL" for r in rows)
        lines += _columns(f"  {topic}", flags)
    lines += [
        "",
        "dgen COMMAND --help        the options of a command",
        "dgen --help TOPIC          every option of a topic",
        "dgen --help --OPTION       one option; several may be named",
        "dgen --directives-help     the directives of scripts; --functions-help, --templates-help",
    ]
    return "\n".join(lines) + "\n"


def page(names: Sequence[str]) -> str:
    """Return help on topics and options; the short page when nothing is named.

    Raises:
        BadValue: `unknown-topic`.
    """
    if not names:
        return short_page()
    return "\n".join(_one(name) for name in names)


def command_table() -> str:
    """Return a line for each command; what a long one does stands below it."""
    return "".join(_command_line(command) for command in COMMANDS.values())


def _command_line(command: Command) -> str:
    gap = "\n" + " " * (USAGE_WIDTH + 1) if len(command.usage) > USAGE_WIDTH else " "
    return f"{command.usage:<{USAGE_WIDTH}}{gap}{command.help}\n"


def command_page(command: Command) -> str:
    """Return the page of `dgen COMMAND --help`."""
    own = [_listed(row) for row in command.rows.values()] or ["`dgen --help` lists the options of an invocation."]
    return "\n".join([command.usage, f"    {command.help}", "", *own]) + "\n"


def _one(name: str) -> str:
    grouped = topics(all_rows())
    if name in grouped:
        return "\n".join(_listed(r) for r in grouped[name]) + "\n"
    if name == "all":
        return "\n".join(f"{t.upper()}\n" + "\n".join(_listed(r) for r in rows) + "\n" for t, rows in grouped.items())
    for row in all_rows().values():
        if name in (row.flag, row.short, row.name, f"--{row.name}", *row.aliases) or f"{name}s" == row.flag:
            return _described(row)
    from dgen.diagnostic import did_you_mean

    legal = [*grouped, "all", *(s for r in all_rows().values() for s in r.spellings)]
    raise BadValue(
        f"there is no help on `{name}`", code="unknown-topic",
        help=did_you_mean(name, legal, "topics are " + ", ".join([*grouped, "all"])),
    )  # fmt: skip


def _head(row: Option) -> str:
    place = row.value.metavar if row.value is not None else ""
    flags = ", ".join(filter(None, (row.flag, row.short))) or place
    if row.value is None or row.positional:
        return flags
    return f"{flags} {row.value.metavar}{' ...' if row.takes_many else ''}"


def _listed(row: Option) -> str:
    return "\n".join(_columns("  " + _head(row), row.help))


def _columns(left: str, right: str) -> Iterator[str]:
    lines = textwrap.wrap(right, WIDTH - _INDENT, break_on_hyphens=False) or [""]
    if len(left) >= _INDENT - 1:
        yield left
    else:
        yield f"{left:<{_INDENT}}{lines.pop(0)}"
    for line in lines:
        yield " " * _INDENT + line


def _described(row: Option) -> str:
    lines = [_head(row), *textwrap.wrap(row.help, WIDTH - 4, initial_indent="    ", subsequent_indent="    "), ""]
    lines += [f"    {fact}" for fact in _facts(row)]
    for name, uri in uris_in(row.value).items():
        whose = "its" if isinstance(row.value, Uri) else f"`{name}`'s"
        lines += ["", f"    {whose} arguments, each after a `;`:", *_uri_arguments(uri)]
    return "\n".join(lines).rstrip() + "\n"


def _uri_arguments(uri: Uri) -> Iterator[str]:
    for name, row in uri.rows().items():
        if not row.positional and row.value is not None:
            default = row.default not in (None, ...) and f" Default: {row.value.format(row.default)}."
            yield from _columns(f"      {name}={row.value.metavar}", row.help + (default or ""))


def _facts(row: Option) -> Iterator[str]:
    default = row.implied if row.implied is not None else row.default
    if default is not None and default is not False and row.value is not None and default not in (..., ()):
        yield f"default: {' '.join(row.words(default)) or 'empty'}"
    if row.sweep is not None:
        yield "several values multiply: every combination is rendered"
    elif row.many:
        yield "several values are used together"
    if row.aliases:
        yield "also written: " + ", ".join(row.aliases)
    rows = all_rows()
    if row.requires:
        yield "needs: " + " or ".join(rows[n].flag for n in row.requires)
    if row.excludes:
        yield "not together with: " + ", ".join(rows[n].flag for n in row.excludes)
    if row.tag:
        yield f"in file names: {row.tag}_VALUE"
    if row.stage is not Stage.APP or row.topic != "program":
        yield f"afterwards in templates: {', '.join((row.variable, *row.last))}"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out rows of texts under heads."""
    cells = [list(heads), *(list(r) for r in rows)]
    widths = [max(len(r[i]) for r in cells) for i in range(len(heads))]
    return "\n".join("  ".join(f"{c:<{w}}" for c, w in zip(r, widths, strict=True)).rstrip() for r in cells) + "\n"
