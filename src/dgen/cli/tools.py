"""The commands that look at scripts without running them: `check` and `fmt`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path

from dgen.cli.arguments import command_words, script_paths
from dgen.diagnostic import DgenError, Diagnostic, Exit, Source, Word, fail, render, wants_color
from dgen.lang.files import read_script
from dgen.lang.modules import load_installed, load_plugins
from dgen.media.publish import publish
from dgen.options.commands import COMMANDS
from dgen.plan.bind import Bound, Table, bind, is_flag


@dataclass(slots=True)
class ToolLine:
    """The command line of a tool: the files it names, and its own options."""

    bound: Bound
    files: list[Word] = field(default_factory=list[Word])

    def sources(self) -> Iterator[Source]:
        """Yield the scripts; `-` is standard input.

        Raises:
            DgenError: `missing-file`, `bad-file`.
        """
        for word in self.files:
            if word.text == "-":
                yield Source("<stdin>", sys.stdin.buffer.read().decode("utf-8-sig", errors="replace"))
                continue
            for path, _ in script_paths([word]):
                yield read_script(path, word.span)


def read_tool_line(argv: Sequence[str]) -> ToolLine:
    """Take the command line of a tool apart.

    Raises:
        DgenError: `unknown-option`, `bad-arguments`, or whatever is wrong with a value.
    """
    name, *words = command_words(argv)
    table = Table(COMMANDS[name.text].rows)
    files: list[Word] = []
    own: list[Word] = []
    while words:
        word = words.pop(0)
        if not is_flag(word):
            files.append(word)
            continue
        row = table.flags.get(word.text.partition("=")[0])
        own.append(word)
        while row is not None and row.takes_value and "=" not in word.text and words and not is_flag(words[0]):
            own.append(words.pop(0))
    bound = bind(own, table, name.span)
    if not files:
        raise fail("bad-arguments", f"`{name.text}` takes at least 1 file, got 0", name.span, "`-` is standard input")
    return ToolLine(bound, files)


# ---- check -----------------------------------------------------------------------------------------------------


def check(argv: Sequence[str]) -> int:
    """Run `dgen check`; return its exit code.

    Raises:
        DgenError: the command line is wrong, or a file cannot be read.
    """
    from dgen.check.report import as_json, as_sarif, human, summary

    line = read_tool_line(argv)
    before = tuple(_assignments(line.bound))
    found: list[Diagnostic] = [*load_installed()]
    for word in line.bound.given["plugin_modules"].words if "plugin_modules" in line.bound else ():
        load_plugins(word)
    count = 0
    for source in line.sources():
        found += _check_one(source, before, mends="fix" in line.bound)
        count += 1
    if "json" in line.bound or "sarif" in line.bound:
        print(as_sarif(found) if "sarif" in line.bound else as_json(found))
    else:
        print(human(found, color=wants_color(sys.stdout)) + "\n" if found else "", end="")
        sys.stdout.flush()
        print(summary(found, count), file=sys.stderr)
    wrong = {"error", "warning"} if "strict" in line.bound else {"error"}
    return Exit.USAGE if any(d.severity in wrong for d in found) else Exit.OK


def _assignments(bound: Bound) -> Iterator[Source]:
    """Yield `--set` and `--setp` as the directives they are."""
    for directive in ("set", "setp"):
        for word in bound.given[directive].words if directive in bound else ():
            name, equals, text = word.text.partition("=")
            if not equals:
                raise fail("bad-arguments", f"`--{directive}` takes NAME=VALUE, found `{word.text}`", word.span)
            yield Source(f"--{directive}", f"\\{directive} {name} {text}")


def _check_one(source: Source, before: tuple[Source, ...], *, mends: bool) -> list[Diagnostic]:
    from dgen.check.fix import apply, changes
    from dgen.check.follow import check_source

    found = check_source(source, before)
    chosen = changes(source, found) if mends and source.name != "<stdin>" else []
    if not chosen:
        return found
    mended = Source(source.name, apply(source, chosen))
    left = check_source(mended, before)
    if sum(d.severity == "error" for d in left) > sum(d.severity == "error" for d in found):
        return found
    write_script(source.name, mended.text)
    for change in chosen:
        print(f"fixed {change}", file=sys.stderr)
    return left


def write_script(path: str, text: str) -> None:
    """Replace a script, all of it or nothing; line ends and a byte order mark stay as they are in the file.

    Raises:
        DgenError: `file-failed`.
    """
    try:
        target = Path(path).resolve()
        old = target.read_bytes()
        mark = b"\xef\xbb\xbf" if old.startswith(b"\xef\xbb\xbf") else b""
        data = mark + (text.replace("\n", "\r\n") if b"\r\n" in old else text).encode()
        mode = target.stat().st_mode
        publish(target, partial(shutil.copyfileobj, BytesIO(data)))
        target.chmod(mode)
    except OSError as error:
        raise fail("file-failed", f"`{path}` cannot be written: {error.strerror}") from None


# ---- fmt -------------------------------------------------------------------------------------------------------


def fmt(argv: Sequence[str]) -> int:
    """Run `dgen fmt`; return its exit code.

    Raises:
        DgenError: the command line is wrong, or a file cannot be read or written.
    """
    from dgen.lang.layout import lay_out

    line = read_tool_line(argv)
    code = Exit.OK
    for source in line.sources():
        try:
            text = lay_out(source)
        except DgenError as error:
            print(render(error.diagnostics, color=wants_color()), file=sys.stderr)
            code = Exit.USAGE
            continue
        if source.name == "<stdin>":
            print(text, end="")
        elif text != source.text:
            print(source.name)
            code = _settle(source, text, code, only_tells="check" in line.bound)
    return code


def _settle(source: Source, text: str, code: Exit, *, only_tells: bool) -> Exit:
    if not only_tells:
        write_script(source.name, text)
        return code
    return code or Exit.JOB_FAILED
