"""T2I and IP-adapters act as diffusers alone makes them act, load nothing twice, and leave no trace."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from toybench import INPUTS, Bench, mask, picture, pixels

from dgen.engine.adapters.t2i import check_size
from dgen.engine.protocol import EngineError, Inputs
from dgen.engine.sources import Source
from dgen.events import ComponentLoaded
from dgen.options.attachments import ImageEncoderUri, IpAdapterUri, LoraUri, T2iAdapterUri
from dgen.values.image_seed import AdapterImage, ImageSeed
from dgen.values.scalars import Size

NAMES = {"sd": "StableDiffusion", "sdxl": "StableDiffusionXL"}
MODES = {"txt2img": "Pipeline", "img2img": "Img2ImgPipeline", "inpaint": "InpaintPipeline"}
STARTS = {"txt2img": {}, "img2img": {"image": picture()}, "inpaint": {"image": picture(), "mask_image": mask()}}


def control(number: int) -> Image.Image:
    """A control image: lines of one direction or another."""
    return mask().rotate(90 * number).convert("RGB")


def looked_at(number: int) -> Image.Image:
    """A picture for an IP-adapter, of another size than the job."""
    return picture().resize((48 + 16 * number, 40)).rotate(45 * number)


def alone(name: str, model: Path, parts: dict[str, Any], prepare: Any = None, **named: Any) -> list[bytes]:
    """Call a pipeline of diffusers as its documentation says."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import diffusers
        import torch

        own: dict[str, Any] = {"safety_checker": None} if model.name == "sd" else {}
        pipe = getattr(diffusers, name).from_pretrained(model, **own, **parts)
        pipe.set_progress_bar_config(disable=True)
        if prepare is not None:
            prepare(pipe)
        size = {} if "img2img" in name.lower() else {"height": 64, "width": 64}
        made = pipe(
            prompt="a red circle", negative_prompt="blurry", guidance_scale=5.0,
            generator=torch.Generator("cpu").manual_seed(7), **size, **{"num_inference_steps": 2, **named},
        )  # fmt: skip
    return [i.convert("RGB").tobytes() for i in made.images]


# ---- T2I adapters ---------------------------------------------------------------------------------------------------


def steer(bench: Bench, model: Path, adapters: Sequence[T2iAdapterUri], **said: Any) -> list[bytes]:
    seed = ImageSeed("seed", further=("seed",) * (len(adapters) - 1))
    job = bench.job(model, t2i_adapters=tuple(adapters), image_seed=seed, **said)
    inputs = Inputs(controls=tuple(control(n) for n in range(len(adapters))))
    return pixels(bench.engine.render(job, inputs, lambda step, steps: None))


@pytest.mark.parametrize("model", NAMES)
def test_t2i_adapters_steer_as_in_diffusers(bench: Bench, toys: Path, model: str) -> None:
    plain = pixels(bench.render(toys / model))
    bench.events.clear()
    more = {"adapter_conditioning_factor": 0.5} if model == "sdxl" else {}
    uris = [T2iAdapterUri(model=str(toys / f"{model}-t2i-{n}"), scale=s) for n, s in ((1, 0.7), (2, 0.4))]
    for count in (1, 2):
        from diffusers import MultiAdapter, T2IAdapter

        loaded = [T2IAdapter.from_pretrained(u.model) for u in uris[:count]]
        images, scales = [control(n) for n in range(count)], [u.scale for u in uris[:count]]
        made = steer(bench, toys / model, uris[:count], **more)
        assert made == alone(
            NAMES[model] + "AdapterPipeline", toys / model,
            {"adapter": MultiAdapter(loaded) if count > 1 else loaded[0]},
            image=images if count > 1 else images[0],
            adapter_conditioning_scale=scales if count > 1 else scales[0], **more,
        )  # fmt: skip
        assert made != plain
    assert [e.kind for e in bench.of(ComponentLoaded)] == ["adapter", "adapter"]
    assert pixels(bench.render(toys / model)) == plain


def test_t2i_adapter_of_its_own_precision_is_as_before_when_a_job_fails_half_way(bench: Bench, toys: Path) -> None:
    half = (T2iAdapterUri(model=str(toys / "sd-t2i-1"), dtype="bfloat16"),)
    made = steer(bench, toys / "sd", half)

    def stop(step: int, steps: int) -> None:
        raise KeyboardInterrupt

    job = bench.job(toys / "sd", t2i_adapters=half, image_seed=ImageSeed("seed"))
    with pytest.raises(KeyboardInterrupt):
        bench.engine.render(job, Inputs(controls=(control(0),)), stop)
    assert not any(c.value._forward_hooks for c in bench.engine.store if c.kind == "adapter")
    assert steer(bench, toys / "sd", half) == made


# ---- IP-adapters ----------------------------------------------------------------------------------------------------


def ip(path: Path, scale: float = 1.0) -> IpAdapterUri:
    return IpAdapterUri(model=str(path), scale=scale)


def prompted(
    bench: Bench, model: Path, mode: str, adapters: Sequence[IpAdapterUri], groups: Sequence[int], **said: Any
) -> list[bytes]:
    """Render with as many pictures for each adapter as `groups` says."""
    named = tuple((AdapterImage("seed"),) * count for count in groups)
    seed = ImageSeed(None if mode == "txt2img" else "seed", mask="seed" if mode == "inpaint" else None, adapter=named)
    job = bench.job(model, mode, ip_adapters=tuple(adapters), image_seed=seed, **said)
    own = INPUTS[mode]
    inputs = Inputs(own.image, own.mask, adapters=tuple(tuple(map(looked_at, range(count))) for count in groups))
    return pixels(bench.engine.render(job, inputs, lambda step, steps: None))


@pytest.mark.parametrize(("model", "mode"), [("sd", "txt2img"), ("sd", "inpaint"), ("sdxl", "img2img")])
def test_ip_adapters_prompt_as_in_diffusers(bench: Bench, toys: Path, model: str, mode: str) -> None:
    plain = pixels(bench.render(toys / model, mode))
    adapters = (ip(toys / f"{model}-ip.safetensors", 0.6), ip(toys / f"{model}-ip-plus.bin", 0.8))
    groups = (2, 1)

    def load(pipe: Any) -> None:
        names = [Path(a.model).name for a in adapters]
        pipe.load_ip_adapter(str(toys), subfolder="", weight_name=names)
        pipe.set_ip_adapter_scale([a.scale for a in adapters])

    made = prompted(bench, toys / model, mode, adapters, groups)
    images = [[looked_at(n) for n in range(count)] for count in groups]
    strength = {} if mode == "txt2img" else {"strength": 0.8}
    assert made == alone(
        NAMES[model] + MODES[mode], toys / model, {}, load, ip_adapter_image=images, **STARTS[mode], **strength
    )
    assert made != plain
    assert pixels(bench.render(toys / model, mode)) == plain
    assert prompted(bench, toys / model, mode, adapters, groups) == made


def test_layers_of_ip_adapters_are_made_once_for_all_seeds_and_scales(bench: Bench, toys: Path) -> None:
    one, other = ip(toys / "sd-ip.safetensors"), ip(toys / "sd-ip-plus.bin")
    lora = {"loras": (LoraUri(model=str(toys / "sd-lora")),)}
    jobs: list[tuple[tuple[IpAdapterUri, ...], dict[str, Any]]] = [
        ((one,), {}), ((one,), {"seed": 8}), ((ip(toys / "sd-ip.safetensors", 0.3),), lora), ((other,), {}),
        ((one,), {}),
    ]  # fmt: skip
    made = [prompted(bench, toys / "sd", "txt2img", own, (1,), **said) for own, said in jobs]
    assert made == [prompted(Bench(), toys / "sd", "txt2img", own, (1,), **said) for own, said in jobs]
    loaded = [e.kind for e in bench.of(ComponentLoaded)]
    assert (loaded.count("image_encoder"), loaded.count("ip_adapter"), loaded.count("unet")) == (1, 2, 1)
    assert bench.engine.clear("adapter") == 3


def test_job_with_an_ip_adapter_that_fails_half_way_leaves_no_trace(bench: Bench, toys: Path) -> None:
    plain = pixels(bench.render(toys / "sd"))
    unet = next(c.value for c in bench.engine.store if c.kind == "unet")
    before = {n: id(p) for n, p in unet.attn_processors.items()}
    seed = ImageSeed(adapter=((AdapterImage("seed"),),))
    job = bench.job(toys / "sd", ip_adapters=(ip(toys / "sd-ip.safetensors"),), image_seed=seed)

    def stop(step: int, steps: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.engine.render(job, Inputs(adapters=((looked_at(1),),)), stop)
    assert {n: id(p) for n, p in unet.attn_processors.items()} == before
    assert (unet.encoder_hid_proj, unet.config.encoder_hid_dim_type) == (None, None)
    assert pixels(bench.render(toys / "sd")) == plain


def test_image_encoder_comes_from_where_it_is_said(bench: Bench, toys: Path, tmp_path: Path) -> None:
    import shutil

    lonely = Path(shutil.copy(toys / "sd-ip.safetensors", tmp_path / "lonely.safetensors"))
    encoder = ImageEncoderUri(model=str(toys), subfolder="image_encoder")
    beside = prompted(bench, toys / "sd", "txt2img", (ip(toys / "sd-ip.safetensors"),), (1,))
    assert prompted(bench, toys / "sd", "txt2img", (ip(lonely),), (1,), image_encoder=encoder) == beside
    with pytest.raises(EngineError, match="is no folder `image_encoder`") as caught:
        prompted(bench, toys / "sd", "txt2img", (ip(lonely),), (1,))
    assert "--image-encoder" in str(caught.value.help)


def test_size_that_a_t2i_adapter_cannot_divide_is_refused() -> None:
    source = Source(model="TencentARC/t2i", option="t2i_adapters", index=1)
    check_size(source, {"downscale_factor": 16}, Size(64, 48))
    with pytest.raises(EngineError, match="multiples of 16, found 64x56") as caught:
        check_size(source, {"downscale_factor": 16}, Size(64, 56))
    assert (caught.value.code, caught.value.option) == ("size-mismatch", "t2i_adapters")


SEED = {"image_seed": ImageSeed(adapter=((AdapterImage("seed"),),) * 2)}
MISFITS: dict[str, tuple[str, dict[str, Any], str, tuple[str, int]]] = {
    "ip of another family": ("sd", {"ip_adapters": ("sd-ip.safetensors", "sdxl-ip.safetensors")},
                             "is [32, 32], and the adapter's layer 1 for it [64, 80]", ("ip_adapters", 1)),
    "a lora as ip": ("sd", {"ip_adapters": ("sd-lora.safetensors", "sd-ip.safetensors")}, "is no IP-adapter",
                     ("ip_adapters", 0)),
    "t2i of another family": ("sdxl", {"t2i_adapters": ("sdxl-t2i-1", "sd-t2i-1")}, "is a `full_adapter` with",
                              ("t2i_adapters", 1)),
    "a net as t2i": ("sd", {"t2i_adapters": ("sd-t2i-1", "sd-net")}, "its class is `ControlNetModel`",
                     ("t2i_adapters", 1)),
}  # fmt: skip


@pytest.mark.parametrize("case", MISFITS)
def test_adapter_that_does_not_fit_is_named_with_its_place_before_anything_is_loaded(
    bench: Bench, toys: Path, case: str
) -> None:
    model, named, message, place = MISFITS[case]
    kinds: dict[str, Any] = {"ip_adapters": IpAdapterUri, "t2i_adapters": T2iAdapterUri}
    said = {name: tuple(kinds[name](model=str(toys / each)) for each in paths) for name, paths in named.items()}
    with pytest.raises(EngineError) as caught:
        bench.job(toys / model, **said, **SEED)
    assert message in caught.value.message
    assert (caught.value.option, caught.value.index) == place
    assert bench.events == []
