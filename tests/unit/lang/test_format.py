"""quote() reads back exactly, everywhere."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dgen.diagnostic import Source, Span
from dgen.lang.evaluate import Interpreter
from dgen.lang.expand import expand_environment
from dgen.lang.format import quote
from dgen.lang.line import source_line
from dgen.lang.parse import parse
from dgen.lang.scope import Scope
from dgen.lang.words import split, split_plain

from .conftest import RecordingHost, Session

PARTS = ["$HOME", "${HOME}", "%HOME%", "{{", "}}", "{%", "%}", "{#", "#}", "\\\n", "!END", "\\u{41}", "a", "x1"]
ODD = "\ufdd0\ufdd1\ufdd2\ud800\x00\u2028\xa0é"
TRICKY = st.sampled_from([*"{}%#$\\\"'~*?[] \t\n\r-!;=/:.,u", *PARTS, *ODD])
TEXTS = st.text() | st.lists(TRICKY, max_size=12).map("".join)


@given(TEXTS)
@example("")
@example("C:\\dir\\new\\")
@example('a;b="c d"')
@settings(max_examples=1000, deadline=None)
def test_quote_reads_back_as_one_word(text: str) -> None:
    line = expand_environment(source_line(Source("q", quote(text))), raw=False)
    assert [word.text for word in split(line)] == [text]


@given(TEXTS)
@settings(max_examples=500, deadline=None)
def test_a_quoted_word_survives_a_config_file(text: str) -> None:
    source = Source("c", f"model\n--prompts {quote(text)}\n--seeds 1\n")
    (statement,) = parse(source).statements
    words = Interpreter(Scope(), RecordingHost()).words(statement)
    assert [word.text for word in words] == ["model", "--prompts", text, "--seeds", "1"]


@given(TEXTS)
@settings(max_examples=200, deadline=None)
def test_quote_survives_a_template_and_a_block(text: str) -> None:
    session = Session()
    session.scope.provide("x", text)
    host = session.run(
        "m {{ quote(x) }}\n{% if true %}\nm {{ x | quote }}\n{% endif %}\n\\set y {{ quote(x) }}\nm {{ y }}"
    )
    assert host.lines[:2] == [["m", text], ["m", text]]
    if not set(text) & set("\ufdd0\ufdd1\ufdd2\ufdd3"):
        assert host.lines[2] == ["m", text]


@given(TEXTS)
@settings(max_examples=300, deadline=None)
def test_a_first_word_that_is_quoted_is_an_invocation(text: str) -> None:
    session = Session()
    host = session.run(f"{quote(text)} --x\n")
    if not text.startswith("!END"):
        assert host.lines == [[text, "--x"]]


@given(TEXTS)
@settings(max_examples=300, deadline=None)
def test_plain_split_agrees_with_the_full_split(text: str) -> None:
    source = Source("q", f"a {quote(text)} 'b c' --d")
    plain = split_plain(Span(source, 0, len(source.text)))
    if plain is not None:
        full = split(expand_environment(source_line(source), raw=False))
        assert [(w.text, w.span) for w in plain] == [(w.text, w.span) for w in full]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("", '""'),
        ("cat", "cat"),
        ("a red circle", '"a red circle"'),
        ('say "hi"', '"say \\"hi\\""'),
        ("it's", '"it\'s"'),
        ("$HOME", '"\\$HOME"'),
        ("5$", '"5$"'),
        ("100%", '"100%"'),
        ("%PATH%", '"\\%PATH%"'),
        ("{{ x }}", '"{\\{ x }}"'),
        ("a\nb", '"a\\u{a}b"'),
        ("out/a.png#x", "out/a.png#x"),
        ("-0.5", "-0.5"),
        ("model;subfolder=unet;scale=0.5", "model;subfolder=unet;scale=0.5"),
        ('model;name="a b"', 'model;name="a b"'),
        ("C:\\models\\sd", "C:\\models\\sd"),
        ("ends\\", '"ends\\\\"'),
        ("~/x", '"~/x"'),
        ("*.png", '"*.png"'),
        ("# no", '"# no"'),
    ],
)
def test_quote_is_minimal(text: str, written: str) -> None:
    assert quote(text) == written
