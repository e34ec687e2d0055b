"""The command as a user runs it: real models at toy size, real files, real processes and signals."""

from __future__ import annotations

import itertools
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from forks import FRESH, NOTHING, PIPE, Forks
from PIL import Image

from dgen.builtin import builtin_models
from dgen.cli.main import main

FAST = ["--inference-steps", "2", "--seeds", "1"]


def pictures(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.glob("*.png"))}


def pixels(path: Path) -> Image.Image:
    """Decode a picture wholly, and close its file."""
    with Image.open(path) as image:
        return image.convert("RGB")


def test_twenty_four_files_in_order_and_by_name(at_work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["toy", "--prompts", "a red circle; blurry", "a blue star", "--seeds", "1", "2", "3"]
    assert main([*argv, "--inference-steps", "1", "2", "--guidance-scales", "3", "5", "--json"]) == 0
    combinations = itertools.product(range(2), (1, 2, 3), ("3-0", "5-0"), (1, 2))
    expected = [f"s_{s}_g_{g}_i_{i}_step_{n}.png" for n, (_, s, g, i) in enumerate(combinations, 1)]
    assert sorted(p.name for p in (at_work / "output").glob("[!.]*")) == sorted(expected)
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    saved = sorted((e for e in events if e["event"] == "FileSaved"), key=lambda e: e["number"])
    assert [Path(e["path"]).name for e in saved] == expected


def test_picture_and_config_replay_to_the_same_bytes(at_work: Path) -> None:
    argv = ["toy", "--prompts", "it's {{ 50% }} $HOME; ünï 🙂", "--image-seeds", "seed.png;mask.png", *FAST]
    assert main([*argv, "--output-configs", "--quiet"]) == 0
    (image,) = (at_work / "output").glob("*.png")
    assert main(["replay", "output/" + image.name, "--quiet"]) == 0
    assert main([str(image.with_suffix(".dgen")), "--quiet"]) == 0
    assert main(["replay", str(image.with_suffix(".dgen")), "-o", "beside", "--output-configs", "--quiet"]) == 0
    made = [*pictures(at_work / "output").values(), *pictures(at_work / "beside").values()]
    made += pictures(at_work / "replayed").values()
    assert len(made) == 4
    assert set(made) == {image.read_bytes()}
    assert main(["replay", "output/" + image.name, "--quiet"]) == 0
    assert pictures(at_work / "replayed_2") == {image.name: image.read_bytes()}
    config = image.with_suffix(".dgen")
    assert (at_work / "beside" / config.name).read_bytes() == config.read_bytes()


def test_folder_can_be_moved_with_its_inputs_and_replayed_from_anywhere(
    at_work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = at_work / "box"
    box.mkdir()
    (box / "in.png").write_bytes((at_work / "seed.png").read_bytes())
    argv = ["toy", "--prompts", "x", "--image-seeds", "box/in.png", *FAST, "-o", "box/out", "--quiet"]
    assert main(argv) == 0
    box.rename(at_work / "elsewhere")
    monkeypatch.chdir("/")
    (image,) = (at_work / "elsewhere" / "out").glob("*.png")
    assert main(["replay", str(image), "-o", str(at_work / "again"), "--quiet"]) == 0
    assert pixels(image).tobytes() == pixels(at_work / "again" / image.name).tobytes()


@pytest.mark.parametrize(
    "text",
    [
        "\\env X=1\ntoy --prompts x\n",
        "toy --prompts x\ntoy --prompts y\n",
        "{% for x in [1] %}\ntoy --prompts x\n{% endfor %}\n",
        "toy --prompts x --output-path /etc\n",
        "toy --prompts x --auth-token $HOME\n",
        "",
    ],
)
def test_replay_refuses_what_no_config_says(at_work: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    (at_work / "evil.dgen").write_text(text, encoding="utf-8")
    assert main(["replay", "evil.dgen"]) == 2
    assert "error[not-replayable]" in capsys.readouterr().err


def test_replay_reads_no_variable_and_no_template(at_work: Path) -> None:
    (at_work / "evil.dgen").write_text('toy --prompts "$HOME {{ env.HOME }}" --seeds 1 --inference-steps 1\n')
    assert main(["replay", "evil.dgen", "--output-configs", "--quiet"]) == 0
    (config,) = (at_work / "replayed").glob("*.dgen")
    assert r'--prompts "\$HOME {\{ env.HOME }}"' in config.read_text(encoding="utf-8")


def test_replay_never_uses_the_network(at_work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (at_work / "evil.dgen").write_text("somebody/some-model --prompts x --seeds 1\n")
    assert main(["replay", "evil.dgen"]) == 2
    assert "error[offline]" in capsys.readouterr().err


def test_scripts_files_and_variables(at_work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (at_work / "a.dgen").write_text("\\set x {{ y }}{{ n[1] }}\n")
    (at_work / "b.dgen").write_text("\\print x is {{ x }}\n")
    assert main(["--file", "*.dgen", "--set", "y=why", "--setp", "n=[1, 2]"]) == 0
    assert capsys.readouterr().out == "x is why2\n"
    assert main(["run", "a.dgen", "b.dgen", "--set", "y=z", "--setp", "n=[y, y]"]) == 0
    assert capsys.readouterr().out == "x is zz\n"


def test_options_of_the_command_line_join_every_invocation(at_work: Path, forks: Forks) -> None:
    script = "toy --prompts x --seeds 1 2 --inference-steps 1\ntoy --prompts y --inference-steps 1\n"
    done = forks.run("--seeds", "7", "--output-path", "joined", text=script)
    assert done.returncode == 0, done.stderr
    assert sorted(pictures(at_work / "joined")) == ["s_7_g_5-0_i_1_step_1.png", "s_7_g_5-0_i_1_step_1_duplicate_1.png"]


def test_failed_statement_ends_a_script_and_keeps_what_was_made(
    at_work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = "toy --prompts x --inference-steps 1 --seeds 1\ntoy --sedes 1\n\\print after\n"
    (at_work / "s.dgen").write_text(script)
    assert main(["s.dgen", "--output-path", "kept"]) == 2
    assert len(pictures(at_work / "kept")) == 1
    assert main(["s.dgen", "--keep-going", "--output-path", "kept"]) == 1
    out, err = capsys.readouterr()
    assert out == "after\n"
    assert "did you mean `--seeds`?" in err


def test_weights_are_read_once_over_modes_schedulers_and_vaes(
    at_work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    golden = Path(__file__).parent / "golden" / "lang" / "one-model-many-ways.dgen"
    (at_work / "s.dgen").write_text(golden.read_text())
    assert main(["s.dgen", "-v", "--inference-steps", "2"]) == 0
    read = [line.split()[1] for line in capsys.readouterr().err.splitlines() if line.startswith("read ")]
    assert len(read) == len(set(read))
    assert {Path(r).parent.name for r in read} == {"vae", "text_encoder", "unet", "other-vae"}


@pytest.mark.parametrize("ending", ["png", "jpg", "webp"])
def test_every_format_carries_its_config(at_work: Path, ending: str) -> None:
    assert main(["toy", "--prompts", "x", *FAST, "--image-format", ending, "--quiet"]) == 0
    (image,) = (at_work / "output").glob("[!.]*")
    assert main(["replay", str(image), "--quiet"]) == 0
    assert (at_work / "replayed" / image.name).read_bytes() == image.read_bytes()


def test_metadata_can_be_left_out(at_work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["toy", "--prompts", "x", *FAST, "--no-output-metadata", "--quiet"]) == 0
    (image,) = (at_work / "output").glob("[!.]*")
    assert main(["replay", str(image)]) == 2
    assert "carries no config" in capsys.readouterr().err


def test_batch_becomes_a_grid(at_work: Path) -> None:
    argv = ["toy", "--prompts", "x", *FAST, "--batch-size", "4", "--quiet"]
    assert main([*argv, "-o", "single"]) == 0
    assert main([*argv, "-o", "grid", "--batch-grid-size", "2x2"]) == 0
    (sheet,) = (pixels(p) for p in (at_work / "grid").glob("[!.]*"))
    parts = [pixels(p) for p in sorted((at_work / "single").glob("[!.]*"))]
    assert sheet.size == (128, 128)
    assert len(parts) == 4
    assert sheet.crop((64, 0, 128, 64)).tobytes() == parts[1].tobytes()


def test_interrupt_finishes_the_file_and_says_what_is_left(at_work: Path, forks: Forks) -> None:
    argv = ["toy", "--prompts", "x", "--seeds", *map(str, range(500)), "--inference-steps", "3"]
    with forks.start(*argv, streams=(NOTHING, NOTHING, PIPE)) as running:
        (stderr,) = running.pipes
        while "saved" not in stderr.readline():
            pass
        running.send_signal(signal.SIGINT)
        rest = stderr.read()
    assert running.returncode == 130
    assert "not rendered" in rest
    assert "Traceback" not in rest
    for path in (at_work / "output").glob("[!.]*"):
        pixels(path)


@pytest.mark.parametrize(
    ("presses", "said"),
    [(1, "stopping after this picture; Ctrl-C again stops after this step"),
     (2, "stopping after this step; Ctrl-C again stops at once")],
)  # fmt: skip
def test_interrupts_stop_after_the_picture_then_after_the_step(
    at_work: Path, forks: Forks, presses: int, said: str
) -> None:
    argv = ["toy", "--prompts", "x", "--seeds", "1", "2", "3", "--inference-steps", "100", "--json"]
    with forks.start(*argv) as running:
        stdout, stderr = running.pipes
        while '"StepDone"' not in stdout.readline():
            pass
        for _ in range(presses):
            running.send_signal(signal.SIGINT)
            told = stderr.readline()
            while "stopping" not in told:
                told = stderr.readline()
        rest = [json.loads(line) for line in stdout]
    assert told.strip() == said
    assert running.returncode == 130
    (end,) = (e for e in rest if e["event"] == "Interrupted")
    assert (end["done"], end["left"]) == ((1, 2) if presses == 1 else (0, 3))
    assert len(list((at_work / "output").glob("*.png"))) == end["done"]


def test_killed_run_leaves_whole_files_alone(at_work: Path, forks: Forks) -> None:
    argv = ["toy", "--prompts", "x", "--seeds", *map(str, range(500)), "--inference-steps", "2"]
    with forks.start(*argv, streams=(NOTHING, NOTHING, PIPE)) as running:
        (stderr,) = running.pipes
        while "saved" not in stderr.readline():
            pass
        time.sleep(0.5)
        running.kill()
    made = list((at_work / "output").glob("*.png"))
    assert made
    for path in made:
        pixels(path)


def test_terminal_shows_bars_and_takes_them_away(at_work: Path, forks: Forks) -> None:
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"}
    argv = ["toy", "--prompts", "x", "--seeds", "1", "2", "--inference-steps", "4"]
    with forks.start(*argv, streams=(slave,) * 3, env=environment, first=FRESH) as running:
        os.close(slave)
        shown = b""
        try:
            while chunk := os.read(master, 65536):
                shown += chunk
        except OSError:
            pass
    assert running.returncode == 0
    assert b"all jobs" in shown
    assert b"txt2img" in shown
    assert b"done: 2 files" in shown


def test_full_disk_is_told_and_every_picture_kept(at_work: Path, forks: Forks) -> None:
    small = at_work / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", str(small)], check=False)
    if mounted.returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        done = forks.run("toy", "--prompts", "x", "--seeds", *"1234567", "--inference-steps", "1", "-o", "small")
        made = pictures(small)
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)
    assert done.returncode == 1
    told = done.stderr[done.stderr.index("error[disk-full]") :]
    golden = Path(__file__).parent / "golden" / "full-disk.err"
    assert re.sub(r"`\S*dgen-rescued-\w+`", "`…`", told) == golden.read_text(encoding="utf-8")
    assert made
    for number, picture in enumerate(made.values()):
        (at_work / f"{number}.png").write_bytes(picture)
        pixels(at_work / f"{number}.png")


@pytest.mark.parametrize("command", [["dgen"], ["dgenerate"], [sys.executable, "-m", "dgen"]], ids=lambda c: c[-1])
def test_three_names_are_one_program(command: list[str]) -> None:
    found = [str(Path(sys.executable).parent / command[0])] if len(command) == 1 else command
    done = subprocess.run([*found, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("dgen 0.")


def test_models_lists_what_is_built_in(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {m["model"] for m in listed} == {m.source for m in builtin_models()}
    assert main(["models"]) == 0
    told = capsys.readouterr().out
    assert all(m["model"] in told and m["help"] in told for m in listed)
    assert main(["models", "shapes"]) == 2
    assert "`models` takes no argument, found `shapes`" in capsys.readouterr().err
