"""What is loaded stays within the memory that it may take."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from toybench import Bench, pixels

from dgen.engine.memory import Budget
from dgen.engine.protocol import EngineError
from dgen.events import ComponentDropped, ComponentLoaded, ComponentMoved, Event, FileRead
from dgen.options.submodels import UnetUri
from dgen.values.scalars import Size


@pytest.fixture(scope="module")
def ten(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Ten models that share nothing but their weights' values."""
    folder = tmp_path_factory.mktemp("ten")
    return [shutil.copytree(toys / "sd", folder / f"model-{n}", copy_function=os.link) for n in range(10)]


def held_bytes(bench: Bench) -> int:
    return sum(h.bytes for h in bench.engine.holdings())


def test_ten_models_in_turn_stay_within_a_budget_for_three(bench: Bench, ten: list[Path]) -> None:
    first = pixels(bench.render(ten[0], output_size=Size(16, 16)))
    budget = held_bytes(bench) * 3
    most: list[int] = []
    bench.engine.store.emit = lambda event: most.append(held_bytes(bench)) or bench.events.append(event)
    for model in ten * 2:
        assert pixels(bench.render(model, host_memory=budget, output_size=Size(16, 16))) == first
        most.append(held_bytes(bench))
    assert max(most) <= budget
    assert len({h.source for h in bench.engine.holdings() if h.bytes}) == 3
    dropped = {e.source for e in bench.of(ComponentDropped)}
    assert dropped == set(map(str, ten))


def test_models_that_fit_are_never_read_again(bench: Bench, ten: list[Path]) -> None:
    bench.render(ten[0], output_size=Size(16, 16))
    budget = held_bytes(bench) * 3
    for model in ten[:3] * 3:
        bench.render(model, host_memory=budget, output_size=Size(16, 16))
    assert len(bench.of(FileRead)) == 9  # three weights files each
    assert bench.of(ComponentDropped) == []


def test_model_beyond_the_budget_is_refused_with_both_sizes_and_nothing_is_lost(bench: Bench, ten: list[Path]) -> None:
    first = pixels(bench.render(ten[0]))
    size, before = held_bytes(bench), bench.engine.holdings()
    with pytest.raises(EngineError) as caught:
        bench.render(ten[1], host_memory=size // 2)
    error = caught.value
    assert (error.code, error.option) == ("out-of-memory", "host_memory")
    assert error.message == "the parts of this job take 3.8 MiB, and `--host-memory` allows 1.9 MiB"
    assert error.help == "the largest is its unet, 3.0 MiB; try `--dtype bfloat16` or a smaller model"
    assert [h.source for h in bench.engine.holdings()] == [h.source for h in before]
    assert pixels(bench.render(ten[0])) == first
    assert len(bench.of(ComponentLoaded)) == len(before)


def test_model_that_lacks_a_part_is_told_before_anything_is_loaded(
    bench: Bench, ten: list[Path], tmp_path: Path
) -> None:
    first = pixels(bench.render(ten[0]))
    lacking = shutil.copytree(ten[1], tmp_path / "lacking", ignore=shutil.ignore_patterns("unet"))
    bench.events.clear()
    with pytest.raises(EngineError) as caught:
        bench.job(lacking)
    assert (caught.value.code, caught.value.message) == (
        "bad-model", f"`{lacking}` has no folder `unet`, which its index names",
    )  # fmt: skip
    assert pixels(bench.render(lacking, unet=UnetUri(model=str(ten[2])), output_size=Size(64, 64))) == first
    with pytest.raises(EngineError, match="offline-mode"):
        bench.job("nobody/no-such-model", offline_mode=True)
    assert pixels(bench.render(ten[0])) == first
    assert {e.source for e in bench.of(ComponentLoaded)} == {str(lacking), str(ten[2])}


def test_parts_of_the_same_job_never_push_one_another_out(bench: Bench, toys: Path, ten: list[Path]) -> None:
    bench.render(ten[0], dtype="bfloat16")
    size = held_bytes(bench)
    bench.events.clear()
    for _ in range(2):
        bench.render(ten[1], dtype="bfloat16", host_memory=size)
    assert len(bench.of(ComponentLoaded)) == 5


def test_budget_leaves_a_reserve_and_heeds_a_limit() -> None:
    free = Budget(lambda: 1000, reserve_bytes=100)
    assert [free.excess(500, wanted) for wanted in (900, 950, 5000)] == [0, 50, 500]
    assert free.most(500) == 1500
    limited = Budget(lambda: 1000, 600, reserve_bytes=100)
    assert [limited.excess(500, wanted) for wanted in (100, 150, 600)] == [0, 50, 500]
    assert limited.most(500) == 600


class Weights:
    """Something with bytes that can be on a device that this machine lacks."""

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes

    def to(self, device: str) -> None:
        self.device = device


def test_what_leaves_a_device_goes_to_the_host_while_there_is_room() -> None:
    from dgen.engine.components import Need, Store

    events: list[Event] = []
    limits = {"cpu": 250, "cuda": 100}
    store = Store(events.append, lambda device: Budget(lambda: 10**6, limits[device], reserve_bytes=0))
    for name in ("a", "b", "c", "d"):
        need = Need(key=(name,), kind=name, source="x", load=lambda: Weights(100), bytes=100)
        with store.use(need) as component:
            store.bring(component, "cuda")
        assert store.held_bytes("cuda") <= 100
        assert store.held_bytes("cpu") <= 250
    assert {c.kind: c.device for c in store} == {"c": "cpu", "d": "cuda"}
    assert [e.kind for e in events if isinstance(e, ComponentDropped)] == ["a", "b"]
    moves = " ".join(f"{e.kind}>{e.device}" for e in events if isinstance(e, ComponentMoved))
    assert moves == "a>cuda a>cpu b>cuda b>cpu c>cuda c>cpu d>cuda"
