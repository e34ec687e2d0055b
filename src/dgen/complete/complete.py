"""Says what may stand at a cursor, and how what is being typed there is written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any

from dgen.complete.arguments import argument_candidates, own_rows
from dgen.complete.candidates import Candidate, Completions, Signature, first_sentence, fitting
from dgen.complete.names import environment, names_after, typed_name
from dgen.complete.place import Place, Where, place_of
from dgen.complete.values import Ask, candidates_of, models, typed_part, uri_signature
from dgen.lang.directives import directives
from dgen.lang.format import quote
from dgen.lang.functions import functions
from dgen.plan.bind import Table, request_table
from dgen.schema import Option

_VARIABLE = re.compile(r"(?<!\\)(?:\$\{?|%(?=[A-Za-z_]))(\w*)\Z")
_CALL = re.compile(r"([A-Za-z_]\w*)\s*\((?:[^()]|\([^()]*\))*\Z")
_FLAG = re.compile(r"-(?![\d.\s])")


def complete(text: str, cursor: int | None = None, scope: Mapping[str, Any] | None = None) -> Completions:
    """Return what may stand at a cursor (the end, when it is not said); `scope` are the variables of a session."""
    cursor = len(text) if cursor is None else cursor
    place = place_of(text, cursor)
    if place.where is Where.NOWHERE:
        return Completions(cursor)
    if place.where is Where.DIRECTIVE:
        return Completions(place.start, fitting(_directives(), place.text))
    if place.where is Where.TEMPLATE:
        return _in_expression(place, cursor, scope or {})
    if found := _VARIABLE.search(place.text):
        return Completions(cursor - len(found[1]), fitting(environment(), found[1]))
    return _in_word(place, cursor, scope or {})


def _in_expression(place: Place, cursor: int, scope: Mapping[str, Any]) -> Completions:
    typed = typed_name(place.text)
    return Completions(cursor - len(typed), fitting(names_after(place.text, scope), typed))


def _in_word(place: Place, cursor: int, scope: Mapping[str, Any]) -> Completions:
    if place.directive is not None and not own_rows(place.directive):
        row = directives().get(place.directive)
        parameter = row.parameters[min(len(place.before), len(row.parameters) - 1)] if row and row.parameters else None
        if parameter is not None and parameter.raw:
            is_expression = parameter.name == "expr"
            return _in_expression(place, cursor, scope) if is_expression else Completions(cursor)
    typed, found = _of_word(place, scope)
    start = cursor - len(typed)
    return Completions(start, tuple(_written(c, place, start) for c in fitting(found, typed)))


def _of_word(place: Place, scope: Mapping[str, Any]) -> tuple[str, Iterator[Candidate]]:
    """Return what is typed of a word and what it may become."""
    if place.directive is not None and not own_rows(place.directive):
        return place.text, argument_candidates(place, scope)
    table = _table(place)
    if (_FLAG.match(place.text) and not place.quote and "=" not in place.text) or place.text == "-":
        return place.text, _options(table, place)
    ask = _asked(place, table)
    if ask is not None:
        more = _options(table, place) if not place.text and not _FLAG.match(place.before[-1]) else iter(())
        return typed_part(ask), chain(candidates_of(ask), more)
    if place.directive is None and not place.before:
        return place.text, models(place.text)
    return place.text, (c for c in _options(table, place) if not place.text)


def _table(place: Place) -> Table:
    """Return the rows that a statement binds to: those of an invocation, or a directive's own."""
    rows = own_rows(place.directive) if place.directive is not None else None
    return Table(rows) if rows else request_table()


def _asked(place: Place, table: Table) -> Ask | None:
    """Return the value that is being typed: `--option=…`, or a word after an option that may take more."""
    name, equals, typed = place.text.partition("=")
    model = place.before[0] if place.before and not place.directive else ""
    if equals and name in table.flags and not place.quote:
        return Ask(table.flags[name], typed, model)
    taken = 0
    for word in reversed(place.before):
        if _FLAG.match(word):
            row = table.flags.get(word.partition("=")[0])
            may = row is not None and row.takes_value and (row.takes_many or not taken) and "=" not in word
            return Ask(row, place.text, model) if may and row is not None else None
        taken += 1
    row = table.positional
    return Ask(row, place.text) if row is not None and not taken and place.directive is not None else None


def _options(table: Table, place: Place) -> Iterator[Candidate]:
    """Yield the options by their first name, other spellings when they are being typed; not those given already."""
    given = {row.name for word in place.before if (row := table.flags.get(word.partition("=")[0]))}
    for row in table.rows.values():
        if row.positional or row.name in given:
            continue
        yield Candidate(row.flag, first_sentence(row.help))
        for other in row.spellings[1:] if len(place.text) > 1 else ():
            if other.startswith(place.text) and not row.flag.startswith(place.text):
                yield Candidate(other, f"{row.flag}: {first_sentence(row.help)}")


def _directives() -> Iterator[Candidate]:
    for name, row in sorted(directives().items()):
        yield Candidate(name, first_sentence(row.help) if name == row.name else f"\\{row.name}")


def _written(candidate: Candidate, place: Place, start: int) -> Candidate:
    """Return a candidate as it is written there: in quotes when it needs them and a whole word is replaced."""
    text = candidate.text
    if place.quote or start != place.start or quote(text) == text:
        return candidate
    quoted = quote(text)
    return replace(candidate, text=quoted[:-1] if candidate.goes_on else quoted)


def signature(text: str, cursor: int | None = None) -> Signature | None:
    """Return how what is being typed is written: a URI, an option, a directive, a function; None when it is plain."""
    place = place_of(text, len(text) if cursor is None else cursor)
    if place.where is Where.TEMPLATE:
        return _call_signature(place.text)
    if place.where is not Where.WORD:
        return None
    ask = _asked(place, _table(place)) if place.directive is None or own_rows(place.directive) else None
    if ask is not None:
        return uri_signature(ask) or _option_signature(ask.row)
    row = directives().get(place.directive or "")
    return Signature(tuple(row.usage.split(" ")), None, first_sentence(row.help)) if row else None


def _option_signature(row: Option) -> Signature | None:
    if row.value is None or row.positional:
        return None
    default = row.implied if row.implied is not None else row.default
    shown = " ".join(row.words(default)) if default not in (None, False, "", (), ...) else ""
    more = f" ({shown} by default)" if shown else ""
    return Signature(
        (row.flag, row.value.metavar + (" …" if row.takes_many else "")), 1, first_sentence(row.help) + more
    )


def _call_signature(text: str) -> Signature | None:
    found = _CALL.search(text)
    row = functions().get(found[1]) if found else None
    return Signature((row.usage,), 0, first_sentence(row.help)) if row else None
