"""The command that lists the model families, and tells all about one: `dgen families`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from dgen.cli.arguments import command_words
from dgen.diagnostic import DgenError, Exit, Word
from dgen.families.rows import FAMILIES, Family, family_named
from dgen.options.commands import COMMANDS
from dgen.plan.abilities import add_ons, in_words
from dgen.plan.bind import Table, bind, value_error
from dgen.plan.told import pipeline_lines, titled, told_options, told_parameters
from dgen.plan.video import frame_rule
from dgen.schema import BadValue


def run(argv: Sequence[str]) -> int:
    """Run `dgen families`; return its exit code.

    Raises:
        DgenError: the command line is wrong.
    """
    name, *words = command_words(argv)
    bound = bind(words, Table(COMMANDS[name.text].rows), name.span)
    named = tuple(_named(word) for word in bound.given["families"].words) if "families" in bound else ()
    if "json" in bound:
        print(json.dumps([as_object(f) for f in named or FAMILIES.values()], indent=2))
    else:
        print("\n\n".join("\n".join(as_page(f)) for f in named) if named else as_table([*FAMILIES.values()]))
    return Exit.OK


def _named(word: Word) -> Family:
    try:
        return family_named(word.text)
    except BadValue as error:
        raise DgenError(value_error(error, word, "families")) from None


def as_object(family: Family) -> dict[str, Any]:
    """Return what is told about a family, as JSON has it."""
    width, height = family.usual_size
    return {
        "family": family.name, "label": family.label, "aliases": family.aliases,
        "size": f"{width}x{height}", "multiple_of": family.multiple_of,
        "frames": frame_rule(family) if family.makes_video else None, "modes": dict(family.pipelines),
        "attached": {name: dict(variant) for name, variant in family.variants.items()}, "add_ons": add_ons(family),
        "options": told_options(family, family.pipelines), "call": told_parameters(family, family.pipelines),
    }  # fmt: skip


def as_page(family: Family) -> Iterator[str]:
    """Yield the lines that tell all about a family."""
    told = as_object(family)
    names = f", also called {', '.join(family.aliases)}" if family.aliases else ""
    yield f"{family.name}: {family.label}{names}"
    yield from titled(
        "size", [f"{told['size']} pixels when the model says no other, multiples of {family.multiple_of}"]
    )
    yield from titled("frames of a video", [told["frames"]] if told["frames"] else [])
    yield from titled("what can be attached", [attached] if (attached := in_words(family)) else [])
    yield from pipeline_lines(told)


def as_table(families: Sequence[Family]) -> str:
    """Return two lines a family: its name, what it is and its modes; then what can be attached."""
    width = max(len(f.name) for f in families)
    lines: list[str] = []
    for family in families:
        lines.append(f"{family.name:{width}}  {family.label}: {', '.join(family.pipelines)}")
        if attached := in_words(family):
            lines.append(f"{'':{width}}    {attached}")
    return "\n".join(lines)
