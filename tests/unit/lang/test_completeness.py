"""A prompt knows from the grammar whether a statement is whole."""

from __future__ import annotations

import pytest

from dgen.lang.completeness import continuation


@pytest.mark.parametrize(
    "text",
    [
        "", "  ", "# note", "toy", "toy --prompts x", 'toy --prompts "a b"', "\\set a it's", "\\print \"",
        "toy {{ x }}",
        "{% for x in y %}\n\\print x\n{% endfor %}", "{% set x = 1 %}", "toy \\\n--prompts x", "toy \\\n\n",
        "toy --prompts \"a \\\n\n", "toy --prompts it's\n", "{% endfor %}", "{# note #}",
    ],
)  # fmt: skip
def test_whole_statement_runs(text: str) -> None:
    assert continuation(text) is None


@pytest.mark.parametrize(
    ("text", "joint"),
    [
        ("toy \\", "\n"),
        ("toy \\  # why", "\n"),
        ("toy --prompts 'a red", " \\\n"),
        ("toy --prompts 'a red \\", "\n"),
        ("toy {{ x", " \\\n"),
        ("{% for x in", "\n"),
        ("{# note", "\n"),
        ("{% for x in y %}", "\n"),
        ("{% for x in y %}\n\\print x\n", "\n"),
        ("{% for x in y %}\n{% if x %}\n{% endif %}", "\n"),
    ],
)
def test_unfinished_statement_goes_on(text: str, joint: str) -> None:
    assert continuation(text) == joint
