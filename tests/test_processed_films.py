"""`image-process` on animations and videos: every frame as a still picture of it would become."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgen.cli import fronts
from dgen.cli.main import main
from dgen.media import ffmpeg, video
from dgen.media.record import Recorder
from dgen.media.sound import has_sound
from dgen.values.scalars import Size


def frames(path: Path | str) -> list[np.ndarray]:
    clip = video.clip_of(Path(path))
    assert clip is not None
    return [np.asarray(image) for image in video.frames_of(Path(path), clip)]


def rate(path: str) -> float:
    clip = video.clip_of(Path(path))
    assert clip is not None
    return float(clip.rate)


def names(folder: str) -> list[str]:
    return sorted(p.name for p in Path(folder).iterdir())


def test_every_frame_is_processed_and_the_animation_keeps_its_time(at_work: Path) -> None:
    assert main(["image-process", "moving.gif", "-p", "invert", "-o", "out/a.apng"]) == 0
    assert names("out") == ["a.apng", *(f"a_frame_{n}.png" for n in range(5))]
    assert rate("out/a.apng") == rate("moving.gif") == 10
    for number, (before, after) in enumerate(zip(frames("moving.gif"), frames("out/a.apng"), strict=True)):
        assert (after == 255 - before).all()
        assert (np.asarray(Image.open(f"out/a_frame_{number}.png")) == after).all()


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["-fs", "3", "-ff", "jpg"], ["moving.gif", "moving_frame_3.jpg", "moving_frame_4.jpg"]),
        (["-fs", "1", "-fe", "2", "--no-frames"], ["moving.gif"]),
        (["-fe", "0"], ["moving.gif"]),
        (["-fs", "3", "-fe", "99", "-naf"], ["moving_frame_3.png", "moving_frame_4.png"]),
    ],
)
def test_slices_and_what_is_written(words: list[str], wanted: list[str], at_work: Path) -> None:
    code = main(["image-process", "moving.gif", "-p", "mirror", "-o", "out", *words])
    if words == ["-fe", "0"]:
        wanted = ["moving.png"]  # a single frame is a still picture, which is no gif
    assert code == 0
    assert names("out") == wanted


def test_a_video_is_read_and_written_with_sizes(at_work: Path) -> None:
    recorder = Recorder(Path("in.mp4"), "mp4", Size(64, 48), rate=video.Fraction(25))
    for shade in (0, 80, 160, 240):
        recorder.add(Image.new("RGB", (64, 48), (shade,) * 3))
    recorder.finish()
    assert main(["image-process", "in.mp4", "-p", "invert", "--resize", "32", "-nf"]) == 0
    made = frames("in_processed.mp4")
    assert [each.shape for each in made] == [(24, 32, 3)] * 4
    assert [round(float(each.mean()) / 5) * 5 for each in made] == [255, 175, 95, 15]
    assert rate("in_processed.mp4") == 25


def test_folders_take_what_moves_and_the_script_gets_every_file(
    at_work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("in").mkdir()
    for name in ("moving.gif", "seed.png"):
        (Path("in") / name).write_bytes(Path(name).read_bytes())
    Path("s.dgen").write_text(
        "\\image_process in --processors invert + mirror -o out -fe 1\n"
        "\\print {{ last_images | length }} {{ last_animations | length }}\n"
        "\\print {{ last_animations[0] }}\n"
    )
    assert main(["check", "s.dgen"]) == 0
    capsys.readouterr()
    assert main(["s.dgen"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told == ["3 1", str(at_work.resolve() / "out" / "moving.gif")]
    assert (frames("out/moving.gif")[0] == 255 - frames("moving.gif")[0]).all()
    assert (np.asarray(Image.open("out/seed.png")) == np.asarray(Image.open("seed.png").convert("RGB"))[:, ::-1]).all()


def test_progress_is_told_frame_by_frame(
    at_work: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("s.dgen").write_text("\\image_process moving.gif -p mirror -o out -nf\n")
    assert main(["--json", "s.dgen"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["frame"] for each in told if each["event"] == "FrameDone"] == [1, 2, 3, 4, 5]
    monkeypatch.setattr(fronts, "STANDING_S", 0)
    assert main(["image-process", "moving.gif", "-p", "mirror", "-o", "out", "-nf", "-fs", "3"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(",")[0] for line in lines] == [
        "frame 1 of 2",
        "frame 2 of 2",
        "saved out/moving_duplicate_1.gif",
    ]


@pytest.fixture
def served(at_work: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(at_work))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_addresses_are_fetched(served: str, at_work: Path) -> None:
    words = ["image-process", f"{served}/moving.gif", f"{served}/seed.png", "-p", "flip", "-o", "out", "-nf"]
    assert main(words) == 0
    assert names("out") == ["moving.gif", "seed.png"]
    assert len(frames("out/moving.gif")) == 5


def test_a_file_that_is_cut_short_gives_its_good_frames(at_work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = Path("moving.gif").read_bytes()
    Path("cut.gif").write_bytes(whole[: len(whole) - 60])
    code = main(["image-process", "cut.gif", "-p", "mirror", "-o", "out", "-nf"])
    assert "Traceback" not in capsys.readouterr().err
    assert code == 0
    assert 1 <= len(frames("out/cut.gif")) <= 5


def test_sound_goes_along_into_an_mp4_alone(at_work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = ("-f", "lavfi", "-i", "color=orange:size=32x32:rate=10:duration=1")
    sound = ("-f", "lavfi", "-i", "sine=duration=1")
    assert ffmpeg.run((*picture, *sound, "-c:v", "mjpeg", "-c:a", "aac", "-y", "loud.mkv")).returncode == 0
    words = ["image-process", "loud.mkv", "-p", "invert", "-fs", "4", "--no-frames"]
    for name, more in (("loud.mp4", ["--keep-audio"]), ("quiet.mp4", [])):
        assert main([*words, *more, "-o", f"out/{name}"]) == 0
        assert has_sound(Path("out") / name) == bool(more)
        assert len(frames(f"out/{name}")) == 6
    shown = ffmpeg.run(
        (*ffmpeg.source(Path("out/loud.mp4")), "-map", "0:a:0", "-f", "s16le", "-ac", "1", "-ar", "8000", "pipe:1")
    )
    assert len(shown.stdout) / 2 / 8000 == pytest.approx(0.6, abs=0.1)  # seconds: AAC comes in blocks
    capsys.readouterr()
    assert main([*words, "--keep-audio", "-o", "out/a.gif"]) == 2
    assert "error[contradictory-options]: only an mp4 holds sound, and `a.gif` is none" in capsys.readouterr().err
    assert main(["image-process", "moving.gif", "-p", "invert", "--keep-audio", "-o", "out/still.mp4"]) == 0
    assert not has_sound(Path("out/still.mp4"))
