"""A weight is read once, whatever follows; a job leaves no trace in the next one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from toybench import INPUTS, Bench, pixels

from dgen.engine.components import Need, Store
from dgen.engine.memory import budgets
from dgen.engine.protocol import EngineError
from dgen.events import ComponentDropped, ComponentLoaded, ComponentReused, FileRead
from dgen.options.submodels import VaeUri
from dgen.values.prompt import Prompt
from dgen.values.scalars import Size
from dgen.values.uri import NamedUri


def other_vae(toys: Path) -> VaeUri:
    return VaeUri(class_name="AutoencoderKL", model=str(toys / "vae"))


@pytest.mark.parametrize("model", ["sd", "sdxl", "sd.safetensors"])
def test_each_weights_file_is_read_once(bench: Bench, toys: Path, tmp_path: Path, model: str) -> None:
    place = tmp_path / model
    (shutil.copytree if (toys / model).is_dir() else shutil.copy)(toys / model, place)
    said: dict[str, Any] = {"model_config": str(toys / "sd")} if place.is_file() else {}
    first = pixels(bench.render(place, **said))
    gone = [place] if place.is_file() else list(place.rglob("*.safetensors"))
    jobs = [bench.job(place, mode, **said) for mode in ("img2img", "inpaint")]
    jobs.append(bench.job(place, scheduler=NamedUri("EulerDiscrete"), **said))
    jobs.append(bench.job(place, vae=other_vae(toys), **said))
    jobs.append(bench.job(place, **said))
    for file in gone if not place.is_file() else ():
        file.unlink()  # what is gone cannot be read again
    results = [bench.engine.render(j, INPUTS[j.mode], lambda step, steps: None) for j in jobs]
    assert pixels(results[-1]) == first
    read = [e.path for e in bench.of(FileRead)]
    assert sorted(read) == sorted([*map(str, gone), str(toys / "vae" / "diffusion_pytorch_model.safetensors")])
    assert all(pixels(r) != first for r in results[:-1])


def test_any_job_between_leaves_the_picture_as_it_was(shared_bench: Bench, toys: Path) -> None:
    between: list[tuple[str, dict[str, Any]]] = [
        ("txt2img", {"scheduler": NamedUri("DPMSolverMultistep", (("use_karras_sigmas", "true"),))}),
        ("txt2img", {"vae": other_vae(toys)}),
        ("txt2img", {"num_images_per_prompt": 2, "vae_tiling": True, "vae_slicing": True}),
        ("txt2img", {"clip_skip": 1, "output_size": Size(32, 96), "guidance_rescale": 0.5}),
        ("txt2img", {"dtype": "bfloat16"}),
        ("img2img", {"strength": 0.6}),
        ("inpaint", {"guidance_scale": 1.0}),
    ]
    first = pixels(shared_bench.render(toys / "sd"))
    for mode, said in between:
        assert pixels(shared_bench.render(toys / "sd", mode, **said)) != first
        assert pixels(shared_bench.render(toys / "sd")) == first


def test_prompt_is_encoded_once_for_all_seeds(bench: Bench, toys: Path) -> None:
    alone = [pixels(Bench().render(toys / "sdxl", seed=s)) for s in (1, 2)]
    memo = bench.engine.memo
    assert [pixels(bench.render(toys / "sdxl", seed=s)) for s in (1, 2)] == alone
    assert (memo.misses, memo.hits) == (4, 4)  # two encoders, prompt and negative prompt
    bench.render(toys / "sdxl", seed=3)
    bench.render(toys / "sdxl", seed=4)
    assert memo.misses == 4
    bench.render(toys / "sdxl", prompt=Prompt("a blue star", "blurry"))
    assert memo.misses == 6


def test_start_image_is_encoded_once_and_noised_by_each_seed(bench: Bench, toys: Path) -> None:
    alone = [pixels(Bench().render(toys / "sd", "inpaint", seed=s)) for s in (1, 2)]
    assert [pixels(bench.render(toys / "sd", "inpaint", seed=s)) for s in (1, 2)] == alone
    encoded = bench.engine.seen.misses
    assert encoded > 0
    bench.render(toys / "sd", "inpaint", seed=3)
    assert bench.engine.seen.misses == encoded


def test_changing_an_answer_of_the_memo_changes_no_later_one() -> None:
    import torch

    from dgen.engine.memo import Memo

    module, memo = torch.nn.Identity(), Memo()
    with memo.watch(module, "forward", ("key",)):
        for _ in range(3):
            answer = module(torch.ones(2))
            assert answer.tolist() == [1, 1]
            answer.zero_()
    assert "forward" not in vars(module)
    assert (memo.misses, memo.hits) == (1, 2)


@pytest.mark.parametrize("limit", [{"limit_bytes": 100}, {"limit": 2}])
def test_memo_keeps_within_its_limit(limit: dict[str, int]) -> None:
    import torch

    from dgen.engine.memo import Memo

    module, memo = torch.nn.Identity(), Memo(**limit)
    with memo.watch(module, "forward", ("key",)):
        for number in (1.0, 2.0, 3.0, 1.0):
            module(torch.full((10,), number))  # 40 bytes each
    assert (memo.misses, memo.hits) == (4, 0)


def test_clearing_makes_the_next_job_load_again(bench: Bench, toys: Path) -> None:
    first = pixels(bench.render(toys / "sd"))
    assert bench.engine.clear("unet") == 1
    assert [e.kind for e in bench.of(ComponentDropped)] == ["unet"]
    bench.events.clear()
    assert pixels(bench.render(toys / "sd")) == first
    assert [e.kind for e in bench.of(ComponentLoaded)] == ["unet"]
    assert {e.kind for e in bench.of(ComponentReused)} == {"vae", "text_encoder", "tokenizer", "scheduler"}
    assert bench.engine.clear("model") == 5
    assert bench.engine.holdings() == ()


def test_holdings_tell_what_is_loaded(bench: Bench, toys: Path) -> None:
    bench.render(toys / "sd", dtype="bfloat16")
    bench.render(toys / "sd", dtype="bfloat16")
    unet = next(h for h in bench.engine.holdings() if h.kind == "unet")
    assert (unet.class_name, unet.device, unet.dtype, unet.uses) == ("UNet2DConditionModel", "cpu", "bfloat16", 2)
    assert unet.bytes == sum(
        p.numel() * 2 for p in next(iter(c.value for c in bench.engine.store if c.kind == "unet")).parameters()
    )


def test_saved_modules_are_used_until_they_are_let_go(bench: Bench, toys: Path) -> None:
    with pytest.raises(EngineError, match="no pipeline has run"):
        bench.engine.save_modules(["unet"])
    own = pixels(bench.render(toys / "sd"))
    other = pixels(bench.render(toys / "sd", vae=other_vae(toys)))
    saved = bench.engine.save_modules(["vae", "scheduler"])
    with pytest.raises(EngineError) as caught:
        bench.engine.save_modules(["unets"])
    assert (caught.value.code, caught.value.help) == ("unknown-module", "did you mean `unet`?")
    bench.engine.use_modules(saved)
    assert pixels(bench.render(toys / "sd")) == other
    bench.engine.use_modules(None)
    assert pixels(bench.render(toys / "sd")) == own


def module(size_bytes: int) -> Any:
    import torch

    return torch.nn.Linear(size_bytes // 4, 1, bias=False)


def need(name: str, size_bytes: int) -> Need:
    return Need(key=(name,), kind=name, source="x", load=lambda: module(size_bytes), bytes=size_bytes)


def test_longest_unused_component_goes_first_and_pinned_ones_never() -> None:
    events: list[Any] = []
    store = Store(events.append, budgets(limits=(None, 1000)))
    for name in ("a", "b", "a"):
        with store.use(need(name, 400)):
            pass
    with store.use(need("a", 400)), store.use(need("c", 400)):
        pass
    assert [e.kind for e in events if type(e) is ComponentDropped] == ["b"]
    with store.use(need("a", 400)), store.use(need("c", 400)), store.use(need("d", 400)):
        assert {c.kind for c in store} == {"a", "c", "d"}
    assert (store.loads, store.hits) == (4, 4)


def test_failed_load_leaves_the_store_as_it_was() -> None:
    def fail() -> None:
        raise OSError("the disk failed")

    store = Store(lambda event: None, budgets(limits=(None, 1000)))
    with pytest.raises(OSError, match="disk"), store.use(Need(key=("a",), kind="a", source="x", load=fail)):
        pass
    assert store.find(("a",)) is None
    with store.use(need("a", 4)) as held:
        assert held.pins == 1
    assert held.pins == 0
