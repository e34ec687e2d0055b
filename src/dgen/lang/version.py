"""Says which versions of the two languages are understood."""

from __future__ import annotations

import re

from dgen import __version__
from dgen.diagnostic import Diagnostic
from dgen.lang.nodes import Pragma

# The first and the last version of each language that is understood, as (major, minor).
_UNDERSTOOD: dict[str, tuple[tuple[int, int], tuple[int, int]]] = {"dgenerate": ((2, 0), (5, 0))}


def pragma_warning(pragma: Pragma) -> Diagnostic | None:
    """Return a warning when a pragma names a version that is not understood: `bad-version`."""
    first, last = _UNDERSTOOD.get(pragma.language, _own_range())
    match = re.fullmatch(r"(\d{1,9})(?:\.(\d{1,9}))?(?:\..*)?", pragma.version)
    if match is None:
        message = f"`{pragma.version}` is not a version"
    elif first <= (int(match[1]), int(match[2] or 0)) <= last:
        return None
    else:
        message = f"{pragma.language} {pragma.version} is not a version that is understood"
    help = f"{pragma.language} {_show(first)} to {_show(last)} is understood; the script runs all the same"
    return Diagnostic(code="bad-version", message=message, span=pragma.span, help=help, severity="warning")


def _own_range() -> tuple[tuple[int, int], tuple[int, int]]:
    major, minor = (int(part) for part in __version__.split(".")[:2])
    return (major, 0), (major, minor)


def _show(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
