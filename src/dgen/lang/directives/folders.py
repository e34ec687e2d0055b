"""Directives about the working directory and what lies in it."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dgen.diagnostic import Span, Word, fail
from dgen.lang.directives import directive
from dgen.lang.directives.files import blaming
from dgen.lang.directives.flags import Given, read_flags

if TYPE_CHECKING:
    from dgen.lang.evaluate import Interpreter

_IN, _OUT = "\\mkdir -p dgen-example/b\n", "\n\\rm -r dgen-example"


@directive("pwd")
def pwd(run: Interpreter, span: Span) -> None:
    """Write the working directory."""
    run.host.write(f"{_here(span)}\n")


@directive("cd", examples=((_IN + "\\cd dgen-example\n\\ls\n\\cd .." + _OUT, "b\n"),))
def cd(run: Interpreter, span: Span, folder: Word | None = None) -> None:
    """Change the working directory: to a folder, or to the home folder."""
    _enter(folder or Word("~", span))


@directive("pushd", examples=((_IN + "\\pushd dgen-example\n\\ls\n\\popd" + _OUT, "b\n"),))
def pushd(run: Interpreter, span: Span, folder: Word) -> None:
    """Change the working directory and remember the one before, for `\\popd`."""
    here = _here(span)
    _enter(folder)
    run.folders.append(here)


@directive("popd", examples=((_IN + "\\pushd dgen-example\n\\popd\n\\ls dgen-example" + _OUT, "b\n"),))
def popd(run: Interpreter, span: Span) -> None:
    """Change the working directory back to where the last `\\pushd` was."""
    if not run.folders:
        raise fail("bad-arguments", "`\\popd` has nowhere to go back to", span, "a `\\pushd FOLDER` comes before it")
    folder = run.folders.pop()
    _enter(Word(str(folder), span))


def _here(span: Span) -> Path:
    with blaming(Word("the working directory", span)):
        return Path.cwd()


def _enter(folder: Word) -> None:
    with blaming(folder):
        os.chdir(os.path.expanduser(folder.text) if folder.text == "~" else folder.text)


@directive("ls", arguments="[-l] [-a] [PATH…]", examples=((_IN + "\\ls dgen-example" + _OUT, "b\n"),))
def ls(run: Interpreter, span: Span, *paths: Word) -> None:
    """Write the names of files, one a line, sorted; `-l` with size and time, `-a` also those that start with a dot."""
    given = read_flags("ls", paths, "la")
    words = given.words or [Word(".", span)]
    blocks: list[str] = []
    for word in words:
        with blaming(word):
            lines = "".join(f"{line}\n" for line in _listing(Path(word.text), given))
            is_titled = len(words) > 1 and Path(word.text).is_dir()
        blocks.append(f"{word.text}:\n{lines}" if is_titled else lines)
    run.host.write("".join(blocks))


def _listing(path: Path, given: Given) -> Iterator[str]:
    path.lstat()
    entries = sorted(path.iterdir(), key=lambda p: p.name) if path.is_dir() else [path]
    for entry in entries:
        name = entry.name if path.is_dir() else str(path)
        if "a" in given or not entry.name.startswith(".") or entry is path:
            yield _long(entry, name) if "l" in given else name


def _long(path: Path, name: str) -> str:
    facts = path.lstat()
    kind = "d" if stat.S_ISDIR(facts.st_mode) else "l" if stat.S_ISLNK(facts.st_mode) else "-"
    return f"{kind} {facts.st_size:>12} {time.strftime('%Y-%m-%d %H:%M', time.localtime(facts.st_mtime))} {name}"
