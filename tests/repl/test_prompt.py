"""The prompt as a user sits at it: on a real pseudo-terminal, its screen read back."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from forks import FRESH

from .terminal import Terminal

Start = Callable[..., Terminal]


def program(path: Path, text: str) -> Path:
    """Write a shell script that can be run."""
    path.write_text("#!/bin/sh\n" + text, encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.mark.parametrize("argv", [(), ("repl",), ("--shell",)], ids=lambda a: " ".join(a) or "dgen")
def test_prompt_appears_and_ctrl_d_ends_it_without_a_question(start: Start, argv: tuple[str, ...]) -> None:
    terminal = start(*argv, first=FRESH).wait_for_prompt()
    terminal.wait_for("Ctrl-D leaves")
    assert terminal.press("ctrl-d").ends() == 0
    assert "Traceback" not in terminal.shown


def test_menu_offers_what_fits_with_its_help_and_tab_takes_it(start: Start) -> None:
    terminal = start().wait_for_prompt()
    terminal.type("\\templ").wait_for("Show the variables")
    terminal.press("tab").wait_for("> \\templates_help")
    terminal.press("enter").wait_for("> \\templates_help").press("enter").wait_for("saved_modules: dict = {}")


def test_line_below_says_how_a_uri_is_written(start: Start) -> None:
    terminal = start().wait_for_prompt()
    terminal.type("toy --vae AutoencoderKL;model=other-vae;dt").wait_for("CLASS;model=MODEL;[revision=TEXT]")
    terminal.wait_for("dtype=  Its precision").press("tab").wait_for("model=other-vae;dtype=")
    terminal.type("f").wait_for("Its precision").wait_for("float16")
    terminal.press("ctrl-c").wait_for_prompt()
    terminal.type("toy --scheduler DDIM;sample-max-value=2").wait_for("[sample-max-value=1.0]")


def test_statement_is_coloured_by_the_grammar(start: Start) -> None:
    terminal = start().enter("\\set who a fox").wait_for_prompt()
    terminal.type('toy --prompts "a {{ who }}" # why').wait_for("# why")
    terminal.wait(lambda: terminal.colour_of("--prompts") == "cyan", "colours")
    assert terminal.colour_of('"a') == "green"
    assert terminal.colour_of("who") == "brown"  # as pyte calls yellow
    assert terminal.colour_of("# why") == "brightblack"


def test_enter_continues_what_is_not_whole_and_runs_what_is(start: Start) -> None:
    terminal = start().enter("{% for x in [1, 2] %}").wait_for("...")
    terminal.type("\\print number {{ x }}").press("enter").type("{% endfor %}").press("enter")
    terminal.wait_for("\nnumber 1\nnumber 2")
    terminal.enter("\\echo 'one").wait_for("one \\\n").type("two'").press("enter").wait_for("\none two")
    terminal.enter("\\echo three \\").wait_for("three \\\n  ...").type("four").press("enter").wait_for("\nthree four")
    terminal.wait_for_prompt().type("\\print a").press("alt-enter").wait_for("print a\n  ...")
    terminal.type("\\print b").press("enter").wait_for("\na\nb\n")


def test_empty_line_ends_a_quote_that_was_opened_by_mistake(start: Start) -> None:
    terminal = start().enter("\\echo it's").wait_for("it's \\\n  ...").press("enter")
    terminal.wait_for("this quote is never closed").wait_for_prompt()


def test_error_points_at_its_place_and_the_session_goes_on(start: Start) -> None:
    terminal = start().enter("toy --sedes 1").wait_for("did you mean `--seeds`?")
    terminal.wait_for("--> input 1:1:5")
    terminal.enter("\\print {{ nothing }}").wait_for("no variable named `nothing`").wait_for("--> input 2:1:11")
    terminal.enter("\\print still {{ 1 + 1 }}").wait_for("\nstill 2").wait_for_prompt()


def test_ctrl_c_clears_what_is_typed(start: Start) -> None:
    terminal = start().wait_for_prompt().type("\\print gone").wait_for("gone").press("ctrl-c")
    terminal.enter("\\print here").wait_for("\nhere")


def test_ctrl_c_stops_a_job_at_its_next_step_and_the_model_stays(start: Start) -> None:
    terminal = start("--shell", "-v").enter("builtin:shapes --prompts x --inference-steps 900 --seeds 1")
    terminal.wait_for("loaded unet").wait_for("/900").press("ctrl-c")
    terminal.wait_for("stopping after this step").wait_for("interrupted: 0 jobs done, 1 not rendered").wait_for_prompt()
    terminal.enter("builtin:shapes --prompts x --inference-steps 2 --seeds 1").wait_for("kept unet")
    terminal.wait_for("done: 1 file").wait_for_prompt()


def test_ctrl_c_stops_a_program_at_once(start: Start) -> None:
    terminal = start().enter('\\exec python3 -c "print(1, flush=True); import time; time.sleep(600)"').wait_for("\n1")
    terminal.press("ctrl-c").wait_for("interrupted").enter("\\print here").wait_for("\nhere")


def test_exit_gives_its_code(start: Start) -> None:
    assert start().enter("\\exit 3").ends() == 3


def test_history_belongs_to_the_project_and_outlives_the_session(start: Start, at_work: Path) -> None:
    (at_work / ".git").mkdir()
    (at_work / "inner").mkdir()
    terminal = start().enter("\\print first of all").wait_for("\nfirst of all")
    terminal.enter("toy --auth-token secret --sedes 1").wait_for("did you mean").wait_for_prompt().press("ctrl-d")
    assert terminal.ends() == 0
    (history,) = (at_work / ".state" / "dgen" / "history").iterdir()
    assert "secret" not in history.read_text(encoding="utf-8")
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    again = start("--shell").enter("\\cd inner").wait_for_prompt()
    again.press("up", "up").wait_for("print first of all").press("enter").wait_for("\nfirst of all")
    again.wait_for_prompt().press("ctrl-r").type("first of").wait_for("search").press("enter").press("enter")
    again.wait(lambda: again.shown.count("\nfirst of all") == 2, "the statement that was searched")


def test_session_shows_its_history_and_runs_the_last_invocation_changed(start: Start, at_work: Path) -> None:
    terminal = start().enter("\\set what circle").enter("\\nonsense").wait_for("no directive named")
    terminal.enter('toy --prompts "a {{ what }}" --seeds 1 --inference-steps 1').wait_for("done: 1 file")
    terminal.enter("\\again --seeds 5 6").wait_for("done: 2 files").enter("\\last").wait_for("\n--seeds 5 6")
    terminal.wait_for('\n--prompts "a circle"').enter("\\history").wait_for("   2! \\nonsense")
    terminal.wait_for('   3  toy --prompts "a {{ what }}" --seeds 1').wait_for("      --seeds 5 6")
    assert len(list((at_work / "output").glob("[!.]*"))) == 3


def test_session_is_saved_as_a_script_that_runs(start: Start, at_work: Path) -> None:
    terminal = start().enter("\\set what circle").enter("\\unset nothing").wait_for("no variable named")
    terminal.enter('toy --prompts "a {{ what }}" --seeds 1 --inference-steps 1 -o one --auth-token x')
    terminal.wait_for(": one/s_1_g_5-0_i_1_step_1.png").wait_for("toy · cpu · ")
    terminal.enter("\\again --seeds 5 -o two").wait_for_prompt().enter("\\last").wait_for("-o two")
    terminal.enter("\\save story.dgen").wait_for("saved story.dgen").enter("\\save seed.png").wait_for(
        "is there already"
    )
    terminal.wait_for_prompt().press("ctrl-d")
    assert terminal.ends() == 0
    text = (at_work / "story.dgen").read_text(encoding="utf-8")
    assert text == (
        '#! dgen 0.1.0\n\n\\set what circle\n\ntoy\n--prompts "a {{ what }}"\n--seeds 1\n--inference-steps 1\n-o one\n'
        '\ntoy\n--prompts "a circle"\n--inference-steps 1\n--seeds 5\n-o two\n'
    )
    ran = start("story.dgen", "--output-overwrite").ends()
    assert ran == 0


@pytest.mark.parametrize("name", ["VISUAL", "EDITOR"])
def test_editor_changes_the_last_statement_and_the_prompt_takes_it_over(start: Start, at_work: Path, name: str) -> None:
    editor = program(at_work / "editor", 'sed -i "s/sedes/seeds/; s/nowhere/toy/" "$1"\n')
    terminal = start(**{name: str(editor)}).enter("nowhere --sedes 1").wait_for("no option named")
    terminal.enter("\\edit").wait_for("dgen> toy --seeds 1").press("ctrl-a").type("\\echo ").press("enter")
    terminal.wait_for("\ntoy --seeds 1").wait_for_prompt()
    terminal.type("\\echo nowhere").wait_for("echo nowhere").press("ctrl-x", "ctrl-e")
    terminal.wait_for("dgen> \\echo toy").press("enter").wait_for("\ntoy")


def test_editor_that_fails_is_told(start: Start) -> None:
    terminal = start(EDITOR="false").enter("\\edit").wait_for("the editor `false` failed: it ended with exit code 1")
    terminal.wait_for_prompt()


def test_picture_is_shown_in_the_terminal(start: Start) -> None:
    terminal = start().enter("\\show seed.png").wait_for("▀▀▀").wait_for_prompt()
    screen = terminal.screen
    colours = {cell.fg for row in screen.buffer.values() for cell in row.values() if cell.data == "▀"}
    assert {"000080", "ffa500"} <= colours  # navy and orange, of which the picture is made
    terminal.enter("\\show text.png").wait_for("is no picture that can be read").wait_for_prompt()
    terminal.enter("\\show").wait_for("needs the pictures of an invocation, and there are none")


def test_terminal_that_answers_that_it_has_sixels_gets_them(start: Start) -> None:
    terminal = start()
    terminal.screen.attributes = "?62;4;22c"
    terminal.enter("\\show seed.png").wait(lambda: b'\x1bPq"1;1;96;64' in terminal.raw, "sixels")


def test_grid_is_written_and_shown(start: Start, at_work: Path) -> None:
    terminal = start().enter("toy --prompts x --seeds 1 2 3 --inference-steps 1").wait_for("done: 3 files")
    terminal.enter("\\grid").wait_for("saved").wait_for("▀▀▀").wait_for_prompt()
    assert (at_work / "output" / "grid.png").is_file()


def test_picture_opens_in_the_program_of_the_system(start: Start, at_work: Path) -> None:
    (at_work / "bin").mkdir()
    program(
        at_work / "bin" / "xdg-open", f'echo "$1" > {at_work}/opened.part; mv {at_work}/opened.part {at_work}/opened\n'
    )
    terminal = start(PATH=f"{at_work / 'bin'}{os.pathsep}{os.environ['PATH']}").enter("\\open seed.png")
    terminal.wait(lambda: (at_work / "opened").exists(), "the program")
    assert (at_work / "opened").read_text() == "seed.png\n"


def test_cache_shows_what_is_held(start: Start) -> None:
    terminal = start().enter("\\cache").wait_for("nothing is loaded")
    terminal.enter("toy --prompts x --seeds 1 --inference-steps 1").wait_for("done: 1 file")
    terminal.enter("\\cache").wait_for("unet").wait_for("uses").wait_for_prompt()


def test_options_and_scripts_of_the_command_line_hold_in_the_session(start: Start, at_work: Path) -> None:
    (at_work / "first.dgen").write_text("\\set a from the script\n", encoding="utf-8")
    terminal = start("repl", "first.dgen", "--seeds", "7", "--set", "b=two", first=FRESH).enter(
        "\\print {{ a }}, {{ b }}"
    )
    terminal.wait_for("\nfrom the script, two").enter("toy --prompts x --inference-steps 1").wait_for("done: 1 file")
    assert [path.name for path in (at_work / "output").glob("[!.]*")] == ["s_7_g_5-0_i_1_step_1.png"]


def test_session_in_a_sandbox_runs_no_programs(start: Start) -> None:
    start("repl", "--sandbox").enter("\\exec true").wait_for("a sandboxed script may not run programs")
