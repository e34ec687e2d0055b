"""Noise levels and timesteps of a statement give the pixels that a plain call of diffusers gives for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toybench import Bench, pixels

from dgen.engine.libraries import quiet
from dgen.engine.protocol import EngineError
from dgen.engine.schedules import evaluate, log_linear
from dgen.families.signatures import compatible_schedulers, parameters
from dgen.schema import BadValue
from dgen.values.schedule import AYS_STEPS, SigmasText, TimestepsText
from dgen.values.uri import NamedUri

Plain = Callable[..., list[bytes]]
SAID: dict[str, Any] = {"prompt": "a red circle", "negative_prompt": "blurry", "guidance_scale": 5.0}
SIZE = {"height": 64, "width": 64}
EULER = ("EulerDiscreteScheduler", dict[str, Any]())
OWN = np.array([8.0, 4.0, 2.0, 1.0])


def test_sigmas_are_those_of_a_plain_call(shared_bench: Bench, toys: Path, plainly: Plain) -> None:
    wanted = plainly("StableDiffusionPipeline", "sd", [7], scheduler=EULER, sigmas=[9.0, 3.0, 0.5, 0.0], **SAID, **SIZE)
    for text in ("9,3,0.5", "[9, 3, 0.5, 0]"):
        job = shared_bench.job(toys / "sd", scheduler=NamedUri("Euler"), sigmas=SigmasText().parse(text))
        assert job.request.num_inference_steps == 3
        made = shared_bench.render(toys / "sd", scheduler=NamedUri("Euler"), sigmas=SigmasText().parse(text))
        assert pixels(made) == wanted


def test_expression_sees_the_levels_of_the_scheduler(shared_bench: Bench, toys: Path, plainly: Plain) -> None:
    from diffusers import EulerDiscreteScheduler

    own = EulerDiscreteScheduler.from_pretrained(toys / "sd" / "scheduler")
    with quiet():
        own.set_timesteps(3)
    levels = [float(n) for n in own.sigmas[:-1].numpy().astype(np.float64) * 0.9]
    wanted = plainly("StableDiffusionPipeline", "sd", [7], scheduler=EULER, sigmas=[*levels, 0.0], **SAID, **SIZE)
    said = {"sigmas": SigmasText().parse("expr: sigmas * 0.9"), "num_inference_steps": 3}
    assert pixels(shared_bench.render(toys / "sd", scheduler=NamedUri("Euler"), **said)) == wanted


@pytest.mark.parametrize(("text", "places"), [("999,500,20", [999, 500, 20]), ("ays", None)])
def test_timesteps_are_those_of_a_plain_call(
    shared_bench: Bench, toys: Path, plainly: Plain, text: str, places: list[int] | None
) -> None:
    from diffusers.schedulers.scheduling_utils import AysSchedules

    places = places or AysSchedules["StableDiffusionXLTimesteps"]
    wanted = plainly("StableDiffusionXLPipeline", "sdxl", [7], scheduler=EULER, timesteps=places, **SAID, **SIZE)
    said = {"timesteps": TimestepsText().parse(text), "scheduler": NamedUri("Euler")}
    assert shared_bench.job(toys / "sdxl", **said).request.num_inference_steps == len(places)
    assert pixels(shared_bench.render(toys / "sdxl", **said)) == wanted


def test_preset_is_published_for_its_steps_and_bent_to_others(shared_bench: Bench, toys: Path) -> None:
    from diffusers.schedulers.scheduling_utils import AysSchedules

    levels = AysSchedules["StableDiffusionSigmas"][:-1]
    assert list(log_linear(levels, AYS_STEPS)) == levels
    more = log_linear(levels, 19)
    assert np.allclose(more[::2], levels)
    assert np.allclose(more[1] ** 2, levels[0] * levels[1])
    said = {"sigmas": SigmasText().parse("AYS"), "scheduler": NamedUri("Euler"), "num_inference_steps": 4}
    assert len(pixels(shared_bench.render(toys / "sd", **said))) == 1


def test_last_sigma_of_every_scheduler_that_takes_them_is_zero() -> None:
    import diffusers

    from dgen.engine.schedules import _WANT_THE_END

    for name in compatible_schedulers("DDIMScheduler"):
        takes = "sigmas" in {p.name for p in parameters(name, "set_timesteps")}
        if takes and name != "EDMEulerScheduler":  # it has a scale of its own
            named = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"} if name.startswith("Uni") else {}
            made = getattr(diffusers, name)(**named)
            with quiet():
                made.set_timesteps(sigmas=np.array([0.9, 0.5, *([0.0] if name in _WANT_THE_END else [])]))
            assert (len(made.timesteps), float(made.sigmas[-1])) == (2, 0.0), name


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("sigmas * 0.5", [4, 2, 1, 0.5]),
        ("sigmas[::-1][::-2]", [8, 2]),
        ("np.clip(sigmas[:-1], 3, 9)[0:2] - 1", [7, 3]),
        ("np.linspace(sigmas[0], 1, len(sigmas) + 1)", [8, 6.25, 4.5, 2.75, 1]),
        ("np.concatenate([sigmas, [0.5]])", [8, 4, 2, 1, 0.5]),
        ("np.exp(np.log(sigmas)) ** 2 / 2", [32, 8, 2, 0.5]),
    ],
)
def test_expression_gives(text: str, levels: list[float]) -> None:
    assert np.allclose(evaluate(SigmasText().parse(f"expr: {text}").expression, OWN), levels)


@pytest.mark.parametrize(
    "text",
    [
        "sigmas.tofile('x')", "np.load('x')", "np.linspace.__call__(1, 2)", "__import__('os')", "open('x')",
        "[s for s in sigmas]", "sigmas if 1 else 2", "lambda: 1", "'a' * 9", "sigmas @ sigmas", "1e99 * sigmas", "",
        "sigmas[", "steps", "np", "np.exp(sigmas, out=sigmas)", "len", "True * sigmas", "1j * sigmas",
    ],
)  # fmt: skip
def test_nothing_else_is_an_expression(text: str) -> None:
    with pytest.raises(BadValue):
        SigmasText().parse(f"expr: {text}")


@pytest.mark.parametrize(
    "text",
    ["-sigmas", "sigmas[::-1]", "sigmas[9]", "1", "sigmas - sigmas", "np.linspace(9, 1, 9 ** 9)", "sigmas[0 / 0]",
     "sigmas / 0", "9 ** 9 ** 9 ** 9 * sigmas", "sigmas[5:]", "[[1], [2]]"],
)  # fmt: skip
def test_expression_that_makes_no_schedule_is_an_error(text: str) -> None:
    with pytest.raises(EngineError) as caught:
        evaluate(SigmasText().parse(f"expr: {text}").expression, OWN)
    assert (caught.value.code, caught.value.option) == ("bad-value", "sigmas")


def test_schedule_that_a_scheduler_refuses_is_an_error(shared_bench: Bench, toys: Path) -> None:
    karras = NamedUri("Euler", (("use_karras_sigmas", "true"),))
    with pytest.raises(EngineError) as caught:
        shared_bench.render(toys / "sd", scheduler=karras, timesteps=TimestepsText().parse("9,5"))
    assert (caught.value.code, caught.value.option) == ("bad-value", "timesteps")
    assert caught.value.message.startswith("EulerDiscreteScheduler refuses these timesteps: ")
