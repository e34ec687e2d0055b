"""Commands stay light: what each must not import, and where it must not go."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dgen.options.commands import COMMANDS

HEAVY = {"torch", "numpy", "PIL", "jinja2", "lark", "diffusers", "transformers", "rich", "httpx"}
MODELS = {"torch", "diffusers", "transformers"}


def loaded_by(*argv: str) -> tuple[int, set[str], str]:
    """Run a command in a process of its own; return exit code, top-level modules it loaded, and what it printed."""
    program = (
        "import sys; from dgen.cli.main import main; code = main(sys.argv[1:]);"
        "print('|'.join(sorted({m.split('.')[0] for m in sys.modules})), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *argv], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    return done.returncode, set(done.stderr.strip().splitlines()[-1].split("|")), done.stdout + done.stderr


@pytest.mark.parametrize(
    "argv",
    [("--version",), ("--help",), ("--help", "sampling"), ("--help", "--guidance-scales"), ("--help", "all")],
    ids=" ".join,
)
def test_help_and_version_import_nothing_heavy(argv: tuple[str, ...]) -> None:
    code, modules, _ = loaded_by(*argv)
    assert code == 0
    assert modules & HEAVY == set()


@pytest.mark.parametrize(
    "argv",
    [
        ("toy", "--guidence-scales", "5"), ("toy", "--seeds", "x"), ("missing.dgen",), ("--file",),
        ("civitai-links", "http://127.0.0.1:9/models/1"), ("auto1111-metadata", "missing.png"),
        ("to-diffusers", "./no-such-folder", "-o", "new"), ("prompt-upscale", "-p", "{a|b", "-u", "dynamicprompts"),
        ("toy", "--image-seeds", "missing.png"), ("./no-such-folder", "--prompts", "x"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_first_error_does_not_wait_for_torch(argv: tuple[str, ...]) -> None:
    code, modules, text = loaded_by(*argv)
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
    code, modules, text = loaded_by(command, str(script))
    assert code == 0, text
    assert modules & {*MODELS, "numpy", "rich", "httpx", "huggingface_hub"} == set()


@pytest.mark.parametrize("said", ["echo --frames 9", 'wan-animate --image-seeds "seed.png;control=moving.gif"'])
def test_models_of_blocks_are_checked_without_a_model_library(at_work: Path, said: str) -> None:
    script = at_work / "s.dgen"
    script.write_text(f"{said} --prompts x --seeds 1 --device cpu\n")
    code, modules, text = loaded_by("check", str(script))
    assert (code, modules & MODELS) == (0, set()), text


def test_look_at_a_model_imports_no_model_library(at_work: Path) -> None:
    code, modules, text = loaded_by("model", "toy-xl")
    assert code == 0, text
    assert modules & MODELS == set()


@pytest.mark.parametrize("command", list(COMMANDS))
def test_help_on_a_command_is_light(command: str) -> None:
    code, modules, text = loaded_by(command, "--help")
    assert code == 0
    assert text.startswith(f"dgen {command}")
    assert modules & HEAVY == set()


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
    code, modules, text = loaded_by("plan", str(script))
    assert code == 0, text
    assert "192x128" in text  # twice 96x64
    assert modules & MODELS == set()
