"""Jobs that differ only in seed, prompt or guidance are made at once, as a plain call of diffusers makes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toybench import INPUTS, Bench, pixels

from dgen.cli.main import main
from dgen.engine import pipelines
from dgen.engine.protocol import EngineError, Result
from dgen.events import MemoryShort
from dgen.media.metadata import read_config
from dgen.values.prompt import Prompt
from dgen.values.uri import NamedUri

Plain = Callable[..., list[bytes]]
SIZE = {"height": 64, "width": 64}
PROMPTS = (Prompt("a red circle", "blurry"), Prompt("a blue star", "dull"), Prompt("a tree", "grey"))


def at_once(bench: Bench, model: Path, mode: str, jobs: list[dict[str, Any]]) -> Result:
    made = tuple(bench.job(model, mode, **said) for said in jobs)
    return bench.engine.render(made[0], replace(INPUTS[mode], pack=made), lambda step, steps: None)


@pytest.mark.parametrize(("model", "pipeline"), [("sd", "StableDiffusion"), ("sdxl", "StableDiffusionXL")])
def test_prompts_and_seeds_at_once_are_a_plain_call(
    shared_bench: Bench, toys: Path, plainly: Plain, model: str, pipeline: str
) -> None:
    said = [{"prompt": prompt, "seed": seed} for prompt, seed in zip(PROMPTS, (3, 9, 3), strict=True)]
    wanted = plainly(
        f"{pipeline}Pipeline", model, [3, 9, 3], prompt=[p.positive for p in PROMPTS],
        negative_prompt=[p.negative for p in PROMPTS], num_inference_steps=2, guidance_scale=5.0, **SIZE,
    )  # fmt: skip
    assert pixels(at_once(shared_bench, toys / model, "txt2img", said)) == wanted


@pytest.mark.parametrize("mode", ["txt2img", "img2img", "inpaint"])
@pytest.mark.parametrize("model", ["sd", "sdxl"])
def test_jobs_at_once_are_those_made_alone_but_for_the_last_bits(
    shared_bench: Bench, toys: Path, model: str, mode: str
) -> None:
    count = 1 if mode == "inpaint" else 2
    common = {"num_images_per_prompt": count, "scheduler": NamedUri("Euler a"), "num_inference_steps": 3}
    said = [
        {**common, "prompt": prompt, "seed": seed, "guidance_scale": scale}
        for prompt, seed, scale in zip(PROMPTS, (3, 9, 3), (5.0, 2.0, 7.5), strict=True)
    ]
    together = pixels(at_once(shared_bench, toys / model, mode, said))
    alone = [made for each in said for made in pixels(shared_bench.render(toys / model, mode, **each))]
    assert len(together) == len(alone) == len(set(together)) == 3 * count
    for one, other in zip(together, alone, strict=True):
        apart = np.abs(np.frombuffer(one, np.uint8).astype(int) - np.frombuffer(other, np.uint8))
        assert apart.max() <= 2


def test_jobs_that_are_too_many_for_the_memory_are_made_in_halves(
    bench: Bench, toys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [{"seed": seed} for seed in (1, 2, 3)]
    wanted = [made for each in said for made in pixels(bench.render(toys / "sd", **each))]
    sizes: list[int] = []
    plain = pipelines.together

    def short(inputs: Any, taken: frozenset[str]) -> dict[str, Any]:
        sizes.append(len(inputs.pack) or 1)
        if len(inputs.pack) > 2:
            raise MemoryError
        return plain(inputs, taken)

    monkeypatch.setattr(pipelines, "together", short)
    result = at_once(bench, toys / "sd", "txt2img", said)
    made = pixels(result)
    assert (sizes, result.parts) == ([3, 1, 2], (1, 2))
    assert [e.remedy for e in bench.of(MemoryShort)] == ["tried again with 1 and 2 jobs at once"]
    assert made[0] == wanted[0]
    assert len(made) == 3


def test_failure_at_once_leaves_the_engine_good(shared_bench: Bench, toys: Path) -> None:
    before = pixels(shared_bench.render(toys / "sd"))
    with pytest.raises(EngineError):
        at_once(shared_bench, toys / "sd", "txt2img", [{"seed": 1, "guidance_scale": 2.0}, {"seed": "x"}])
    assert pixels(shared_bench.render(toys / "sd")) == before


def test_pictures_made_at_once_say_so_and_are_found_again(at_work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["toy", "--prompts", "a star", "--seeds", "1", "2", "3", "--inference-steps", "2", "--quiet"]
    assert main([*words, "--batch-jobs", "2", "-o", "made"]) == 0, capfd.readouterr().err
    made = sorted((at_work / "made").glob("*.png"))
    said = [line for path in made for line in read_config(path).splitlines() if line.startswith("# batch: ")]
    assert said == [f"# batch: number {n} of 2 made at once, of the seeds 1, 2" for n in (1, 2)]
    assert len(made) == 3
    before = [path.stat().st_mtime_ns for path in made]
    assert main([*words, "-o", "made", "--resume"]) == 0
    assert [path.stat().st_mtime_ns for path in sorted((at_work / "made").glob("*.png"))] == before


def test_jobs_apart_in_the_sweep_are_made_at_once_and_keep_its_order(
    at_work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    script = at_work / "sweep.dgen"
    text = "toy --prompts 'a star' --seeds 1 2 --inference-steps 1 2 3 --batch-jobs 2 -o made\n"
    script.write_text(text + "\\print {{ last_images | join(' ') }}\n", encoding="utf-8")
    assert main([str(script), "--quiet"]) == 0, capfd.readouterr().err
    names = [f"s_{seed}_g_5-0_i_{steps}_step_{3 * (seed - 1) + steps}.png" for seed in (1, 2) for steps in (1, 2, 3)]
    assert [Path(path).name for path in capfd.readouterr().out.split()] == names
    said = {n: line for n in names for line in read_config(at_work / "made" / n).splitlines() if "# batch: " in line}
    assert said == {
        name: f"# batch: number {1 + index // 3} of 2 made at once, of the seeds 1, 2"
        for index, name in enumerate(names)
    }
