"""Image processors in runs: what they do to jobs, configs and sizes, on real toy models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgen.cli.main import main
from dgen.diagnostic import Source
from dgen.media.metadata import read_config
from dgen.planning import plan_script

RUN = ["toy", "--prompts", "x", "--inference-steps", "2", "--quiet"]


def made(folder: str, *words: str) -> list[np.ndarray]:
    assert main([*RUN, *words, "-o", folder]) == 0
    return [np.asarray(Image.open(p)) for p in sorted(Path(folder).glob("*.png"))]


def test_post_processors_change_what_is_written_and_replays(at_work: Path) -> None:
    (plain,) = made("plain", "--seeds", "1")
    (after,) = made("after", "--seeds", "1", "--post-processors", "invert", "mirror;output-file=seen.png")
    assert (after == 255 - plain[:, ::-1]).all()
    (picture,) = Path("after").glob("*.png")
    assert "--post-processors invert mirror\n" in read_config(picture)
    assert main(["replay", str(picture), "-o", "again", "--quiet"]) == 0
    (again,) = Path("again").glob("*.png")
    assert again.read_bytes() == picture.read_bytes()
    assert Path("seen.png").is_file()


def test_processed_seed_is_that_of_a_processed_file(at_work: Path) -> None:
    assert main(["image-process", "seed.png", "-p", "crop;box=0x0x64x64", "invert", "-o", "changed.png"]) == 0
    (one,) = made("one", "--seeds", "1", "--image-seeds", "changed.png")
    (other,) = made("other", "--seeds", "1", "--image-seeds", "seed.png", "-sip", "crop;box=0x0x64x64", "invert")
    assert one.shape == (64, 64, 3)
    assert (one == other).all()


def test_processed_control_images_are_those_of_processed_files(at_work: Path) -> None:
    assert main(["image-process", "seed.png", "-p", "canny", "-o", "edged.png"]) == 0
    net = ("--control-nets", "edges", "--seeds", "1")
    (one,) = made("one", *net, "--image-seeds", "seed.png;control=edged.png")
    (other,) = made("other", *net, "--image-seeds", "seed.png;control=seed.png", "-cip", "canny")
    (alone,) = made("alone", *net, "--image-seeds", "seed.png", "-cip", "canny")
    (bare,) = made("bare", *net, "--image-seeds", "edged.png")
    assert (one == other).all()
    assert (alone == bare).all()


def test_processed_mask_says_what_is_repainted(at_work: Path) -> None:
    assert main(["image-process", "mask.png", "-p", "invert", "-o", "turned.png"]) == 0
    (one,) = made("one", "--seeds", "1", "--image-seeds", "seed.png;turned.png")
    (other,) = made("other", "--seeds", "1", "--image-seeds", "seed.png;mask.png", "-mip", "invert")
    assert (one == other).all()


def test_plan_knows_the_size_that_processors_give(at_work: Path) -> None:
    words = "toy --prompts x --seeds 1 --inference-steps 2"
    plan = plan_script(
        Source(
            "s.dgen",
            f'{words} --image-seeds seed.png -sip "letterbox;box-size=96x96" -pp "resize;scale=2"\n'
            f"{words} --image-seeds {{{{ last_images[0] }}}} -sip mirror\n",
        )
    )
    assert [str(job.size) for job in plan.jobs] == ["192x192", "192x192"]
    assert not Path("output").exists()


@pytest.mark.parametrize("chain", ["invert;output-file=x.png", "invert;device=cpu"])
def test_a_replay_says_nothing_of_files_and_devices(
    chain: str, at_work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("odd.dgen").write_text(f"toy --prompts x --seeds 1 --inference-steps 2 --post-processors {chain}\n")
    assert main(["replay", "odd.dgen"]) == 2
    assert "error[not-replayable]" in capsys.readouterr().err
    assert not Path("x.png").exists()
