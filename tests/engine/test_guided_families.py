"""Kolors, DeepFloyd IF and Stable Cascade make what plain calls of their diffusers pipelines make."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from toybench import INPUTS, Bench, mask, picture, pixels

from dgen.check.follow import check_source
from dgen.cli.main import main
from dgen.diagnostic import Source
from dgen.engine.protocol import Inputs
from dgen.families.signatures import parameters
from dgen.options.attachments import ControlNetUri, ImageEncoderUri, IpAdapterUri, LoraUri
from dgen.options.refiner import RefinerUri
from dgen.options.request import Request
from dgen.plan.resolve import made_size, resolve
from dgen.values.image_seed import AdapterImage, ImageSeed, ImageSeedText
from dgen.values.prompt import Prompt
from dgen.values.scalars import Size
from dgen.values.uri import NamedUri

SIZE = {"width": 64, "height": 64}
TEXT = {"prompt": "a red circle", "negative_prompt": "blurry"}
BIG = Size(128, 128)
SMALL = {"output_size": Size(64, 64)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a toy model of every family of this file, and what attaches to them."""
    import toy_adapters
    from toy_guided import GUIDED_TOYS

    made = tmp_path_factory.mktemp("guided")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, make in GUIDED_TOYS.items():
            make(made / name)
        toy_adapters.make_diffusers_lora(made / "kolors-lora", made / "kolors", kinds=("unet",))
        toy_adapters.make_controlnet(made / "kolors-net", made / "kolors")
        toy_adapters.make_ip_adapter(made / "kolors-ip.safetensors", made / "kolors")
        toy_adapters.make_image_encoder(made / "image_encoder")
    return made


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench()


def loaded(model: Path, pipeline: str, **named: Any) -> Any:
    """Load a pipeline as diffusers' documentation says."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import diffusers

        pipe = getattr(diffusers, pipeline).from_pretrained(model, **named)
        pipe.set_progress_bar_config(disable=True)
        return pipe


def called(pipe: Any, **call: Any) -> list[bytes]:
    """Call a pipeline with the seed of the bench: the pixels of each picture."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch

        torch.manual_seed(7)
        made = pipe(generator=torch.Generator("cpu").manual_seed(7), **{"num_inference_steps": 2, **call})
    return [image.convert("RGB").tobytes() for image in made.images]


# ---- Kolors --------------------------------------------------------------------------------------------------------

GUIDED = {**TEXT, "guidance_scale": 5.0}
KOLORS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("txt2img", "KolorsPipeline", {**GUIDED, **SIZE}, SMALL),
    ("img2img", "KolorsImg2ImgPipeline", {**GUIDED, "strength": 0.8, "image": picture()}, {}),
    ("txt2img", "KolorsPAGPipeline", {**GUIDED, **SIZE, "pag_scale": 3.0}, {**SMALL, "pag": True}),
]


@pytest.mark.parametrize(("mode", "pipeline", "call", "said"), KOLORS, ids=lambda v: v if type(v) is str else "")
def test_kolors_makes_what_a_plain_call_makes(
    folder: Path, bench: Bench, mode: str, pipeline: str, call: dict[str, Any], said: dict[str, Any]
) -> None:
    job = bench.job(folder / "kolors", mode, **said)
    made = bench.engine.render(job, INPUTS[mode], lambda step, steps: None)
    assert (job.family, job.pipeline) == ("kolors", pipeline)
    assert pixels(made) == called(loaded(folder / "kolors", pipeline), **call)


def _told_by_hand(folder: Path, pipeline: str, net: Path | None = None, **call: Any) -> list[bytes]:
    """Call a pipeline of SDXL with what Kolors' own makes of the prompts; a ControlNet gets the states as it wants."""
    import diffusers

    own = loaded(folder / "kolors", "KolorsPipeline")
    made = own.encode_prompt(TEXT["prompt"], negative_prompt=TEXT["negative_prompt"])
    names = ("prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds")
    parts: dict[str, Any] = {name: getattr(own, name) for name in ("vae", "unet", "scheduler")}
    parts |= dict.fromkeys(("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2"))
    if net is not None:
        parts["controlnet"] = diffusers.ControlNetModel.from_pretrained(net)
        forward, layer = parts["controlnet"].forward, parts["controlnet"].encoder_hid_proj
        parts["controlnet"].forward = lambda *args, encoder_hidden_states, **named: forward(
            *args, encoder_hidden_states=layer(encoder_hidden_states), **named
        )
    pipe = getattr(diffusers, pipeline)(**parts, add_watermarker=False)
    pipe.set_progress_bar_config(disable=True)
    return called(pipe, **dict(zip(names, made, strict=True)), guidance_scale=5.0, **call)


KOLORS_NET = {"control_image": picture(), "strength": 0.8, "image": picture(), "controlnet_conditioning_scale": 1.0}
ON_SDXL: list[tuple[str, bool, str, str, dict[str, Any]]] = [
    ("inpaint", False, "KolorsInpaintPipeline", "StableDiffusionXLInpaintPipeline", {"mask_image": mask()}),
    ("txt2img", True, "KolorsControlNetPipeline", "StableDiffusionXLControlNetPipeline", {"image": picture(), **SIZE}),
    (
        "img2img", True, "KolorsControlNetImg2ImgPipeline", "StableDiffusionXLControlNetImg2ImgPipeline",
        KOLORS_NET,
    ),
    (
        "inpaint", True, "KolorsControlNetInpaintPipeline", "StableDiffusionXLControlNetInpaintPipeline",
        {**KOLORS_NET, "mask_image": mask()},
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "is_steered", "pipeline", "plain", "call"), ON_SDXL, ids=lambda v: v if type(v) is str else ""
)
def test_kolors_makes_what_pipelines_of_sdxl_make_of_its_words(
    folder: Path, bench: Bench, mode: str, is_steered: bool, pipeline: str, plain: str, call: dict[str, Any]
) -> None:
    net = folder / "kolors-net"
    seeds = {"txt2img": "seed", "img2img": "seed;control=seed", "inpaint": "seed;mask=mask;control=seed"}
    said: dict[str, Any] = {"control_nets": (ControlNetUri(model=str(net)),)} if is_steered else {}
    if is_steered:
        said["image_seed"] = ImageSeedText().parse(seeds[mode])
    job = bench.job(folder / "kolors", mode, **said)
    made = bench.engine.render(job, replace(INPUTS[mode], controls=(picture(),) * is_steered), lambda step, steps: None)
    assert (job.family, job.pipeline) == ("kolors", pipeline)
    given = {"image": picture(), "strength": 0.8, **call} if mode == "inpaint" else call
    assert pixels(made) == _told_by_hand(folder, plain, net if is_steered else None, **given)


def test_detector_lets_kolors_paint_what_it_found_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    before = Image.new("RGB", (64, 64), "white")
    before.paste("#e02020", (8, 8, 24, 24))
    before.save(tmp_path / "square.png")
    words = f"{folder / 'kolors'} --prompts x --seeds 7 --inference-steps 2 --image-seeds {tmp_path / 'square.png'}"
    looking = "--adetailer-detectors color;color=#e02020 --adetailer-mask-dilations 0 --adetailer-mask-blurs 0 --quiet"
    assert main([*words.split(), *looking.split(), "-o", str(tmp_path / "made")]) == 0
    (made,) = (tmp_path / "made").glob("*.png")
    changed = np.asarray(Image.open(made)) != np.asarray(before)
    assert changed[8:24, 8:24].any()
    assert not np.delete(changed, np.s_[8:24], axis=0).any()
    assert not np.delete(changed, np.s_[8:24], axis=1).any()


def test_kolors_needs_no_negative_prompt(folder: Path, bench: Bench) -> None:
    made = pixels(bench.render(folder / "kolors", prompt=Prompt("a red circle"), **SMALL))
    pipe = loaded(folder / "kolors", "KolorsPipeline")
    assert made == called(pipe, prompt="a red circle", negative_prompt="", guidance_scale=5.0, **SIZE)


def test_lora_of_kolors_acts_as_in_a_plain_call_and_leaves_no_trace(folder: Path, bench: Bench) -> None:
    before = pixels(bench.render(folder / "kolors", **SMALL))
    made = pixels(bench.render(folder / "kolors", loras=(LoraUri(model=str(folder / "kolors-lora")),), **SMALL))
    pipe = loaded(folder / "kolors", "KolorsPipeline")
    pipe.load_lora_weights(folder / "kolors-lora")
    assert made == called(pipe, **GUIDED, **SIZE)
    assert pixels(bench.render(folder / "kolors", **SMALL)) == before != made


def test_ip_adapter_of_kolors_acts_as_in_a_plain_call_and_leaves_no_trace(folder: Path, bench: Bench) -> None:
    from transformers import CLIPVisionModelWithProjection

    before = pixels(bench.render(folder / "kolors", **SMALL))
    adapter = IpAdapterUri(model=str(folder / "kolors-ip.safetensors"), scale=0.6)
    seed = ImageSeed(adapter=((AdapterImage("seed"),),))
    said = {"ip_adapters": (adapter,), "image_encoder": ImageEncoderUri(model=str(folder / "image_encoder"))}
    job = bench.job(folder / "kolors", **said, image_seed=seed, **SMALL)
    made = pixels(bench.engine.render(job, Inputs(adapters=((picture(),),)), lambda step, steps: None))
    encoder = CLIPVisionModelWithProjection.from_pretrained(folder / "image_encoder")
    pipe = loaded(folder / "kolors", "KolorsPipeline", image_encoder=encoder)
    pipe.load_ip_adapter(str(folder), "", "kolors-ip.safetensors", image_encoder_folder=None)
    pipe.set_ip_adapter_scale(0.6)
    assert made == called(pipe, **GUIDED, **SIZE, ip_adapter_image=[[picture()]])
    assert pixels(bench.render(folder / "kolors", **SMALL)) == before != made


CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("txt2img", {"deep_cache": True, "deep_cache_interval": 2}),
    ("txt2img", {"hi_diffusion": True}),
    ("txt2img", {"pag": True, "pag_scale": 2.0}),
    ("txt2img", {"freeu": (0.9, 0.2, 1.2, 1.4)}),
    ("inpaint", {"loras": (LoraUri(model="kolors-lora"),)}),
    ("inpaint", {"freeu": (0.9, 0.2, 1.2, 1.4)}),
    ("inpaint", {"hi_diffusion": True}),
]


@pytest.mark.parametrize(("mode", "said"), CHANGES, ids=lambda v: v if type(v) is str else next(iter(v)))
def test_what_changes_kolors_leaves_no_trace(
    folder: Path, bench: Bench, mode: str, said: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    usual = {**(SMALL if mode == "txt2img" else {}), "num_inference_steps": 2}
    before = pixels(bench.render(folder / "kolors", mode, **usual))
    assert pixels(bench.render(folder / "kolors", mode, **usual, **said)) != before
    assert pixels(bench.render(folder / "kolors", mode, **usual)) == before


# ---- DeepFloyd IF --------------------------------------------------------------------------------------------------

FLOYD = {**GUIDED, "clean_caption": False}
STAGE = picture().resize((16, 16))
SMALL_SEED = ImageSeed("seed", resize=Size(16, 0))
STAGED = ImageSeed("seed", floyd="stage1")
STARTED = {"image": STAGE, "original_image": picture().resize((32, 32)), "strength": 0.8}
MASK = mask().resize((32, 32))
STAGES: list[tuple[str, str, str, dict[str, Any], dict[str, Any], tuple[int, int]]] = [
    ("if", "txt2img", "IFPipeline", {}, {}, (32, 32)),
    ("if", "txt2img", "IFPipeline", {"width": 48, "height": 32}, {"output_size": Size(48, 32)}, (48, 32)),
    ("if", "img2img", "IFImg2ImgPipeline", {"image": STARTED["original_image"], "strength": 0.8}, {}, (32, 32)),
    (
        "if", "inpaint", "IFInpaintingPipeline",
        {"image": STARTED["original_image"], "mask_image": MASK, "strength": 0.8}, {}, (32, 32),
    ),
    (
        "ifs", "img2img", "IFSuperResolutionPipeline", {"image": STAGE, **SIZE},
        {"image_seed": SMALL_SEED}, (64, 64),
    ),
    ("ifs", "img2img", "IFImg2ImgSuperResolutionPipeline", STARTED, {"image_seed": STAGED}, (32, 32)),
    (
        "ifs", "img2img", "IFImg2ImgSuperResolutionPipeline", {**STARTED, "noise_level": 0},
        {"image_seed": STAGED, "model_type": "ifs-img2img"}, (32, 32),
    ),
    (
        "ifs", "inpaint", "IFInpaintingSuperResolutionPipeline", {**STARTED, "mask_image": MASK},
        {"image_seed": replace(STAGED, mask="mask")}, (32, 32),
    ),
]  # fmt: skip


def _inputs(mode: str, pipeline: str) -> Inputs:
    """What a job is given: pictures of its size, and the one of the first stage."""
    if mode == "txt2img":
        return Inputs()
    size = (16, 16) if pipeline == "IFSuperResolutionPipeline" else (32, 32)
    stage = STAGE if "original_image" in _taken(pipeline) else None
    return Inputs(picture().resize(size), MASK if mode == "inpaint" else None, stage=stage)


def _taken(pipeline: str) -> set[str]:
    return {p.name for p in parameters(pipeline, "__call__")}


@pytest.mark.parametrize(
    ("toy", "mode", "pipeline", "call", "said", "size"), STAGES, ids=lambda v: v if type(v) is str else ""
)
def test_stage_of_floyd_makes_what_a_plain_call_makes(
    folder: Path, bench: Bench, toy: str, mode: str, pipeline: str, call: dict[str, Any], said: dict[str, Any],
    size: tuple[int, int],
) -> None:  # fmt: skip
    job = bench.job(folder / toy, mode, **said)
    made = bench.engine.render(job, _inputs(mode, pipeline), lambda step, steps: None)
    assert job.pipeline == pipeline
    assert tuple(made_size(job)) == size == made.images[0].size
    assert pixels(made) == called(loaded(folder / toy, pipeline, watermarker=None), **FLOYD, **call)


def test_picture_for_floyd_comes_to_the_size_of_the_model_unless_another_is_said(folder: Path, bench: Bench) -> None:
    class Wide:
        def size(self, path: str) -> Size:
            return Size(96, 64)

    request = Request(model=str(folder / "if"), prompt=Prompt("x"), image_seed=ImageSeed("seed"))
    facts = bench.engine.inspect(request)
    assert resolve(request, facts, "cpu", Wide()).size == Size(48, 32)
    assert resolve(replace(request, output_size=Size(64, 64)), facts, "cpu", Wide()).size == Size(64, 40)
    second = bench.engine.inspect(replace(request, model=str(folder / "ifs")))
    assert made_size(resolve(request, second, "cpu", Wide())) == Size(384, 256)
    staged = replace(request, image_seed=STAGED)
    assert made_size(resolve(staged, second, "cpu", Wide())) == Size(48, 32)


def test_both_stages_of_floyd_share_what_the_text_encoder_said(folder: Path) -> None:
    bench = Bench()
    bench.render(folder / "if")
    bench.engine.use_modules(bench.engine.save_modules(["text_encoder", "tokenizer"]))
    calls: list[str] = []
    job = bench.job(folder / "ifs", "img2img", image_seed=SMALL_SEED)
    held = next(c.value for c in bench.engine.store if c.kind == "text_encoder")
    held.encoder.register_forward_hook(lambda *told: calls.append("asked"))
    bench.engine.render(job, Inputs(STAGE), lambda step, steps: None)
    assert calls == []
    assert [c.kind for c in bench.engine.store].count("text_encoder") == 1


def test_seed_without_the_picture_of_a_first_stage_is_told(at_work: Path, folder: Path) -> None:
    found = check_source(
        Source(
            "s.dgen",
            f"{folder / 'ifs'} --prompts x --image-seeds 'seed.png;mask=mask.png'\n"
            f"{folder / 'if'} --prompts x --image-seeds 'seed.png;floyd=seed.png'\n"
            f"{folder / 'if'} --prompts x --image-format safetensors\n"
            f"{folder / 'ifs'} --prompts x --image-seeds 'seed.png;floyd=seed.png'\n",
        )
    )
    assert [(d.code, d.message.replace(str(folder), "")) for d in found if d.severity == "error"] == [
        ("missing-option", "IFInpaintingSuperResolutionPipeline needs the picture that the first stage made"),
        ("unsupported-mode", "DeepFloyd IF has no second stage that takes the picture of a first one"),
        ("unsupported-option", "DeepFloyd IF has no latents that could be written"),
    ]


# ---- Stable Cascade ------------------------------------------------------------------------------------------------


def _decoder(folder: Path) -> Any:
    """Load a decoder part by part: diffusers 0.42 does not find the class that published ones name."""
    import diffusers
    from diffusers.models import StableCascadeUNet
    from diffusers.pipelines.deprecated.wuerstchen.modeling_paella_vq_model import PaellaVQModel
    from transformers import CLIPTextModelWithProjection, CLIPTokenizer

    pipe = diffusers.StableCascadeDecoderPipeline(
        decoder=StableCascadeUNet.from_pretrained(folder / "decoder"),
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        text_encoder=CLIPTextModelWithProjection.from_pretrained(folder / "text_encoder"),
        scheduler=diffusers.DDPMWuerstchenScheduler.from_pretrained(folder / "scheduler"),
        vqgan=PaellaVQModel.from_pretrained(folder / "vqgan"),
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


CASCADES: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ("txt2img", {}, {"num_inference_steps": 10, "guidance_scale": 0.0}, {}),
    (
        "img2img", {"images": [picture().resize((128, 128))]}, {"num_inference_steps": 2, "guidance_scale": 2.0},
        {"second_num_inference_steps": 2, "second_guidance_scale": 2.0},
    ),
    (
        "txt2img", {}, {"num_inference_steps": 2, "guidance_scale": 2.0, "prompt": "a blue star"},
        {
            "second_num_inference_steps": 2, "second_guidance_scale": 2.0,
            "second_prompt": Prompt("a blue star", "blurry"),
        },
    ),
]  # fmt: skip


@pytest.mark.parametrize(("mode", "call", "late", "said"), CASCADES, ids=["txt2img", "img2img", "second-prompt"])
def test_cascade_draws_what_prior_and_decoder_draw_by_hand(
    folder: Path, bench: Bench, mode: str, call: dict[str, Any], late: dict[str, Any], said: dict[str, Any]
) -> None:
    import torch

    decoder = RefinerUri(model=str(folder / "cascade-decoder"))
    size = {"output_size": Size(128, 128)} if mode == "txt2img" else {"image_seed": ImageSeed("seed", resize=BIG)}
    job = bench.job(folder / "cascade", mode, s_cascade_decoder=decoder, **size, **said)
    given = Inputs() if mode == "txt2img" else Inputs(picture().resize((128, 128)))
    made = bench.engine.render(job, given, lambda step, steps: None)
    assert (job.family, job.pipeline, job.size) == ("s-cascade", "StableCascadePriorPipeline", BIG)
    generator = torch.Generator("cpu").manual_seed(7)
    prior = loaded(folder / "cascade", "StableCascadePriorPipeline")
    thought = prior(**GUIDED, width=128, height=128, num_inference_steps=2, generator=generator, **call)
    drawn = _decoder(folder / "cascade-decoder")(
        thought.image_embeddings, generator=generator, **{**TEXT, **late}
    ).images
    assert pixels(made) == [image.convert("RGB").tobytes() for image in drawn]
    assert made.images[0].size == BIG


def test_decoder_of_cascade_has_a_default_and_is_checked(folder: Path, bench: Bench, at_work: Path) -> None:
    job = bench.job(folder / "cascade", output_size=Size(128, 128))
    assert str(job.request.s_cascade_decoder.model) == "stabilityai/stable-cascade"
    assert (job.request.second_num_inference_steps, job.request.second_guidance_scale) == (10, 0.0)
    text = (
        f"{folder / 'cascade'} --prompts x --s-cascade-decoder {folder / 'if'}\n"
        f"{folder / 'cascade'} --prompts x --image-seeds 'seed.png;mask=mask.png'\n"
        f"{folder / 'cascade-decoder'} --prompts x\n"
        f"{folder / 'if'} --prompts x --s-cascade-decoder {folder / 'cascade-decoder'}\n"
    )
    found = [d for d in check_source(Source("s.dgen", text)) if d.severity == "error"]
    messages = [d.message.replace(str(folder), "") for d in found]
    assert messages == [
        "`/if` is no decoder of Stable Cascade: its class is `IFPipeline`",
        "Stable Cascade has no inpaint",
        "`/cascade-decoder` is a decoder, which draws what another model thinks of",
        "DeepFloyd IF cannot use `--s-cascade-decoder` in txt2img",
    ]


WEIGHED = Prompt("a (red:1.8) circle", "blurry")


def cascade(bench: Bench, folder: Path, **said: Any) -> list[bytes]:
    decoder = RefinerUri(model=str(folder / "cascade-decoder"))
    return pixels(bench.render(folder / "cascade", s_cascade_decoder=decoder, output_size=BIG, **FEW, **said))


FEW = {"second_num_inference_steps": 1, "second_guidance_scale": 2.0, "guidance_scale": 2.0}


@pytest.mark.parametrize("weighter", ["sd-embed", "compel"])
def test_prompt_of_cascade_without_weights_is_read_as_without_a_weighter(
    folder: Path, bench: Bench, weighter: str
) -> None:
    plain = cascade(bench, folder)
    assert cascade(bench, folder, prompt_weighter=NamedUri(weighter)) == plain
    heavy = Prompt("a (red)1.8 circle", "blurry") if weighter == "compel" else WEIGHED
    assert cascade(bench, folder, prompt=heavy, prompt_weighter=NamedUri(weighter)) != plain
    other = {"second_prompt": heavy, "second_prompt_weighter": NamedUri(weighter)}
    assert cascade(bench, folder, **other) == plain  # a decoder looks at summaries alone, which weights leave alone
    assert cascade(bench, folder) == plain


def test_weighted_prompt_of_cascade_is_that_of_a_plain_call_with_its_embeddings(folder: Path, bench: Bench) -> None:
    import torch

    generator = torch.Generator("cpu").manual_seed(7)
    prior = loaded(folder / "cascade", "StableCascadePriorPipeline")
    with torch.no_grad():
        states, summary, negative, none = prior.encode_prompt("cpu", 1, 1, True, "a red circle", "blurry")
    first, last = (len(prior.tokenizer(text).input_ids) - 1 for text in ("a", "a red"))
    rest = states[:, -1:].clone()
    states[:, first:last] = rest + (states[:, first:last] - rest) * 1.8
    said = {"prompt_embeds": states, "negative_prompt_embeds": negative}
    said |= {"prompt_embeds_pooled": summary, "negative_prompt_embeds_pooled": none}
    size = {"width": 128, "height": 128, "num_inference_steps": 2, "guidance_scale": 2.0}
    thought = prior(**said, **size, generator=generator).image_embeddings
    late = {"num_inference_steps": 1, "guidance_scale": 2.0, "generator": generator}
    drawn = _decoder(folder / "cascade-decoder")(thought, **TEXT, **late).images
    made = cascade(bench, folder, prompt=WEIGHED, prompt_weighter=NamedUri("sd-embed"))
    assert made == [image.convert("RGB").tobytes() for image in drawn]
