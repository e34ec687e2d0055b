"""Prompt upscalers: combinations, wildcards, formats, plugins of one's own, and mistakes."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
import yaml

from dgen.cli.main import main
from dgen.values.prompt import Prompt, read_prompt


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*words: str) -> int:
    return main(["prompt-upscale", *words])


def out(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_every_combination_of_both_parts_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--prompts", "a {red|blue} star; {bad|ugly}", "plain", "--upscaler", "dynamicprompts") == 0
    assert out(capsys) == [
        "a red star; bad", "a red star; ugly", "a blue star; bad", "a blue star; ugly", "plain",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("part", "made"), [("positive", ["a; {x|y}", "b; {x|y}"]), ("negative", ["{a|b}; x", "{a|b}; y"])]
)
def test_one_part_alone(part: str, made: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("-p", "{a|b}; {x|y}", "-u", f"dynamicprompts;part={part}") == 0
    assert out(capsys) == made


def test_random_draws_are_as_many_as_asked_and_repeat_with_a_seed(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("-p", "{a|b|c|d|e|f|g}; bad", "-u", "dynamicprompts;random=yes;seed=3;variations=5")
    assert run(*words) == 0
    made = out(capsys)
    assert len(made) == 5
    assert len(set(made)) > 1
    assert run(*words) == 0
    assert out(capsys) == made


def test_wildcards_come_from_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    Path("cards").mkdir()
    Path("cards/colour.txt").write_text("red\nblue\n")
    assert run("-p", "a __colour__ star", "-u", "dynamicprompts;wildcards=cards") == 0
    assert sorted(out(capsys)) == ["a blue star", "a red star"]


def test_too_many_prompts_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    text = "{a|b|c|d|e}" * 12
    assert run("-p", text, "-u", "dynamicprompts") == 2
    assert "stands for more than 10000 prompts" in capsys.readouterr().err
    assert run("-p", text, "-u", "dynamicprompts;variations=3") == 0
    assert len(out(capsys)) == 3


ODD = ["a 'b\" ☂; bad", "- it: is\x7f,\u2028 so"]


def test_every_format_reads_back(capsys: pytest.CaptureFixture[str]) -> None:
    read = {
        "json": json.loads,
        "yaml": yaml.safe_load,
        "toml": lambda text: tomllib.loads(text)["prompts"],
    }
    for form, reader in read.items():
        assert run("-p", *ODD, "-u", "dynamicprompts", "-of", form, "-o", f"made.{form}") == 0
        assert reader(Path(f"made.{form}").read_text(encoding="utf-8")) == ODD
    assert capsys.readouterr().out == ""


def test_prompts_quoted_for_a_script_are_its_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("-p", "it's {a|b}; ~ *", "-u", "dynamicprompts", "-q", "dgen") == 0
    lines = out(capsys)
    Path("s.dgen").write_text("".join(f"\\sete x {line}\n\\print {{{{ x }}}}\n" for line in lines))
    assert main(["s.dgen", "--quiet"]) == 0
    assert out(capsys) == ['["it\'s a; ~ *"]', '["it\'s b; ~ *"]']


def test_the_directive_does_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    Path("s.dgen").write_text(
        '\\prompt_upscale -p "{a|b} star" -u dynamicprompts\n\\prompt_upscaler_help magicprompt\n'
    )
    assert main(["s.dgen", "--quiet"]) == 0
    lines = out(capsys)
    assert lines[:3] == ["a star", "b star", "magicprompt"]
    assert main(["--prompt-upscaler-help", "magicprompt", "--quiet"]) == 0
    assert out(capsys) == lines[2:]


OWN = '''
"""An upscaler."""
from dgen.plugins import Text, Upscaling, opt, options, prompt_upscaler, record

@record
@options("echo")
class Echo(Upscaling):
    """Arguments of `echo`."""
    word: str = opt(..., value=Text(), help="What to add.")

@prompt_upscaler("echo", Echo)
def echo(said, texts, writer):
    """Say it twice."""
    return [[f"{text} {said.word}", text] for text in texts]
'''


def test_a_plugin_brings_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    Path("own.py").write_text(OWN)
    Path("broken.py").write_text(OWN.replace('"echo"', '"gone"') + "1 / 0\n")
    script = Path("s.dgen")
    script.write_text("\\import_plugins broken.py\n")
    assert main(["s.dgen", "--quiet"]) == 2
    script.write_text("\\import_plugins own.py\n\\prompt_upscale -p a -u 'echo;word=b'\n\\prompt_upscaler_help echo\n")
    capsys.readouterr()
    assert main(["s.dgen", "--quiet"]) == 0
    assert out(capsys)[:3] == ["a b", "a", "echo"]
    script.write_text("\\prompt_upscale -p a -u echo gone\n")
    assert main(["s.dgen", "--quiet"]) == 2
    told = capsys.readouterr().err
    assert "the argument `word` is missing" in told
    assert "no prompt upscaler named `gone`" in told


def test_a_missing_package_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "dynamicprompts.wildcards.wildcard_manager", None)
    assert run("-p", "a", "-u", "dynamicprompts") == 2
    assert "error[missing-package]: this needs the package `dynamicprompts`" in capsys.readouterr().err


def test_pictures_of_upscaled_prompts_replay(at_work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["toy", "--prompts", "<upscaler: dynamicprompts> a {red|blue} star; {bad|ugly}", "plain {a|b}", "--seeds"]
    more = ["1", "--inference-steps", "1", "--prompt-upscaler", "dynamicprompts;random=yes", "-oc", "--quiet"]
    assert main([*words, *more]) == 0
    made = sorted(Path("output").glob("*.png"))
    assert len(made) == 5
    configs = [p.with_suffix(".dgen").read_text() for p in made]
    assert all("upscaler" not in c for c in configs)
    assert main(["replay", str(made[0]), "--output-path", "again", "--quiet"]) == 0
    (again,) = Path("again").glob("*.png")
    assert again.read_bytes() == made[0].read_bytes()


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("<upscaler: a;b=c> x; y", Prompt("x", "y", ("a;b=c",))),
        ("x <upscaler:a><upscaler: b> ; y", Prompt("x", "y", ("a", "b"))),
        ("""x <upscaler: a;b="<>;'" > y""", Prompt("x y", "", ("""a;b="<>;'\"""",))),
        ("<lora:x:1> <upscaler> x; y", Prompt("<lora:x:1> <upscaler> x", "y")),
        ("a < upscaler b", Prompt("a < upscaler b", "")),
    ],
)
def test_tags_of_prompts_are_read_and_written(text: str, prompt: Prompt) -> None:
    assert read_prompt(text) == prompt
    assert read_prompt(str(prompt)) == prompt


def test_words_get_weights_drawn_between_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    import re

    words = ("-p", "a red star, in the woods!; 2 dull stars", "-u")
    assert run(*words, "attention;seed=5;min=0.2;max=0.4") == 0
    (made,) = out(capsys)
    assert re.sub(r"\((\w+):0\.[234]\d*\)", r"<\1>", made) == "a <red> <star>, in the <woods>!; 2 <dull> <stars>"
    assert run(*words, "attention;seed=5;min=0.2;max=0.4;syntax=compel") == 0
    assert out(capsys) == [re.sub(r"\((\w+):([\d.]+)\)", r"(\1)\2", made)]
    assert run(*words, "attention;min=2") == 2
    assert "`min` is 2.0, which is more than `max`, 0.9" in capsys.readouterr().err
