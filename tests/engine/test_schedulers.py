"""Scheduler names and arguments are read by the signatures of diffusers, without importing it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from toybench import Bench, pixels

from dgen.engine import schedulers
from dgen.engine.protocol import EngineError
from dgen.families.definitions import Parameter
from dgen.families.signatures import compatible_schedulers
from dgen.values.scalars import Size
from dgen.values.uri import NamedUri

LEGAL = compatible_schedulers("DDIMScheduler")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("EulerDiscreteScheduler", "EulerDiscreteScheduler"),
        ("EulerDiscrete", "EulerDiscreteScheduler"),
        ("eulerdiscretescheduler", "EulerDiscreteScheduler"),
        ("DDIM", "DDIMScheduler"),
        ("UniPC", "UniPCMultistepScheduler"),
        ("EulerAnc", "EulerAncestralDiscreteScheduler"),
    ],
)
def test_name_may_be_shortened_as_long_as_it_means_one(said: str, meant: str) -> None:
    assert schedulers.class_named(said, LEGAL) == meant


@pytest.mark.parametrize(
    ("said", "message", "help"),
    [
        ("KDPM2", "`KDPM2` may be `KDPM2AncestralDiscreteScheduler`, `KDPM2DiscreteScheduler`", None),
        ("EulerDiscreet", "no scheduler named `EulerDiscreet`", "did you mean `EulerDiscrete`?"),
        ("FlowMatchEulerDiscrete", "this model cannot use FlowMatchEulerDiscreteScheduler", "this model can use"),
        ("", "no scheduler named ``", "this model can use"),
        ("__init__", "no scheduler named `__init__`", "this model can use"),
    ],
)
def test_wrong_name_is_an_error(said: str, message: str, help: str | None) -> None:
    with pytest.raises(EngineError) as caught:
        schedulers.class_named(said, LEGAL)
    assert (caught.value.code, caught.value.option, caught.value.message) == ("unknown-scheduler", "scheduler", message)
    assert (caught.value.help or "").startswith(help or "")


@pytest.mark.parametrize(
    ("annotation", "default", "word", "value"),
    [
        ("int", "1000", "12", 12),
        ("float", "0.1", "2", 2.0),
        ("bool", "False", "yes", True),
        ("bool | None", "None", "none", None),
        ("float | None", "None", "0.5", 0.5),
        ("str", "'linear'", "scaled_linear", "scaled_linear"),
        ("Literal['linear', 'cosine']", "'linear'", "cosine", "cosine"),
        ("np.ndarray | list[float] | None", "None", "0.1,0.2", [0.1, 0.2]),
        ("Optional[Union[np.ndarray, List[float]]]", "None", "[0.1, 0.2]", [0.1, 0.2]),
        ("list[int]", "None", "1,2", [1, 2]),
    ],
)
def test_argument_is_typed_by_its_annotation(annotation: str, default: str, word: str, value: Any) -> None:
    read = schedulers.typed(Parameter("x", annotation, default), word)
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    ("argument", "word", "message", "help"),
    [
        ("use_karras_sigma", "true", "EulerDiscreteScheduler has no argument named `use-karras-sigma`",
         "did you mean `use-karras-sigmas`?"),
        ("beta_start", "x", "`beta-start` of EulerDiscreteScheduler: expected a number, found `x`", None),
        ("timestep_spacing", "trail", "`timestep-spacing` of EulerDiscreteScheduler: expected one of `linspace`, "
         "`leading`, `trailing`, found `trail`", "did you mean `trailing`?"),
    ],
)  # fmt: skip
def test_wrong_argument_is_an_error(argument: str, word: str, message: str, help: str | None) -> None:
    with pytest.raises(EngineError) as caught:
        schedulers.read(NamedUri("EulerDiscrete", ((argument, word),)), LEGAL)
    assert (caught.value.code, caught.value.message, caught.value.help) == ("bad-uri", message, help)


def test_every_argument_of_every_scheduler_can_be_read() -> None:
    """No annotation in the installed diffusers is of a kind that cannot be said."""
    from dgen.families.signatures import parameters, scheduler_names

    words = {"ndarray": "1,2", "list": "1,2", "bool": "true", "int": "3", "float": "0.5"}
    for name in scheduler_names():
        for p in parameters(name, "__init__"):
            if "Callable" in p.annotation or "Literal" in p.annotation or p.name == "kwargs":
                continue
            word = next((w for kind, w in words.items() if kind in p.annotation), "text")
            assert schedulers.typed(p, word) is not None, f"{name}.{p.name}: {p.annotation}"


def test_scheduler_that_refuses_its_arguments_is_an_error() -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from diffusers import DDIMScheduler
    with pytest.raises(EngineError) as caught:
        schedulers.make(DDIMScheduler(), NamedUri("PNDM", (("beta_schedule", "wavy"),)), LEGAL)
    assert caught.value.code == "bad-uri"


def test_each_job_has_a_scheduler_of_its_own() -> None:
    from diffusers import DDIMScheduler

    base = DDIMScheduler(steps_offset=1)
    made = schedulers.make(base, None, LEGAL)
    assert made is not base
    assert dict(made.config) == dict(base.config)


@pytest.mark.parametrize(
    ("said", "scheduler", "arguments"),
    [
        ("Euler", "EulerDiscreteScheduler", {}),
        ("euler  a", "EulerAncestralDiscreteScheduler", {}),
        ("DPM++ 2M Karras", "DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
        ("DPM++ 2M SDE", "DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
        ("Euler SGM Uniform", "EulerDiscreteScheduler", {"timestep_spacing": "trailing"}),
    ],
)
def test_name_of_another_program_means_a_scheduler_and_arguments(
    said: str, scheduler: str, arguments: dict[str, Any]
) -> None:
    assert schedulers.read(NamedUri(said), LEGAL) == (scheduler, arguments)


def test_every_name_of_another_program_means_what_diffusers_has() -> None:
    from dgen.families.samplers import SAMPLERS, SPACINGS
    from dgen.families.signatures import parameters, scheduler_names

    spaced = {argument for more in SPACINGS.values() for argument in more}
    for scheduler, arguments in SAMPLERS.values():
        assert scheduler in scheduler_names()
        assert set(arguments) <= {p.name for p in parameters(scheduler, "__init__")}
    assert spaced <= {p.name for p in parameters("EulerDiscreteScheduler", "__init__")}


def test_argument_wins_over_what_a_name_means_and_a_spacing_must_be_there() -> None:
    said = NamedUri("DPM++ 2M Karras", (("use_karras_sigmas", "false"), ("solver_order", "3")))
    assert schedulers.read(said, LEGAL)[1] == {"use_karras_sigmas": False, "solver_order": 3}
    with pytest.raises(EngineError) as caught:
        schedulers.read(NamedUri("Euler a Karras"), LEGAL)
    assert (caught.value.code, caught.value.help) == ("unknown-scheduler", "use `Euler a`")


def test_config_of_the_model_is_cloned_unless_it_shall_not_be() -> None:
    from diffusers import DDIMScheduler

    base = DDIMScheduler(beta_end=0.5)
    kept, own = (
        schedulers.make(base, NamedUri("Euler", (("clone_config", said),)), LEGAL).config.beta_end
        for said in ("true", "false")
    )
    assert (kept, own) == (0.5, 0.02)


@pytest.mark.parametrize("name", sorted(LEGAL))
def test_every_scheduler_that_a_model_can_use_renders(shared_bench: Bench, toys: Path, name: str) -> None:
    said = {"scheduler": NamedUri(name), "num_inference_steps": 4, "output_size": Size(16, 16)}
    first, second = (pixels(shared_bench.render(toys / "sd", **said)) for _ in range(2))
    assert first == second


def test_scheduler_without_its_package_is_told_before_anything_is_loaded(
    bench: Bench, toys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for uri in (NamedUri("LMS"), NamedUri("DPMSolverSDE"), NamedUri("Euler Beta")):
        with pytest.raises(EngineError) as caught:
            bench.job(toys / "sd", scheduler=uri)
        assert caught.value.code == "missing-package"
    bench.job(toys / "sd", scheduler=NamedUri("Euler"))
