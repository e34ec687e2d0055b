"""Animated runs on a real toy model: frames and animations, as the plan names them, and as they replay."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from forks import Forks
from PIL import Image

from dgen.cli.main import main
from dgen.diagnostic import Source
from dgen.media import ffmpeg, video
from dgen.media.ledger import LEDGER
from dgen.media.metadata import read_config
from dgen.media.sound import has_sound
from dgen.planning import plan_script

MOVING = ["--image-seeds", "moving.gif;32x32;frame-start=1;frame-end=3", "--image-seed-strengths", "1"]
RUN = ["toy", "--prompts", "x", "--inference-steps", "1", "--seeds", "1", *MOVING]


def run(folder: str, *words: str) -> dict[str, bytes]:
    assert main([*RUN, *words, "-o", folder, "--quiet"]) == 0
    return contents(folder)


def contents(folder: str) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(Path(folder).iterdir()) if p.name != LEDGER}


def pixels(path: Path, frame: int | None = None) -> np.ndarray:
    if frame is None:
        return np.asarray(Image.open(path).convert("RGB")).astype(int)
    clip = video.clip_of(path)
    assert clip is not None
    return np.asarray(next(video.frames_of(path, clip, frame))).astype(int)


def test_every_combination_becomes_an_animation_of_the_frames_that_are_written(at_work: Path) -> None:
    made = run("out", "--seeds", "1", "2", "--animation-format", "apng")
    names = [f"s_{s}_st_1-0_g_5-0_i_1_frame_{f}_step_{s}.png" for s in (1, 2) for f in (1, 2, 3)]
    films = [f"ANIM_s_{s}_st_1-0_g_5-0_i_1_step_{s}.apng" for s in (1, 2)]
    assert list(made) == [*films, *names]
    for film, seed in zip(films, (1, 2), strict=True):
        clip = video.clip_of(at_work / "out" / film)
        assert clip is not None
        assert (clip.frames, clip.rate) == (3, 10)
        for k in range(3):
            still = pixels(at_work / "out" / f"s_{seed}_st_1-0_g_5-0_i_1_frame_{1 + k}_step_{seed}.png")
            assert (pixels(at_work / "out" / film, k) == still).all()


def test_frame_is_what_a_still_picture_of_it_becomes(at_work: Path) -> None:
    with Image.open("moving.gif") as moving:
        moving.seek(2)
        moving.convert("RGB").save("still.png")
    run("out", "--animation-format", "frames")
    still = [w if not w.startswith("moving") else "still.png;32x32" for w in RUN]
    assert main([*still, "-o", "alone", "--quiet"]) == 0
    (alone,) = Path("alone").glob("*.png")
    assert (pixels(alone) == pixels(Path("out") / "s_1_st_1-0_g_5-0_i_1_frame_2_step_1.png")).all()
    assert not list(Path("out").glob("ANIM*"))


@pytest.mark.parametrize("words", [["--no-frames"], ["-af", "gif"], ["-bs", "2"], ["-bs", "2", "-bgs", "2x1"]], ids=str)
def test_plan_names_exactly_what_is_written(at_work: Path, words: list[str]) -> None:
    planned = plan_script(Source("s.dgen", " ".join(f'"{w}"' if ";" in w else w for w in [*RUN, *words, "-o", "out"])))
    made = run("out", *words)
    assert sorted(p.name for p in planned.files) == sorted(made)
    assert {"--no-frames": 1, "-af": 4, "-bs": 8 if len(words) == 2 else 4}[words[0]] == len(made)


def test_configs_of_animations_and_of_frames_replay_to_the_same_bytes(at_work: Path) -> None:
    made = run("out", "--output-configs")
    for name in ("ANIM_s_1_st_1-0_g_5-0_i_1_step_1", "s_1_st_1-0_g_5-0_i_1_frame_2_step_1"):
        assert main(["replay", f"out/{name}.dgen", "-o", f"again-{name[:4]}", "--quiet"]) == 0
    assert contents("again-s_1_") == {n: made[n] for n in made if n.endswith("frame_2_step_1.png")}
    again = contents("again-ANIM")
    assert again == {n: made[n] for n in made if not n.endswith(".dgen")}


def test_script_finds_its_animations_and_starts_from_them(at_work: Path) -> None:
    second = [w if not w.startswith("moving") else "{{ last_animations[0] }};frame-end=1" for w in RUN]
    script = f"{' '.join(RUN)} -o out\n{' '.join(second)} -o again\n\\print {{{{ last_animations | length }}}}\n"
    script = script.replace("moving.gif;32x32;frame-start=1;frame-end=3", '"moving.gif;32x32"')
    Path("s.dgen").write_text(script, encoding="utf-8")
    planned = plan_script(Source("s.dgen", script))
    assert main(["s.dgen", "--quiet"]) == 0
    assert sorted(p.name for p in planned.files) == sorted([*contents("out"), *contents("again")])
    assert len(contents("again")) == 3


def test_shortest_animation_ends_and_the_first_gives_the_rate(at_work: Path) -> None:
    frames = [Image.new("L", (96, 64), v) for v in (255, 0)]
    frames[0].save("mask.gif", save_all=True, append_images=frames[1:], duration=[40, 40])
    seeds = ["moving.gif;mask=mask.gif;32x32"]
    assert main([*RUN[:7], "--image-seeds", *seeds, "--image-seed-strengths", "1", "-o", "out", "--quiet"]) == 0
    (film,) = Path("out").glob("*.mp4")
    clip = video.clip_of(film)
    assert clip is not None
    assert (clip.frames, clip.rate) == (2, 10)


def test_frame_is_processed_once_for_all_combinations(at_work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("count.py").write_text(
        "from dgen.plugins import Processing, image_processor, options, record\n"
        "@record\n@options('counting')\nclass Counting(Processing):\n    '''None.'''\n"
        "@image_processor('counting', Counting)\ndef counting(said, image, bench):\n"
        "    '''Count the pictures.'''\n    with open('counted', 'a') as file:\n"
        "        print('counted', file=file)\n    return image\n",
        encoding="utf-8",
    )
    words = " ".join(f'"{w}"' if ";" in w else w for w in RUN)
    sweep = "--seeds 1 2 3 --guidance-scales 1 2 --seed-image-processors counting -o out"
    Path("s.dgen").write_text(f"\\import_plugins count.py\n{words.replace('--seeds 1', '')} {sweep}\n")
    assert main(["s.dgen", "--quiet"]) == 0
    assert len(list(Path("out").glob("*.mp4"))) == 6
    assert Path("counted").read_text().count("counted") == 3


def test_front_ends_hear_how_far_an_animation_is(at_work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RUN, "-o", "out", "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (started,) = (e for e in told if e["event"] == "AnimationStarted")
    assert (started["frames"], started["rate"], started["format"]) == (3, "10", "mp4")
    done = [e for e in told if e["event"] == "FrameDone"]
    assert [(e["frame"], e["frames"]) for e in done] == [(1, 3), (2, 3), (3, 3)]
    assert done[-1]["seconds_left"] == 0
    assert [e["kind"] for e in told if e["event"] == "FileSaved"].count("animation") == 1


@pytest.mark.parametrize("is_last_frame_there", [True, False])
def test_resumed_animation_is_the_undisturbed_one(at_work: Path, is_last_frame_there: bool) -> None:
    whole = run("out", "--output-configs")
    for path in Path("out").glob("ANIM*"):
        path.unlink()
    if not is_last_frame_there:
        (Path("out") / "s_1_st_1-0_g_5-0_i_1_frame_3_step_1.png").unlink()
    assert run("out", "--output-configs", "--resume") == whole
    assert run("out", "--output-configs", "--resume") == whole


def test_animation_that_is_cut_short_gives_its_good_frames_and_a_warning(
    at_work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = b"".join(Image.new("RGB", (32, 32), (9 * k, 99, 200)).tobytes() for k in range(8))
    shape = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "32x32", "-r", "25", "-i", "-", "-c:v", "mjpeg")
    subprocess.run([ffmpeg.program(), "-v", "error", *shape, "cut.mkv"], input=pictures, check=True)
    Path("cut.mkv").write_bytes(Path("cut.mkv").read_bytes()[:-1200])
    assert main([*RUN[:7], "--image-seeds", "cut.mkv", "--image-seed-strengths", "1", "-o", "out"]) == 0
    frames = len(list(Path("out").glob("*frame*.png")))
    assert (
        f"warning[cut-short]: `cut.mkv` is cut short, and its {frames} good frames are used" in capsys.readouterr().err
    )
    (film,) = Path("out").glob("*.mp4")
    clip = video.clip_of(film)
    assert clip is not None
    assert clip.frames == frames
    assert 2 <= frames < 8


def test_animation_that_becomes_shorter_while_it_is_read_ends_there(
    at_work: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = video.clip_of
    monkeypatch.setattr(
        "dgen.media.read.clip_of", lambda path: replace(real(path), frames=7, shown=(0, 1, 2, 3, 4, 9, 9))
    )
    assert main([*RUN[:7], "--image-seeds", "moving.gif;32x32", "--image-seed-strengths", "1", "-o", "out"]) == 0
    assert "warning[cut-short]: `moving.gif` is cut short after 9 pictures" in capsys.readouterr().err
    (film,) = Path("out").glob("*.mp4")
    clip = real(film)
    assert clip is not None
    assert clip.frames == len(list(Path("out").glob("*frame*.png"))) == 5


def test_sound_of_the_first_animation_goes_along(at_work: Path) -> None:
    shape = (
        "-f",
        "lavfi",
        "-i",
        "color=orange:size=32x32:rate=10:duration=0.4",
        "-f",
        "lavfi",
        "-i",
        "sine=duration=0.4",
    )
    done = ffmpeg.run((*shape, "-c:v", "mjpeg", "-c:a", "aac", "-y", "loud.mkv"))
    assert done.returncode == 0
    words = [*RUN[:7], "--image-seeds", "loud.mkv", "--image-seed-strengths", "1", "--no-frames", "--quiet"]
    for folder, more in (("loud", ["--keep-audio"]), ("quiet", [])):
        assert main([*words, *more, "-o", folder]) == 0
        (film,) = Path(folder).glob("*.mp4")
        assert has_sound(film) == bool(more)


def test_disk_that_fills_leaves_what_is_finished(at_work: Path, forks: Forks) -> None:
    words = ["--animation-format", "apng", "--quiet"]
    whole = run("whole", *words)
    film = next(len(data) for name, data in whole.items() if name.endswith("apng"))
    largest = max(len(data) for name, data in whole.items() if name.endswith("png") and "ANIM" not in name)
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({(film + largest) // 2},) * 2)"
    done = forks.run(*RUN, *words, "-o", "out", first=limit)
    assert done.returncode == 1
    assert "error[disk-full]" in done.stderr
    assert contents("out") == {name: data for name, data in whole.items() if "ANIM" not in name}
    assert run("out", *words, "--resume") == whole


@pytest.mark.parametrize(
    ("ending", "more"),
    [("mp4", []), ("mp4", ["--prompts", "é; \n=\\"]), ("gif", []), ("webp", []), ("apng", []), ("png", [])],
)
def test_animation_carries_its_config_and_replays_from_it(
    at_work: Path, ending: str, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    whole = run("out", "--animation-format", ending, "--no-frames", "--output-configs", *more)
    (name,) = (name for name in whole if name.endswith(f".{ending}"))
    film = Path("out") / name
    assert read_config(film) == film.with_suffix(".dgen").read_text(encoding="utf-8")
    clip = video.clip_of(film)
    assert clip is not None
    assert clip.frames == 3
    assert main(["replay", str(film), "-o", "again", "--quiet"]) == 0
    assert contents("again")[name] == whole[name]
    capsys.readouterr()
    assert main(["extract", str(film)]) == 0
    Path("own.dgen").write_text(capsys.readouterr().out, encoding="utf-8")
    assert main(["own.dgen", "-o", "own", "--quiet"]) == 0
    assert contents("own")[name] == whole[name]
    assert main(["verify", str(film)]) == 2
    assert "is an animation, and pictures alone are compared" in capsys.readouterr().err
    plain = run("plain", "--animation-format", ending, "--no-frames", "--no-output-metadata", *more)
    assert len(plain[name]) < len(whole[name])
    for k in range(3):
        assert (pixels(film, k) == pixels(Path("plain") / name, k)).all()
    capsys.readouterr()
    assert main(["replay", f"plain/{name}"]) == 2
    assert f"error[not-replayable]: `{name}` carries no config" in capsys.readouterr().err


def test_comment_of_somebody_else_is_no_config(at_work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shape = ("-f", "lavfi", "-i", "color=orange:size=32x32:rate=10:duration=0.4", "-metadata", "comment=\\rm -rf")
    assert ffmpeg.run((*shape, "-y", "own.mp4")).returncode == 0
    assert main(["replay", "own.mp4"]) == 2
    assert "`own.mp4` carries no config" in capsys.readouterr().err
