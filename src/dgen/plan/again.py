"""Changes the words of an invocation, so that it can be run again another way."""

from __future__ import annotations

from collections.abc import Sequence

from dgen.diagnostic import Word
from dgen.plan.bind import Table, is_flag


def changed_words(words: Sequence[Word], changes: Sequence[Word], table: Table) -> tuple[Word, ...]:
    """Return the words of an invocation with those of `changes` in place of what says or excludes the same.

    A word before the first option of the changes takes the place of the model.
    """
    old, new = _groups(words, table), _groups(changes, table)
    said = {name for name, _ in new}
    gone = said | {other for name in said if name in table.rows for other in table.rows[name].excludes}
    gone |= {name for name, row in table.rows.items() if said & set(row.excludes)}
    head = [group for name, group in new if not name] or [group for name, group in old if not name]
    kept = [group for name, group in old if name and name not in gone]
    options = [group for name, group in new if name]
    return tuple(word for group in (*head, *kept, *options) for word in group)


def _groups(words: Sequence[Word], table: Table) -> list[tuple[str, list[Word]]]:
    """Cut words into options with their values, each under the name of its row; what comes first has no name."""
    groups: list[tuple[str, list[Word]]] = []
    for word in words:
        if is_flag(word):
            flag = word.text.partition("=")[0]
            row = table.flags.get(flag)
            groups.append((row.name if row is not None else flag, [word]))
        elif groups:
            groups[-1][1].append(word)
        else:
            groups.append(("", [word]))
    return groups
