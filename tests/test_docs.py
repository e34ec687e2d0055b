"""Generated pages are current, and what docs and README show is what happens."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from dgen.cli.main import main
from dgen.options.commands import COMMANDS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(kind: str) -> list[tuple[str, str]]:
    return [(p.name, m[2]) for p in PAGES for m in BLOCK.finditer(p.read_text(encoding="utf-8")) if m[1] == kind]


def commands() -> list[str]:
    """Every `dgen` command of a shell block, comments taken off."""
    lines = [line for _, text in blocks("sh") for line in text.replace("\\\n", " ").splitlines()]
    return [line.partition("  #")[0].strip() for line in lines if line.startswith("dgen ")]


def test_generated_pages_are_current() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "make_docs.py", "--check"], check=False, capture_output=True
    )
    assert done.returncode == 0, done.stderr


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


TOLD = re.compile(r"^```dgen\n(.*?)^```$(?:\n```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
SCRIPTS = [
    pytest.param(m[1], m[2] or "", id=f"{page.stem}-{number}")
    for page in PAGES
    for number, m in enumerate(TOLD.finditer(page.read_text(encoding="utf-8")), 1)
]


@pytest.mark.parametrize(("script", "output"), SCRIPTS)
def test_script_of_a_page_writes_what_the_page_says(
    script: str, output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.dgen").write_text(script, encoding="utf-8")
    code = main(["page.dgen", "--quiet"])
    written, errors = capfd.readouterr()
    assert (code, errors) == (0, "")
    assert [line.rstrip() for line in written.splitlines()] == [line.rstrip() for line in output.splitlines()]


PYTHON = re.compile(r"^```python\n(.*?)^```$(?:\n```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)


def test_python_page_prints_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DGEN_CACHE", str(tmp_path / "cache"))
    names: dict[str, object] = {}
    for code, output in PYTHON.findall((ROOT / "docs" / "python.md").read_text(encoding="utf-8")):
        exec(compile(code, "python.md", "exec"), names)
        assert capfd.readouterr().out == output, code


def test_plugin_of_a_page_is_the_one_that_tests_load() -> None:
    (code,) = [text for page, text in blocks("python") if page == "plugins.md"]
    tested = (ROOT / "tests" / "unit" / "lang" / "plugins" / "shouting.py").read_text(encoding="utf-8")
    assert code.partition("@directive")[2] == tested.partition("@directive")[2]


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the commands of the README run one after another."""
    folder = tmp_path_factory.mktemp("tour")
    stories = [text for _, text in blocks("") if text.startswith("#! dgen")]
    (folder / "story.dgen").write_text(stories[0], encoding="utf-8")
    return folder


def test_readme_tour_runs(tour: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tour)
    monkeypatch.setenv("DGEN_CACHE", str(tour / "cache"))
    for command in commands():
        words = shlex.split(command)[1:]
        is_quiet = "--help" in words or COMMANDS.get(words[0], COMMANDS["run"]).rows
        assert main(words if is_quiet else [*words, "--quiet"]) == 0, command + capfd.readouterr().err
    assert main(["story.dgen", "--quiet"]) == 0


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.dgen")), ids=lambda p: p.stem)
def test_example_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([str(path), "--quiet"]) == 0
    assert list((tmp_path / "output").iterdir())
