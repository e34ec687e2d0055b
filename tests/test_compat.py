"""The scripts of tests/golden/compat leave no option spelling out; test_golden.py runs them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dgen.options.request import ROWS

SCRIPTS = sorted((Path(__file__).parent / "golden" / "compat").glob("*.dgen"))
SAID = {word for path in SCRIPTS for word in re.findall(r"(?<=\s)--?[a-z][\w-]*", path.read_text(encoding="utf-8"))}
SPELLINGS = [spelling for row in ROWS.values() for spelling in row.spellings]


def test_there_are_many_scripts_in_both_styles() -> None:
    names = [path.stem for path in SCRIPTS]
    assert len(names) >= 60
    assert sum(name.startswith("2.0-") for name in names) >= 25
    assert sum(name.startswith("5-") for name in names) >= 25


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_spelling_stands_in_a_script(spelling: str) -> None:
    assert spelling in SAID
