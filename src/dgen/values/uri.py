"""Sub-model URIs: `CONCEPT;name=value;name=value`, declared with the rows of an `@options` class."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from dgen.schema import BadValue, Kind, NamesPaths, Option, rows_of

# Patterns are compiled when they are first needed (`re` keeps them): help never needs one.
_QUOTED = r"""(?P<quoted>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')"""
_REST = rf"""(?:{_QUOTED}|(?P<plain>(?:[^;"'\s](?:[^;]*[^;\s])?)?))\s*(?P<end>;|$)"""
_NAME = r"(?:(?P<name>[\w-]+)\s*=\s*)?"
_OPENED = r"[\w-]+\s*=\s*[\"']"
_PLAIN = r"[^;\"'\s](?:[^;]*[^;\s])?"


class Part(NamedTuple):
    """A part of a URI with its offsets in the whole; the first part has no name."""

    name: str
    value: str
    start: int
    end: int
    value_start: int


def split_uri(text: str) -> Iterator[Part]:
    """Yield the parts of a URI, quotes taken off.

    Raises:
        BadValue: a quote is left open, or an argument is no `name=value`.
    """
    position = 0
    while True:
        found = re.compile(r"\s*" + (_NAME if position else "(?P<name>)") + _REST, re.DOTALL).match(text, position)
        if found is None:
            raise _unreadable(text, position)
        group = "plain" if found["quoted"] is None else "quoted"
        end = found.end(group)
        start = end - len(found[0][: end - found.start()].lstrip())
        if position and not found["name"]:
            if re.compile(_OPENED).match(text, start):
                raise _unreadable(text, start)
            raise BadValue(
                f"expected `name=value`, found `{text[start:end]}`", start, max(end, start + 1), code="bad-uri"
            )
        quoted = found["quoted"] is not None
        yield Part(found["name"] or "", _unquote(found[group]), start, end, found.start(group) + quoted)
        if not found["end"]:
            return
        position = found.end()


def _unreadable(text: str, position: int) -> BadValue:
    quote = next(i for i in range(position, len(text)) if text[i] in "\"'")
    closed = text.find(text[quote], quote + 1)
    if closed < 0:
        return BadValue("this quote is never closed", quote, quote + 1, code="bad-uri")
    return BadValue("expected `;` after this quoted part", quote, closed + 1, code="bad-uri")


def _unquote(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        return re.sub(r"\\([\\\"'])", r"\1", text[1:-1])
    return text


def quote_part(text: str) -> str:
    """Write a text so that it reads back as one part of a URI."""
    if re.compile(_PLAIN, re.DOTALL).fullmatch(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Uri(Kind):
    """A URI whose arguments are the rows of an `@options` class; its positional row is the concept."""

    cls: type
    metavar: str = "URI"

    def rows(self) -> dict[str, Option]:
        """List the arguments by the name that is written."""
        return {r.flag or r.name.replace("_", "-"): r for r in rows_of(self.cls).values()}

    def parse(self, text: str) -> Any:
        """Read a URI; unknown, repeated and missing arguments are errors at their characters."""
        rows, given = self.rows(), dict[str, Any]()
        concept = next(r for r in rows.values() if r.positional)
        for part in split_uri(text):
            row = rows.get(part.name.replace("_", "-")) if part.name else concept
            if row is None or (row.positional and part.name):
                from dgen.diagnostic import did_you_mean

                legal = [n for n, r in rows.items() if not r.positional]
                listed = "its arguments are " + ", ".join(f"`{n}`" for n in legal)
                raise BadValue(
                    f"no argument named `{part.name}`", part.start, part.start + len(part.name),
                    code="bad-uri", help=did_you_mean(part.name, legal, listed),
                )  # fmt: skip
            if row.name in given:
                raise BadValue(f"`{part.name}` was given before", part.start, part.end, code="bad-uri")
            given[row.name] = _read(row, part)
        missing = [n for n, r in rows.items() if r.default is ... and r.name not in given]
        if missing:
            raise BadValue(f"the argument `{missing[0]}` is missing", code="bad-uri", help=f"add `;{missing[0]}=…`")
        return self.cls(**given)

    def format(self, value: Any) -> str:
        """Write a URI: the concept, then what differs from its default."""
        parts: list[str] = []
        for written, row in self.rows().items():
            held = getattr(value, row.name)
            if row.positional:
                parts.insert(0, quote_part(_write(row, held)))
            elif held != row.default:
                parts.append(f"{written}={quote_part(_write(row, held))}")
        return ";".join(parts)

    def map_paths(self, value: Any, change: Callable[[str], str]) -> Any:
        """Change the paths in every argument that names one."""
        changed: dict[str, Any] = {}
        for row in rows_of(self.cls).values():
            held = getattr(value, row.name)
            if isinstance(row.value, NamesPaths) and held is not None:
                changed[row.name] = row.value.map_paths(held, change)
        return replace(value, **changed)


def uris_in(value: Any) -> dict[str, Uri]:
    """Return the URIs that a kind of value can be, by what stands before their arguments."""
    return {"SOURCE": value} if isinstance(value, Uri) else getattr(value, "uris", {})


def _write(row: Option, held: Any) -> str:
    return row.value.format(held) if row.value is not None else str(held)


def _read(row: Option, part: Part) -> Any:
    try:
        return row.parse(part.value)
    except BadValue as error:
        end = part.end if error.end is None else part.value_start + error.end
        raise BadValue(error.message, part.value_start + error.start, end, code="bad-uri", help=error.help) from None


class OpenUri(Kind):
    """A URI whose arguments are known only to the class that it names: `NAME;argument=value`."""

    metavar: str = "NAME;ARG=VALUE"

    def parse(self, text: str) -> NamedUri:
        """Read a URI; a repeated argument is an error."""
        parts = list(split_uri(text))
        names = [p.name for p in parts]
        for part in parts[1:]:
            if names.count(part.name) > 1:
                raise BadValue(f"`{part.name}` was given before", part.start, part.end, code="bad-uri")
        if not parts[0].value:
            raise BadValue("expected a name, found an empty word", code="bad-uri")
        return NamedUri(parts[0].value, tuple((p.name.replace("-", "_"), p.value) for p in parts[1:]))

    def format(self, value: NamedUri) -> str:
        """Write a URI."""
        return str(value)


@dataclass(frozen=True, slots=True)
class NamedUri:
    """A name and its arguments, `(name, text)` each, names with underscores."""

    name: str
    arguments: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """Write the URI as one word."""
        arguments = (f"{n.replace('_', '-')}={quote_part(v)}" for n, v in self.arguments)
        return ";".join((quote_part(self.name), *arguments))
