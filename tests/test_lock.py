"""What a script depends on is written down, and `--frozen` refuses what is another thing since."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from dgen.cli.main import main

STORY = """\
own --prompts a --seeds 1 --inference-steps 2 --image-seeds in/own.png --loras lora.safetensors -o out
own --prompts b --seeds 1 --inference-steps 2 --image-seeds {{ quote(last_images[0]) }} -o out
"""


@pytest.fixture
def story(at_work: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A locked script, with a model and an input of its own."""
    shutil.copytree(at_work / "toy", at_work / "own")
    (at_work / "in").mkdir()
    shutil.copy(at_work / "seed.png", at_work / "in" / "own.png")
    (at_work / "s.dgen").write_text(STORY)
    assert main(["lock", "s.dgen"]) == 0
    assert capsys.readouterr().out == "s.dgen.lock: 12 files, 5 versions\n"
    assert not (at_work / "out").exists()
    return at_work


def test_lock_names_every_file_with_its_digest_and_a_locked_script_runs(story: Path) -> None:
    told = json.loads((story / "s.dgen.lock").read_text())
    own = [
        "model_index.json", "scheduler/scheduler_config.json", "text_encoder/config.json",
        "text_encoder/model.safetensors", "tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json",
        "unet/config.json", "unet/diffusion_pytorch_model.safetensors", "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    ]  # fmt: skip
    inputs = ["input in/own.png", "model lora.safetensors: lora.safetensors"]
    assert sorted(told["files"]) == [*inputs, *(f"model own: {name}" for name in own)]
    assert all(len(fact["sha256"]) == 64 and fact["bytes"] for fact in told["files"].values())
    assert str(story) not in (story / "s.dgen.lock").read_text()
    assert main(["s.dgen", "--frozen", "--quiet"]) == 0
    assert len(list((story / "out").glob("*.png"))) == 2


def other_input(story: Path) -> None:
    Image.new("RGB", (96, 64), "red").save(story / "in" / "own.png")


def other_weights(story: Path) -> None:
    file = story / "own" / "vae" / "diffusion_pytorch_model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def other_settings(story: Path) -> None:
    file = story / "own" / "scheduler" / "scheduler_config.json"
    file.write_text(file.read_text().replace("0.012", "0.013"))


def other_version(story: Path) -> None:
    file = story / "s.dgen.lock"
    told = json.loads(file.read_text())
    file.write_text(json.dumps(told | {"versions": told["versions"] | {"torch": "1.0"}}))


def other_script(story: Path) -> None:
    (story / "s.dgen").write_text(STORY.replace(" --loras lora.safetensors", " --vae AutoencoderKL;model=other-vae"))


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        (other_input, ["the input in/own.png is another one: its size was "]),
        (other_weights, ["the model own: vae/diffusion_pytorch_model.safetensors is another one: its sha256 was "]),
        (other_settings, ["the model own: scheduler/scheduler_config.json is another one: its sha256 was "]),
        (other_version, ["`torch` was 1.0, is "]),
        (other_script, ["the model lora.safetensors: lora.safetensors is not used any more",
                        "the model other-vae: config.json is not in the lock",
                        "the model other-vae: diffusion_pytorch_model.safetensors is not in the lock"]),
        (lambda story: (story / "s.dgen.lock").unlink(), ["there is no `s.dgen.lock`"]),
        (lambda story: (story / "s.dgen.lock").write_text("[]"), ["`s.dgen.lock` is no lock"]),
    ],
    ids=["input", "weights", "settings", "version", "script", "no lock", "damaged lock"],
)  # fmt: skip
def test_frozen_run_refuses_what_drifted_before_anything_starts(
    story: Path, capsys: pytest.CaptureFixture[str], change: Callable[[Path], None], messages: list[str]
) -> None:
    change(story)
    assert main(["s.dgen", "--frozen"]) == 2
    told = capsys.readouterr().err
    assert [line for line in told.splitlines() if line.startswith("error[")] == [
        line for line in told.splitlines() if any(message in line for message in messages)
    ]
    assert told.count("error[") == len(messages)
    assert not (story / "out").exists()


def test_model_of_another_machine_cannot_be_locked(at_work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (at_work / "s.dgen").write_text("org/unseen --prompts a --seeds 1\n")
    assert main(["lock", "s.dgen"]) == 2
    assert "error[offline]: `org/unseen` is not on this machine" in capsys.readouterr().err
    assert main(["toy", "--prompts", "a", "--frozen"]) == 2
    assert "`--frozen` needs 1 script, got 0" in capsys.readouterr().err
