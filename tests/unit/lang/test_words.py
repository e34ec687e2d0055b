"""Words, their text and the spans they came from."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Session


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a  b\tc", ["a", "b", "c"]),
        ("'a b' \"c d\" \"\" ''", ["a b", "c d", "", ""]),
        ("m;s=\"a b\";t='c d'", ["m;s=\"a b\";t='c d'"]),
        ('"a"b', ['"a"b']),
        (r"a\ b \"c\" \\ C:\new\x", ["a b", '"c"', "\\", "C:\\new\\x"]),
        (r'"a \"b\" \\ c"', ['a "b" \\ c']),
        (r"\#a a#b \$HOME \%HOME%", ["#a", "a#b", "$HOME", "%HOME%"]),
        (r"x\u{41} \u{1f600}", ["xA", "\U0001f600"]),
        ('a "b \\\n   c" d', ["a", "b c", "d"]),
        ('a "b;\n  - c"', ["a", "b; - c"]),
        ("a # b\n--c", ["a", "--c"]),
        ("a \\ # b\n\n  # c\nd", ["a", "d"]),
        ("{{ 'a b' }} c{{ 1 }}d {{ none }}", ["a", "b", "c1d"]),
        ("{{ 'a' }};{{ 'b' }} {# note #} c", ["a;b", "c"]),
        ("a {% if true %}--b 'c d'{% endif %}", ["a", "--b", "c d"]),
        ("a 'https://x/y?z=*'", ["a", "https://x/y?z=*"]),
        ("https://x/y?z=1", ["https://x/y?z=1"]),
        ("100% a", ["100%", "a"]),
    ],
)
def test_words_follow_the_rules(session: Session, text: str, words: list[str]) -> None:
    assert [word.text for word in session.words(text)] == words


def test_environment_variables_are_replaced(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DGEN_A", "x y")
    monkeypatch.setenv("DGEN_W", r"C:\new\\dir")
    monkeypatch.delenv("DGEN_NONE", raising=False)
    found = session.words('m $DGEN_A "${DGEN_A}" %DGEN_A%z $DGEN_NONE $DGEN_W {{ "$DGEN" ~ "_A" }}')
    assert [w.text for w in found] == ["m", "x", "y", "x y", "x", "yz", r"C:\new\\dir", "x", "y"]


def test_what_quote_made_is_not_expanded(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DGEN_A", "no")
    session.run("\\set x {{ quote('$DGEN_A') }}\n\\print {{ quote('$DGEN_A') }} $DGEN_A\nm {{ x }}")
    assert session.host.output == '"\\$DGEN_A" no\n'
    assert session.host.lines == [["m", "$DGEN_A"]]


def test_globs_and_home_expand_outside_quotes(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "sub dir").mkdir()
    for name in ("b.png", "a.png", "sub dir/c.png"):
        (tmp_path / name).touch()
    assert [w.text for w in session.words("m *.png '*.png' ~ '~' [ab].png")] == [
        *["m", "a.png", "b.png", "*.png", str(tmp_path), "~", "a.png", "b.png"]
    ]
    assert [w.text for w in session.words("m **/*.png")] == ["m", "a.png", "b.png", "sub dir/c.png"]
    assert [w.text for w in session.words("m sub\\ dir/*.png 'x'")] == ["m", "sub dir/c.png", "x"]


def test_a_glob_without_a_match_is_an_error_at_the_word(session: Session) -> None:
    error = session.error("model --image-seeds nothing-*.png")
    assert "error[missing-file]: no file matches `nothing-*.png`" in error
    assert "t.dgen:1:21" in error


def test_a_plain_word_points_at_itself(session: Session) -> None:
    words = session.words('m  "a b"\n --seeds 1')
    assert [w.span.text for w in words] == ["m", '"a b"', "--seeds", "1"]
    assert all(not w.pieces and w.became is None for w in words)
    assert words[1].at(2, 3).text == "b"


def test_a_rendered_word_points_at_its_template(session: Session) -> None:
    words = session.words("m --size {{ 500 + 12 }}x{{ 64 }} --y 'it is {{ 1 }}'")
    assert words[2].text == "512x64"
    assert words[2].span.text == "{{ 500 + 12 }}x{{ 64 }}"
    assert words[2].at(0, 3).text == "{{ 500 + 12 }}"
    assert words[2].at(3, 4).text == "x"
    assert words[2].at(4, 6).text == "{{ 64 }}"
    assert words[2].became == "m --size 512x64 --y 'it is 1'"
    assert words[1].span.text == "--size"
    assert not words[1].pieces
    assert words[4].at(3, 5).text == "is"


def test_a_word_over_a_joint_points_at_both_lines(session: Session) -> None:
    word = session.words('m "a \\\n   b"')[1]
    assert word.text == "a b"
    assert word.at(2, 3).text == "b"
    assert str(word.at(2, 3)) == "t.dgen:2:4"


def test_an_open_quote_after_rendering_points_at_what_made_it(session: Session) -> None:
    error = session.error("m {{ '\"' }} b")
    assert "this quote is never closed" in error
    assert "t.dgen:1:3" in error
    assert 'the line became: m " b' in error


def test_tail_comment_before_a_dash_line_is_no_word(session: Session) -> None:
    session.run("\\set n 3\ntoy --prompts a  # a tail\n--seeds {{ n }}  # another\n--verbose\n")
    assert session.host.lines == [["toy", "--prompts", "a", "--seeds", "3", "--verbose"]]
