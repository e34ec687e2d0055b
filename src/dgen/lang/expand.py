"""Replaces environment variables in a line, and expands home folders and globs in a word."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from dgen.diagnostic import Span, fail
from dgen.lang.line import Line, LineBuilder

_VARIABLE = re.compile(r"\\[\\$%#]|\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})|%([A-Za-z_]\w*)%")


def expand_environment(line: Line, *, raw: bool) -> Line:
    r"""Replace `$NAME`, `${NAME}` and `%NAME%`; an unknown name becomes nothing.

    In a `raw` text `\$`, `\%` and `\#` lose their backslash here, outside what `quote()` made; among words they
    keep it until the words are split. A backslash in a value stands for itself in both.
    """
    if "$" not in line.text and "%" not in line.text and not (raw and "\\#" in line.text):
        return line
    built = LineBuilder(line.became)
    place = 0
    for match in _VARIABLE.finditer(line.text):
        text = _replacement(line, match, raw)
        if text is None:
            continue
        built.copy(line, place, match.start())
        built.put(text, line.at(match.start(), match.end()))
        place = match.end()
    built.copy(line, place, len(line.text))
    return built.line()


def variable_names(line: Line) -> Iterator[tuple[str, int, int]]:
    """Yield the environment variables that a line names and where, for `check`."""
    for match in _VARIABLE.finditer(line.text):
        name = match[1] or match[2] or match[3]
        if name:
            yield name, match.start(), match.end()


def _replacement(line: Line, match: re.Match[str], raw: bool) -> str | None:
    name = match[1] or match[2] or match[3]
    if name:
        value = os.environ.get(name, "")
        return value if raw else value.replace("\\", "\\\\")
    guarded = any(start <= match.start() < end for start, end in line.verbatim)
    return match[0][1] if raw and not guarded and match[0] != "\\\\" else None


def expand_home(text: str) -> str:
    """Replace a leading `~` or `~user` by that home folder."""
    return text if "\0" in text else os.path.expanduser(text)


def expand_glob(pattern: str, span: Span) -> list[str]:
    """Return the paths that a glob matches, sorted.

    Raises:
        DgenError: `missing-file` when nothing matches.
    """
    import glob

    try:
        paths = sorted(glob.glob(pattern, recursive=True))
    except (re.error, ValueError, RecursionError):
        paths = []
    if not paths:
        raise fail("missing-file", f"no file matches `{pattern}`", span, "put the word in quotes if it is not a glob")
    return paths
