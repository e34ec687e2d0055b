"""Tells what failed in a run that went on, and writes the script that repeats it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from pathlib import Path

from dgen import __version__
from dgen.cli.arguments import CommandLine
from dgen.cli.fronts import Front
from dgen.diagnostic import Word, fail
from dgen.lang.format import quote
from dgen.lang.journal import as_statement
from dgen.media.publish import publish
from dgen.session import Session


def check(line: CommandLine) -> None:
    """Refuse `--save-failed` where nothing goes on after a failure.

    Raises:
        DgenError: `missing-option`.
    """
    if "save_failed" in line.asked and "keep_going" not in line.asked:
        raise fail("missing-option", "`--save-failed` needs `--keep-going`", line.asked["save_failed"][0].span)


def settle_failures(line: CommandLine, session: Session, front: Front) -> None:
    """Say how much failed, and write the script of it when the command line names a file for it.

    Raises:
        DgenError: `file-failed`.
    """
    if not session.failures:
        return
    told = f"{session.failures} {'failure' if session.failures == 1 else 'failures'}"
    if "save_failed" in line.asked and session.unmade:
        target = line.asked["save_failed"][0]
        session.permissions.require_write(target.text, target.span)
        _write(target, "\n".join(_statements(session)))
        told += f"; `dgen run {target.text} --resume` makes what is missing"
    front.show(told)


def _statements(session: Session) -> Iterator[str]:
    yield f"#! dgen {__version__}\n"
    here = os.getcwd()
    for folder, words in session.unmade:
        if folder != here:
            yield f"\\cd {quote(folder)}\n"
            here = folder
        yield as_statement(words)


def _write(target: Word, text: str) -> None:
    try:
        publish(Path(target.text), partial(shutil.copyfileobj, BytesIO(text.encode())))
    except OSError as error:
        raise fail("file-failed", f"`{target.text}` cannot be written: {error.strerror}", target.span) from None
