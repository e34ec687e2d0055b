"""The command that lists the model families: `dgen families`."""

from __future__ import annotations

import json
from collections.abc import Sequence

from dgen.cli.arguments import options_alone
from dgen.diagnostic import Exit
from dgen.families.rows import FAMILIES, Family
from dgen.plan.abilities import add_ons, in_words


def run(argv: Sequence[str]) -> int:
    """Run `dgen families`; return its exit code.

    Raises:
        DgenError: the command line is wrong.
    """
    bound = options_alone(argv)
    families = list(FAMILIES.values())
    print(json.dumps([as_object(f) for f in families], indent=2) if "json" in bound else as_table(families))
    return Exit.OK


def as_object(family: Family) -> dict[str, object]:
    """Return what is told about a family, as JSON has it."""
    return {
        "family": family.name, "label": family.label, "aliases": family.aliases, "modes": dict(family.pipelines),
        "add_ons": add_ons(family),
    }  # fmt: skip


def as_table(families: Sequence[Family]) -> str:
    """Return two lines a family: its name, what it is and its modes; then what can be attached."""
    width = max(len(f.name) for f in families)
    lines: list[str] = []
    for family in families:
        lines.append(f"{family.name:{width}}  {family.label}: {', '.join(family.pipelines)}")
        if attached := in_words(family):
            lines.append(f"{'':{width}}    {attached}")
    return "\n".join(lines)
