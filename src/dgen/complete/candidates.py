"""What completion offers, and how it chooses among what there is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Candidate:
    """A text that may stand there, and what it means; `goes_on`: more of the same word is to follow."""

    text: str
    help: str = ""
    goes_on: bool = False


@dataclass(frozen=True, slots=True)
class Completions:
    """Candidates that may replace the text from `start` to the cursor."""

    start: int
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class Signature:
    """How something is written: its parts in order, the one that is being typed, and what that one means."""

    parts: tuple[str, ...]
    current: int | None = None
    help: str = ""


def fitting(candidates: Iterable[Candidate], typed: str) -> tuple[Candidate, ...]:
    """Return the candidates that start with what is typed, then those that hold it; each once."""
    wanted = typed.casefold()
    found = {c.text: c for c in reversed(list(candidates))}
    ordered = list(reversed(found.values()))
    starts = [c for c in ordered if c.text.casefold().startswith(wanted)]
    bare = wanted.lstrip("-")
    holds = [c for c in ordered if len(bare) > 2 and c not in starts and bare in c.text.casefold()]
    return tuple(starts + holds)


def first_sentence(text: str) -> str:
    """Return the first sentence of a help text, on one line, without its full stop."""
    line = " ".join(text.split())
    end = re.search(r"(?<!et al)\.(?=\s+[A-Z]|\Z)", line)
    return line[: end.start()] if end else line
