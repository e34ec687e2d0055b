"""Commands stay light: what each must not import, and where it must not go."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from dgen.options.commands import COMMANDS

HEAVY = {"torch", "numpy", "PIL", "jinja2", "lark", "diffusers", "transformers", "rich", "httpx"}
MODELS = {"torch", "diffusers", "transformers"}


PROGRAM = """
import contextlib, io, json, sys
from dgen.cli.main import main
for argv in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as told, contextlib.redirect_stderr(told):
        code = main(argv)
    print(json.dumps([code, sorted({m.split('.')[0] for m in sys.modules}), told.getvalue()]))
"""
Ran = tuple[int, set[str], str]


def loaded_by(*commands: Sequence[str]) -> list[Ran]:
    """Run commands one after another in a process of their own.

    Return of each the exit code, the top-level modules that are loaded by then, and what it printed.
    """
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(commands)], capture_output=True, text=True, check=True,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    told = map(json.loads, done.stdout.splitlines())
    return [(code, set(modules), text) for code, modules, text in told]


HELP = [("--version",), ("--help",), ("--help", "sampling"), ("--help", "--guidance-scales"), ("--help", "all"),
        *((command, "--help") for command in COMMANDS)]  # fmt: skip


@pytest.fixture(scope="module")
def help_ran() -> list[Ran]:
    return loaded_by(*HELP)


@pytest.mark.parametrize("number", range(len(HELP)), ids=lambda number: " ".join(HELP[number]))
def test_help_and_version_import_nothing_heavy(help_ran: list[Ran], number: int) -> None:
    code, modules, text = help_ran[number]
    assert code == 0
    assert modules & HEAVY == set()
    if HELP[number][0] in COMMANDS:
        assert text.startswith(f"dgen {HELP[number][0]}")


MISTAKES = [
    ("toy", "--guidence-scales", "5"), ("toy", "--seeds", "x"), ("missing.dgen",), ("--file",),
    ("civitai-links", "http://127.0.0.1:9/models/1"), ("auto1111-metadata", "missing.png"),
    ("to-diffusers", "./no-such-folder", "-o", "new"), ("prompt-upscale", "-p", "{a|b", "-u", "dynamicprompts"),
    ("toy", "--image-seeds", "missing.png"), ("./no-such-folder", "--prompts", "x"),
]  # fmt: skip


@pytest.fixture(scope="module")
def mistakes_ran() -> list[Ran]:
    return loaded_by(*MISTAKES)


@pytest.mark.parametrize("number", range(len(MISTAKES)), ids=lambda number: " ".join(MISTAKES[number]))
def test_first_error_does_not_wait_for_torch(mistakes_ran: list[Ran], number: int) -> None:
    code, modules, text = mistakes_ran[number]
    assert code == 2
    assert modules & MODELS == set()
    assert "error[" in text
    assert "Traceback" not in text


@pytest.mark.parametrize("command", ["check", "fmt"])
def test_tools_import_no_model_library(command: str, at_work: Path) -> None:
    script = at_work / "s.dgen"
    script.write_text(
        '\\set colour red\ntoy\n--prompts "a {{ colour }} star"\n--image-seeds seed.png;mask.png\n'
        "--scheduler DDIM\n--vae AutoencoderKL;model=other-vae\n"
    )
    ((code, modules, text),) = loaded_by((command, str(script)))
    assert code == 0, text
    assert modules & {*MODELS, "numpy", "rich", "httpx", "huggingface_hub"} == set()


@pytest.mark.parametrize("said", ["echo --frames 9", 'wan-animate --image-seeds "seed.png;control=moving.gif"'])
def test_models_of_blocks_are_checked_without_a_model_library(at_work: Path, said: str) -> None:
    script = at_work / "s.dgen"
    script.write_text(f"{said} --prompts x --seeds 1 --device cpu\n")
    ((code, modules, text),) = loaded_by(("check", str(script)))
    assert (code, modules & MODELS) == (0, set()), text


def test_look_at_a_model_imports_no_model_library(at_work: Path) -> None:
    ((code, modules, text),) = loaded_by(("model", "toy-xl"))
    assert code == 0, text
    assert modules & MODELS == set()


def test_a_plan_runs_no_models_of_processors(at_work: Path) -> None:
    """What an upscaler makes is guessed by its scale, and what others draw is left as it was."""
    script = at_work / "s.dgen"
    steps = " ".join(
        f'"{name};pre-resize=true"'
        for name in (
            "depth", "hed", "teed", "lineart", "mlsd", "lineart-anime", "marigold", "normal-bae", "sam", "openpose",
            "yolo;model=a/b", "u-sam;asset=sam_b;points=1,1", "upscaler;model=a/b;scale=2", "remove-background",
        )
    )  # fmt: skip
    script.write_text(f"toy --prompts x --inference-steps 2 --image-seeds seed.png --seed-image-processors {steps}\n")
    ((code, modules, text),) = loaded_by(("plan", str(script)))
    assert code == 0, text
    assert "192x128" in text  # twice 96x64
    assert modules & MODELS == set()
