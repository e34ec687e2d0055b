"""Weights that stay on the host, and what is done when memory runs out: the picture is the same where bits are kept."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from toybench import INPUTS, Bench, mask, pixels

from dgen.engine.ladder import Hands, climb
from dgen.engine.offloading import Offload, choose, lower
from dgen.engine.protocol import EngineError, Inputs, Result
from dgen.events import ComponentLoaded, MemoryShort, OffloadChosen
from dgen.options.attachments import ControlNetUri, LoraUri
from dgen.options.memory import OFFLOADS
from dgen.options.request import Request
from dgen.plan.resolve import Job
from dgen.values.image_seed import ImageSeed


def modules(bench: Bench) -> dict[str, Any]:
    return {c.kind: c.value for c in bench.engine.store if c.bytes and hasattr(c.value, "modules")}


def tensors(bench: Bench) -> dict[str, int]:
    """Every parameter by the object that it is."""
    return {f"{k}.{n}": id(p) for k, m in modules(bench).items() for n, p in m.named_parameters()}


def hooks(bench: Bench) -> list[str]:
    """What libraries left on layers."""
    left = ("_hf_hook", "_diffusers_hook", "_old_forward", "forward")
    return [n for m in modules(bench).values() for e in m.modules() for n in left if n in vars(e)]


@pytest.mark.parametrize("model", ["sd", "sdxl", "auraflow"])
@pytest.mark.parametrize("mode", OFFLOADS[1:])
def test_offloaded_picture_is_the_same_and_components_go_back_clean(
    shared_bench: Bench, toys: Path, model: str, mode: str
) -> None:
    first = pixels(shared_bench.render(toys / model))
    before = tensors(shared_bench)
    assert pixels(shared_bench.render(toys / model, offload=mode, seed=8)) != first
    shared_bench.engine.memo.clear()
    assert pixels(shared_bench.render(toys / model, offload=mode)) == first
    assert tensors(shared_bench) == before
    assert hooks(shared_bench) == []
    assert all(h.device == "cpu" for h in shared_bench.engine.holdings())


@pytest.mark.parametrize("mode", OFFLOADS[1:])
def test_offload_and_adapters_go_together(shared_bench: Bench, toys: Path, mode: str) -> None:
    inputs = Inputs(controls=(mask().convert("RGB"),))
    said: dict[str, Any] = {
        "loras": (LoraUri(model=str(toys / "sd-lora"), scale=0.7),),
        "control_nets": (ControlNetUri(model=str(toys / "sd-net")),),
        "image_seed": ImageSeed("seed"),
    }
    jobs = [shared_bench.job(toys / "sd", **said, **more) for more in ({}, {"offload": mode})]
    own, offloaded = (pixels(shared_bench.engine.render(job, inputs, lambda step, steps: None)) for job in jobs)
    assert offloaded == own


def test_job_that_fails_half_way_while_offloaded_leaves_no_trace(bench: Bench, toys: Path) -> None:
    first, before = pixels(bench.render(toys / "sd")), tensors(bench)

    def stop(step: int, steps: int) -> None:
        raise KeyboardInterrupt

    for mode in OFFLOADS[1:]:
        with pytest.raises(KeyboardInterrupt):
            bench.engine.render(bench.job(toys / "sd", offload=mode), INPUTS["txt2img"], stop)
        assert (tensors(bench), hooks(bench)) == (before, [])
        assert pixels(bench.render(toys / "sd")) == first


def test_offload_is_what_fits_unless_it_is_said(bench: Bench, toys: Path) -> None:
    bench.render(toys / "sd")
    parts, request = modules(bench), Request(model="x")
    mib = 2**20
    table = [(4, "none"), (3.5, "model"), (2.5, "group"), (0.3, "sequential"), (0.01, "sequential")]
    chosen = [choose(request, parts, "cuda", int(size * mib)) for size, _ in table]
    assert [c.mode for c in chosen] == [mode for _, mode in table]
    assert [c.reason for c in chosen] == [
        "its 3.8 MiB fit into the 4.0 MiB that cuda has for them",
        "its 3.8 MiB do not fit into the 3.5 MiB that cuda has for them; its largest part of 3.0 MiB does",
        "its 3.8 MiB do not fit into the 2.5 MiB that cuda has for them; its largest block of 2.1 MiB does",
        "its 3.8 MiB do not fit into the 307.2 KiB that cuda has for them; its largest layer of 288.2 KiB does",
        "nothing larger than a layer fits into the 10.2 KiB that cuda has for them",
    ]
    assert choose(request, parts, "cpu", 0) == Offload("none", "the job runs on the CPU")
    said = choose(Request(model="x", model_cpu_offload=True), parts, "cuda", 0)
    assert said == Offload("model", "`--model-cpu-offload` says so")
    assert [lower(mode) for mode in OFFLOADS] == ["model", "group", "sequential", None]


def test_reason_of_an_offload_is_told_once(bench: Bench, toys: Path) -> None:
    for _ in range(2):
        bench.render(toys / "sd", offload="group")
    bench.render(toys / "sd", model_sequential_offload=True)
    assert [(e.mode, e.reason) for e in bench.of(OffloadChosen)] == [
        ("group", "`--offload` says so"),
        ("sequential", "`--model-sequential-offload` says so"),
    ]


# ---- memory runs out ---------------------------------------------------------------------------------------------


@contextmanager
def running_out(layer: Any, times: int) -> Generator[None]:
    """Let a layer run out of memory the first so many times that it is called."""
    import torch

    left = times

    def short(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left >= 0:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    hook = layer.register_forward_pre_hook(short)
    try:
        yield
    finally:
        hook.remove()


def told(bench: Bench) -> list[str]:
    return [e.remedy for e in bench.of(MemoryShort)]


def test_job_is_tried_again_once_in_each_way(bench: Bench, toys: Path) -> None:
    own = pixels(bench.render(toys / "sd", num_images_per_prompt=2))
    vae = modules(bench)["vae"]
    bench.render(toys / "sdxl")  # what the job does not need
    ways = ["with `--vae-tiling --vae-slicing`", "one picture at a time"]
    for times, freed in ((1, "5.1 MiB were freed"), (2, "the caches were emptied"), (3, "the caches were emptied")):
        bench.events.clear()
        with running_out(vae.decoder, times):
            assert pixels(bench.render(toys / "sd", num_images_per_prompt=2)) == own
        assert told(bench) == [f"tried again {w}" for w in (f"after {freed}", *ways)[:times]]
        assert bench.of(ComponentLoaded) == []
    assert {h.source for h in bench.engine.holdings() if h.bytes} == {str(toys / "sd")}
    assert not vae.use_tiling


def test_out_of_memory_after_everything_says_what_was_tried_and_the_next_job_is_well(bench: Bench, toys: Path) -> None:
    first = pixels(bench.render(toys / "sd"))
    with running_out(modules(bench)["unet"], 100), pytest.raises(EngineError) as caught:
        bench.render(toys / "sd")
    error = caught.value
    assert (error.code, error.message) == ("out-of-memory", "memory ran out: 64x64 pixels, 1 at once, float32, on cpu")
    assert error.help == (
        "it was tried after the caches were emptied, with `--vae-tiling --vae-slicing`; "
        "a smaller size or `--dtype bfloat16` needs less"
    )
    bench.events.clear()
    assert pixels(bench.render(toys / "sd")) == first
    assert bench.of(ComponentLoaded) == []


def test_last_way_is_offloading_as_far_as_there_is_a_device(bench: Bench, toys: Path) -> None:
    asked: list[tuple[str | None, int | None]] = []

    def fail(job: Job) -> Result:
        asked.append((job.request.offload, job.request.num_images_per_prompt))
        raise EngineError("out-of-memory", "memory ran out")

    hands = Hands(
        draw=fail, free=lambda: 0, can_tile=lambda: False, offload=lambda: "model", emit=bench.events.append
    )  # fmt: skip
    with pytest.raises(EngineError, match="memory ran out"):
        climb(bench.job(toys / "sd", num_images_per_prompt=3), hands, can_split=True)
    assert asked == [(None, 3), (None, 3), (None, 1), ("group", 1), ("sequential", 1)]
