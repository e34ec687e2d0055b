"""Binds the words of a statement to the rows of the schema, keeping every word's span."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from dgen.diagnostic import DgenError, Diagnostic, Source, Span, Word, did_you_mean
from dgen.schema import BadValue, NamesPaths, Option, Stage

_NUMBER = re.compile(r"-(\d|\.\d).*")


@dataclass(frozen=True, slots=True)
class Given:
    """An option as the user gave it: its flag, its words and what they mean."""

    flag: Word
    words: tuple[Word, ...]
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Bound:
    """Everything that a statement said, by field name."""

    given: Mapping[str, Given]
    span: Span
    warnings: tuple[Diagnostic, ...] = ()

    def __contains__(self, name: str) -> bool:
        return name in self.given

    def value(self, name: str, default: Any = None) -> Any:
        """Return the one value of an option that takes one, True for a flag."""
        held = self.given.get(name)
        return default if held is None else (held.values[0] if held.values else True)

    def span_of(self, name: str, index: int = 0) -> Span:
        """Return the span of a value of an option, of its flag when it has none, or of the statement."""
        held = self.given.get(name)
        if held is None:
            return self.span
        return held.words[index].span if index < len(held.words) else held.flag.span


@dataclass(slots=True)
class Table:
    """The rows of one command, ready to look words up in."""

    rows: Mapping[str, Option]
    flags: dict[str, Option] = field(default_factory=dict[str, Option])
    positional: Option | None = None

    def __post_init__(self) -> None:
        """Index every spelling; singular forms of swept options count as one."""
        for row in self.rows.values():
            for spelling in row.spellings:
                self.flags[spelling] = row
            if row.positional:
                self.positional = row
        for row in self.rows.values():
            for spelling in row.spellings if row.sweep is not None else ():
                if spelling.startswith("--") and spelling.endswith("s"):
                    self.flags.setdefault(spelling[:-1], row)
                elif spelling.startswith("--"):
                    self.flags.setdefault(spelling + "s", row)


@cache
def request_table() -> Table:
    """The rows of an invocation."""
    from dgen.options.request import ROWS

    return Table(ROWS)


def is_flag(word: Word) -> bool:
    """Whether a word is an option rather than a value: it starts with `-`, is no number and was not quoted."""
    text = word.text
    if not text.startswith("-") or len(text) < 2 or _NUMBER.fullmatch(text) or text[1].isspace():
        return False
    return word.span.text[:1] not in {'"', "'"}


def bind(words: Sequence[Word], table: Table, span: Span) -> Bound:
    """Bind words to rows. Of an option that stands twice the last one counts, as it always did.

    Raises:
        DgenError: every mistake there is: `unknown-option`, `missing-value`, `too-many-values`,
            `unexpected-word`, `bad-value`, `bad-uri`, `bad-image-seed`, `contradictory-options`, `missing-option`.
    """
    errors: list[Diagnostic] = []
    given: dict[str, Given] = {}
    warnings: list[Diagnostic] = []
    loose: list[tuple[Word, Option | None]] = []  # with the option that had its fill before it
    full: Option | None = None
    index, count = 0, len(words)
    while index < count:
        word = words[index]
        index += 1
        if not is_flag(word):
            loose.append((word, full))
            continue
        row, attached = _lookup(word, table)
        first = index
        while index < count and not is_flag(words[index]) and (row is None or attached is None):
            if row is not None and not _may_take(row, index - first):
                break
            index += 1
        if row is None:
            errors.append(_unknown(word, table))
            continue
        taken = (attached,) if attached is not None else tuple(words[first:index])
        read_now = Given(word, taken, _values(row, word, taken, errors))
        if row.name in given and given[row.name].flag.span.source is word.span.source:
            if row.repeats:
                read_now = _joined(given[row.name], read_now)
            else:
                warnings.append(_repeated(word, given[row.name]))
        given[row.name] = read_now
        full = row
    _place(loose, table, given, errors)
    errors += _contradictions(table, given)
    if errors:
        raise DgenError(*errors)
    return Bound(given, span, tuple(warnings))


def _may_take(row: Option, taken: int) -> bool:
    return row.takes_value and (row.takes_many or taken == 0)


def _lookup(word: Word, table: Table) -> tuple[Option | None, Word | None]:
    """Find the row of a flag, and the value attached to it with `=`."""
    row = table.flags.get(word.text)
    if row is not None or "=" not in word.text:
        return row, None
    name, _, value = word.text.partition("=")
    row = table.flags.get(name)
    start = len(name) + 1
    return row, Word(value, word.at(start, start + len(value)), became=word.became)


def _unknown(word: Word, table: Table) -> Diagnostic:
    name = word.text.partition("=")[0]
    main = [row.flag for row in table.rows.values() if row.flag]
    help = did_you_mean(name, main) or did_you_mean(name, table.flags, "`\\help` and `dgen --help` list the options")
    return Diagnostic(
        code="unknown-option", message=f"no option named `{name}`", span=word.at(0, len(name)), help=help,
        notes=became(word),
    )  # fmt: skip


def became(word: Word) -> tuple[tuple[None, str], ...]:
    """Return the note that shows the line a template made of a word's statement."""
    return ((None, f"the line became: {word.became}"),) if word.became else ()


def _joined(before: Given, again: Given) -> Given:
    return Given(before.flag, (*before.words, *again.words), (*before.values, *again.values))


def _repeated(word: Word, before: Given) -> Diagnostic:
    return Diagnostic(
        code="repeated-option", message=f"`{word.text}` stands twice; the last one counts", span=word.span,
        notes=((before.flag.span, "first given here"),), severity="warning",
    )  # fmt: skip


def _values(row: Option, flag: Word, words: tuple[Word, ...], errors: list[Diagnostic]) -> tuple[Any, ...]:
    if not row.takes_value:
        if words:
            errors.append(
                Diagnostic(code="too-many-values", message=f"`{flag.text}` takes no value", span=words[0].span)
            )
        return ()
    if not words and not row.optional_value:
        wanted = f"at least 1 value ({row.value.metavar})" if row.takes_many else f"1 value ({row.value.metavar})"  # type: ignore[union-attr]
        errors.append(Diagnostic(code="missing-value", message=f"`{flag.text}` takes {wanted}, got 0", span=flag.span))
    return tuple(v for w in words if (v := read(row, flag, w, errors)) is not _UNREADABLE)


_UNREADABLE = object()


def read(row: Option, flag: Word, word: Word, errors: list[Diagnostic]) -> Any:
    """Read one value; a mistake is added to `errors` and gives a value that nobody may use."""
    try:
        return row.parse(word.text)
    except BadValue as error:
        errors.append(value_error(error, word, flag.text))
        return _UNREADABLE


def value_error(error: BadValue, word: Word, option: str = "") -> Diagnostic:
    """Turn a value parser's error into a diagnostic at the exact characters of the word."""
    end = len(word.text) if error.end is None else error.end
    message = f"`{option}`: {error.message}" if option else error.message
    return Diagnostic(
        code=error.code, message=message, span=word.at(error.start, end), help=error.help, notes=became(word)
    )


def _place(
    loose: list[tuple[Word, Option | None]], table: Table, given: dict[str, Given], errors: list[Diagnostic]
) -> None:
    row = table.positional
    if row is not None and loose:
        taken = tuple(word for word, full in loose if full is None) if row.many else ()
        taken = taken or (loose[0][0],)
        loose = [pair for pair in loose if pair[0] not in taken]
        given[row.name] = Given(taken[0], taken, _values(row, taken[0], taken, errors))
    for _, run in itertools.groupby(loose, key=lambda pair: id(pair[1])):
        pairs = list(run)
        errors.append(_unexpected([w for w, _ in pairs], pairs[0][1]))


def _unexpected(words: list[Word], full: Option | None) -> Diagnostic:
    first = words[0]
    if full is None:
        code, message = "unexpected-word", f"`{first.text}` belongs to no option"
    elif full.takes_value:
        code, message = "too-many-values", f"`{full.flag}` takes 1 value, got {1 + len(words)}"
    else:
        code, message = "too-many-values", f"`{full.flag}` takes no value, got {len(words)}"
    return Diagnostic(
        code=code, message=message, span=first.span, notes=became(first), help="quote a value that holds white space"
    )


def _contradictions(table: Table, given: dict[str, Given]) -> Iterable[Diagnostic]:
    for name, held in list(given.items()):
        row = table.rows[name]
        for other in row.excludes:
            if other in given and name in given:
                yield from _exclude(given, (name, other))
        if row.requires and not any(need in given for need in row.requires):
            wanted = " or ".join(f"`{table.rows[n].flag or n}`" for n in row.requires)
            yield Diagnostic(
                code="missing-option", message=f"`{held.flag.text}` needs {wanted}", span=held.flag.span,
                help=f"add {wanted}, or leave `{held.flag.text}` out",
            )  # fmt: skip


def _exclude(given: dict[str, Given], names: tuple[str, str]) -> Iterable[Diagnostic]:
    """Let an injected option win over one of the script; refuse two of the same source."""
    one, two = (given[n] for n in names)
    if one.flag.span.source is not two.flag.span.source:
        del given[names[0] if list(given).index(names[0]) < list(given).index(names[1]) else names[1]]
        return
    yield Diagnostic(
        code="contradictory-options", message=f"`{one.flag.text}` and `{two.flag.text}` exclude one another",
        span=two.flag.span if two.flag.span.start > one.flag.span.start else one.flag.span,
        notes=((min(one.flag.span, two.flag.span, key=lambda s: s.start), "the other one is given here"),),
        help="leave one of them out",
    )  # fmt: skip


def relative_to(bound: Bound, folder: str, rows: Mapping[str, Option]) -> Bound:
    """Read the relative input paths of a statement from a folder; injected ones and outputs stay as they are."""
    own = root(bound.span.source)

    def change(path: str) -> str:
        return os.path.normpath(os.path.join(folder, os.path.expanduser(path)))

    def mapped(row: Option, held: Given) -> Given:
        kind = row.value
        if not isinstance(kind, NamesPaths) or row.stage is Stage.OUTPUT or root(held.flag.span.source) is not own:
            return held
        return Given(held.flag, held.words, tuple(kind.map_paths(v, change) for v in held.values))

    return Bound({n: mapped(rows[n], held) for n, held in bound.given.items()}, bound.span, bound.warnings)


def root(source: Source) -> Source:
    """Return the source that a user wrote, from what templates made of it."""
    while source.origin is not None:
        source = source.origin.span.source
    return source
