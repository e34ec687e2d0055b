"""FreeU, perturbed attention guidance and DeepCache act as their makers say, and leave no trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_adapters import NAMES, STARTS, alone, control
from toybench import INPUTS, SEEDS, Bench, pixels

from dgen.engine.adapters.deepcache import remember_depths
from dgen.engine.protocol import EngineError, Inputs
from dgen.options.attachments import ControlNetUri
from dgen.values.freeu import FreeU
from dgen.values.image_seed import ImageSeed
from dgen.values.step_cache import StepCache, StepCacheText

FREEU = FreeU(0.9, 0.2, 1.5, 1.6)
ENDINGS = {"txt2img": "PAGPipeline", "img2img": "PAGImg2ImgPipeline", "inpaint": "PAGInpaintPipeline"}


def start(mode: str) -> dict[str, Any]:
    return {**STARTS[mode], **({} if mode == "txt2img" else {"strength": 0.8})}


@pytest.mark.parametrize("mode", ENDINGS)
@pytest.mark.parametrize("model", NAMES)
def test_pag_steers_as_in_diffusers(shared_bench: Bench, toys: Path, model: str, mode: str) -> None:
    plain = pixels(shared_bench.render(toys / model, mode))
    made = pixels(shared_bench.render(toys / model, mode, pag_scale=4.0, pag_adaptive_scale=0.001))
    named = {**start(mode), "pag_scale": 4.0, "pag_adaptive_scale": 0.001}
    assert made == alone(NAMES[model] + ENDINGS[mode], toys / model, {}, **named)
    assert made != plain
    assert pixels(shared_bench.render(toys / model, mode)) == plain


def test_pag_beside_a_controlnet(shared_bench: Bench, toys: Path) -> None:
    from diffusers import ControlNetModel

    nets = (ControlNetUri(model=str(toys / "sd-net"), scale=0.7),)
    job = shared_bench.job(toys / "sd", control_nets=nets, image_seed=ImageSeed("seed"), pag=True)
    assert (job.pipeline, job.request.pag_scale) == ("StableDiffusionControlNetPAGPipeline", 3.0)
    made = pixels(shared_bench.engine.render(job, Inputs(controls=(control(1),)), lambda step, steps: None))
    parts = {"controlnet": ControlNetModel.from_pretrained(toys / "sd-net")}
    named = {"image": control(1), "controlnet_conditioning_scale": 0.7, "pag_scale": 3.0}
    assert made == alone("StableDiffusionControlNetPAGPipeline", toys / "sd", parts, **named)


@pytest.mark.parametrize("model", NAMES)
def test_freeu_acts_as_in_diffusers(shared_bench: Bench, toys: Path, model: str) -> None:
    plain = pixels(shared_bench.render(toys / model))
    made = pixels(shared_bench.render(toys / model, freeu=FREEU))
    assert made == alone(NAMES[model] + "Pipeline", toys / model, {}, lambda pipe: pipe.enable_freeu(*FREEU))
    assert made != plain
    assert pixels(shared_bench.render(toys / model)) == plain


def pab(pipe: Any) -> None:
    from diffusers.hooks import PyramidAttentionBroadcastConfig, apply_pyramid_attention_broadcast

    last = [0]
    pipe.unet.register_forward_pre_hook(lambda _, args: last.__setitem__(0, int(args[1])))
    config = PyramidAttentionBroadcastConfig(
        spatial_attention_block_skip_range=2, cross_attention_block_skip_range=3,
        cross_attention_timestep_skip_range=(0, 1000), current_timestep_callback=lambda: last[0],
    )  # fmt: skip
    apply_pyramid_attention_broadcast(pipe.unet, config)


def taylor(pipe: Any) -> None:
    import torch
    from diffusers import CacheMixin, TaylorSeerCacheConfig
    from diffusers.hooks import apply_taylorseer_cache

    names = [n for n, _ in pipe.unet.named_modules() if n.endswith(("attn1", "attn2"))]
    config = TaylorSeerCacheConfig(
        cache_interval=2, disable_cache_before_step=1, taylor_factors_dtype=torch.float32,
        cache_identifiers=[n.replace(".", r"\.") for n in names],
    )  # fmt: skip
    apply_taylorseer_cache(pipe.unet, config)
    pipe.unet.held = CacheMixin.cache_context(pipe.unet, "x")  # else it ends with this function
    pipe.unet.held.__enter__()


CACHED = {
    "PAB;spatial-attention-block-skip-range=2;cross-attention-block-skip-range=3;"
    "cross-attention-timestep-skip-range=0,1000": pab,
    "TaylorSeer;cache-interval=2;disable-cache-before-step=1": taylor,
}


@pytest.mark.parametrize("word", CACHED, ids=lambda w: w.partition(";")[0])
@pytest.mark.parametrize("model", NAMES)
def test_step_cache_acts_as_in_diffusers(shared_bench: Bench, toys: Path, model: str, word: str) -> None:
    plain = pixels(shared_bench.render(toys / model, num_inference_steps=5))
    cache = StepCacheText().parse(word)
    made = pixels(shared_bench.render(toys / model, num_inference_steps=5, step_cache=cache))
    assert made == alone(NAMES[model] + "Pipeline", toys / model, {}, CACHED[word], num_inference_steps=5)
    assert made != plain
    assert pixels(shared_bench.render(toys / model, num_inference_steps=5)) == plain


@pytest.mark.parametrize("word", CACHED, ids=lambda w: w.partition(";")[0])
def test_step_cache_goes_with_a_latent_consistency_model(shared_bench: Bench, tmp_path: Path, word: str) -> None:
    import warnings

    import toy_today

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = toy_today.make_latent_consistency(tmp_path / "lcm")
    plain = pixels(shared_bench.render(model, num_inference_steps=5))
    assert pixels(shared_bench.render(model, num_inference_steps=5, step_cache=StepCacheText().parse(word))) != plain
    assert pixels(shared_bench.render(model, num_inference_steps=5)) == plain


JOBS: dict[str, dict[str, Any]] = {
    "pag": {"pag": True},
    "freeu": {"freeu": FREEU},
    "deep cache": {"deep_cache_interval": 2},
    "pab": {"step_cache": StepCache("PAB")},
    "taylor": {"step_cache": StepCache("TaylorSeer", (("cache_interval", 2), ("disable_cache_before_step", 1)))},
    "all of them": {"pag": True, "freeu": FREEU, "deep_cache": True, "step_cache": StepCache("PAB")},
}


@pytest.mark.parametrize("name", JOBS)
@pytest.mark.parametrize("model", NAMES)
def test_job_that_fails_half_way_leaves_no_trace(shared_bench: Bench, toys: Path, model: str, name: str) -> None:
    plain = pixels(shared_bench.render(toys / model))
    unet = shared_bench.engine.save_modules(["unet"])["unet"].value
    before = [(n, sorted(vars(m)), len(m._forward_pre_hooks)) for n, m in unet.named_modules()]

    def stop(step: int, steps: int) -> None:
        if step == 2:
            raise KeyboardInterrupt

    job = shared_bench.job(toys / model, num_inference_steps=4, **JOBS[name])
    with pytest.raises(KeyboardInterrupt):
        shared_bench.engine.render(job, INPUTS["txt2img"], stop)
    assert [(n, sorted(vars(m)), len(m._forward_pre_hooks)) for n, m in unet.named_modules()] == before
    assert pixels(shared_bench.render(toys / model)) == plain


# ---- DeepCache ------------------------------------------------------------------------------------------------------


def unet_and_inputs(toys: Path) -> tuple[Any, list[Any], Any]:
    import torch
    from diffusers import UNet2DConditionModel

    torch.manual_seed(3)
    unet = UNet2DConditionModel.from_pretrained(toys / "sd" / "unet").eval()
    return unet, [torch.randn(1, 4, 32, 32) for _ in range(2)], torch.randn(1, 7, 32)


@pytest.mark.parametrize("branch", [0, 1, 2, 3])
def test_cached_call_is_the_formula_of_the_paper(toys: Path, branch: int) -> None:
    import torch

    unet, (first, second), words = unet_and_inputs(toys)
    times = torch.tensor([900]), torch.tensor([700])
    up = [(block, n) for block in unet.up_blocks for n in range(2)]
    entry, number = up[3 - branch]
    seen: list[Any] = []
    hook = entry.resnets[number].register_forward_pre_hook(lambda _, args: seen.append(args[0].clone()))
    with torch.no_grad():
        unet(first, times[0], words)
        hook.remove()
        emb = unet.time_embedding(unet.time_proj(times[1]))
        skips = [unet.conv_in(second)]
        down, deep = unet.down_blocks
        skips.append(down.attentions[0](down.resnets[0](skips[0], emb), words, return_dict=False)[0])
        skips.append(down.downsamplers[0](skips[1]))
        skips.append(deep.resnets[0](skips[2], emb))
        hidden = seen[0][:, : seen[0].shape[1] - skips[branch].shape[1]]
        for place in range(3 - branch, 4):
            block, n = up[place]
            hidden = block.resnets[n](torch.cat([hidden, skips[3 - place]], dim=1), emb)
            if hasattr(block, "attentions"):
                hidden = block.attentions[n](hidden, words, return_dict=False)[0]
            if n == 1 and block.upsamplers:
                hidden = block.upsamplers[0](hidden)
        expected = unet.conv_out(unet.conv_act(unet.conv_norm_out(hidden)))
        remember_depths(unet, 2, branch)
        unet(first, times[0], words)
        assert torch.equal(unet(second, times[1], words).sample, expected)
        whole = unet(second, times[1], words).sample  # the third call is whole again
    assert not torch.equal(whole, expected)


def test_deep_cache_at_every_step_changes_nothing_and_at_some_steps_does(shared_bench: Bench, toys: Path) -> None:
    plain = pixels(shared_bench.render(toys / "sd", num_inference_steps=4))
    every = pixels(shared_bench.render(toys / "sd", num_inference_steps=4, deep_cache_interval=1))
    some = pixels(shared_bench.render(toys / "sd", num_inference_steps=4, deep_cache=True))
    assert every == plain
    assert some != plain
    nets = (ControlNetUri(model=str(toys / "sd-net")),)
    job = shared_bench.job(toys / "sd", control_nets=nets, image_seed=SEEDS["img2img"], deep_cache=True)
    shared_bench.engine.render(job, Inputs(controls=(control(0),)), lambda step, steps: None)


@pytest.mark.parametrize(("model", "count"), [("sd", 4), ("sdxl", 4)])
def test_branch_that_the_model_has_not_is_refused(shared_bench: Bench, toys: Path, model: str, count: int) -> None:
    job = shared_bench.job(toys / model, deep_cache_branch_id=count)
    assert shared_bench.engine.inspect(job.request).skips == count
    with pytest.raises(EngineError, match=f"has {count} skip connections, 0 to {count - 1}, found {count}") as caught:
        shared_bench.engine.render(job, Inputs(), lambda step, steps: None)
    assert (caught.value.code, caught.value.option) == ("bad-value", "deep_cache_branch_id")
