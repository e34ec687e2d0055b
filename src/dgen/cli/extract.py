"""The command that shows how a picture was made: `dgen extract`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from dgen.cli.arguments import script_paths
from dgen.cli.tools import read_tool_line
from dgen.diagnostic import Exit, Word, fail
from dgen.extracting import HEAD, extracted
from dgen.media.publish import publish_text
from dgen.schema import BadValue


def run(argv: Sequence[str]) -> int:
    """Run `dgen extract`; return its exit code.

    Raises:
        DgenError: the command line is wrong, or a file carries nothing that can be read.
    """
    line = read_tool_line(argv)
    model = line.bound.value("model")
    statements = [_statement(Path(path), model, word) for path, word in script_paths(line.files)]
    text = "\n".join((HEAD, *statements))
    if "output_path" not in line.bound:
        sys.stdout.write(text)
        return Exit.OK
    target = line.bound.value("output_path")
    try:
        publish_text(Path(target), text)
    except OSError as error:
        span = line.bound.span_of("output_path")
        raise fail("file-failed", f"`{target}` cannot be written: {error.strerror}", span) from None
    return Exit.OK


def _statement(path: Path, model: str | None, word: Word) -> str:
    try:
        return extracted(path, model)
    except BadValue as error:
        raise fail(error.code, error.message, word.span, error.help) from None
    except (OSError, UnicodeDecodeError):
        raise fail("bad-file", f"`{path}` cannot be read as a script", word.span) from None
