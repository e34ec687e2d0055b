"""What speeds SD3 and FLUX.1 up acts as in diffusers alone, or as its paper says, and leaves no trace."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flowbench import PIPELINES, SAID, plain
from toybench import INPUTS, Bench, pixels

from dgen.values.step_cache import StepCacheText

# ---- step caches -----------------------------------------------------------------------------------------------------


def pab(pipe: Any, now: Callable[[], float]) -> Any:
    from diffusers import PyramidAttentionBroadcastConfig

    return PyramidAttentionBroadcastConfig(
        spatial_attention_block_skip_range=3, spatial_attention_timestep_skip_range=(50, 950),
        current_timestep_callback=now,
    )  # fmt: skip


def taylor(pipe: Any, now: Callable[[], float]) -> Any:
    import torch
    from diffusers import TaylorSeerCacheConfig

    return TaylorSeerCacheConfig(cache_interval=3, disable_cache_before_step=2, taylor_factors_dtype=torch.float32)


def first_block(pipe: Any, now: Callable[[], float]) -> Any:
    from diffusers import FirstBlockCacheConfig

    return FirstBlockCacheConfig(threshold=0.5)


RATIOS = (1.0, 1.1, 1.05, 0.99)


def mag(pipe: Any, now: Callable[[], float]) -> Any:
    from diffusers import MagCacheConfig

    return MagCacheConfig(
        threshold=0.4, max_skip_steps=2, retention_ratio=0.2, num_inference_steps=6, mag_ratios=list(RATIOS)
    )


def faster(pipe: Any, now: Callable[[], float]) -> Any:
    from diffusers import FasterCacheConfig

    halved = ["hidden_states", "encoder_hidden_states", "timestep", "pooled_projections"]
    is_halved = hasattr(pipe, "text_encoder_3")  # SD3's batches have an unguided half
    return FasterCacheConfig(
        spatial_attention_block_skip_range=2, spatial_attention_timestep_skip_range=(0, 900), tensor_format="BCHW",
        attention_weight_callback=lambda _: 0.4, is_guidance_distilled=not is_halved, current_timestep_callback=now,
        unconditional_batch_skip_range=3, _unconditional_conditional_input_kwargs_identifiers=halved,
    )  # fmt: skip


CACHES: dict[str, Callable[[Any, Callable[[], float]], Any]] = {
    "PAB;spatial-attention-block-skip-range=3;spatial-attention-timestep-skip-range=50,950": pab,
    "TaylorSeer;cache-interval=3;disable-cache-before-step=2": taylor,
    "FirstBlock;threshold=0.5": first_block,
    "MagCache;threshold=0.4;max-skip-steps=2;retention-ratio=0.2;mag-ratios=1,1.1,1.05,0.99": mag,
    "FasterCache;spatial-attention-timestep-skip-range=0,900;attention-weight=0.4": faster,
}


def by_hand(make: Callable[[Any, Callable[[], float]], Any]) -> Callable[[Any], None]:
    """Return what puts a cache into a pipeline: SD3's transformer has no method for that, and drops its texts."""

    def prepare(pipe: Any) -> None:
        from diffusers import CacheMixin

        transformer, last = pipe.transformer, pipe.transformer.transformer_blocks[-1]
        seen = [0.0]

        def watch(_: Any, args: Any, named: Any) -> None:
            told = float(named["timestep"][0])
            seen[0] = told if hasattr(pipe, "text_encoder_3") else told * 1000

        transformer.register_forward_pre_hook(watch, with_kwargs=True)
        own = last.forward
        if getattr(last, "context_pre_only", False):
            last.forward = lambda **named: (named["encoder_hidden_states"], own(**named)[1])
        for name in ("_cache_config", "is_cache_enabled"):
            if not hasattr(transformer, name):
                setattr(transformer, name, None)
        CacheMixin.enable_cache(transformer, make(pipe, lambda: seen[0]))
        transformer.held = CacheMixin.cache_context(transformer, "x")  # else it ends with this function
        transformer.held.__enter__()

    return prepare


@pytest.mark.parametrize("word", CACHES, ids=lambda w: w.partition(";")[0])
@pytest.mark.parametrize("toy", PIPELINES)
def test_step_cache_acts_as_in_diffusers(flow_toys: Path, shared_bench: Bench, toy: str, word: str) -> None:
    before = pixels(shared_bench.render(flow_toys / toy, **SAID))
    said = word + (";unconditional-batch-skip-range=3" if toy == "sd3" and "Faster" in word else "")
    made = pixels(shared_bench.render(flow_toys / toy, **SAID, step_cache=StepCacheText().parse(said)))
    assert made == plain(flow_toys, toy, by_hand(CACHES[word]))
    assert made != before
    assert pixels(shared_bench.render(flow_toys / toy, **SAID)) == before


MODES = (("sd3", "img2img"), ("flux", "inpaint"), ("flux-fill", "inpaint"), ("flux-kontext", "img2img"))
LOOSE = (
    "PAB;spatial-attention-block-skip-range=3;spatial-attention-timestep-skip-range=0,1000", "TaylorSeer;"
    "cache-interval=3;disable-cache-before-step=1", "FirstBlock;threshold=9",
    "MagCache;threshold=9;retention-ratio=0.1;mag-ratios=1,1.1", "FasterCache;"
    "spatial-attention-timestep-skip-range=0,1000",
)  # fmt: skip


SPED: list[tuple[str, str, dict[str, Any]]] = [
    (*MODES[(index + more) % len(MODES)], {"step_cache": StepCacheText().parse(word)})
    for index, word in enumerate(LOOSE)
    for more in (0, 1)
]
SPED += [(toy, mode, {"tea_cache": True}) for toy, mode in MODES if toy != "sd3"]
SPED += [(toy, mode, {"ras_start_step": 1}) for toy, mode in (("sd3", "inpaint"), ("sd3.5", "img2img"))]
SPED += [("sd3.5", "img2img", {"ras_start_step": 1, "ras_index_fusion": True})]


@pytest.mark.parametrize(
    ("toy", "mode", "said"), SPED, ids=lambda v: v if isinstance(v, str) else "+".join(map(str, v.values()))
)
def test_what_speeds_up_in_other_modes_leaves_no_trace_also_when_it_fails(
    flow_toys: Path, shared_bench: Bench, toy: str, mode: str, said: dict[str, Any]
) -> None:
    steps = {"num_inference_steps": 6}
    before = pixels(shared_bench.render(flow_toys / toy, mode, **steps))
    assert pixels(shared_bench.render(flow_toys / toy, mode, **steps, **said)) != before
    transformer = shared_bench.engine.save_modules(["transformer"])["transformer"].value
    kept = [(n, sorted(vars(m)), len(m._forward_pre_hooks)) for n, m in transformer.named_modules()]

    def stop(step: int, steps: int) -> None:
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shared_bench.engine.render(shared_bench.job(flow_toys / toy, mode, **steps, **said), INPUTS[mode], stop)
    assert [(n, sorted(vars(m)), len(m._forward_pre_hooks)) for n, m in transformer.named_modules()] == kept
    assert pixels(shared_bench.render(flow_toys / toy, mode, **steps)) == before


# ---- TeaCache --------------------------------------------------------------------------------------------------------


class Tea:
    """FLUX.1's transformer as a plain loop, after the method's paper; keeps which of its calls were whole."""

    def __init__(self, transformer: Any, threshold: float, steps: int) -> None:
        self.own, self.threshold, self.steps = transformer, threshold, steps
        self.sum, self.before, self.added = 0.0, None, None
        self.whole: list[bool] = []

    def skips(self, modulated: Any) -> bool:
        import numpy as np

        count, before, self.before = len(self.whole), self.before, modulated
        if count in (0, self.steps - 1):
            self.sum = 0.0
            return False
        change = ((modulated - before).abs().mean() / before.abs().mean()).item()
        fitted = [4.98651651e02, -2.83781631e02, 5.58554382e01, -3.82021401e00, 2.64230861e-01]
        self.sum += float(np.poly1d(fitted)(change))
        if self.sum < self.threshold:
            return True
        self.sum = 0.0
        return False

    def __call__(self, hidden_states: Any, timestep: Any, guidance: Any, **named: Any) -> Any:
        import torch

        own = self.own
        hidden, texts = own.x_embedder(hidden_states), own.context_embedder(named["encoder_hidden_states"])
        emb = own.time_text_embed(timestep * 1000, guidance * 1000, named["pooled_projections"])
        rotary = own.pos_embed(torch.cat((named["txt_ids"], named["img_ids"])))
        skips = self.skips(own.transformer_blocks[0].norm1(hidden, emb=emb)[0])
        self.whole.append(not skips)
        start = hidden
        if skips:
            hidden = hidden + self.added
        else:
            for block in (*own.transformer_blocks, *own.single_transformer_blocks):
                texts, hidden = block(
                    hidden_states=hidden, encoder_hidden_states=texts, temb=emb, image_rotary_emb=rotary
                )
            self.added = hidden - start
        return (own.proj_out(own.norm_out(hidden, emb)),)


@pytest.mark.parametrize("threshold", [0.4, 1.0])
def test_tea_cache_is_the_loop_of_the_paper(flow_toys: Path, shared_bench: Bench, threshold: float) -> None:
    loops: list[Tea] = []

    def prepare(pipe: Any) -> None:
        loops.append(Tea(pipe.transformer, threshold, 6))
        pipe.transformer.forward = loops[0]

    before = pixels(shared_bench.render(flow_toys / "flux", **SAID))
    made = pixels(shared_bench.render(flow_toys / "flux", **SAID, tea_cache_rel_l1_threshold=threshold))
    assert made == plain(flow_toys, "flux", prepare)
    assert (False in loops[0].whole, True in loops[0].whole[1:-1]) == (True, threshold < 1)
    assert made != before
    assert pixels(shared_bench.render(flow_toys / "flux", **SAID)) == before


@pytest.mark.parametrize("offload", ["model", "sequential"])
def test_tea_cache_goes_with_offloading(flow_toys: Path, shared_bench: Bench, offload: str) -> None:
    made = pixels(shared_bench.render(flow_toys / "flux", **SAID, tea_cache=True))
    assert pixels(shared_bench.render(flow_toys / "flux", **SAID, tea_cache=True, offload=offload)) == made
