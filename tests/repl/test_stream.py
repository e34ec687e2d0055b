"""`dgen --shell` away from a terminal: statements from standard input, each run as soon as it is whole."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from forks import Forks

from dgen.repl.history import history_file, project_of
from dgen.repl.stream import statements

Shell = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def shell(at_work: Path, forks: Forks) -> Shell:
    """Run `dgen` in a folder with toy models, with a text to read and arguments."""
    return lambda text, *argv: forks.run(*argv, text=text)


@pytest.mark.parametrize("argv", [("--shell",), ("repl",), ("repl", "--shell")], ids=" ".join)
def test_errors_do_not_end_it_and_its_exit_code_remembers_them(argv: tuple[str, ...], shell: Shell) -> None:
    done = shell("\\print a\n\\nonsense\ntoy --sedes\n\\print b\n", *argv)
    assert done.stdout == "a\nb\n"
    assert done.stderr.count("error[") == 2
    assert done.returncode == 1
    assert shell("\\print a\n", *argv).returncode == 0
    assert shell("\\exit 4\n\\print never\n", *argv).returncode == 4


def test_statements_share_variables_modules_and_models(shell: Shell, at_work: Path) -> None:
    text = (
        "toy -p x --seeds 1 --inference-steps 1\n\\save_modules m vae\n\\use_modules m\n"
        "toy -p x --seeds 2\n--inference-steps 1\n-o {{ 'two' }}\n\\print {{ last_seeds }} {{ saved_modules|length }}\n"
    )
    done = shell(text, "--shell", "-v")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[2] 1\n"
    assert done.stderr.count("loaded unet") == 1
    assert len(list((at_work / "two").glob("[!.]*"))) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("toy\n--seeds 1\n\\print x", ["toy\n--seeds 1\n", "\\print x"]),
        ("toy\n\n--seeds 1", ["toy\n\n", "--seeds 1"]),
        ("toy \\\n\n  a\n\\print x\n", ["toy \\\n\n", "  a\n", "\\print x\n"]),
        ("{% for x in y %}\n\n\\print x\n{% endfor %}\n\\pwd\n", ["{% for x in y %}\n\n\\print x\n{% endfor %}\n",
                                                                   "\\pwd\n"]),
        ("\ufeff\\pwd\n# why\n\\pwd\n", ["\\pwd\n", "# why\n", "\\pwd\n"]),
        ("toy 'a \\\n b'\n", ["toy 'a \\\n b'\n"]),
    ],
)  # fmt: skip
def test_statement_is_over_when_the_next_line_says_so(text: str, expected: list[str]) -> None:
    assert list(statements(io.BytesIO(text.encode()))) == expected


def test_history_needs_no_terminal_but_drafts_do(shell: Shell) -> None:
    done = shell("\\print a\n\\history\n\\edit\n", "--shell")
    assert "   1  \\print a\n" in done.stdout
    assert "error[not-in-script]" in done.stderr


def test_saved_session_runs_what_was_run(shell: Shell, at_work: Path) -> None:
    text = (
        "\\setp n 1\ntoy -p x --seeds {{ n }} --inference-steps 1 -o one  # the first\n\\again --seeds 2\n"
        "{% for s in [3, 4] %}\n\\again --seeds {{ s }} --output-overwrite\n{% endfor %}\n"
        "\\again --seeds {{ n + 1 }}\n\\again --sedes 5\n\\cache\n# the end\n\\save story.dgen\n"
    )
    done = shell(text, "--shell")
    assert done.stdout.endswith("saved story.dgen\n"), done.stderr
    assert (at_work / "story.dgen").read_text(encoding="utf-8") == (
        "#! dgen 0.1.0\n\n\\setp n 1\n\ntoy\n-p x\n--seeds {{ n }}\n--inference-steps 1\n-o one  # the first\n\n"
        "toy\n-p x\n--inference-steps 1\n-o one\n--seeds 2\n\n"
        "{% for s in [3, 4] %}\n\\again --seeds {{ s }} --output-overwrite\n{% endfor %}\n\n"
        "toy\n-p x\n--inference-steps 1\n-o one\n--output-overwrite\n--seeds 2\n\n# the end\n"
    )
    made = sorted(path.name for path in (at_work / "one").glob("[!.]*"))
    assert len(made) == 4
    ran = shell("", "story.dgen")
    assert ran.returncode == 0, ran.stderr


def test_mistake_does_not_wait_for_torch(at_work: Path) -> None:
    program = (
        "import sys; from dgen.cli.main import main; main(['--shell']);"
        "print(sorted({'torch', 'diffusers', 'transformers'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input="toy --sedes 1\n", capture_output=True, text=True, check=False
    )
    assert "did you mean `--seeds`?" in done.stderr
    assert done.stdout == "[]\n"


def test_events_can_be_had_as_json(shell: Shell) -> None:
    done = shell("toy --sedes 1\n\\print x\n", "--shell", "--json")
    assert '"event": "Failed"' in done.stdout
    assert '"event": "Printed"' in done.stdout


def test_file_that_is_no_script_is_refused(shell: Shell) -> None:
    done = shell("", "repl", "missing.dgen")
    assert done.returncode == 2
    assert "error[missing-file]" in done.stderr


def test_project_is_the_nearest_folder_with_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project" / "deep" / "deeper").mkdir(parents=True)
    deep = tmp_path / "project" / "deep"
    assert project_of(deep) == deep
    (tmp_path / "project" / ".git").mkdir()
    assert project_of(deep / "deeper") == tmp_path / "project"
    assert history_file(deep) == history_file(tmp_path / "project")
    assert history_file(deep) != history_file(tmp_path)
