"""The command that examines an installation: `dgen doctor`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby

from dgen.cli.arguments import options_alone
from dgen.diagnostic import Exit, wants_color
from dgen.doctor import Finding, examine

_COLOURS = {"ok": "\x1b[32m", "missing": "\x1b[33m", "wrong": "\x1b[1;31m"}


def run(argv: Sequence[str]) -> int:
    """Run `dgen doctor`; return its exit code: 1 when something keeps dgen from working.

    Raises:
        DgenError: the command line is wrong.
    """
    bound = options_alone(argv)
    found = list(examine())
    if "json" in bound:
        print(json.dumps([asdict(f) for f in found], indent=2, ensure_ascii=False))
    else:
        print("\n".join(_lines(found)))
    return Exit.JOB_FAILED if any(f.state == "wrong" for f in found) else Exit.OK


def _lines(found: Sequence[Finding]) -> Iterator[str]:
    """Yield the page: a block for each section, and what is wrong at the end."""
    width = max(len(f.name) for f in found)
    for section, group in groupby(found, key=lambda f: f.section):
        yield section
        for each in group:
            yield f"  {_painted(each.state)} {each.name:<{width}}  {each.text}"
            if each.help:
                yield f"  {'':<7} {'':<{width}}  {each.help}"
    wrong = [f.name for f in found if f.state == "wrong"]
    yield ""
    yield f"wrong: {', '.join(wrong)}" if wrong else "everything that dgen needs is there"


def _painted(state: str) -> str:
    text = f"{state:<7}"
    return f"{_COLOURS[state]}{text}\x1b[0m" if wants_color(sys.stdout) else text
