"""Statements and their spans, and what malformed text says."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgen.diagnostic import DgenError, Source
from dgen.lang.grammar import parser
from dgen.lang.mistakes import Mistake, find_mistakes, mistakes
from dgen.lang.nodes import Block, Comment, Directive, Invocation, Pragma
from dgen.lang.parse import parse

from .conftest import Session

FRAGMENTS = [
    *"{}%#$\\\"'~*?[]-!;=\n\t x",
    *["{{", "}}", "{%", "%}", "{#", "#}", "{% if a %}", "{% endif %}", "{% for a in b %}", "{% endfor %}", "{% raw %}"],
    *[
        "{% endraw %}",
        "{% set a %}",
        "{% else %}",
        "!END",
        "#! dgen 1",
        "\\set",
        "\\print ",
        "--x",
        "a\\\n",
        "\n-",
        "\r\n",
    ],
    *[
        "\ufeff",
        "\x00",
        "\u2028",
        "{{ a }}",
        "{{ 1 }}",
        "{% do a %}",
        "{{ a | b }}",
        "{% endmacro %}",
        "{% macro a() %}",
    ],
]
TEXTS = st.text() | st.lists(st.sampled_from(FRAGMENTS), max_size=15).map("".join)


@given(TEXTS)
@settings(max_examples=1500, deadline=None)
def test_any_text_is_a_script_or_an_error(text: str) -> None:
    source = Source("t", text)
    try:
        spans = [s.span for s in parse(source).statements]
    except DgenError as error:
        spans = [d.span for d in error.diagnostics if d.span]
    assert all(0 <= span.start <= span.end <= len(text) for span in spans)


@given(TEXTS)
@settings(max_examples=700, deadline=None)
def test_any_text_runs_or_is_an_error(text: str) -> None:
    session = Session()
    with suppress(DgenError):
        session.run(text)


def test_each_kind_of_statement_has_its_span() -> None:
    head = '#! dgen 0.1\n# c\n{# a\nb #}\n  model --x "a b"  # tail\n'
    text = head + "\\print  it's # t\n{% if 1 %}\nx\n{% endif %} y\n!END\nz"
    statements = parse(Source("t", text)).statements
    assert [(type(s), s.span.text) for s in statements] == [
        (Pragma, "#! dgen 0.1"),
        (Comment, "# c"),
        (Comment, "{# a\nb #}"),
        (Invocation, 'model --x "a b"'),
        (Comment, "# tail"),
        (Directive, "\\print  it's"),
        (Comment, "# t"),
        (Block, "{% if 1 %}\nx\n{% endif %} y\n!END"),
        (Invocation, "z"),
    ]


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("a \\\nb\nc", ["a \\\nb", "c"]),
        ("a \\   # why\n\n# note\n  b", ["a \\   # why\n\n# note\n  b"]),
        ("a\n-b\n  --c\nd", ["a\n-b\n  --c", "d"]),
        ("a  # tail\n--b", ["a  # tail\n--b"]),
        ("a\n--b\n\n--c", ["a\n--b", "--c"]),
        ("a\n--b\n# note\n--c", ["a\n--b", "# note", "--c"]),
        ('a "b\n- c" d', ['a "b\n- c" d']),
        ("a\\\\\nb", ["a\\\\", "b"]),
        ("a#b \\#c", ["a#b \\#c"]),
        ("a b \\\n", ["a b \\\n"]),
        ("a \\\n\n# c", ["a \\\n\n# c"]),
        ("{{ a }} b\nc", ["{{ a }} b", "c"]),
        ("{% if a %}b{% endif %} \\\n --c\nd", ["{% if a %}b{% endif %} \\\n --c", "d"]),
        ("{% raw %}{% if %}{% endraw %}", ["{% raw %}{% if %}{% endraw %}"]),
        ("\ufeffa", ["a"]),
        ("a\r\nb\r\n", ["a", "b"]),
    ],
)
def test_a_statement_ends_where_the_rules_say(text: str, statements: list[str]) -> None:
    assert [s.span.text for s in parse(Source("t", text)).statements] == statements


def test_there_are_enough_mistakes() -> None:
    assert len(mistakes()) >= 15


@pytest.mark.parametrize(
    ("row", "sample"), [(row, s) for row in mistakes() for s in row.samples], ids=lambda v: getattr(v, "name", None)
)
def test_each_sample_of_a_mistake_gives_its_message(row: Mistake, sample: str) -> None:
    (found,) = find_mistakes(Source("t", sample))
    assert found.code == row.code
    assert found.message.startswith(row.message.partition("{")[0])
    assert found.help.partition("`")[0] == row.help.partition("`")[0]


@given(TEXTS)
@settings(max_examples=300, deadline=None)
def test_no_message_names_a_terminal(text: str) -> None:
    names = {t.name for t in parser().terminals if len(t.name) > 4} | {"$END"}
    for found in find_mistakes(Source("t", text)):
        said = found.message.replace(found.span.text, "")
        assert not [name for name in names if name in said]


def test_every_mistake_of_a_file_is_reported_at_once() -> None:
    text = 'a "b\nok\n{% if x %}\n{% endfor %}\n{% endif %}\nc {{ d\n{{ e | nope }}\n'
    with pytest.raises(DgenError) as caught:
        parse(Source("t", text))
    assert [str(d.span) for d in caught.value.diagnostics] == ["t:1:3", "t:4:1", "t:6:3"]


def test_an_unknown_filter_is_found_before_anything_runs(session: Session) -> None:
    error = session.error("\\print a\n{% if a %}\n{{ b | uper }}\n{% endif %}")
    assert "no filter named `uper`" in error
    assert "t.dgen:3:8" in error
    assert "did you mean `upper`?" in error
    assert session.host.output == ""


def test_an_open_quote_matters_to_words_only(session: Session) -> None:
    assert session.run("\\print it's").output == "it's\n"
    assert "t.dgen:2:9" in session.error("\\print a\n\\echo it's")
