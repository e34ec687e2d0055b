"""Colours come from the grammar, and half-written text is no trouble."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import parser

from dgen.diagnostic import Source
from dgen.lang.highlight import TAGS, Kind, highlight
from dgen.lang.parse import parse
from dgen.lang.scan import Shape, scan

GOLDEN = Path(__file__).parents[2] / "golden"
SCRIPTS = sorted([*(GOLDEN / "lang").glob("*.dgen"), *(GOLDEN / "compat").glob("*.dgen")])


def marks(text: str) -> list[tuple[str, str]]:
    return [(m.kind.value, text[m.start : m.end].strip()) for m in highlight(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#! dgen 0.1.0\n# why", [("pragma", "#! dgen 0.1.0"), ("comment", "# why")]),
        ("toy --seeds 1 --vae=A;model=x", [("model", "toy"), ("option", "--seeds"), ("number", "1"),
                                           ("option", "--vae"), ("value", "=A;"), ("uri-key", "model"),
                                           ("value", "=x")]),
        ("toy \\ # tail\n# whole\n  -p $A", [("model", "toy"), ("continuation", "\\"), ("comment", "# tail"),
                                             ("comment", "# whole"), ("option", "-p"), ("variable", "$A")]),
        ("\\set a it's", [("directive", "\\set"), ("variable", "a"), ("value", "it"), ("value", "'"), ("value", "s")]),
        ("\\setp n x + 1", [("directive", "\\setp"), ("variable", "n"), ("variable", "x"), ("value", "+"),
                            ("number", "1")]),
        ('a "b {{ c | d }}"', [("model", "a"), ("quote", '"b'), ("template", "{{"), ("variable", "c"),
                               ("template", "|"), ("function", "d"), ("template", "}}"), ("quote", '"')]),
        ("{% for x in f(y) %}\n\\print x\n{% endfor %}", [
            ("template", "{%"), ("keyword", "for"), ("variable", "x"), ("keyword", "in"), ("function", "f"),
            ("template", "("), ("variable", "y"), ("template", ") %}"), ("directive", "\\print"), ("value", "x"),
            ("template", "{%"), ("keyword", "endfor"), ("template", "%}")]),
    ],
)  # fmt: skip
def test_text_has_these_marks(text: str, expected: list[tuple[str, str]]) -> None:
    assert marks(text) == expected


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ('toy --prompts "a red', ("quote", '"a red')),
        ("toy {{ a", ("variable", "a")), ("toy {# a", ("comment", "{# a")),
        ("{% for", ("keyword", "for")), ("\\nonsense", ("directive", "\\nonsense")), ("toy \\", ("continuation", "\\")),
    ],
)  # fmt: skip
def test_half_written_text_has_marks_too(text: str, last: tuple[str, str]) -> None:
    assert marks(text)[-1] == last


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab-#;=\\\"'{}%$!END \n\t0é", max_size=60))
def test_tokens_cover_any_text_and_marks_never_overlap(text: str) -> None:
    tokens = list(scan(text))
    assert "".join(text[t.start : t.end] for t in tokens) == text
    found = highlight(text)
    assert all(a.end <= b.start for a, b in pairwise(found))
    assert all(0 <= m.start < m.end <= len(text) for m in found)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.stem)
def test_statements_start_where_the_parser_says(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    begun = {m.start for m in highlight(text)}
    for statement in parse(Source(path.name, text)).statements:
        assert statement.span.start in begun
    assert not [t for t in scan(text) if t.shape in (Shape.OPEN_QUOTE, Shape.OPEN_NOTE)]


def test_every_tag_of_jinja_is_known() -> None:
    assert parser._statement_keywords - {"block", "extends", "include", "from", "import", "print", "autoescape"} <= {
        *TAGS
    }
    assert {*TAGS} >= {"do", "break", "continue", "raw"}
    assert len({*Kind}) == len(Kind)
