"""The sound that a model makes with a video goes into its animation, as a plain call of the pipeline makes it."""

from __future__ import annotations

import importlib.util
import json
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from toybench import Runs

from dgen.diagnostic import DgenError, Source, Word
from dgen.events import JobKept, Printed
from dgen.media.metadata import read_config
from dgen.planning import plan_script

FRAMES, FPS, STEPS = 17, 12, 2
SAID = (
    f"ltx2 --prompts 'a red circle' --seeds 7 --frames {FRAMES} --fps {FPS} --output-size 64x64 "
    f"--inference-steps {STEPS}"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import toy_films

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return toy_films.make_ltx2(tmp_path_factory.mktemp("sounds") / "ltx2")


@pytest.fixture
def runs(shared_runs: Runs, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    (tmp_path / "ltx2").symlink_to(model)
    monkeypatch.chdir(tmp_path)
    return shared_runs


def heard(path: Path) -> tuple[Any, int]:
    """The samples of a file, (n, channels) of 16 bits, and how many there are a second."""
    with av.open(str(path)) as file:
        stream = file.streams.audio[0]
        blocks = [block.to_ndarray() for block in file.decode(stream)]
        channels = stream.codec_context.channels
        whole = [b.T if b.shape[0] == channels else b.reshape(-1, channels) for b in blocks]
        return np.concatenate(whole), stream.codec_context.sample_rate


def plain(model: Path, seed: int = 7) -> Any:
    """The sound of a plain call: (channels, samples) in [-1, 1]."""
    import diffusers
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipe = diffusers.LTX2Pipeline.from_pretrained(model)
    pipe.set_progress_bar_config(disable=True)
    return pipe(
        prompt="a red circle", num_frames=FRAMES, frame_rate=float(FPS), width=64, height=64, output_type="pt",
        num_inference_steps=STEPS, generator=torch.Generator("cpu").manual_seed(seed),
    ).audio[0].numpy()  # fmt: skip


def test_animation_holds_the_sound_of_a_plain_call(runs: Runs, model: Path) -> None:
    (path,) = runs.run(f"{SAID} --no-frames\n")
    samples, rate = heard(path)
    wanted = plain(model)
    assert (rate, samples.shape[1]) == (24_000, 2)
    assert 0 <= FRAMES / FPS - len(samples) / rate < 0.05  # the sound of a cell may be missing at the end
    assert len(samples) == wanted.shape[1]
    assert np.abs(samples.T / 32767 - wanted).max() <= 0.5 / 32767 + 1e-6  # no more than rounding to 16 bits
    assert np.abs(wanted).max() > 0.1


def test_sound_never_outlasts_its_pictures(runs: Runs) -> None:
    (path,) = runs.run(f"{SAID} --no-frames\n".replace("--fps 12", "--fps 60"))
    with av.open(str(path)) as file:
        pictures, sound = file.streams.video[0], file.streams.audio[0]
        assert pictures.frames == FRAMES
        assert pictures.average_rate == 60
        assert sound.duration * sound.time_base <= Fraction(FRAMES, 60)


def test_each_video_of_a_batch_has_its_own_sound(runs: Runs, model: Path) -> None:
    paths = runs.run(f"{SAID} --batch-size 2 --no-frames\n")
    for seed, path in zip((7, 8), paths, strict=True):
        assert np.abs(heard(path)[0].T / 32767 - plain(model, seed)).max() <= 0.5 / 32767 + 1e-6
    assert not np.array_equal(heard(paths[0])[0], heard(paths[1])[0])


def test_animation_with_sound_replays_to_the_same_bytes(runs: Runs) -> None:
    (path,) = runs.run(f"{SAID} --no-frames\n")
    text = read_config(path)
    config = Source(str(path), text)
    runs.session.inject((Word("--output-path", config.span(0, 1)), Word("again", config.span(0, 1))))
    runs.session.replay(config)
    runs.session.inject(())
    (again,) = (e for e in Path("again").iterdir() if e.suffix == ".mp4")
    assert again.read_bytes() == path.read_bytes()


def test_resumed_run_makes_the_same_sound_again(runs: Runs) -> None:
    text = f"{SAID} --seeds 7 8\n".replace("--seeds 7 ", "", 1)
    films = [path for path in runs.run(text) if path.suffix == ".mp4"]
    before = [path.read_bytes() for path in films]
    films[1].unlink()
    runs.session.resume()
    saved = runs.run(text)
    runs.session.paging.resumption = None
    assert [p.name for p in saved] == [films[1].name]
    assert [e.number for e in runs.events if isinstance(e, JobKept)] == [1]
    assert [path.read_bytes() for path in films] == before


def test_plan_and_model_page_know_what_is_made(runs: Runs) -> None:
    (planned,) = plan_script(Source("test", f"{SAID} --no-frames\n")).jobs
    assert [path.name for path in runs.run(f"{SAID} --no-frames\n")] == [path.name for path in planned.animations]
    runs.run("\\model ltx2 --json\n")
    told = json.loads("".join(e.text for e in runs.events if isinstance(e, Printed)))
    assert (told["family"], told["size"]) == ("ltx2", "768x512")
    assert {"audio_vae", "connectors", "vocoder"} <= {part["kind"] for part in told["parts"]}
    assert told["attached"] == {"last-frame": {"img2vid": "LTX2ConditionPipeline"}}
    assert told["options"]["--frames"]["default"] == "121"


@pytest.mark.parametrize("ending", ["gif", "webp", "apng", "png", "frames"])
def test_format_without_sound_is_warned_of(runs: Runs, ending: str) -> None:
    frames = "" if ending == "frames" else "--no-frames"
    plan = plan_script(Source("test", f"{SAID} {frames} --animation-format {ending}\n"))
    assert [w.code for w in plan.warnings] == ["no-sound"]
    assert plan.warnings[0].help == "`--animation-format mp4` keeps it"


def test_formats_with_sound_are_not_warned_of(runs: Runs) -> None:
    for said in ("", "--animation-format mp4"):
        assert plan_script(Source("test", f"{SAID} {said}\n")).warnings == []


def test_first_picture_without_its_package_is_told_before_anything_is_loaded(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    Image.new("RGB", (64, 64)).save("a.png")
    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "av" else found(name))
    with pytest.raises(DgenError, match="LTX-2 needs the package `av` in img2vid"):
        runs.run(f"{SAID} --image-seeds a.png\n".replace("--output-size 64x64 ", ""))
