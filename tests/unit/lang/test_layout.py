"""`dgen fmt`: one layout, which never changes what a script does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgen.cli.main import main
from dgen.diagnostic import DgenError, Source
from dgen.lang.layout import lay_out
from dgen.lang.line import logical_line
from dgen.lang.nodes import Comment, Directive, Invocation
from dgen.lang.parse import parse
from dgen.lang.words import split

GOLDEN = Path(__file__).parents[2] / "golden"

blanks = st.sampled_from([" ", "  ", "\t", " \\\n", "  \\\n   ", " \\\n\n # why\n  ", " \\ # tail\n"])
before_option = st.one_of(blanks, st.sampled_from(["\n", "  # tail\n", "\n   "]))
values = st.sampled_from(
    ["a", "1", "-3", "a.png#x", '"a  b"', "'it \"is\"'", "a\\ b", "{{ x }}", '"{{ x }} y"', "{{ xs }}", "$HOME", "\\#c",
     "*", "{% if x %}1  2{% endif %}", "a;b=\"c d\"", "{# note #}", '"two \\\n  lines"', "{"]
)  # fmt: skip
flags = st.sampled_from(["--prompts", "--seeds", "-gs", "--seed", "-o"])
ends = st.sampled_from(["\n", "  \n", "\n\n", "  # end\n", "\n\n\n# alone\n\n", " \\\n\n"])


@st.composite
def options(draw: st.DrawFn) -> str:
    words = draw(st.lists(st.tuples(blanks, values).map("".join), max_size=3))
    return draw(before_option) + draw(flags) + "".join(words)


invocations = st.tuples(
    st.sampled_from(["", "  "]),
    st.sampled_from(["toy", "{{ x }}", '"a b"']),
    st.lists(options(), max_size=4).map("".join),
).map("".join)  # fmt: skip
directives = st.tuples(
    st.sampled_from(["\\print", "\\set y", "  \\echo", "\\sete z", "\\setp w", "\\nobody_knows", "\\exec echo"]),
    st.lists(st.tuples(blanks, values).map("".join), max_size=4).map("".join),
).map("".join)
blocks = st.sampled_from(
    [
        "{% for n in [1] %}\n  toy   --seeds {{ n }}  \n{% endfor %}",
        "{% set q %}a   \n{% endset %}",
        "  {% if x %} a {% endif %}",
    ]
)
odd = st.sampled_from(["# comment  ", "#! dgen 0.1.0 ", "   # indented", "{# note #} ", "--orphan 1", ""])
scripts = st.lists(st.tuples(st.one_of(invocations, directives, blocks, odd), ends).map("".join), max_size=5).map(
    "".join
)


_LEADING_NAMES = {"print": 1, "set": 2, "setp": 2, "nobody_knows": 1}  # what stands before the raw text


def plain_words(text: str) -> list[object]:
    """What every statement says, as far as it can be told without running anything."""
    said: list[object] = []
    for statement in parse(Source("s", text)).statements:
        if isinstance(statement, Comment):
            continue
        if not isinstance(statement, Invocation | Directive):
            said.append(statement.span.text.rstrip())
            continue
        line = logical_line(statement.span).strip()
        names = _LEADING_NAMES.get(statement.name) if isinstance(statement, Directive) else None
        said.append([w.text for w in split(line, expand=False)] if names is None else line.text.split(None, names))
    return said


def comments(text: str) -> list[str]:
    bare = re.sub(r"\{#.*?#\}", "", text, flags=re.DOTALL)
    return [line.partition("# ")[2].strip() for line in bare.split("\n") if "# " in line]


@settings(max_examples=400, deadline=None)
@given(scripts)
def test_layout_changes_no_meaning_and_is_stable(text: str) -> None:
    try:
        before = plain_words(text)
    except DgenError:
        return
    done = lay_out(Source("s", text))
    assert lay_out(Source("s", done)) == done
    assert plain_words(done) == before
    assert comments(done) == comments(text)


@pytest.mark.parametrize("path", sorted(GOLDEN.rglob("*.dgen")), ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_golden_script_says_the_same_laid_out(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    try:
        before = plain_words(text)
    except DgenError:
        return
    done = lay_out(Source("s", text))
    assert plain_words(done) == before
    assert lay_out(Source("s", done)) == done


@pytest.mark.parametrize(
    "text", ["{{ q }}a  b{{ q }}", '"{{ q }}"  --seeds 1', "$QUOTE a  b", "a {% if q %}  b{% endif %}  c"]
)
def test_blanks_that_a_template_may_quote_stay(text: str) -> None:
    source = f"toy --prompts {text}\n"
    before = logical_line(parse(Source("s", source)).statements[0].span).text
    after = logical_line(parse(Source("s", lay_out(Source("s", source)))).statements[0].span).text
    assert after.replace("\n", " ") == before


def test_files_are_rewritten_and_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wild, tidy, broken = tmp_path / "wild.dgen", tmp_path / "tidy.dgen", tmp_path / "broken.dgen"
    wild.write_text("toy   --seeds 1\n")
    tidy.write_text("toy\n--seeds 1\n")
    broken.write_text("toy --prompts 'open\n")
    files = [str(wild), str(tidy)]
    assert main(["fmt", "--check", *files]) == 1
    assert capsys.readouterr().out == f"{wild}\n"
    assert wild.read_text() == "toy   --seeds 1\n"
    assert main(["fmt", *files, str(broken)]) == 2
    out, err = capsys.readouterr()
    assert out == f"{wild}\n"
    assert "error[bad-syntax]: this quote is never closed" in err
    assert wild.read_text() == tidy.read_text() == "toy\n--seeds 1\n"
    assert broken.read_text() == "toy --prompts 'open\n"
    assert main(["fmt", "--check", *files]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken.dgen", "tidy.dgen", "wild.dgen"]
