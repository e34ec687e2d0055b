"""Whatever a text holds, it ends in a script or in diagnostics, in time linear in its length."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgen.diagnostic import DgenError, Source, render
from dgen.lang.format import quote
from dgen.lang.limits import MAX_SOURCE
from dgen.lang.parse import parse

from .conftest import Session

WORDS = (
    r"\set \print \exec \sete model --prompts {{ }} {% %} {# #} if for endif endfor macro endmacro raw endraw x in [1] "
    "' \" \\ - # !END $A %A% ~ * ? [ ] ; ( ) | é 🦊 1 .a() quote set = , :"
)
PIECES = (*WORDS.split(" "), "\\\n", "\n", "\t", "\r", "\x00", "\ufeff", "\ud800")
TEXTS = st.one_of(st.text(max_size=200), st.lists(st.sampled_from(PIECES), max_size=40).map(" ".join))


def mistakes(text: str) -> str | None:
    """What parsing a text ends in: the drawing of its mistakes, or None for a script."""
    try:
        parse(Source("any.dgen", text))
    except DgenError as error:
        return render(error.diagnostics)
    return None


@given(TEXTS)
@settings(max_examples=400, deadline=None)
def test_every_text_ends_in_a_script_or_in_diagnostics(text: str) -> None:
    told = mistakes(text)
    assert told is None or told.startswith("error[")


@given(st.text(max_size=60))
@settings(max_examples=400, deadline=None)
def test_a_quoted_text_reads_back_as_one_word(text: str) -> None:
    session = Session()
    assert [word.text for word in session.words(f"m {quote(text)}")] == ["m", text]


@given(TEXTS)
@settings(max_examples=100, deadline=None)
def test_words_of_every_quoted_text_survive_a_template(text: str) -> None:
    session = Session()
    session.scope.set("x", text, None)
    assert [word.text for word in session.words("m {{ quote(x) }}")] == ["m", text]


LONG = {
    "words": "model --prompts a b c\n",
    "one line": "word ",
    "quotes": "'a b' ",
    "an open quote": '"a ',
    "joints": "a \\\n",
    "dash lines": "--a b\n",
    "comments": "# a\n",
    "blank lines": "\n",
    "blanks": " ",
    "backslashes": "\\\\",
    "hashes": "#",
    "braces": "{",
    "output": "{{ 1 }} ",
    "open output": "{{ ",
    "open tags": "{% ",
    "notes": "{# a #} ",
    "blocks": "{% if a %}\n{% endif %}\n",
    "open blocks": "{% if a %}\n",
    "closed blocks": "{% endif %}\n",
    "raw": "{% raw %}",
    "directives": "\\print a\n",
    "unknown tags": "{% foo %}\n",
    "end marks": "!END\n",
    "mixed": "a 'b\n",
}


def work(text: str) -> int:
    """Count the lines of Python that parsing a text runs: the same on every machine, however busy."""
    count = 0

    def watch(frame: object, event: str, argument: object) -> object:
        nonlocal count
        count += 1
        return watch

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        mistakes(text)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("name", LONG)
def test_work_grows_with_the_length(name: str) -> None:
    unit = LONG[name]
    work(unit)
    small, large = (work(unit * count) for count in (40, 160))
    assert large <= 6 * small + 2000


@pytest.mark.parametrize("name", LONG)
def test_a_long_text_takes_no_time(name: str) -> None:
    began = time.process_time()
    mistakes(LONG[name] * (20_000 // len(LONG[name])))
    assert time.process_time() - began < 5


def test_a_line_of_a_hundred_megabytes_is_refused_unread(tmp_path: Path, session: Session) -> None:
    path = tmp_path / "long.dgen"
    with path.open("wb") as file:
        file.truncate(100_000_000)
    error = session.error(f"\\include '{path}'")
    assert error.startswith("error[limit-exceeded]")
    assert "has 100000000 bytes" in error


def test_a_script_that_is_too_long_is_refused() -> None:
    with pytest.raises(DgenError) as caught:
        parse(Source("long.dgen", "a" * (MAX_SOURCE + 1)))
    assert caught.value.diagnostics[0].code == "limit-exceeded"
