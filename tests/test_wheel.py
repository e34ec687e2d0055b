"""A built wheel, installed elsewhere, finds its grammar and plugins and runs scripts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which a freshly built wheel was installed, without its dependencies."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder / "dist"), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target"]
    subprocess.run([*pip, str(folder / "site"), str(wheel)], check=True, capture_output=True)
    return folder / "site"


def python(site: Path, *argv: str, cwd: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, *argv], capture_output=True, text=True, cwd=cwd, env=environment, stdin=subprocess.DEVNULL,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_wheel_finds_its_grammar_and_plugins(installed: Path, tmp_path: Path) -> None:
    program = "import dgen.resources as r; print(r.folder('grammar')); print(r.folder('plugins'))"
    assert [Path(line).parent for line in python(installed, "-c", program, cwd=tmp_path).split()] == [
        installed / "dgen", installed / "dgen",
    ]  # fmt: skip


def test_wheel_runs_a_script(installed: Path, workshop: Path, tmp_path: Path) -> None:
    (tmp_path / "s.dgen").write_text(
        "{% for n in [1, 2] %}\n"
        f'"{workshop}/toy" --prompts x --seeds {{{{ n }}}} --inference-steps 1\n'
        "{% endfor %}\n"
    )
    python(installed, "-m", "dgen", "s.dgen", "--quiet", cwd=tmp_path)
    assert len(list((tmp_path / "output").glob("*.png"))) == 2


def test_wheel_brings_its_plugins(installed: Path, tmp_path: Path) -> None:
    words = ["prompt-upscale", "--prompts", "a {red|blue} star", "--upscalers", "dynamicprompts"]
    assert python(installed, "-m", "dgen", *words, cwd=tmp_path).split("\n") == ["a red star", "a blue star", ""]
