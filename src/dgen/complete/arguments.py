"""Candidates for the words of directives: by what their row says they take, or by the name of the argument."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dgen.complete.candidates import Candidate, first_sentence
from dgen.complete.names import environment, variables
from dgen.complete.place import Place
from dgen.complete.values import files
from dgen.engine.protocol import CACHE_KINDS, MODULES
from dgen.help import all_rows, topics
from dgen.lang.directives import directives
from dgen.lang.functions import functions
from dgen.options.commands import COMMANDS
from dgen.options.request import ROWS
from dgen.schema import Option


def own_rows(name: str | None) -> Mapping[str, Option]:
    r"""Return the options of a directive that has some: those of a command, or for `\again` of an invocation."""
    row = directives().get(name or "")
    if row is None:
        return {}
    command = COMMANDS.get(row.name.replace("_", "-"))
    if row.takes == "invocation":
        return ROWS
    return command.rows if command is not None else {}


def argument_candidates(place: Place, scope: Mapping[str, Any]) -> Iterator[Candidate]:
    """Yield what a word of a directive may be."""
    row = directives().get(place.directive or "")
    if row is None or not row.parameters:
        return
    name = row.parameters[min(len(place.before), len(row.parameters) - 1)].name
    source = _SOURCES.get(row.takes) or _BY_PARAMETER.get(name)
    if source is not None:
        yield from source(place.text, scope)


def _files(typed: str, scope: Mapping[str, Any]) -> Iterator[Candidate]:
    return files(typed)


def _folders(typed: str, scope: Mapping[str, Any]) -> Iterator[Candidate]:
    return files(typed, folders_only=True)


def _variables(typed: str, scope: Mapping[str, Any]) -> Iterator[Candidate]:
    return variables(scope)


def _directives(typed: str, scope: Mapping[str, Any]) -> Iterator[Candidate]:
    return (Candidate(name, first_sentence(row.help)) for name, row in sorted(directives().items()))


def _functions(typed: str, scope: Mapping[str, Any]) -> Iterator[Candidate]:
    return (Candidate(name, first_sentence(row.help)) for name, row in sorted(functions().items()))


def _topics(typed: str, scope: Mapping[str, Any]) -> Iterator[Candidate]:
    rows = all_rows()
    yield from (Candidate(topic, "topic of options") for topic in topics(rows))
    yield from _directives(typed, scope)
    yield from _functions(typed, scope)
    yield from (Candidate(row.flag, first_sentence(row.help)) for row in rows.values() if row.flag)


def _environment(typed: str, scope: Mapping[str, Any]) -> Iterator[Candidate]:
    return environment()


def _modules(typed: str, scope: Mapping[str, Any]) -> Iterator[Candidate]:
    return (Candidate(name, "module of a pipeline") for name in MODULES)


def _components(typed: str, scope: Mapping[str, Any]) -> Iterator[Candidate]:
    return (Candidate(kind, "kind of component") for kind in CACHE_KINDS)


def _saved(typed: str, scope: Mapping[str, Any]) -> Iterator[Candidate]:
    return (Candidate(name, "saved modules") for name in scope.get("saved_modules", ()))


Source = Callable[[str, Mapping[str, Any]], Iterator[Candidate]]

_SOURCES: dict[str, Source] = {
    "files": _files, "folders": _folders, "variables": _variables, "directives": _directives,
    "functions": _functions, "topics": _topics, "environment": _environment, "components": _components,
    "saved": _saved,
}  # fmt: skip
"""By `Row.takes`."""

_BY_PARAMETER: dict[str, Source] = {
    "file": _files, "path": _files, "paths": _files, "from_": _files, "to": _files, "folder": _folders,
    "name": _variables, "module": _modules, "modules": _modules, "words": _files, "images": _files,
}  # fmt: skip
"""By the name of the argument, when the row says nothing."""
