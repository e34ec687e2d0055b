"""Reads script files, and knows which file includes which."""

from __future__ import annotations

from pathlib import Path

from dgen.diagnostic import Origin, Source, Span, fail
from dgen.lang.limits import MAX_DEPTH, MAX_SOURCE

INCLUDED = "included here"


def read_script(path: str | Path, span: Span | None = None, *, included_as: str | None = None) -> Source:
    """Read a script file; `span` is the word that names it, `included_as` what messages call an included one.

    Raises:
        DgenError: `missing-file`, `bad-file`, `limit-exceeded`.
    """
    name = included_as or str(path)
    origin = Origin(span, INCLUDED) if included_as and span is not None else None
    try:
        size = Path(path).stat().st_size
        if size > 4 * MAX_SOURCE:
            raise fail("limit-exceeded", f"`{name}` has {size} bytes; a script is at most {4 * MAX_SOURCE}", span)
        return Source(name, Path(path).read_text(encoding="utf-8-sig"), origin)
    except UnicodeDecodeError as error:
        raise fail("bad-file", f"`{name}` is no UTF-8 text (byte {error.start})", span) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise fail("missing-file", f"`{name}` cannot be read: {reason}", span) from None


def script_file(source: Source) -> Path | None:
    """Return the file of a source, or None when it is the command line, standard input or the like."""
    try:
        path = Path(source.name)
        return path.resolve() if path.is_file() else None
    except (OSError, ValueError):
        return None


def check_circle(path: Path, including: tuple[Path | None, ...], span: Span) -> Path:
    """Return the absolute path of an included file, unless it is being run already.

    Raises:
        DgenError: `include-circle`, `limit-exceeded`.
    """
    found = path.resolve()
    if found in including:
        chain = [each.name for each in (*including[including.index(found) :], found) if each is not None]
        raise fail("include-circle", f"`{found.name}` includes itself: {' → '.join(chain)}", span)
    if len(including) > MAX_DEPTH:
        raise fail("limit-exceeded", f"files include one another more than {MAX_DEPTH} deep", span)
    return found
