"""ControlNets, IP-adapters, LoRAs and learned words of SD3 and FLUX.1 act as in diffusers alone."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flowbench import DEPTHS, EDGES, SAID, plain
from PIL import Image
from toybench import INPUTS, Bench, mask, picture, pixels

from dgen.options.attachments import ControlNetUri, IpAdapterUri, LoraUri, TextualInversionUri
from dgen.values.image_seed import AdapterImage, ImageSeed
from dgen.values.prompt import Prompt
from dgen.values.scalars import Size

# ---- ControlNets -----------------------------------------------------------------------------------------------------

STEERED = {
    "two": ("flux", "txt2img", "FluxControlNetPipeline", ("flux-net", "flux-net"), (None, None)),
    "two-img2img": ("flux", "img2img", "FluxControlNetImg2ImgPipeline", ("flux-net", "flux-net"), (None, None)),
    "two-inpaint": ("flux", "inpaint", "FluxControlNetInpaintPipeline", ("flux-net", "flux-net"), (None, None)),
    "union": ("flux", "txt2img", "FluxControlNetPipeline", ("flux-union",), ("pose",)),
    "union-img2img": ("flux", "img2img", "FluxControlNetImg2ImgPipeline", ("flux-union",), ("2",)),
    "unions": ("flux", "txt2img", "FluxControlNetPipeline", ("flux-union", "flux-union"), ("canny", "openpose")),
    "union-and-plain": ("flux", "txt2img", "FluxControlNetPipeline", ("flux-union", "flux-net"), ("tile", None)),
    "unions-inpaint": ("flux", "inpaint", "FluxControlNetInpaintPipeline", ("flux-union", "flux-net"), ("lq", None)),
    "sd3-two": ("sd3", "txt2img", "StableDiffusion3ControlNetPipeline", ("sd3-net", "sd3-net"), (None, None)),
}
STEERED["sd3-two-inpaint"] = (
    "sd3", "inpaint", "StableDiffusion3ControlNetInpaintingPipeline", ("sd3-inpaint-net",) * 2, (None, None)
)  # fmt: skip
NUMBERS = {"canny": 0, "tile": 1, "2": 2, "pose": 4, "openpose": 4, "lq": 6}


@pytest.mark.parametrize("name", STEERED)
def test_several_and_union_control_nets_steer_as_in_diffusers(flow_toys: Path, shared_bench: Bench, name: str) -> None:
    import diffusers

    toy, mode, pipeline, nets, modes = STEERED[name]
    scales, images = (0.8, 0.5)[: len(nets)], (EDGES, DEPTHS)[: len(nets)]
    seeds = {
        "txt2img": ImageSeed("seed", further=("seed",) * (len(nets) - 1)),
        "img2img": ImageSeed("seed", control=("seed",) * len(nets)),
        "inpaint": ImageSeed("seed", mask="mask", control=("seed",) * len(nets)),
    }
    uris = tuple(
        ControlNetUri(model=str(flow_toys / net), scale=scale, mode=own)
        for net, scale, own in zip(nets, scales, modes, strict=True)
    )
    steps = {"num_inference_steps": 2, "prompt": Prompt("a red circle")}
    job = shared_bench.job(flow_toys / toy, mode, control_nets=uris, image_seed=seeds[mode], **steps)
    made = pixels(shared_bench.engine.render(job, replace(INPUTS[mode], controls=images), lambda step, steps: None))
    cls = getattr(diffusers, "FluxControlNetModel" if toy == "flux" else "SD3ControlNetModel")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = [cls.from_pretrained(flow_toys / net) for net in nets]
    numbers = [NUMBERS.get(str(own)) for own in modes]
    given = {"control_image": list(images), "controlnet_conditioning_scale": list(scales), "control_mode": numbers}
    given = given if len(nets) > 1 else {k: v[0] for k, v in given.items()}
    given |= {"control_mode": None} if toy == "sd3" else {}
    given |= {"image": picture(), "strength": 0.8} if mode != "txt2img" else {}
    given |= {"mask_image": mask()} if mode == "inpaint" else {}
    if (toy, mode) == ("sd3", "inpaint"):  # whose pipeline takes no picture but the control image
        given = {k: v for k, v in given.items() if "control" in k} | {"control_mask": mask()}
    parts = {"controlnet": loaded if len(nets) > 1 else loaded[0]}
    wanted = plain(
        flow_toys, toy, lambda pipe: None, pipeline=pipeline, parts=parts, negative_prompt=None,
        **{"num_inference_steps": 2, **given},
    )  # fmt: skip
    assert (job.pipeline, made) == (pipeline, wanted)
    size = {"output_size": Size(64, 64)} if mode == "txt2img" else {}
    assert pixels(shared_bench.render(flow_toys / toy, mode, **steps, **size)) != made


# ---- IP-adapters -----------------------------------------------------------------------------------------------------

PROMPTED = {
    ("flux", "txt2img"): "FluxPipeline",
    ("flux", "img2img"): "FluxImg2ImgPipeline",
    ("flux", "inpaint"): "FluxInpaintPipeline",
    ("flux-kontext", "img2img"): "FluxKontextPipeline",
    ("flux-kontext", "inpaint"): "FluxKontextInpaintPipeline",
}


@pytest.mark.parametrize(("toy", "mode"), PROMPTED)
def test_ip_adapters_of_flux_prompt_as_in_diffusers(flow_toys: Path, shared_bench: Bench, toy: str, mode: str) -> None:
    adapters = tuple(
        IpAdapterUri(model=str(flow_toys / f"{name}.safetensors"), scale=scale)
        for name, scale in (("ip", 0.6), ("first-ip", 0.9))
    )
    groups = ((EDGES, DEPTHS), (picture(),))
    named = tuple(tuple(AdapterImage("seed") for _ in group) for group in groups)
    starts = {} if mode == "txt2img" else {"image": picture(), "strength": 0.8 if toy == "flux" else 1.0}
    starts |= {"mask_image": mask()} if mode == "inpaint" else {}
    seed = ImageSeed(None if mode == "txt2img" else "seed", mask="mask" if mode == "inpaint" else None, adapter=named)
    usual = {"num_inference_steps": 2, **({"output_size": Size(64, 64)} if mode == "txt2img" else {})}
    before = pixels(shared_bench.render(flow_toys / toy, mode, **usual))

    def load(pipe: Any) -> None:
        from diffusers.utils import logging
        from transformers import CLIPVisionModelWithProjection

        logging.set_verbosity_error()
        pipe.image_encoder = CLIPVisionModelWithProjection.from_pretrained(flow_toys / "image_encoder")
        pipe.load_ip_adapter(str(flow_toys), subfolder="", weight_name=[Path(a.model).name for a in adapters])
        pipe.set_ip_adapter_scale([a.scale for a in adapters])

    job = shared_bench.job(flow_toys / toy, mode, ip_adapters=adapters, **usual | {"image_seed": seed})
    inputs = replace(INPUTS[mode], adapters=groups)
    made = pixels(shared_bench.engine.render(job, inputs, lambda step, steps: None))
    more: dict[str, Any] = {"_auto_resize": False, "max_area": 64 * 64} if toy == "flux-kontext" else {}
    more["negative_ip_adapter_image"] = [Image.new("RGB", (64, 64))] * 2  # the pipelines forget it for several
    more |= {"strength": None} if (toy, mode) == ("flux-kontext", "img2img") else {}
    wanted = plain(
        flow_toys, toy, load, pipeline=PROMPTED[toy, mode],
        **{"num_inference_steps": 2, "ip_adapter_image": [list(group) for group in groups], **starts, **more},
    )  # fmt: skip
    assert made == wanted
    assert made != before
    with pytest.raises(KeyboardInterrupt):
        shared_bench.engine.render(job, inputs, _stop)
    assert pixels(shared_bench.render(flow_toys / toy, mode, **usual)) == before


def _stop(step: int, steps: int) -> None:
    raise KeyboardInterrupt


# ---- LoRAs and learned words -----------------------------------------------------------------------------------------

EDITED = {
    ("flux-fill", "inpaint"): ("FluxFillPipeline", {"guidance_scale": 30.0, "strength": 1.0, "negative_prompt": None}),
    ("flux-kontext", "img2img"): ("FluxKontextPipeline", {"_auto_resize": False, "max_area": 64 * 64}),
    ("flux-kontext", "inpaint"): (
        "FluxKontextInpaintPipeline", {"_auto_resize": False, "max_area": 64 * 64, "strength": 1.0}
    ),
}  # fmt: skip


@pytest.mark.parametrize(("toy", "mode"), EDITED)
def test_lora_of_an_editor_acts_as_in_diffusers(flow_toys: Path, shared_bench: Bench, toy: str, mode: str) -> None:
    pipeline, call = EDITED[toy, mode]
    steps, lora = {"num_inference_steps": 2}, LoraUri(model=str(flow_toys / f"{toy}-lora"), scale=0.7)
    before = pixels(shared_bench.render(flow_toys / toy, mode, **steps))
    made = pixels(shared_bench.render(flow_toys / toy, mode, **steps, loras=(lora,)))

    def load(pipe: Any) -> None:
        pipe.load_lora_weights(lora.model, adapter_name="one")
        pipe.set_adapters(["one"], [0.7])

    given = {"image": picture(), **({"mask_image": mask()} if mode == "inpaint" else {}), **steps}
    assert made == plain(flow_toys, toy, load, pipeline=pipeline, **{"guidance_scale": 3.5, **given, **call})
    assert made != before
    assert pixels(shared_bench.render(flow_toys / toy, mode, **steps)) == before


@pytest.mark.parametrize("mode", ["txt2img", "img2img", "inpaint"])
def test_learned_word_of_flux_means_what_it_means_in_diffusers(flow_toys: Path, shared_bench: Bench, mode: str) -> None:
    """The pipelines that start from a picture have no loader for words; their vectors are spelled out by hand."""
    said = {"num_inference_steps": 2, "prompt": Prompt("a zork"), **(SAID if mode == "txt2img" else {})}
    before = pixels(shared_bench.render(flow_toys / "flux", mode, **said))
    word = TextualInversionUri(model=str(flow_toys / "word.pt"))
    made = pixels(shared_bench.render(flow_toys / "flux", mode, **said, textual_inversions=(word,)))
    names = {"txt2img": "FluxPipeline", "img2img": "FluxImg2ImgPipeline", "inpaint": "FluxInpaintPipeline"}

    def load(pipe: Any) -> None:
        from diffusers import FluxPipeline

        whole = FluxPipeline(**{k: v for k, v in pipe.components.items() if k != "mask_processor"})
        whole.load_textual_inversion(word.model, text_encoder=pipe.text_encoder, tokenizer=pipe.tokenizer)

    call = {"prompt": "a zork zork_1", "prompt_2": "a zork", "negative_prompt": None}
    call |= {"image": picture(), "strength": 0.8} if mode != "txt2img" else {"prompt": "a zork"}
    call |= {"mask_image": mask()} if mode == "inpaint" else {}
    steps = {"num_inference_steps": said["num_inference_steps"]}
    assert made == plain(flow_toys, "flux", load, pipeline=names[mode], **call, **steps)
    assert made != before
    assert pixels(shared_bench.render(flow_toys / "flux", mode, **said)) == before


# ---- what goes with what --------------------------------------------------------------------------------------------

EVERY, EDITS = ["txt2img", "img2img", "inpaint"], ["img2img", "inpaint"]
ADD_ONS = {
    "sd3": {
        "LoRA": EVERY, "ControlNet": ["txt2img", "inpaint"], "PAG": ["txt2img", "img2img"], "weighted prompts": EVERY,
        "RAS": EVERY, "ADetailer": EVERY,
    },
    "flux": {
        "LoRA": EVERY, "textual inversion": EVERY, "ControlNet": EVERY, "IP-adapter": EVERY, "weighted prompts": EVERY,
        "TeaCache": EVERY, "ADetailer": EVERY,
    },
    "flux-fill": {
        "LoRA": ["inpaint"], "textual inversion": ["inpaint"], "weighted prompts": ["inpaint"], "TeaCache": ["inpaint"],
        "ADetailer": ["inpaint"],
    },
    "flux-kontext": {
        "LoRA": EDITS, "textual inversion": EDITS, "IP-adapter": EDITS, "weighted prompts": EDITS, "TeaCache": EDITS,
        "ADetailer": EDITS,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", ADD_ONS)
def test_family_goes_with_these_things_and_no_others(name: str) -> None:
    from dgen.families.rows import FAMILIES
    from dgen.plan.abilities import add_ons

    assert add_ons(FAMILIES[name]) == ADD_ONS[name]
