"""What a run shows while it goes on: in a pipe, as JSON, on a terminal."""

from __future__ import annotations

import base64
import io
import json
import os
import pty
from pathlib import Path

import pyte
import pytest
from forks import Forks
from PIL import Image

from dgen.cli import fronts
from dgen.cli.main import main

SAID = ["toy", "--prompts", "x", "--seeds", "1", "2", "--inference-steps", "6", "--no-output-metadata"]


def events_of(capsys: pytest.CaptureFixture[str], *more: str) -> list[dict[str, object]]:
    assert main([*SAID, *more, "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_json_tells_steps_times_and_memory(at_work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = events_of(capsys)
    times = [e["at"] for e in events]
    assert times == sorted(times)  # type: ignore[type-var]
    (start,) = (e for e in events if e["event"] == "StatementStarted")
    assert (start["jobs"], start["steps"], start["device"]) == (2, 12, "cpu")
    steps = [e for e in events if e["event"] == "StepDone"]
    assert [(e["number"], e["step"], e["steps"]) for e in steps] == [(n, s, 6) for n in (1, 2) for s in range(1, 7)]
    assert [e["seconds"] is None for e in steps] == ([True] + [False] * 5) * 2
    assert all(e["resident_bytes"] > 10**7 and e["device_bytes"] is None for e in steps)  # type: ignore[operator]


def test_preview_is_a_picture_in_json_and_changes_no_file(at_work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not any(e["event"] == "Previewed" for e in events_of(capsys, "-o", "plain"))
    shown = [e for e in events_of(capsys, "-o", "shown", "--preview", "2") if e["event"] == "Previewed"]
    assert [(e["number"], e["step"]) for e in shown] == [(1, 2), (1, 4), (2, 2), (2, 4)]
    for event in shown:
        with Image.open(io.BytesIO(base64.b64decode(str(event["png"])))) as picture:
            assert (picture.format, picture.mode) == ("PNG", "RGB")
    (every,) = (e for e in events_of(capsys, "--preview", "--seeds", "1") if e["event"] == "Previewed")
    assert every["step"] == 5
    plain, previewed = ({p.name: p.read_bytes() for p in (at_work / f).glob("[!.]*")} for f in ("plain", "shown"))
    assert plain == previewed


def test_pipe_shows_lines_and_no_preview(
    at_work: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fronts, "STANDING_S", float("inf"))
    assert main([*SAID, "--preview", "2"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().err.splitlines()] == ["toy:", "saved", "saved", "done:"]
    monkeypatch.setattr(fronts, "STANDING_S", 0.0)
    assert main([*SAID, "--preview", "2"]) == 0
    (standing,) = (line for line in capsys.readouterr().err.splitlines() if "·" in line)
    assert "1 of 2 jobs left" in standing
    assert standing.endswith(" s left")
    assert "\x1b" not in standing


def test_terminal_shows_bars_status_and_preview(at_work: Path, forks: Forks) -> None:
    screen = pyte.Screen(120, 40)
    stream = pyte.ByteStream(screen)
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40", "COLORTERM": "truecolor"}
    argv = [*SAID, "--seeds", *"1234", "--inference-steps", "20", "--preview", "2"]
    seen: set[str] = set()
    with forks.start(*argv, streams=(slave,) * 3, env=environment) as running:
        os.close(slave)
        try:
            while chunk := os.read(master, 4096):
                stream.feed(chunk)
                seen.update(line.rstrip() for line in screen.display)
        except OSError:
            pass
    os.close(master)
    assert running.returncode == 0
    assert any("all jobs" in line and "/4" in line and " left" in line for line in seen)
    assert any("toy · cpu · " in line and "jobs left" in line and "it/s" in line for line in seen)
    assert any(line.startswith("▀▀▀▀") for line in seen)
    assert not any("▀" in line or "all jobs" in line for line in screen.display)
    assert any(line.startswith("done: 4 files") for line in screen.display)
