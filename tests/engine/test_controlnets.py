"""ControlNets steer as diffusers alone makes them steer, with the parts of the plain pipelines."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from toybench import INPUTS, Bench, mask, picture, pixels

from dgen.engine.protocol import EngineError, Inputs
from dgen.engine.sources import control_parts, source_of
from dgen.events import ComponentLoaded
from dgen.families.rows import SD
from dgen.options.attachments import ControlNetUri
from dgen.values.control_modes import SDXL_MODES
from dgen.values.image_seed import ImageSeed
from dgen.values.scalars import Size

PREFIXES = {"sd": "StableDiffusionControlNet", "sdxl": "StableDiffusionXLControlNet"}
ENDINGS = {"txt2img": "Pipeline", "img2img": "Img2ImgPipeline", "inpaint": "InpaintPipeline"}


def control(number: int) -> Image.Image:
    """A control image: lines of one direction or another."""
    return mask().rotate(90 * number).convert("RGB")


def net(path: Path, **said: Any) -> ControlNetUri:
    return ControlNetUri(model=str(path), **said)


def seed_for(mode: str, nets: int) -> ImageSeed:
    if mode == "txt2img":
        return ImageSeed("seed", further=("seed",) * (nets - 1))
    return ImageSeed("seed", mask="seed" if mode == "inpaint" else None, control=("seed",) * nets)


def render(bench: Bench, model: Path, mode: str, nets: tuple[ControlNetUri, ...], **said: Any) -> list[bytes]:
    job = bench.job(model, mode, control_nets=nets, image_seed=seed_for(mode, len(nets)), num_inference_steps=4, **said)
    assert (job.mode, job.size) == (mode, Size(64, 64))
    controls = tuple(control(n) for n in range(len(nets)))
    own = INPUTS[mode]
    return pixels(bench.engine.render(job, Inputs(own.image, own.mask, controls), lambda step, steps: None))


def alone(model: Path, mode: str, nets: Sequence[ControlNetUri]) -> list[bytes]:
    """Call diffusers as its documentation says."""
    union = nets[0].mode is not None
    several: dict[str, list[Any]] = {
        "image" if mode == "txt2img" and not union else "control_image": [control(n) for n in range(len(nets))],
        "controlnet_conditioning_scale": [n.scale for n in nets],
        "control_guidance_start": [n.start for n in nets],
        "control_guidance_end": [n.end for n in nets],
    }
    if union:
        several["control_mode"] = [SDXL_MODES[n.mode or ""] for n in nets]
    named = several if len(nets) > 1 else {k: v[0] for k, v in several.items()}
    if mode != "txt2img":
        named |= {"image": picture(), "strength": 0.8}
    if mode == "inpaint":
        named |= {"mask_image": mask()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import diffusers
        import torch

        cls = diffusers.ControlNetUnionModel if union else diffusers.ControlNetModel
        loaded = [cls.from_pretrained(n.model) for n in nets]
        options: dict[str, Any] = {"safety_checker": None} if model.name == "sd" else {}
        name = PREFIXES[model.name] + ("Union" if union else "") + ENDINGS[mode]
        pipe = getattr(diffusers, name).from_pretrained(
            model, controlnet=loaded if len(loaded) > 1 else loaded[0], **options
        )
        pipe.set_progress_bar_config(disable=True)
        made = pipe(
            prompt="a red circle", negative_prompt="blurry", num_inference_steps=4, guidance_scale=5.0, height=64,
            width=64, generator=torch.Generator("cpu").manual_seed(7), **named,
        )  # fmt: skip
    return [i.convert("RGB").tobytes() for i in made.images]


@pytest.mark.parametrize("mode", ENDINGS)
@pytest.mark.parametrize("model", PREFIXES)
def test_one_and_several_nets_steer_as_in_diffusers(shared_bench: Bench, toys: Path, model: str, mode: str) -> None:
    one = net(toys / f"{model}-net", scale=0.7, start=0.1, end=0.6)
    two = net(toys / f"{model}-net-2", scale=0.4)
    for nets in ((one,), (one, two)):
        assert render(shared_bench, toys / model, mode, nets) == alone(toys / model, mode, nets)


@pytest.mark.parametrize("mode", ENDINGS)
def test_union_net_steers_as_in_diffusers(shared_bench: Bench, toys: Path, mode: str) -> None:
    depth = net(toys / "sdxl-union", mode="depth", scale=0.7)
    for nets in ((depth,), (depth, net(toys / "sdxl-union", mode="canny"))):
        assert render(shared_bench, toys / "sdxl", mode, nets) == alone(toys / "sdxl", mode, nets)


def test_nothing_is_loaded_twice_and_no_trace_is_left(bench: Bench, toys: Path) -> None:
    plain = pixels(bench.render(toys / "sd"))
    bench.events.clear()
    one, two = net(toys / "sd-net"), net(toys / "sd-net-2")
    made = [
        render(bench, toys / "sd", "txt2img", (one,)),
        render(bench, toys / "sd", "txt2img", (net(toys / "sd-net", scale=0.3),)),
        render(bench, toys / "sd", "img2img", (two, one)),
        render(bench, toys / "sd", "inpaint", (one, two)),
    ]
    assert [e.kind for e in bench.of(ComponentLoaded)] == ["controlnet", "controlnet"]
    assert len({tuple(m) for m in made}) == len(made)
    assert pixels(bench.render(toys / "sd")) == plain
    assert bench.engine.clear("controlnet") == 2


def test_net_comes_from_a_file_described_by_the_unet(bench: Bench, toys: Path, tmp_path: Path) -> None:
    from diffusers import ControlNetModel, UNet2DConditionModel

    made = ControlNetModel.from_unet(UNet2DConditionModel.from_pretrained(toys / "sd" / "unet"))
    made.save_pretrained(tmp_path)
    file = tmp_path / "diffusion_pytorch_model.safetensors"
    request = bench.job(toys / "sd", control_nets=(net(file),), image_seed=ImageSeed("seed")).request
    (part,) = control_parts(request, SD)
    loaded = bench.engine.loader.load_other(part, source_of(request)).state_dict()
    assert {k: v.tolist() for k, v in loaded.items()} == {k: v.tolist() for k, v in made.state_dict().items()}


def test_net_of_its_own_precision_is_as_before_when_a_job_fails_half_way(bench: Bench, toys: Path) -> None:
    half = (net(toys / "sd-net", dtype="bfloat16"),)
    made = render(bench, toys / "sd", "txt2img", half)
    assert made != render(bench, toys / "sd", "txt2img", (net(toys / "sd-net"),))

    def stop(step: int, steps: int) -> None:
        raise KeyboardInterrupt

    job = bench.job(toys / "sd", control_nets=half, image_seed=ImageSeed("seed"))
    with pytest.raises(KeyboardInterrupt):
        bench.engine.render(job, Inputs(controls=(control(0),)), stop)
    nets = [c.value for c in bench.engine.store if c.kind == "controlnet"]
    assert not any(n._forward_hooks or n._forward_pre_hooks for n in nets)
    assert render(bench, toys / "sd", "txt2img", half) == made


def test_net_of_another_model_is_refused_before_anything_is_loaded(bench: Bench, toys: Path) -> None:
    with pytest.raises(EngineError) as caught:
        bench.job(
            toys / "sd", control_nets=(net(toys / "sd-net"), net(toys / "sdxl-net")), image_seed=ImageSeed("seed")
        )
    assert (caught.value.code, caught.value.option, caught.value.index) == ("bad-weights", "control_nets", 1)
    assert "is 80, the model's 32" in caught.value.message
    assert bench.events == []
