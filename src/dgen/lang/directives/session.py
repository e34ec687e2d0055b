"""Directives that look back: at the last invocation, and at the statements of a session."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from dgen import __version__
from dgen.diagnostic import Span, Word, fail
from dgen.lang.directives import bad_arguments, directive
from dgen.lang.directives.files import blaming
from dgen.lang.directives.flags import read_flags
from dgen.lang.journal import as_statement

if TYPE_CHECKING:
    from dgen.lang.evaluate import Interpreter


_ONE = "builtin:shapes --prompts star --seeds 1 --inference-steps 1\n"


@directive(
    "last",
    shows=True,
    examples=((_ONE + "\\last", "builtin:shapes\n--prompts star\n--seeds 1\n--inference-steps 1\n"),),
)
def last(run: Interpreter, span: Span) -> None:
    """Show the last invocation, with its templates, variables and globs replaced by what they became."""
    run.host.write(as_statement(run.journal.last_invocation("last", span)))


@directive(
    "again",
    takes="invocation",
    arguments="[MODEL] [OPTIONS…]",
    examples=(
        (_ONE + "\\again --seeds 2 3\n\\last", "builtin:shapes\n--prompts star\n--inference-steps 1\n--seeds 2 3\n"),
    ),
)
def again(run: Interpreter, span: Span, *changes: Word) -> None:
    """Run the last invocation again; options named here replace those of the same name, a model the model."""
    words = run.host.changed(run.journal.last_invocation("again", span), changes)
    run.journal.stands_for = (span, as_statement(words))
    run.invoke(words, span.to(changes[-1].span) if changes else span)


@directive("history", shows=True)
def history(run: Interpreter, span: Span, count: Word | None = None) -> None:
    r"""Number and show the statements of this session, or the last COUNT; `!` marks those that failed."""
    run.journal.require_session("history", span)
    if count is not None and not count.text.isdecimal():
        raise fail("bad-value", f"expected a number of statements, found `{count.text}`", count.span)
    entries = list(enumerate(run.journal.entries, 1))
    for number, entry in entries[-int(count.text) :] if count is not None else entries:
        mark = " " if entry.succeeded else "!"
        indented = entry.text.rstrip().replace("\n", "\n      ")
        run.host.write(f"{number:>4}{mark} {indented}\n")


@directive("save", shows=True, arguments="[-f] FILE", takes="files")
def save(run: Interpreter, span: Span, file: Word, *more: Word) -> None:
    """Write the session as a script: the statements that succeeded, laid out; `-f` replaces another file."""
    run.journal.require_session("save", span)
    given = read_flags("save", (file, *more), "f")
    if len(given.words) != 1:
        raise bad_arguments("save", "takes 1 file", (given.words[1] if given.words else file).span)
    target = given.words[0]
    run.permissions.require_write(target.text, target.span)
    path = Path(target.text).expanduser()
    if path.exists() and "f" not in given.flags and str(path.resolve()) not in run.journal.saved_to:
        raise fail("file-failed", f"`{target.text}` is there already", target.span, "`\\save -f` replaces it")
    with blaming(target):
        _replace(path, run.journal.script(__version__))
    run.journal.saved_to.add(str(path.resolve()))
    run.host.write(f"saved {target.text}\n")


def _replace(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@directive("edit", shows=True)
def edit(run: Interpreter, span: Span, number: Word | None = None) -> None:
    r"""Change the last statement, or that of a NUMBER of `\history`, in $VISUAL or $EDITOR, for the next prompt."""
    run.journal.require_session("edit", span)
    if not run.journal.takes_drafts:
        raise fail("not-in-script", "`\\edit` needs a prompt, and statements come from elsewhere", span)
    run.permissions.require("programs", span, "run programs")
    entries = run.journal.entries
    if number is not None and not (number.text.isdecimal() and 0 < int(number.text) <= len(entries)):
        raise fail("bad-value", f"expected a number of `\\history`, found `{number.text}`", number.span)
    said = [entry.text for entry in entries if not entry.is_shown_only] or [""]
    run.journal.draft = edited(entries[int(number.text) - 1].text if number is not None else said[-1], span)


def edited(text: str, span: Span) -> str:
    """Return what a user makes of a text in an editor.

    Raises:
        DgenError: `program-failed`.
    """
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or ("notepad" if sys.platform == "win32" else "vi")
    with tempfile.TemporaryDirectory(prefix="dgen-") as folder:
        file = Path(folder) / "statement.dgen"
        file.write_text(text, encoding="utf-8")
        try:
            subprocess.run([*shlex.split(editor), str(file)], check=True)
            return file.read_text(encoding="utf-8").rstrip("\n")
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            reason = getattr(error, "strerror", None) or f"it ended with exit code {getattr(error, 'returncode', '?')}"
            raise fail("program-failed", f"the editor `{editor}` failed: {reason.lower()}", span, _CHOOSE) from None


_CHOOSE = "`$VISUAL` or `$EDITOR` names another one, as in `\\env EDITOR=nano`"
