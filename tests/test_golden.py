"""Golden files: what scripts do (`lang`), what mistakes look like (`errors`), what commands, `check` and `fmt` tell."""

from __future__ import annotations

import os
import random
import shlex
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from dgen.check.follow import check_source, surroundings_kept
from dgen.cli.main import main
from dgen.diagnostic import DgenError, Diagnostic, Source, render
from dgen.engine.trace import Traced, TraceEngine
from dgen.events import Event, Failed, Printed, Warned
from dgen.lang.evaluate import Exited
from dgen.lang.layout import lay_out
from dgen.session import Session

GOLDEN = Path(__file__).parent / "golden"


def scripts(folder: str) -> list[Path]:
    return sorted((GOLDEN / folder).glob("*.dgen"))


def compare(actual: str, expected: Path, update: bool) -> None:
    if update:
        expected.write_text(actual, encoding="utf-8")
    assert actual == (expected.read_text(encoding="utf-8") if expected.exists() else "")


@pytest.mark.parametrize("path", scripts("errors"), ids=lambda p: p.stem)
def test_mistake_is_rendered_exactly(
    path: Path, at_work: Path, capfd: pytest.CaptureFixture[str], pytestconfig: pytest.Config
) -> None:
    script = at_work / path.name
    script.write_bytes(path.read_bytes())
    shutil.copytree(path.parent / "with", at_work / "with")
    code = main([path.name, "--quiet"])
    out, err = capfd.readouterr()
    assert code in {1, 2}
    assert "Traceback" not in err
    assert "the pickle ran" not in out + err
    compare(err.replace(str(at_work), "…"), path.with_suffix(".err"), pytestconfig.getoption("--update-golden"))


def trace(source: Source, drawn: Callable[[Sequence[Diagnostic]], str] = render) -> str:
    """What a script does, in a line per event; `drawn` writes what it is told of."""
    lines: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, Printed):
            lines.append(event.text.rstrip("\n"))
        elif isinstance(event, Traced):
            lines.append(event.text)
        elif isinstance(event, Warned):
            lines.append(drawn([event.diagnostic]))
        elif isinstance(event, Failed):
            lines.append(drawn(event.diagnostics))

    session = Session(TraceEngine(listen), listen)
    session.rng = random.Random(1)
    with surroundings_kept():
        try:
            session.run(source)
        except DgenError as error:
            lines.append(drawn(error.diagnostics))
        except Exited as stop:
            lines.append(f"exit {stop.code}")
        finally:
            session.close()
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("path", [*scripts("lang"), *scripts("compat")], ids=lambda p: p.stem)
def test_script_does_exactly_this(
    path: Path, at_work: Path, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    if (path.parent / "with").exists():
        shutil.copytree(path.parent / "with", at_work / "with")
    monkeypatch.setenv("GOLDEN", "from the environment")
    text = trace(Source(path.name, path.read_text(encoding="utf-8"))).replace(str(at_work), "…")
    compare(text, path.with_suffix(".out"), pytestconfig.getoption("--update-golden"))


def without_places(diagnostics: Sequence[Diagnostic]) -> str:
    """What is told, but not where: another layout has other lines."""
    return "\n".join(f"{d.severity}[{d.code}]: {d.message}" for d in diagnostics)


@pytest.mark.parametrize(
    "path", [*scripts("lang"), *scripts("compat"), *scripts("fmt")], ids=lambda p: f"{p.parent.name}-{p.stem}"
)
def test_script_laid_out_does_what_it_did(
    path: Path, workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = path.read_text(encoding="utf-8")
    monkeypatch.setenv("GOLDEN", "from the environment")
    traces: list[str] = []
    for name, each in (("before", text), ("after", lay_out(Source(path.name, text)))):
        folder = tmp_path / name
        folder.mkdir()
        for entry in workshop.iterdir():
            (folder / entry.name).symlink_to(entry)
        if (path.parent / "with").exists():
            shutil.copytree(path.parent / "with", folder / "with")
        monkeypatch.chdir(folder)
        traces.append(trace(Source(path.name, each), without_places).replace(str(folder), "…"))
    assert traces[1] == traces[0]


# Scripts that are wrong on purpose, or name a file that only their trace has.
NOT_CLEAN = ("-of-another-family", "-original-config", "-subfolder")


@pytest.mark.parametrize(
    "path", [p for p in scripts("compat") if not any(n in p.stem for n in NOT_CLEAN)], ids=lambda p: p.stem
)
def test_script_in_an_old_style_checks_clean(path: Path, at_work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(path.parent / "with", at_work / "with")
    monkeypatch.setenv("GOLDEN", "from the environment")
    found = check_source(Source(path.name, path.read_text(encoding="utf-8")))
    assert [d for d in found if d.severity == "error"] == []


@pytest.mark.parametrize("path", scripts("check"), ids=lambda p: p.stem)
def test_check_finds_exactly_this(
    path: Path,
    at_work: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    pytestconfig: pytest.Config,
) -> None:
    for script in (path, *(path.parent / "with").iterdir()):
        (at_work / script.name).write_bytes(script.read_bytes())
    monkeypatch.setenv("GOLDEN", "from the environment")
    monkeypatch.delenv("SUBJECT", raising=False)
    code = main(["check", path.name])
    out, _ = capfd.readouterr()
    assert code == (2 if "error[" in out else 0)
    compare(out.replace(str(at_work), "…"), path.with_suffix(".out"), pytestconfig.getoption("--update-golden"))


@pytest.mark.parametrize("path", scripts("fmt"), ids=lambda p: p.stem)
def test_layout_is_exactly_this(path: Path, pytestconfig: pytest.Config) -> None:
    text = lay_out(Source(path.name, path.read_text(encoding="utf-8")))
    compare(text, path.with_suffix(".fmt"), pytestconfig.getoption("--update-golden"))
    assert lay_out(Source(path.name, text)) == text


def answer(line: str, capfd: pytest.CaptureFixture[str]) -> str:
    """What a line says and how it ends: of dgen in this process, of anything else in a shell."""
    code = main(shlex.split(line)[1:]) if line.startswith("dgen ") else subprocess.run(line, shell=True).returncode
    out, err = capfd.readouterr()
    assert "Traceback" not in out + err
    return f"$ {line}\n{out}{err}" + (f"[{int(code)}]\n" if code else "")


@pytest.mark.parametrize("path", sorted((GOLDEN / "commands").glob("*.txt")), ids=lambda p: p.stem)
def test_command_line_answers_exactly_this(
    path: Path,
    at_work: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    pytestconfig: pytest.Config,
) -> None:
    lines = [line[2:] for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("$ ")]
    with open(os.devnull, encoding="utf-8") as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        told = "".join(answer(line, capfd) for line in lines)
    compare(told.replace(str(at_work), "…"), path, pytestconfig.getoption("--update-golden"))
