"""Candidates inside templates and expressions: tags, variables, functions, filters, members."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from dgen.complete.candidates import Candidate, first_sentence
from dgen.lang.functions import functions
from dgen.lang.functions.namespaces import namespaces
from dgen.lang.highlight import OPERATORS, TAGS

_TYPED = re.compile(r"[A-Za-z_][\w.]*\Z|\Z")
_AFTER_PIPE = re.compile(r"(?<!\|)\|\s*\Z")
_AFTER_TAG = re.compile(r"\{%[-+]?\s*\Z")
_IN_STRING = re.compile(r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^"'])*["']""", re.S)
_SHOWN = 60


def typed_name(text: str) -> str:
    """Return the name at the end of an expression, as far as it is typed."""
    found = _TYPED.search(text)
    return found[0] if found else ""


def names_after(text: str, scope: Mapping[str, Any]) -> Iterator[Candidate]:
    """Yield what may stand at the end of a piece of a template or of an expression; nothing inside a string."""
    typed = typed_name(text)
    before = text[: len(text) - len(typed)]
    if _IN_STRING.fullmatch(_without_closed(before)):
        return
    if _AFTER_TAG.search(before):
        yield from (Candidate(tag, "template tag") for tag in TAGS)
    elif _AFTER_PIPE.search(before):
        yield from filters()
    elif "." in typed:
        yield from members(typed.rpartition(".")[0])
    else:
        yield from variables(scope)
        yield from (Candidate(f"{row.name}(", first_sentence(row.help), True) for row in functions().values())
        yield from (Candidate(f"{name}.", first_sentence(repr(held)), True) for name, held in namespaces().items())
        yield from (Candidate(word, "operator") for word in OPERATORS if word[0].islower())


def _without_closed(text: str) -> str:
    """Take the strings that are closed out of an expression."""
    return re.sub(r"""^[^"']*(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^"'])*?(?=["']|\Z)""", "", text, flags=re.S)


def variables(scope: Mapping[str, Any]) -> Iterator[Candidate]:
    """Yield the variables of a session with their values."""
    for name in scope:
        yield Candidate(name, shown_value(scope[name]))


def shown_value(value: object) -> str:
    """Write a value in few characters, after its type."""
    text = " ".join(repr(value).split())
    return f"{type(value).__name__} = {text if len(text) <= _SHOWN else text[: _SHOWN - 1] + '…'}"


def filters() -> Iterator[Candidate]:
    """Yield our functions, each a filter too, and Jinja's own filters."""
    from jinja2 import filters as jinja

    yield from (Candidate(row.name, first_sentence(row.help)) for row in functions().values())
    known: dict[str, object] = vars(jinja)["FILTERS"]
    for name, call in known.items():
        yield Candidate(name, first_sentence(str(call.__doc__ or "")))


def members(owner: str) -> Iterator[Candidate]:
    """Yield the members of a namespace."""
    found = namespaces().get(owner)
    for name in found or ():
        yield Candidate(f"{owner}.{name}", "environment variable" if owner == "env" else f"function of `{owner}`")


def environment() -> Iterator[Candidate]:
    """Yield the names of environment variables; their values stay unseen: some are secrets."""
    return (Candidate(name, "environment variable") for name in sorted(os.environ))
