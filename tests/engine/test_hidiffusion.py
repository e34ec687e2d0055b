"""HiDiffusion computes what its paper says, in every company, and leaves no trace."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from test_adapters import control
from toybench import Bench, pixels

from dgen.engine.adapters.hidiffusion import Phase, fitting_factor, shrink_depths, window_attention
from dgen.engine.protocol import Inputs
from dgen.options.attachments import ControlNetUri, LoraUri
from dgen.values.image_seed import ImageSeed
from dgen.values.scalars import Size

WIDE = {"hi_diffusion": True, "output_size": Size(96, 96), "num_inference_steps": 2}


def unet_of(toys: Path, model: str) -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel.from_pretrained(toys / model / "unet").eval()


def phase(*timesteps: int) -> Phase:
    import torch

    return Phase(32, SimpleNamespace(timesteps=torch.tensor(timesteps)))


def call(unet: Any, cells: tuple[int, int], timestep: int) -> Any:
    import torch

    generator = torch.Generator().manual_seed(5)
    noise, words = (torch.randn(shape, generator=generator) for shape in ((1, 4, *cells), (1, 7, 32)))
    with torch.no_grad():
        return unet(noise, torch.tensor(timestep), words).sample


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("cells", [(16, 16), (15, 10)])
def test_windows_are_attention_under_a_mask(toys: Path, cells: tuple[int, int], turn: int) -> None:
    import torch

    height, width = cells
    unet = unet_of(toys, "sd")
    layer = unet.down_blocks[0].attentions[0].transformer_blocks[0].attn1
    tokens = torch.randn(2, height * width, 32, generator=torch.Generator().manual_seed(1))
    half = [(side + 1) // 2 for side in cells]
    shift = [(side // 2) * turn // 4 for side in cells]
    window = [
        (((row - shift[0]) % height) // half[0], ((column - shift[1]) % width) // half[1])
        for row in range(height) for column in range(width)
    ]  # fmt: skip
    mask = torch.tensor([[0.0 if a == b else -1e9 for b in window] for a in window])
    with torch.no_grad():
        by_hand = layer(tokens, attention_mask=mask.expand(2, -1, -1))
        times = phase(*range(900, 500, -100))
        times.tick(unet, (torch.zeros(1, 4, 32, 32), torch.tensor(900 - 100 * turn)), {})
        window_attention(unet, times)
        layer.forward.height, layer.forward.width = cells
        assert torch.allclose(layer(tokens), by_hand, atol=1e-5)


def test_depths_see_maps_of_the_size_of_the_training_while_the_picture_is_laid_out(toys: Path) -> None:
    import torch

    unet = unet_of(toys, "sd")
    plain = [call(unet, (64, 64), t) for t in (900, 500)]
    times = phase(900, 700, 500)
    unet.register_forward_pre_hook(times.tick, with_kwargs=True)
    shrink_depths(unet, times)
    seen: list[Any] = []
    down = unet.down_blocks[0].downsamplers[0]
    down.register_forward_hook(lambda _, args, made: seen.append((args[0], made)))
    unet.mid_block.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[-2:]))
    early, late = [call(unet, (64, 64), t) for t in (900, 500)]
    (top, below), deep = seen[:2]
    by_hand = torch.nn.functional.conv2d(top, down.conv.weight, down.conv.bias, stride=4, padding=2, dilation=2)
    assert torch.equal(below, by_hand)
    assert tuple(deep) == (16, 16) == (32 // 2, 32 // 2)  # as with latents of 32 cells
    assert early.shape == plain[0].shape
    assert not torch.equal(early, plain[0])
    assert torch.equal(late, plain[1])


def test_factor_is_the_power_of_two_that_fits() -> None:
    import torch

    sizes = [(64, 64), (64, 80), (96, 96), (128, 128), (64, 256), (256, 256), (32, 32)]
    assert [fitting_factor(cells, 64) for cells in sizes] == [1, 1, 2, 2, 2, 4, 1]
    times = phase(*range(900, -100, -100))
    found: list[int] = []
    for timestep in range(900, -100, -100):
        times.tick(None, (torch.zeros(1, 4, 128, 128), torch.tensor(timestep)), {})
        found.append(times.factor)
    assert found == [4, 4, 2, 2, 1, 1, 1, 1, 1, 1]


OTHERS: dict[str, dict[str, Any]] = {
    "small depths": {"hi_diffusion_no_win_attn": True},
    "odd size": {"output_size": Size(104, 88)},
    "DeepCache": {"deep_cache_interval": 2, "deep_cache_branch_id": 2},
    "PAG": {"pag": True},
}


@pytest.mark.parametrize(("model", "other"), [("sdxl", "small depths"), *(("sd", other) for other in OTHERS)])
def test_larger_picture_is_another_one_and_leaves_no_trace(
    shared_bench: Bench, toys: Path, model: str, other: str
) -> None:
    said = {**WIDE, **OTHERS[other]}
    off = {name: value for name, value in said.items() if not name.startswith("hi_diffusion")}
    plain = pixels(shared_bench.render(toys / model, **off))
    (made,) = shared_bench.render(toys / model, **said).images
    assert made.size == said["output_size"]
    assert [made.tobytes()] != plain
    assert pixels(shared_bench.render(toys / model, **off)) == plain


def test_loras_reach_the_downsampler_as_well(shared_bench: Bench, toys: Path) -> None:
    loras = (LoraUri(model=str(toys / "sd-lora")),)
    first = pixels(shared_bench.render(toys / "sd", **WIDE))
    assert pixels(shared_bench.render(toys / "sd", loras=loras, **WIDE)) != first
    assert pixels(shared_bench.render(toys / "sd", **WIDE)) == first


def test_controlnet_follows_into_the_small_depths(shared_bench: Bench, toys: Path) -> None:
    nets = (ControlNetUri(model=str(toys / "sd-net"), scale=0.7),)
    inputs = Inputs(controls=(control(1).resize((96, 96)),))

    def draw(**said: Any) -> list[bytes]:
        job = shared_bench.job(toys / "sd", control_nets=nets, image_seed=ImageSeed("seed"), **said)
        return pixels(shared_bench.engine.render(job, inputs, lambda step, steps: None))

    off = {name: value for name, value in WIDE.items() if name != "hi_diffusion"}
    first = draw(**off)
    assert draw(**WIDE) != first
    assert draw(**off) == first


def test_picture_of_the_trained_size_changes_by_its_windows_alone(shared_bench: Bench, toys: Path) -> None:
    plain = pixels(shared_bench.render(toys / "sd"))
    assert pixels(shared_bench.render(toys / "sd", hi_diffusion=True)) != plain
    assert pixels(shared_bench.render(toys / "sd", hi_diffusion=True, hi_diffusion_no_win_attn=True)) == plain


def test_builtin_model_draws_twice_as_large(shared_bench: Bench) -> None:
    made: dict[bool, Any] = {}
    for is_on in (False, True):
        (made[is_on],) = shared_bench.render(
            "builtin:shapes", hi_diffusion=is_on, output_size=Size(128, 128), num_inference_steps=8
        ).images
    assert made[True].size == (128, 128)
    assert made[True].tobytes() != made[False].tobytes()
    for image in made.values():
        red, green, blue = np.asarray(image, dtype=int).transpose(2, 0, 1)
        assert ((red > 150) & (green < 110) & (blue < 110)).mean() > 0.01  # a red circle was asked for
