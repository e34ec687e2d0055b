"""SADA computes what its paper says beside any scheduler, saves calls of the model, and leaves no trace."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from test_adapters import control
from toybench import INPUTS, Bench, pixels

from dgen.engine.adapters.sada import Foresight, skip_what_is_foreseen
from dgen.engine.adapters.straight import data_in, kind_of, output_for, scale_at
from dgen.engine.adapters.tokens import Regions, prune_tokens
from dgen.engine.protocol import EngineError, Inputs
from dgen.families.family import FLUX_SADA, SD_SADA
from dgen.options.attachments import ControlNetUri
from dgen.options.request import Request
from dgen.plan.resolve import family_of
from dgen.plan.sada import UNFIT, sada_of
from dgen.values.image_seed import ImageSeed
from dgen.values.prompt import Prompt
from dgen.values.sada import Sada
from dgen.values.scalars import Size
from dgen.values.uri import NamedUri

SHAPES = Path(__file__).parents[2] / "src" / "dgen" / "models" / "shapes"
STAR = {"prompt": Prompt("a large red star"), "seed": 3, "guidance_scale": 3.0, "output_size": Size(64, 64)}
EARLY = {"sada_acc_range": (3, 8), "num_inference_steps": 9}


def psnr(one: Any, other: Any) -> float:
    """How near two pictures are, in decibels."""
    error = np.square(np.asarray(one, dtype=float) - np.asarray(other, dtype=float)).mean()
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


@contextmanager
def calls_of(bench: Bench, kind: str, layer: str) -> Iterator[list[Any]]:
    """Keep what a layer, which is asked once in each call of a network, gets."""
    found: list[Any] = []
    module = bench.engine.save_modules([kind])[kind].value.get_submodule(layer)
    handle = module.register_forward_hook(lambda _, args, made: found.append(args))
    try:
        yield found
    finally:
        handle.remove()


# ---- coordinates -----------------------------------------------------------------------------------------------------

PREDICTED = {
    "DDIMScheduler": {}, "EulerDiscreteScheduler": {}, "EulerAncestralDiscreteScheduler": {}, "DDPMScheduler": {},
    "LCMScheduler": {}, "FlowMatchEulerDiscreteScheduler": {},
    "DPMSolverMultistepScheduler": {"use_flow_sigmas": True, "prediction_type": "flow_prediction"},
    "UniPCMultistepScheduler": {}, "DEISMultistepScheduler": {"algorithm_type": "deis"},
}  # fmt: skip


def own_data(scheduler: Any, output: Any, sample: Any, timestep: Any) -> Any:
    """The picture without noise that a scheduler reads from a prediction, in its own words."""
    if type(scheduler).__name__.startswith("FlowMatch"):
        return sample - scheduler.sigmas[scheduler.step_index] * output
    if hasattr(scheduler, "convert_model_output"):
        data = scheduler.convert_model_output(output, sample=sample)
        if type(scheduler).__name__ != "DEISMultistepScheduler":
            return data
        alpha, sigma = scheduler._sigma_to_alpha_sigma_t(scheduler.sigmas[scheduler.step_index])
        return (sample - sigma * data) / alpha  # what it reads is the noise
    return scheduler.step(output, timestep, sample).pred_original_sample


KINDS = ("epsilon", "v_prediction", "sample")
UNREAD = ("EulerAncestralDiscreteScheduler", "sample")  # which it cannot read itself


@pytest.mark.parametrize(("name", "kind"), [(n, k) for n in PREDICTED for k in KINDS if (n, k) != UNREAD])
def test_predictions_are_read_as_the_scheduler_reads_them(name: str, kind: str) -> None:
    import diffusers
    import torch

    is_flow = name.startswith("FlowMatch")
    said = {} if is_flow else {"prediction_type": kind, "clip_sample": False, **PREDICTED[name]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scheduler = getattr(diffusers, name).from_config(said)
        scheduler.set_timesteps(8)
    drawn = torch.Generator().manual_seed(1)
    output, sample = torch.randn(2, 1, 4, 6, 6, generator=drawn)
    timestep = scheduler.timesteps[3]
    if hasattr(scheduler, "_init_step_index"):
        scheduler._init_step_index(timestep)
    scale = scale_at(scheduler, 3)
    data = data_in(kind_of(scheduler), output, sample, scale)
    assert torch.allclose(output_for(kind_of(scheduler), data, sample, scale), output, atol=1e-4)
    if name != "LCMScheduler":  # which mixes the sample in, at either end of the schedule
        assert torch.allclose(data, own_data(scheduler, output, sample, timestep), atol=1e-4, rtol=1e-4)


# ---- the steps -------------------------------------------------------------------------------------------------------


def by_hand(said: Sada, steps: int) -> tuple[Any, list[int]]:
    """The built-in model's star as a plain loop after the paper; the picture, and the steps that were computed.

    In coordinates in which DDIM goes straight on: `z = (1 - u) data + u noise`.
    """
    import torch
    from diffusers import StableDiffusionPipeline

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipe = StableDiffusionPipeline.from_pretrained(SHAPES, safety_checker=None, requires_safety_checker=False)
    words, none = pipe.encode_prompt("a large red star", "cpu", 1, True, "")
    pipe.scheduler.set_timesteps(steps)
    times = pipe.scheduler.timesteps.tolist()
    alphas = [pipe.scheduler.alphas_cumprod[t].item() for t in times] + [1.0]
    scales = [(alpha**0.5, (1 - alpha) ** 0.5) for alpha in alphas]
    u = [s / (a + s) for a, s in scales]
    z = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(3)) / sum(scales[0])
    gradients: list[Any] = []
    nodes: list[tuple[int, Any]] = []
    computed: list[int] = []
    foreseen, in_a_row = None, 0
    with torch.no_grad():
        for i, t in enumerate(times):
            a, s = scales[i]
            if foreseen is None:
                computed.append(i)
                x = (z * (a + s)).expand(2, -1, -1, -1)
                bare, told = pipe.unet(x, t, torch.cat([none, words])).sample
                data = a * (z * (a + s)) - s * (bare + 3.0 * (told - bare))
            else:
                data = foreseen
            noise = (z * (a + s) - a * data) / s
            gradients.append(noise - data)
            after = z + (u[i + 1] - u[i]) * gradients[-1]
            if i % said.lagrange_int == 1:
                nodes = [*nodes, (i, data)][-said.lagrange_term :]
            foreseen = None
            if in_a_row < said.max_interval and said.acc_range[0] <= i < min(said.acc_range[1], steps - 2):
                if i >= said.lagrange_step and i % said.lagrange_int:
                    places = [place for place, _ in nodes]
                    parts = np.array([value.numpy() for _, value in nodes])
                    fitted = np.polyfit(places, parts.reshape(len(parts), -1), len(parts) - 1)
                    powers = (i + 1.0) ** np.arange(len(parts) - 1, -1, -1)
                    foreseen = torch.tensor(powers @ fitted, dtype=torch.float32).view_as(data)
                elif i < said.lagrange_step:
                    h = u[i + 1] - u[i]
                    d0 = (gradients[-1] - gradients[-2]) / (u[i] - u[i - 1]) * h
                    d1 = (gradients[-2] - gradients[-3]) / (u[i - 1] - u[i - 2]) * h
                    guess = z + h * (gradients[-1] + d0 / 2 - 2 / 3 * (d0 - d1))
                    if ((after - guess) * (d0 - d1)).mean() < 0:
                        foreseen = (guess - u[i + 1] * noise) / (1 - u[i + 1])
            in_a_row = in_a_row + 1 if foreseen is not None else 0
            z = after
        image = pipe.vae.decode(z / pipe.vae.config.scaling_factor).sample
    return ((image / 2 + 0.5).clamp(0, 1)[0].permute(1, 2, 0) * 255).numpy(), computed


@pytest.mark.parametrize(
    ("steps", "numbers"),
    [
        (30, {"max_downsample": 0, "acc_range": (6, 28), "lagrange_step": 16}),
        (20, {"max_downsample": 0, "acc_range": (3, 19), "lagrange_step": 18, "lagrange_int": 3, "max_interval": 2}),
    ],
)
def test_steps_are_those_of_the_paper(shared_bench: Bench, steps: int, numbers: dict[str, Any]) -> None:
    wanted, computed = by_hand(replace(SD_SADA, **numbers), steps)
    said = {f"sada_{name}": value for name, value in numbers.items()}
    with calls_of_builtin(shared_bench) as calls:
        (made,) = shared_bench.render("builtin:shapes", **STAR, num_inference_steps=steps, **said).images
    assert len(calls) == len(computed) < steps
    assert psnr(made, wanted) > 45  # one loop in two coordinates; last bits differ, and grow from step to step


@contextmanager
def calls_of_builtin(bench: Bench) -> Iterator[list[Any]]:
    """Keep the calls of the built-in model's UNet."""
    bench.render("builtin:shapes", **STAR, num_inference_steps=1)
    with calls_of(bench, "unet", "conv_in") as found:
        yield found


DRAWN = {"a large red star": (3, 31), "a small blue circle": (5, 45), "a green square and a yellow triangle": (8, 28)}
"""Prompts, their seeds, and how near the picture is to the one without SADA, at least, in decibels."""


@pytest.mark.parametrize("text", DRAWN)
def test_half_of_fifty_steps_draw_nearly_the_same_picture(shared_bench: Bench, text: str) -> None:
    seed, near = DRAWN[text]
    said = {**STAR, "prompt": Prompt(text), "seed": seed, "num_inference_steps": 50}
    (whole,) = shared_bench.render("builtin:shapes", **said).images
    with calls_of_builtin(shared_bench) as calls:
        (made,) = shared_bench.render("builtin:shapes", **said, sada=True).images
    assert len(calls) == 22
    assert near < psnr(whole, made) < 60


def test_window_beyond_the_steps_changes_not_a_bit(shared_bench: Bench, toys: Path) -> None:
    for model in ("builtin:shapes", toys / "sdxl"):
        said = {"num_inference_steps": 9}
        plain = pixels(shared_bench.render(model, **said))
        for window in ({"sada_acc_range": (9, 40)}, {"sada": True}, {"sada_acc_range": (3, 8), "sada_max_interval": 0}):
            assert pixels(shared_bench.render(model, **said, **window)) == plain


def test_ddim_and_euler_take_the_same_steps(shared_bench: Bench) -> None:
    made = [
        shared_bench.render(
            "builtin:shapes", **STAR, num_inference_steps=20, sada_acc_range=(4, 18), sada_lagrange_step=12,
            scheduler=NamedUri(name),
        ).images[0]
        for name in ("DDIM", "EulerDiscrete")
    ]  # fmt: skip
    assert psnr(*made) > 50  # one equation in two coordinates; the last bits differ


def test_every_scheduler_is_followed_or_refused(shared_bench: Bench) -> None:
    said = {**STAR, "num_inference_steps": 12, "sada_acc_range": (3, 10), "sada_lagrange_step": 8}
    short = {"PNDMScheduler": (("skip_prk_steps", "true"),)}  # else its first steps ask the model four times
    missing = {"DPMSolverSDEScheduler": "torchsde", "LMSDiscreteScheduler": "scipy"}
    for name in shared_bench.engine.schedulers(Request(model="builtin:shapes")):
        if find_spec(missing.get(name, "torch")) is None:
            continue
        chosen = {**said, "scheduler": NamedUri(name, short.get(name, ()))}
        if name.removesuffix("Scheduler") in UNFIT:
            with pytest.raises(EngineError, match="SADA cannot act with"):
                shared_bench.job("builtin:shapes", **chosen)
            continue
        with calls_of_builtin(shared_bench) as calls:
            (made,) = shared_bench.render("builtin:shapes", **chosen).images
        assert 6 <= len(calls) <= 11, name
        red, green, blue = np.asarray(made, dtype=int).transpose(2, 0, 1)
        assert ((red > 150) & (green < 120) & (blue < 120)).mean() > 0.02, name


def test_another_schedule_begins_anew() -> None:
    import torch
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler()
    scheduler.set_timesteps(10)
    foresight = Foresight(SD_SADA, scheduler, Regions(SD_SADA))
    step = foresight.step(scheduler.step)
    drawn = torch.Generator().manual_seed(1)
    for timestep in (*scheduler.timesteps[:3], *scheduler.timesteps[6:8]):
        step(*torch.randn(2, 1, 4, 4, 4, generator=drawn)[:1], timestep, torch.randn(1, 4, 4, 4, generator=drawn))
    assert (foresight.place, len(foresight.points), foresight.turn) == (7, 2, 5)


# ---- tokens ----------------------------------------------------------------------------------------------------------


def regions_of(said: Sada, cells: Any = None) -> Regions:
    regions = Regions(said)
    regions.cells = cells
    return regions


def test_cells_that_change_most_are_computed() -> None:
    import torch

    measure = torch.tensor([[-3.0, 1.0], [4.0, 2.0]]).expand(2, 3, 2, 2)
    for most, found in (
        (4, [[False, True], [True, True]]),
        (2, [[False, False], [True, True]]),
        (0, [[False] * 2] * 2),
    ):
        regions = regions_of(Sada(max_downsample=1, sx=0, sy=0, lagrange_term=0, lagrange_step=0, max_fix=most))
        regions.find(measure)
        assert regions.cells.tolist() == found


def test_map_computes_what_its_cells_ask_for_and_a_regular_grid() -> None:
    import torch

    cells = torch.zeros(6, 6, dtype=torch.bool)
    cells[5, 0] = True
    regions = regions_of(Sada(max_downsample=2, sx=3, sy=2, lagrange_term=0, lagrange_step=0, max_fix=9), cells)
    regions.sides = (6, 6)
    assert regions.of_map(3, 3).tolist() == [0, 6]  # row 2 holds the cell, and begins the grid's second row
    assert regions.of_map(6, 6).tolist() == [0, 3, 12, 15, 24, 27, 30]
    assert regions.of_map(2, 2) is None  # it is three times smaller


def test_layer_of_a_unet_attends_among_what_is_computed_and_keeps_the_rest(toys: Path) -> None:
    import torch
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(toys / "sd" / "unet").eval()
    layer = unet.down_blocks[0].attentions[0].transformer_blocks[0].attn1
    whole = layer.forward
    drawn = torch.Generator().manual_seed(1)
    before, now = torch.randn(2, 2, 64, 32, generator=drawn)
    cells = torch.rand(8, 8, generator=drawn) < 0.3
    regions = regions_of(Sada(max_downsample=1, sx=0, sy=0, lagrange_term=0, lagrange_step=0, max_fix=99))
    prune_tokens(unet, regions)
    regions.sides = layer.forward.height, layer.forward.width = (8, 8)
    with torch.no_grad():
        assert torch.equal(layer(before), whole(before))
        regions.cells = cells
        made = layer(now)
        wanted = whole(before)
        wanted[:, cells.flatten()] = whole(now[:, cells.flatten()])
        assert torch.equal(made, wanted)
        regions.cells = torch.zeros_like(cells)
        assert torch.equal(layer(now), wanted)
        regions.cells = torch.ones_like(cells)
        assert torch.equal(layer(now), whole(now))


def test_transformer_computes_its_texts_and_the_chosen_part_of_its_picture(flow_toys: Path) -> None:
    import torch
    from diffusers import FluxTransformer2DModel

    transformer = FluxTransformer2DModel.from_pretrained(flow_toys / "flux" / "transformer").eval()
    double, single = transformer.transformer_blocks[0].attn, transformer.single_transformer_blocks[0].attn
    plain = double.forward, single.forward
    width = transformer.inner_dim
    drawn = torch.Generator().manual_seed(1)
    before, now = torch.randn(2, 1, 16, width, generator=drawn)
    texts = torch.randn(1, 5, width, generator=drawn)
    places = torch.zeros(16, 3)
    places[:, 1:] = torch.cartesian_prod(torch.arange(4.0), torch.arange(4.0))
    rotary = transformer.pos_embed(torch.cat([torch.zeros(5, 3), places]))
    regions = regions_of(Sada(max_downsample=1, sx=2, sy=4, lagrange_term=0, lagrange_step=0, max_fix=99))
    prune_tokens(transformer, regions)
    regions.places = places
    cells = torch.zeros(16, dtype=torch.bool)
    cells[[3, 9]] = True
    chosen = [0, 2, 3, 9]  # two of them are of the grid
    every = [*range(5), *(number + 5 for number in chosen)]
    some = tuple(each[every] for each in rotary)
    with torch.no_grad():
        own = double(hidden_states=before, encoder_hidden_states=texts, image_rotary_emb=rotary)
        one = single(hidden_states=torch.cat([texts, before], 1), image_rotary_emb=rotary)
        regions.cells = cells
        picture, words = double(hidden_states=now, encoder_hidden_states=texts, image_rotary_emb=rotary)
        both = single(hidden_states=torch.cat([texts, now], 1), image_rotary_emb=rotary)
        part, text = plain[0](now[:, chosen], texts, image_rotary_emb=some)
        joined = plain[1](torch.cat([texts, now], 1)[:, every], image_rotary_emb=some)
    wanted = own[0].clone()
    wanted[:, chosen] = part
    assert torch.equal(picture, wanted)
    assert torch.equal(words, text)
    wanted = one.clone()
    wanted[:, every] = joined
    assert torch.equal(both, wanted)


def test_tokens_that_are_left_out_leave_a_picture_that_is_near(shared_bench: Bench) -> None:
    said = {**STAR, "num_inference_steps": 24, "sada_acc_range": (4, 22), "sada_lagrange_term": 0}
    draws = [
        shared_bench.render("builtin:shapes", **said, sada_max_downsample=times, sada_max_fix=most).images[0]
        for times, most in ((0, 0), (1, 64), (1, 0), (2, 0))
    ]
    near = [psnr(draws[0], other) for other in draws[1:]]
    assert all(22 < each < 70 for each in near)
    assert len({image.tobytes() for image in draws}) == 4


# ---- in company ------------------------------------------------------------------------------------------------------

COMPANY: list[tuple[str, str, dict[str, Any]]] = [
    ("sd", "img2img", {}), ("sd", "inpaint", {}), ("sdxl", "txt2img", {}), ("sd", "txt2img", {"pag": True}),
    ("flux", "txt2img", {}), ("flux", "txt2img", {"sada_max_downsample": 1, "sada_sx": 2, "sada_sy": 2}),
    ("flux", "img2img", {}), ("flux-fill", "inpaint", {"sada_max_downsample": 1}),
    ("flux-kontext", "img2img", {"sada_max_downsample": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("toy", "mode", "more"), COMPANY)
def test_every_family_and_mode_is_sped_up_and_as_before_when_it_fails(
    toys: Path, flow_toys: Path, shared_bench: Bench, toy: str, mode: str, more: dict[str, Any]
) -> None:
    folder = (flow_toys if toy.startswith("flux") else toys) / toy
    kind = "transformer" if toy.startswith("flux") else "unet"
    off = {"num_inference_steps": 9, "output_size": None if mode != "txt2img" else Size(64, 64)}
    off |= {name: value for name, value in more.items() if not name.startswith("sada")}
    before = pixels(shared_bench.render(folder, mode, **off))
    with calls_of(shared_bench, kind, "time_text_embed" if kind == "transformer" else "conv_in") as calls:
        assert pixels(shared_bench.render(folder, mode, **{**off, **more, "sada_acc_range": (3, 8)})) != before
    assert len(calls) < 9
    network = shared_bench.engine.save_modules([kind])[kind].value
    kept = [(name, sorted(vars(m)), len(m._forward_pre_hooks)) for name, m in network.named_modules()]

    def stop(step: int, steps: int) -> None:
        if step == 5:
            raise KeyboardInterrupt

    job = shared_bench.job(folder, mode, **{**off, **more, "sada_acc_range": (3, 8)})
    with pytest.raises(KeyboardInterrupt):
        shared_bench.engine.render(job, INPUTS[mode], stop)
    assert [(name, sorted(vars(m)), len(m._forward_pre_hooks)) for name, m in network.named_modules()] == kept
    assert pixels(shared_bench.render(folder, mode, **off)) == before


@pytest.mark.parametrize("nets", [1, 2])
def test_controlnets_rest_in_the_same_steps(shared_bench: Bench, toys: Path, nets: int) -> None:
    uris = tuple(ControlNetUri(model=str(toys / "sd-net"), scale=0.7) for _ in range(nets))
    inputs = Inputs(controls=tuple(control(1 + number) for number in range(nets)))

    def draw(**said: Any) -> list[bytes]:
        seed = ImageSeed("seed", further=("seed",) * (nets - 1))
        job = shared_bench.job(toys / "sd", control_nets=uris, image_seed=seed, num_inference_steps=9, **said)
        return pixels(shared_bench.engine.render(job, inputs, lambda step, steps: None))

    first = draw()
    with calls_of(shared_bench, "unet", "conv_in") as asked, calls_of(shared_bench, "controlnet", "conv_in") as steered:
        made = draw(sada_acc_range=(3, 8))
    assert made != first
    assert len(asked) < 9
    assert len(steered) == nets * len(asked)
    assert draw() == first


def test_family_has_numbers_of_its_own_where_nothing_is_said(flow_toys: Path, shared_bench: Bench) -> None:
    job = shared_bench.job(flow_toys / "flux", sada_max_interval=2)
    assert sada_of(job.request, family_of(job)) == replace(FLUX_SADA, max_interval=2)


def test_each_call_of_a_step_has_its_own_answer() -> None:
    """Guidance of another kind asks the network twice in a step."""
    import torch
    from diffusers import DDIMScheduler

    class Network(torch.nn.Module):
        asked = 0

        def forward(self, x: Any) -> Any:
            self.asked += 1
            return x + self.asked

    network, scheduler = Network(), DDIMScheduler()
    scheduler.set_timesteps(12)
    said = Sada(
        max_downsample=0, sx=0, sy=0, acc_range=(3, 11), lagrange_term=2, lagrange_int=4, lagrange_step=4, max_fix=0
    )
    pipeline = SimpleNamespace(scheduler=scheduler, components={})
    x, told = torch.zeros(1, 4, 4, 4), []
    with ExitStack() as stack:
        skip_what_is_foreseen(stack, pipeline, network, said)
        for timestep in scheduler.timesteps:
            told.append([float((network(x) - x)[0, 0, 0, 0]) for _ in range(2)])
            x = scheduler.step(x, timestep, x)[0]
    assert "step" not in vars(scheduler)
    assert told[6:10] == [told[5], told[5], told[5], told[9]]
    assert told[9] != told[5]
    assert all(first + 1 == second for first, second in told)
