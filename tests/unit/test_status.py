"""The status line is right: what is left, how fast, and how long."""

from __future__ import annotations

import pytest

from dgen.cli.status import Status
from dgen.events import ComponentLoaded, Interrupted, JobRendered, JobStarted, StatementStarted, StepDone
from dgen.options.request import Request
from dgen.plan.expand import Expansion, expand
from dgen.plan.steps import steps_of, total_steps


def heard(*events: object) -> Status:
    status = Status()
    for event in events:
        status.listen(event)  # type: ignore[arg-type]
    return status


def started(jobs: int = 4, steps: int = 40, device: str = "cpu") -> StatementStarted:
    return StatementStarted(where="", model="toy", jobs=jobs, steps=steps, device=device)


def job(number: int, steps: int = 10) -> JobStarted:
    return JobStarted(number=number, jobs=4, mode="txt2img", seed=1, steps=steps, size="64x64")


def step(number: int, count: int, seconds: float | None, **more: int) -> StepDone:
    return StepDone(number=1, step=count, steps=number, seconds=seconds, **more)


def test_nothing_is_promised_before_anything_was_measured() -> None:
    status = heard(started(), job(1))
    assert status.seconds_left is None
    assert status.line() == "toy · cpu · 4 of 4 jobs left"


def test_time_left_counts_the_steps_of_all_jobs() -> None:
    status = heard(started(), job(1), step(10, 1, None), step(10, 2, 0.5), step(10, 3, 0.5), step(10, 4, 0.7))
    assert status.seconds_left == pytest.approx(36 * 0.5)
    assert status.progress == pytest.approx(0.4)
    assert status.speed == "2.0 it/s"


def test_time_left_counts_what_jobs_take_beside_their_steps_but_not_loading() -> None:
    first = [started(), job(1), ComponentLoaded(kind="vae", source="", class_name="", bytes=1, seconds=9.0)]
    first += [step(10, n, 0.1 if n > 1 else None) for n in range(1, 11)]
    status = heard(*first, JobRendered(number=1, seconds=11.0))
    assert status.seconds_left == pytest.approx(30 * 0.1)
    second = [job(2), *(step(10, n, 0.1 if n > 1 else None) for n in range(1, 11)), JobRendered(number=2, seconds=1.4)]
    status = heard(*first, JobRendered(number=1, seconds=11.0), *second)
    assert status.seconds_left == pytest.approx(20 * 0.1 + 2 * 0.4)


def test_a_step_may_take_longer_than_a_second() -> None:
    assert heard(started(), job(1), step(10, 1, None), step(10, 2, 2.5)).speed == "2.5 s/it"


def test_jobs_of_one_step_are_measured_as_a_whole() -> None:
    status = heard(started(steps=4), job(1, 1), step(1, 1, None), JobRendered(number=1, seconds=2.0))
    assert status.seconds_left == pytest.approx(3 * 2.0)


def test_memory_is_that_of_the_device_where_it_has_its_own() -> None:
    own = {"resident_bytes": 2**20, "device_bytes": 3 * 2**30}
    assert "3.0 GiB" in heard(started(device="cuda:1"), job(1), step(2, 1, None, **own)).line()
    assert "1.0 MiB" in heard(started(), job(1), step(2, 1, None, resident_bytes=2**20)).line()


def test_what_is_over_has_nothing_left() -> None:
    status = heard(started(), job(1), step(10, 1, None), Interrupted(done=0, left=4))
    assert not status.is_running
    assert status.line() == "toy · cpu"


def test_speed_of_another_model_says_nothing() -> None:
    other = StatementStarted(where="", model="other", jobs=1, steps=10, device="cpu")
    assert heard(started(), job(1), step(10, 2, 0.5), other).seconds_left is None


def expansion(*words: str) -> Expansion:
    from dgen.api.scripts import WordLine
    from dgen.plan.bind import bind, request_table

    line = WordLine("test")
    for word in words:
        line.add(word, is_value=False)
    return expand(bind(line.words(), request_table(), line.span()))


def test_steps_of_a_sweep_are_counted_without_running_it() -> None:
    assert total_steps(expansion("toy", "--seeds", "1", "2", "--inference-steps", "5", "10")) == 30
    assert total_steps(expansion("toy", "--seeds", "1", "2")) == 60
    swept = ["--image-seeds", "a.png", "--image-seed-strengths", "0.5", "1", "--inference-steps", "10", "20"]
    assert total_steps(expansion("toy", *swept, "--seeds", "1", "2")) == 2 * (5 + 10 + 10 + 20)
    assert total_steps(expansion("toy", "--image-seeds", "a.png", "--inference-steps", "10")) == 8
    assert total_steps(expansion("toy", "--control-nets", "n", "--image-seeds", "a.png")) == 30
    assert steps_of(Request(model="toy", num_inference_steps=10, strength=0.55)) == 5
