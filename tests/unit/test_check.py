"""`dgen check`: what it prints, what it mends, what it exits with, what it leaves alone."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from dgen.check.follow import check_source
from dgen.check.templates import FollowingRenderer
from dgen.check.unknown import Oracle
from dgen.cli.main import main
from dgen.diagnostic import CODES, DgenError, Source
from dgen.lang.functions import Quoted
from dgen.lang.line import Line
from dgen.lang.template import Renderer

WARNING = "\\set unused 1\n"
ERROR = "some/model --promts x\n"
NOTE = "some/model --prompt x\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def codes(text: str) -> list[str]:
    return [d.code for d in check_source(Source("s.dgen", text))]


def output_of(capsys: pytest.CaptureFixture[str], text: str, *flags: str) -> tuple[int, Any]:
    Path("s.dgen").write_text(text, encoding="utf-8")
    code = main(["check", *flags, "s.dgen"])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("text", "flags", "code"),
    [
        ("\\print x\n", (), 0), (NOTE, (), 0), (WARNING, (), 0), (ERROR, (), 2),
        (NOTE, ("--strict",), 0), (WARNING, ("--strict",), 2), (ERROR, ("--json",), 2), (ERROR, ("--sarif",), 2),
    ],
)  # fmt: skip
def test_exit_code_tells_the_worst(text: str, flags: tuple[str, ...], code: int) -> None:
    Path("s.dgen").write_text(text, encoding="utf-8")
    assert main(["check", "s.dgen", *flags]) == code


def test_several_files_are_checked_each_for_itself(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.dgen").write_text("\\set x 1\n\\print {{ x }}\n")
    Path("b.dgen").write_text("\\print {{ x }}\n")
    assert main(["check", "*.dgen"]) == 2
    out, err = capsys.readouterr()
    assert out.count("error[unknown-variable]") == 1
    assert "--> b.dgen:1:11" in out
    assert err == "checked 2 files: 1 error\n"


@pytest.mark.parametrize("argv", [["check"], ["check", "--fix"], ["fmt"], ["check", "missing.dgen"]])
def test_files_are_needed(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    assert "error[" in capsys.readouterr().err


def test_unknown_flag_of_a_tool_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--jsno", "s.dgen"]) == 2
    assert "did you mean `--json`?" in capsys.readouterr().err


def test_variables_of_the_command_line_are_known() -> None:
    Path("s.dgen").write_text("\\print {{ a }} {{ b[0] }}\n")
    assert main(["check", "s.dgen"]) == 2
    assert main(["check", "s.dgen", "--set", "a=1", "--setp", "b=[1]"]) == 0


def test_json_places_every_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = output_of(capsys, "\\print x\n" + ERROR + NOTE, "--json")
    assert code == 2
    first, second = found
    assert {k: first[k] for k in ("severity", "code", "file", "line", "column", "length")} == {
        "severity": "error", "code": "unknown-option", "file": "s.dgen", "line": 2, "column": 12, "length": 8,
    }  # fmt: skip
    assert first["help"] == "did you mean `--prompts`?"
    assert (second["severity"], second["fix"]) == ("note", "--prompts")


def test_json_of_a_clean_script_is_an_empty_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert output_of(capsys, "\\print x\n", "--json") == (0, [])


def test_json_places_produced_lines_in_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    text = "{% for n in [1] %}\nsome/model --seeds {{ n }} --nope\n{% endfor %}\n"
    _, (only,) = output_of(capsys, text, "--json")
    assert (only["file"], only["line"], only["column"], only["length"]) == ("s.dgen", 2, 28, 6)


def test_sarif_is_what_scanners_read(capsys: pytest.CaptureFixture[str]) -> None:
    _, log = output_of(capsys, ERROR + NOTE + "some/model --seeds 1 --seeds 2\n", "--sarif")
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [r["id"] for r in rules] == sorted(CODES)
    assert run["columnKind"] == "unicodeCodePoints"
    error, note, warning = run["results"]
    for result in (error, note, warning):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        (place,) = result["locations"]
        assert place["physicalLocation"]["artifactLocation"] == {"uri": "s.dgen"}
    assert [r["level"] for r in (error, note, warning)] == ["error", "note", "warning"]
    region = {"startLine": 1, "startColumn": 12, "endLine": 1, "endColumn": 20}
    assert error["locations"][0]["physicalLocation"]["region"] == region
    (change,) = note["fixes"][0]["artifactChanges"][0]["replacements"]
    assert change["insertedContent"] == {"text": "--prompts"}
    assert warning["relatedLocations"][0]["message"]["text"] == "first given here"


def test_fix_writes_new_names_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    old = (
        "# --prompt stays here\r\nsome/model --model-type torch --prompt \"--prompt\" --seed=1\r\n"
        "\\clear_control_net_cache\r\n{% for n in [1, 2] %}\r\nsome/model --seed {{ n }} --prompt x\r\n{% endfor %}\r\n"
        "some/model --promts x\r\n"
    )  # fmt: skip
    path = Path("s.dgen")
    path.write_bytes(old.encode())
    path.chmod(0o755)
    assert main(["check", "--fix", "s.dgen"]) == 2
    expected = (
        old.replace("torch", "sd").replace("--prompt \"", "--prompts \"").replace("--seed=", "--seeds=")
        .replace("control_net", "controlnet").replace("--seed {", "--seeds {").replace("--prompt x", "--prompts x")
    )  # fmt: skip
    assert path.read_bytes().decode() == expected
    assert path.stat().st_mode & 0o777 == 0o755
    assert "fixed s.dgen:2:12" not in capsys.readouterr().out
    assert os.listdir() == ["s.dgen"]
    assert main(["check", "--fix", "s.dgen"]) == 2
    assert path.read_bytes().decode() == expected


def test_fix_changes_in_a_block_what_stands_there_as_it_is() -> None:
    text = "{% for n in [1] %}\nsome/model --seed {{ n }} {{ '--prompt' }} x\n\\print --seed\n{% endfor %}\n"
    Path("s.dgen").write_text(text)
    assert main(["check", "--fix", "s.dgen"]) == 0
    assert Path("s.dgen").read_text() == text.replace("model --seed", "model --seeds")


def test_fix_changes_nothing_in_a_script_that_does_not_parse() -> None:
    text = NOTE + "some/model --prompts 'open\n"
    Path("s.dgen").write_text(text)
    assert main(["check", "--fix", "s.dgen"]) == 2
    assert Path("s.dgen").read_text() == text


def test_check_has_no_effects(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "\\env DGEN_CHECKED=1\n\\mkdir made\n\\cd ..\n\\exec touch made-by-exec\n\\rm -r -f .\n"
        "\\download page https://127.0.0.1:1/a.png\n\\import os\nsome/model --prompts x --output-path pictures\n"
        "\\print {{ page }} {{ os }}\n"
    )
    before = os.getcwd()
    assert codes(text) == []
    assert (os.getcwd(), os.listdir(), "DGEN_CHECKED" in os.environ) == (before, [], False)


def test_every_branch_is_looked_at_once() -> None:
    chain = "{% if have_cuda() %}\nm/m --a\n{% elif have_xpu() %}\nm/m --b\n{% else %}\nm/m --c\n{% endif %}\n"
    assert codes(chain) == ["unknown-option"] * 3
    assert codes("{% for n in range(50) %}\n" + chain + "{% endfor %}\n") == ["unknown-option"] * 3


def test_endless_loops_end() -> None:
    assert codes("{% for n in range(100000) %}\n\\set x {{ n }}\n{% endfor %}\n") in ([], ["limit-exceeded"])


@pytest.mark.parametrize(
    "expression",
    [
        "last_images[0].name", "last_images | map('upper') | join(',')", "[1, 2][total_memory()]",
        "'%d' % total_memory()", "'a'.join(last_images)", "total_memory() > 3 and 'x'", "{'a': last_images}['a']",
        "range(total_memory()) | list",
        "int(last_images[0]) + 1", "last_images is defined", "'-v' in injected_args", "quote(last_images)",
        "image_size(last_images | first)", "max(last_images | length, 3)", "injected_device or 'cpu'",
        "(last_images | first).split('/')[-1]", "first(gen_seeds(2)) | int", "download('http://127.0.0.1:1/x')",
    ],
)  # fmt: skip
def test_unknown_values_are_no_errors(expression: str) -> None:
    text = f"some/model --prompts x\n\\set value {{{{ {expression} }}}}\nsome/model --output-size {{{{ value }}}}\n"
    assert codes(text) == []
    if "|" not in expression and " is " not in expression:
        assert codes(f"some/model --prompts x\n\\setp value {expression}\n\\print {{{{ value }}}}\n") == []


def test_unknown_words_may_be_anything() -> None:
    assert codes("{{ injected_args.remove('-v') }}\n") == []
    assert codes("{{ injected_device }} --prompts x --output-size 64 {{ injected_args }} 3 --no-aspect\n") == []
    assert codes("some/model --{{ injected_device }} x y --promts z\n") == ["unknown-option"]


@pytest.mark.parametrize(
    "text",
    [
        "a {{ x }} b",
        "{{x}}{{ n }}",
        "{{ u }}",
        "{{ x }}\n",
        " {{ f }} {",
        "{{ q }}",
        "{{ missing }}",
        "{{ true }}",
        "{{ x }",
    ],
)
def test_plain_names_render_as_any_template(text: str) -> None:
    oracle = Oracle()
    values = {"x": "red $HOME", "n": 3, "u": oracle.unknown(), "f": 0.5, "q": Quoted('"a b"'), "true": "no"}
    line = Line.of(Source("s", text).span(0, len(text)))
    renderer = FollowingRenderer(values, {}, oracle)
    try:
        expected = Renderer.render(renderer, line)
    except DgenError as error:
        with pytest.raises(DgenError, match=re.escape(str(error))):
            renderer.render(line)
        return
    assert renderer.render(line) == expected
