"""Directives that show pictures: in the terminal, as one, in another program."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dgen.diagnostic import Span, Word, fail
from dgen.lang.directives import directive
from dgen.schema import BadValue

if TYPE_CHECKING:
    from dgen.lang.evaluate import Interpreter


@directive("show", shows=True, takes="files")
def show(run: Interpreter, span: Span, *files: Word) -> None:
    """Show pictures in the terminal, the last ones when none is named; elsewhere their names and sizes."""
    with _blaming(span, files):
        run.host.show(_chosen(run, span, files))


@directive("grid", arguments="[FILE [PICTURE…]]", takes="files")
def grid(run: Interpreter, span: Span, file: Word | None = None, *pictures: Word) -> None:
    """Write the last pictures, or those that are named, as one, side by side, and show it; `grid.png` by default."""
    chosen = _chosen(run, span, pictures)
    target = Path(file.text) if file is not None else Path(chosen[0]).parent / "grid.png"
    run.permissions.require_write(target, file.span if file is not None else span)
    with _blaming(file.span if file is not None else span, pictures):
        run.host.show((run.host.grid(chosen, target),))


@directive("open", shows=True, takes="files")
def open_(run: Interpreter, span: Span, *files: Word) -> None:
    """Open pictures in the program that the system has for them: the last one when none is named."""
    run.permissions.require("programs", span, "run programs")
    chosen = _chosen(run, span, files)
    for path in chosen if files else chosen[-1:]:
        _open(path, span)


@contextmanager
def _blaming(span: Span, files: tuple[Word, ...]) -> Generator[None]:
    """Give what is wrong with a picture its place: the word that names it, or else a span."""
    try:
        yield
    except BadValue as error:
        named = next((word.span for word in files if f"`{Path(word.text).name}`" in error.message), span)
        raise fail(error.code, error.message, named, error.help) from None


def _chosen(run: Interpreter, span: Span, files: tuple[Word, ...]) -> tuple[str, ...]:
    """Return the files that are named, or the pictures of the last invocation."""
    for word in files:
        if not Path(word.text).is_file():
            raise fail("missing-file", f"the file `{word.text}` does not exist", word.span)
    chosen = tuple(word.text for word in files) or tuple(str(path) for path in run.scope["last_images"])
    if not chosen:
        raise fail("nothing-yet", f"`{span.text}` needs the pictures of an invocation, and there are none", span)
    return chosen


def _open(path: str, span: Span) -> None:
    if sys.platform == "win32":
        os.startfile(path)
        return
    name = "open" if sys.platform == "darwin" else "xdg-open"
    program = shutil.which(name)
    if program is None:
        raise fail("program-failed", f"there is no program `{name}`, which opens files", span)
    quiet = subprocess.DEVNULL
    subprocess.Popen([program, path], stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
