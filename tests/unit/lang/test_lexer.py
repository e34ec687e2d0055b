"""The lexer for Pygments takes every script as it is, and Pygments finds it by name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pygments.lexers import get_lexer_by_name, get_lexer_for_filename, guess_lexer
from pygments.token import Comment, Error, Keyword, Name, Number, String

from dgen.lang.highlight import Kind
from dgen.lang.lexer import TOKENS, DgenLexer

ROOT = Path(__file__).parents[3]
SCRIPTS = sorted((ROOT / "tests" / "golden").rglob("*.dgen")) + sorted((ROOT / "examples").glob("*.dgen"))


def test_every_golden_script_comes_back_whole_and_without_errors() -> None:
    lexer = DgenLexer(stripnl=False, ensurenl=False)
    for path in SCRIPTS:
        text = path.read_bytes().decode("utf-8", "replace").lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        tokens = list(lexer.get_tokens(text))
        assert "".join(value for _, value in tokens) == text, path
        assert not [value for kind, value in tokens if kind in Error], path
    assert len(SCRIPTS) > 150


@given(st.text(alphabet="\\{}%#\"'-;=a1 \n\t$é🙂", max_size=60))
def test_any_text_comes_back_whole(text: str) -> None:
    tokens = list(DgenLexer().get_tokens_unprocessed(text))
    assert "".join(value for _, _, value in tokens) == text
    assert [place for place, _, _ in tokens] == sorted(place for place, _, _ in tokens)


def test_every_kind_has_its_token() -> None:
    assert set(TOKENS) == set(Kind)


def test_words_get_the_tokens_that_they_are() -> None:
    text = '#! dgen 0.1.0\n\\set n 3\ntoy --seeds 1 --prompts "a {{ n }} star"  # why\n'
    found = {(str(value), kind) for _, kind, value in DgenLexer().get_tokens_unprocessed(text)}
    assert {
        ("\\set", Keyword), ("toy", Name.Class), ("--seeds", Name.Attribute), ("1", Number), ("n", Name.Variable),
        ("# why", Comment.Single), ('"a ', String),
    } <= found  # fmt: skip


def test_pygments_knows_it_by_name_file_and_content() -> None:
    for found in (
        get_lexer_by_name("dgen"), get_lexer_for_filename("story.dgen"), guess_lexer("#! dgenerate 5.0.0\ntoy\n"),
    ):  # fmt: skip
        assert type(found).__name__ == "DgenLexer"


def test_pygmentize_draws_a_script() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pygments", "-l", "dgen", "-f", "html"], input="toy --seeds 1\n", text=True,
        capture_output=True, check=True,
    )  # fmt: skip
    assert '<span class="nc">toy</span>' in done.stdout


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda p: p.stem)
def test_blocks_of_pages_are_drawn_without_errors(page: Path) -> None:
    for block in page.read_text(encoding="utf-8").split("```dgen\n")[1:]:
        assert not [v for k, v in DgenLexer().get_tokens(block.partition("```")[0]) if k in Error]
