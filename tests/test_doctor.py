"""`dgen doctor` tells what is there, also when something is broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dgen import doctor
from dgen.cli.main import main
from dgen.media.ffmpeg import program

NOT_ASKED_S = 0.01
"""Too short a time for libraries to answer, where none is asked about."""


def doctored(*argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dgen", "doctor", *argv], capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL, env={**os.environ, **environment},
    )  # fmt: skip


def broken_torch(folder: Path, code: str) -> str:
    (folder / "broken" / "torch").mkdir(parents=True)
    (folder / "broken" / "torch" / "__init__.py").write_text(code, encoding="utf-8")
    return str(folder / "broken")


def line_of(text: str, name: str) -> str:
    return next(line for line in text.splitlines() if name in line.split()[:2])


def test_everything_is_told_and_nothing_is_wrong_and_doctor_imports_no_library_itself(tmp_path: Path) -> None:
    (tmp_path / "cache" / "web").mkdir(parents=True)
    (tmp_path / "cache" / "web" / "file").write_bytes(b"x" * 3 * 2**20)
    program = (
        "import sys; from dgen.cli.main import main; code = main(sys.argv[1:]);"
        "assert not {'torch', 'diffusers', 'transformers', 'numpy', 'huggingface_hub'} & set(sys.modules);"
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "doctor", "--json"], capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "DGEN_CACHE": str(tmp_path / "cache"), "HF_TOKEN": "hf_secret"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "hf_secret" not in done.stdout
    found = {(f["section"], f["name"]): f for f in json.loads(done.stdout)}
    from diffusers import __version__ as version

    assert found["libraries", "diffusers"]["facts"]["version"] == version
    assert found["devices", "cpu"]["facts"]["total_bytes"] > 2**30
    assert found["caches", "dgen"]["facts"] == {"folder": str(tmp_path / "cache"), "bytes": 3 * 2**20}
    assert found["hub", "token"]["text"] == "present"
    assert found["disk", "here"]["facts"]["free_bytes"] > 0
    assert found["extras", "dev"]["state"] == "ok"
    assert {f["state"] for f in found.values()} <= {"ok", "missing"}


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("raise RuntimeError('boom\\nand more')", "cannot be imported: RuntimeError: boom"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "crashed (SIGSEGV)"),
        ("import os; os._exit(3)", "ended with 3"),
        ("import sys; sys.exit('gone')", "gone"),
    ],
)
def test_broken_torch_is_a_line_and_no_traceback(tmp_path: Path, code: str, told: str) -> None:
    done = doctored(PYTHONPATH=broken_torch(tmp_path, code))
    assert done.returncode == 1
    assert done.stderr == ""
    assert line_of(done.stdout, "torch").strip().startswith("wrong")
    assert told in line_of(done.stdout, "torch")
    assert "wrong: torch" in done.stdout.replace("accelerate, diffusers, ", "")
    assert "disk" in done.stdout


def test_torch_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", broken_torch(tmp_path, "import time; time.sleep(600)"))
    found = list(doctor.examine(time_limit_s=2))
    assert len([f for f in found if "no answer within 2 s" in f.text and f.state == "wrong"]) == 1
    (torch,) = (f for f in found if f.name == "torch")
    assert torch.state != "ok"  # that one, or, on a slow machine, one before it
    assert found[-1].section == "extras"


def test_what_is_missing_comes_with_the_command_that_gets_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "_version", lambda name: None if name in {"jinja2", "pexpect"} else "99.0")
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "gone"))
    program.cache_clear()
    found = {(f.section, f.name): f for f in doctor.examine(NOT_ASKED_S)}
    assert found["libraries", "jinja2"].state == "wrong"
    assert found["libraries", "jinja2"].help == 'pip install "jinja2>=3.1.6"'
    assert (found["extras", "dev"].state, found["extras", "dev"].text) == ("missing", "lacks pexpect")
    assert found["extras", "dev"].help == 'pip install "dgen-lang[dev]"'
    assert found["programs", "ffmpeg"].state == "missing"
    program.cache_clear()


def test_library_older_than_dgen_needs_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_version", lambda name: "0.1" if name == "rich" else "99.0")
    found = {f.name: f for f in doctor.examine(NOT_ASKED_S) if f.section == "libraries"}
    assert (found["rich"].state, found["rich"].text) == ("wrong", "0.1, but dgen needs >=14")


def test_doctor_takes_no_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "me"]) == 2
    assert "`doctor` takes no argument, found `me`" in capsys.readouterr().err
