"""Directives that move, copy, make and remove files, alike on every system."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dgen.diagnostic import Span, Word, fail
from dgen.lang.directives import bad_arguments, directive
from dgen.lang.directives.flags import Given, read_flags

if TYPE_CHECKING:
    from dgen.lang.evaluate import Interpreter

_IN = "\\mkdir dgen-example\n\\cd dgen-example\n"
_OUT = "\n\\cd ..\n\\rm -r dgen-example"


@contextmanager
def blaming(word: Word) -> Generator[None]:
    """Turn an error of the system into one that points at a word.

    Raises:
        DgenError: `missing-file`, `file-failed`.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise fail("missing-file", f"`{word.text}` does not exist", word.span) from error
    except (OSError, ValueError, shutil.Error) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise fail("file-failed", f"`{word.text}`: {reason}", word.span) from error


@directive("mv", arguments="FROM… TO", examples=((_IN + "\\mkdir a\n\\mv a b\n\\ls" + _OUT, "b\n"),))
def mv(run: Interpreter, span: Span, from_: Word, to: Word, *more: Word) -> None:
    """Move files and folders: to a new name, or several into a folder."""
    for source, target in _pairs(run, "mv", (from_, to, *more), ""):
        run.permissions.require_write(source.text, source.span)
        with blaming(source):
            shutil.move(source.text, target)


@directive("cp", arguments="FROM… TO", examples=((_IN + "\\mkdir a\n\\cp a b\n\\ls" + _OUT, "a\nb\n"),))
def cp(run: Interpreter, span: Span, from_: Word, to: Word, *more: Word) -> None:
    """Copy files and whole folders: to a new name, or several into a folder."""
    for source, target in _pairs(run, "cp", (from_, to, *more), "r"):
        with blaming(source):
            if Path(source.text).is_dir():
                _refuse_inside(source, target)
                shutil.copytree(source.text, target, symlinks=True)
            else:
                shutil.copy2(source.text, target)


def _refuse_inside(source: Word, target: Path) -> None:
    if target.resolve().is_relative_to(Path(source.text).resolve()):
        raise fail("file-failed", f"`{source.text}` cannot be copied into itself", source.span)


def _pairs(run: Interpreter, name: str, words: tuple[Word, ...], letters: str) -> list[tuple[Word, Path]]:
    """Return what goes where: into the last word when it is a folder, and otherwise to that name."""
    given = read_flags(name, words, letters)
    if len(given.words) < 2:
        raise bad_arguments(name, "lacks TO", words[-1].span)
    *sources, last = given.words
    run.permissions.require_write(last.text, last.span)
    folder = Path(last.text)
    if folder.is_dir():
        return [(word, folder / os.path.basename(os.path.normpath(word.text))) for word in sources]
    if len(sources) > 1:
        raise fail("file-failed", f"`{last.text}` is no folder, and several files cannot become one", last.span)
    return [(sources[0], folder)]


@directive("mkdir", arguments="[-p] FOLDER…", examples=((_IN + "\\mkdir -p a/b c\n\\ls" + _OUT, "a\nc\n"),))
def mkdir(run: Interpreter, span: Span, folder: Word, *more: Word) -> None:
    """Make folders; with `-p` also those above them, and without complaint when they exist."""
    parents = _flagged(run, "mkdir", (folder, *more), "p", span)
    for word in parents.words:
        above = Path(word.text).parent
        if "p" not in parents and not above.exists():
            message = f"`{word.text}` cannot be made: `{above}` does not exist"
            raise fail("missing-file", message, word.span, "`\\mkdir -p` makes the folders above as well")
        with blaming(word):
            Path(word.text).mkdir(parents="p" in parents, exist_ok="p" in parents)


@directive("rmdir", arguments="[-p] FOLDER…", examples=((_IN + "\\mkdir -p a/b\n\\rmdir -p a/b\n\\ls" + _OUT, ""),))
def rmdir(run: Interpreter, span: Span, folder: Word, *more: Word) -> None:
    """Remove empty folders; with `-p` also those above them that the path names."""
    given = _flagged(run, "rmdir", (folder, *more), "p", span)
    for word in given.words:
        path = Path(word.text)
        above = [p for p in path.parents if p.name not in ("", "..")] if "p" in given else []
        with blaming(word):
            for each in (path, *above):
                each.rmdir()


@directive("rm", arguments="[-r] [-f] PATH…", examples=((_IN + "\\mkdir -p a/b\n\\rm -rf a none\n\\ls" + _OUT, ""),))
def rm(run: Interpreter, span: Span, path: Word, *more: Word) -> None:
    """Remove files; with `-r` whole folders, with `-f` without complaint about what is not there."""
    given = _flagged(run, "rm", (path, *more), "rf", span)
    for word in given.words:
        with blaming(word):
            _remove(word, given)


def _flagged(run: Interpreter, name: str, words: tuple[Word, ...], letters: str, span: Span) -> Given:
    """Read flags and check that every other word may be written."""
    given = read_flags(name, words, letters)
    if not given.words:
        raise bad_arguments(name, "lacks a path", span)
    for word in given.words:
        run.permissions.require_write(word.text, word.span)
    return given


def _remove(word: Word, given: Given) -> None:
    path = Path(word.text)
    if "f" in given and not os.path.lexists(path):
        return
    if path.is_dir() and not path.is_symlink():
        if "r" not in given:
            raise fail("file-failed", f"`{word.text}` is a folder", word.span, "`\\rm -r` removes it with all it holds")
        if Path.cwd().is_relative_to(path.resolve()):
            raise fail("file-failed", f"`{word.text}` holds the working directory", word.span, "leave it first")
        hook: Any = {"onexc" if sys.version_info >= (3, 12) else "onerror": _make_writable}
        shutil.rmtree(path, **hook)
    else:
        path.unlink()


def _make_writable(call: Callable[[str], None], path: str, _error: object) -> None:
    """Try once more after taking off the read-only mark, which keeps Windows from removing a file."""
    os.chmod(path, stat.S_IWRITE)
    call(path)
