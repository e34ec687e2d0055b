"""Running scripts: directives, templates, blocks, expressions."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from dgen.diagnostic import DgenError, Source, Word
from dgen.lang.directives import Row, directives
from dgen.lang.evaluate import Exited, Interpreter
from dgen.lang.functions import Function, functions

from .conftest import Session

ROWS = list({id(row): row for row in directives().values()}.values())


@pytest.mark.parametrize("row", [row for row in ROWS if row.examples], ids=lambda row: row.name)
def test_the_examples_of_a_directive_hold(
    row: Row, make_session: Callable[..., Session], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for script, output in row.examples:
        session = make_session()
        with suppress(Exited):
            session.run(script)
        assert session.host.output == output


@pytest.mark.parametrize("row", [r for r in functions().values() if r.examples], ids=lambda row: row.name)
def test_the_examples_of_a_function_hold(row: Function, make_session: Callable[..., Session]) -> None:
    for template, output in row.examples:
        assert make_session().run(f"\\print {template}").output == f"{output}\n"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_directive_is_described(row: Row, session: Session) -> None:
    assert row.help.endswith(".")
    assert row.usage in session.run(f"\\directives_help {row.name}").output
    assert row.help in session.run(f"\\help {row.name}").output


def test_every_function_is_described(session: Session) -> None:
    assert all(row.help.endswith(".") and "\n" not in row.help for row in functions().values())
    assert "quote(text)" in session.run("\\functions_help").output


@pytest.mark.parametrize(
    ("script", "code", "place"),
    [
        ("\\prnt a", "unknown-directive", "1:1"),
        ("m {{ nme }}", "unknown-variable", "1:6"),
        ("m {{ quot(1) }}", "unknown-function", "1:6"),
        ("{% for a in [1] %}\n\n  x {{ nme }}\n{% endfor %}", "unknown-variable", "3:8"),
        ("{% if nme %}\n{% endif %}", "unknown-variable", "1:7"),
        ("m {{ 'a'.b }}", "unknown-variable", "1:10"),
        ("m {{ 1 / 0 }}", "bad-template", "1:3"),
        ("m {{ 'a' * 10 ** 9 }}", "bad-template", "1:3"),
        ("m {{ ''.__class__ }}", "unknown-variable", "1:9"),
        ("m {{ 'a'.ljust(10 ** 9) }}", "bad-template", "1:3"),
        ("m {{ range(10 ** 9) | list }}", "bad-template", "1:3"),
        ("m {{ environment }}", "unknown-variable", "1:6"),
        ("\\set saved_modules 1", "read-only-variable", "1:6"),
        ("\\set 1a 1", "bad-name", "1:6"),
        ("\\unset nope", "unknown-variable", "1:8"),
        ("\\set", "bad-arguments", "1:1"),
        ("\\unset", "bad-arguments", "1:1"),
        ("\\exit 1 2", "bad-arguments", "1:9"),
        ("\\env A", "bad-arguments", "1:6"),
        ("\\gen_seeds a x", "bad-value", "1:14"),
        ("\\use_modules a", "unknown-variable", "1:14"),
        ("\\templates_help nope", "unknown-variable", "1:17"),
        ("\\functions_help nope", "unknown-function", "1:17"),
        ("\\setp a 1 +", "bad-expression", "1:9"),
        ("\\setp a 1 + nme", "unknown-variable", "1:13"),
        ("\\setp a [1, lenn([])]", "unknown-function", "1:13"),
        ("\\setp a 'é' + 1 / 0", "bad-expression", "1:15"),
        ("\\setp a ().__class__", "bad-expression", "1:9"),
        ("\\setp a '{}'.format(1)", "bad-expression", "1:9"),
        ("\\setp a (lambda: 1)()", "bad-expression", "1:10"),
        ("\\setp a 9 ** 9 ** 9", "bad-expression", "1:9"),
        ("\\setp a format(1, '>9999999999')", "bad-expression", "1:9"),
        ("\\setp a str.mro()", "bad-expression", "1:9"),
        ("\\setp a __import__('os')", "unknown-function", "1:9"),
    ],
)
def test_an_error_points_at_its_cause(session: Session, script: str, code: str, place: str) -> None:
    error = session.error(script)
    assert error.startswith(f"error[{code}]")
    assert f"t.dgen:{place}\n" in error


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("[n * 2 for n in range(5) if n % 2]", [2, 6]),
        ("{k: v for k, v in [('a', 1)]}", {"a": 1}),
        ("1 < 2 <= 2 and not 3 in [1]", True),
        ("'a' if x else 'b'", "a"),
        ("x[1:] + x[0]", "icat"[1:] + "i"),
        ("f'{len(x)!r:>3}|{x.upper()}'", "  4|ICAT"),
        ("sum(n for n in (1, 2))", 3),
        ("[*range(2), -1, *[5]]", [0, 1, -1, 5]),
        ("{'a': {'b': 1}}['a']['b']", 1),
        ("path.join('a', 'b')", "a/b"),
        ("dict(a=1)['a'] | 2", 3),
    ],
)
def test_expressions_have_values(session: Session, expression: str, value: object) -> None:
    session.scope.set("x", "icat", None)
    session.run(f"\\setp y {expression}")
    assert session.scope["y"] == value


def test_each_round_of_a_loop_runs_before_the_next_is_rendered(session: Session) -> None:
    body = "{% if n == i %}\n\\setp n n + 1\n\\print {{ n }}\n{% endif %}"
    script = f"\\setp n 0\n{{% for i in range(3) %}}\n{body}\n{{% endfor %}}"
    assert session.run(script).output == "1\n2\n3\n"


def test_a_statement_of_a_block_goes_on_over_its_lines(session: Session) -> None:
    script = "{% for i in [1, 2] %}\nm {{ i }} \\\n\n # c\n x\n  --a  # t\n  --b {{ i }}\n{% endfor %}"
    assert session.run(script).lines == [["m", "1", "x", "--a", "--b", "1"], ["m", "2", "x", "--a", "--b", "2"]]


def test_a_loop_of_dash_lines_adds_to_one_statement(session: Session) -> None:
    script = "{% if true %}\nm\n{%- for i in [1, 2] %}\n--x {{ i }}\n{%- endfor %}\n--y\n{% endif %}"
    assert session.run(script).lines == [["m", "--x", "1", "--x", "2", "--y"]]


@pytest.mark.parametrize(
    "script",
    [
        "{% for i in [1, 2] %}\nm {{ i }}\n{% endfor %}\n!END",
        "{% for i in [1, 2] %}\nm {{ i }}\n{% endfor %} !END",
        "{% for i in [1, 2] %} \\\n m {{ i }} !END \\\n{% endfor %}",
        "{% for i in [1, 2] %} m {{ i }} !END {% endfor %}",
    ],
)
def test_end_marks_work_both_ways(session: Session, script: str) -> None:
    assert session.run(script).lines == [["m", "1"], ["m", "2"]]


def test_produced_statements_are_rendered_again(session: Session) -> None:
    session.run("{% for i in [1, 2] %}\n\\set a {{ i }}\n\\print {{ '{{ a }}' }}\n{% endfor %}")
    assert session.host.output == "1\n2\n"


def test_an_error_in_produced_text_shows_the_line_and_its_place(session: Session) -> None:
    assert session.error("{% for i in [1] %}\n  \\prnt {{ i }}\n{% endfor %}") == (
        "error[unknown-directive]: no directive named `\\prnt`\n"
        " --> t.dgen (produced):1:1\n  |\n1 | \\prnt 1\n  | ^^^^^\n  = help: did you mean `\\print`?\n"
        "note: produced by this template\n"
        " --> t.dgen:2:3\n  |\n2 |   \\prnt {{ i }}\n  |   ^^^^^"
    )


def test_macros_filters_and_sets_give_plain_values(session: Session) -> None:
    tags = "{% macro box(t) %}[{{ t }}]{% endmacro %}{% set s %}a{{ 1 }}{% endset %}"
    shown = "{{ box('a') | length }} {{ s | length }} {% filter upper %}x{% endfilter %}"
    assert session.run(f"{tags}\\print {shown}").output == "3 2 X\n"


def test_lists_are_real_and_mutable(session: Session) -> None:
    session.scope.provide("injected_args", ["-v", "a"])
    session.run("m {{ injected_args.remove('-v') }} b\n{% do injected_args.append('c') %}\n\\print {{ injected_args }}")
    assert session.host.lines == [["m", "b"]]
    assert session.host.output == "['a', 'c']\n"


def test_undefined_names_can_be_tested_and_given_defaults(session: Session) -> None:
    assert session.run("\\print {{ a is defined }} {{ a | default('d') }}").output == "False d\n"


def test_a_template_in_python_cannot_reach_the_host(session: Session) -> None:
    assert "error[" in session.error("m {{ download.args }}")
    assert "error[" in session.error("m {{ have_cuda.__closure__ }}")


def test_injected_words_end_every_invocation(session: Session) -> None:
    source = Source("argv", "--seeds 7")
    session.interpreter.argv = (Word("--seeds", source.span(0, 7)), Word("7", source.span(8, 9)))
    assert session.run("m a\n{{ 'n' }}").lines == [["m", "a", "--seeds", "7"], ["n", "--seeds", "7"]]


def test_an_empty_invocation_does_not_run(session: Session) -> None:
    assert session.run("{{ none }}").lines == []


def test_keep_going_reports_and_goes_on(make_session: Callable[..., Session]) -> None:
    session = make_session(keep_going=True)
    session.run("\\nope\n{% for i in [1, 2] %}\n\\nope2\n\\print {{ i }}\n{% endfor %}\n\\print end")
    assert session.host.output == "1\n2\nend\n"
    assert len(session.host.reports) == 3


def test_without_keep_going_the_first_failure_ends_the_script(session: Session) -> None:
    with pytest.raises(DgenError):
        session.run("\\print a\n\\nope\n\\print b")
    assert session.host.output == "a\n"


def test_exit_stops_with_its_code(session: Session) -> None:
    with pytest.raises(Exited) as exited:
        session.run("\\exit 3\n\\print a")
    assert exited.value.code == 3


@pytest.mark.parametrize(
    ("line", "warned"),
    [
        ("#! dgenerate 2.0.0", False),
        ("#! dgenerate 4.9", False),
        ("#! dgenerate 5.0.1", False),
        ("#! dgenerate 5.1.0", True),
        ("#! dgenerate 1.0", True),
        ("#! dgenerate 6", True),
        ("#! dgen 0.1.0", False),
        ("#! dgen 99.0", True),
        ("#! /usr/bin/env dgen", False),
    ],
)
def test_a_version_that_is_not_understood_is_a_warning(session: Session, line: str, warned: bool) -> None:
    session.run(f"# first\n{line}\n")
    assert [str(d.span) for d in session.host.warnings] == (["t.dgen:2:1"] if warned else [])


def test_saved_modules_are_a_template_variable(session: Session) -> None:
    session.run("\\save_modules a unet vae\n\\print {{ saved_modules.a }}\n\\use_modules a\n\\clear_modules a")
    assert session.host.output == "['unet', 'vae']\n"
    assert session.host.requests == [("use", ["unet", "vae"]), ("release", ["unet", "vae"])]
    assert session.interpreter.saved_modules == {}


def test_cache_directives_ask_the_host(session: Session) -> None:
    session.run("\\clear_control_net_cache\n\\clear_object_cache unet\n\\clear_device_cache cpu")
    assert session.host.requests == [("controlnet", []), ("object", ["unet"]), ("device", ["cpu"])]


def test_words_do_not_run_anything(session: Session) -> None:
    assert [w.text for w in session.words("\\print a 'b c'")] == ["a", "b c"]
    assert session.host.output == ""


def test_importing_the_language_imports_no_parser_and_no_templates() -> None:
    modules = "dgen.lang.format, dgen.lang.evaluate, dgen.lang.parse, dgen.lang.nodes, dgen.lang.host"
    code = (
        f"import sys, {modules}; from dgen.lang.directives import directives; directives(); "
        "from dgen.lang.functions import functions; functions(); "
        "print([m for m in ('lark', 'jinja2', 'torch', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_interpreter_is_one_per_session(session: Session) -> None:
    assert isinstance(session.interpreter, Interpreter)
    assert "saved_modules" in session.scope.names()
