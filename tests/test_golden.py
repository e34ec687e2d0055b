"""Golden files: what a script does (`lang`), what one mistake looks like (`errors`), what `check` and `fmt` make."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from dgen.check.follow import check_source
from dgen.cli.main import main
from dgen.diagnostic import DgenError, Source, render
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


@pytest.mark.parametrize("path", [*scripts("lang"), *scripts("compat")], ids=lambda p: p.stem)
def test_script_does_exactly_this(
    path: Path, at_work: Path, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    lines: list[str] = []
    if (path.parent / "with").exists():
        shutil.copytree(path.parent / "with", at_work / "with")

    def listen(event: Event) -> None:
        if isinstance(event, Printed):
            lines.append(event.text.rstrip("\n"))
        elif isinstance(event, Traced):
            lines.append(event.text)
        elif isinstance(event, Warned):
            lines.append(render([event.diagnostic]))
        elif isinstance(event, Failed):
            lines.append(render(event.diagnostics))

    session = Session(TraceEngine(listen), listen)
    session.rng = random.Random(1)
    monkeypatch.setenv("GOLDEN", "from the environment")
    try:
        session.run(Source(path.name, path.read_text(encoding="utf-8")))
    except DgenError as error:
        lines.append(str(error))
    except Exited as stop:
        lines.append(f"exit {stop.code}")
    finally:
        session.close()
    text = "\n".join(lines).replace(str(at_work), "…") + "\n"
    compare(text, path.with_suffix(".out"), pytestconfig.getoption("--update-golden"))


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
