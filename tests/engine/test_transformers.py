"""What changes how the transformers of SD3 and FLUX.1 work acts as in diffusers alone, and leaves no trace."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from toybench import INPUTS, Bench, mask, picture, pixels

from dgen.engine.protocol import EngineError
from dgen.options.attachments import ControlNetUri, IpAdapterUri, LoraUri, TextualInversionUri
from dgen.values.image_seed import AdapterImage, ImageSeed
from dgen.values.prompt import Prompt
from dgen.values.scalars import Size
from dgen.values.step_cache import StepCacheText
from dgen.values.uri import NamedUri

PIPELINES = {"sd3": "StableDiffusion3Pipeline", "flux": "FluxPipeline"}
GUIDANCE = {"sd3": 5.0, "flux": 3.5, "flux-kontext": 3.5}
SAID: dict[str, Any] = {"num_inference_steps": 6, "output_size": Size(64, 64)}
NAMES = ("sd3", "flux", "flux-fill", "flux-kontext")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a toy model of each family of this file."""
    import toy_adapters
    import toy_families

    made = tmp_path_factory.mktemp("transformers")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in NAMES:
            toy_families.FAMILY_TOYS[name](made / name)
        toy_families.make_sd3(made / "sd3.5", dual_attention_layers=(0,), qk_norm="rms_norm")
        toy_families.make_flux_net(made / "flux-net", made / "flux")
        toy_families.make_flux_net(made / "flux-union", made / "flux", modes=7)
        toy_families.make_flux_ip_adapter(made / "ip.safetensors")
        toy_families.make_flux_ip_adapter(made / "first-ip.safetensors", is_first=True)
        toy_adapters.make_image_encoder(made / "image_encoder")
        for name in ("flux-fill", "flux-kontext"):
            toy_families.make_transformer_lora(made / f"{name}-lora", made / name)
        toy_adapters.make_old_word(made / "word.pt", "zork", 2)
        toy_families.make_sd3_net(made / "sd3-net")
        toy_families.make_sd3_net(made / "sd3-inpaint-net", sees_mask=True)
    return made


@pytest.fixture(scope="module")
def bench() -> Bench:
    """An engine that all tests share: what one leaves behind would show in the next."""
    return Bench()


def plain(
    folder: Path, toy: str, prepare: Callable[[Any], None], *, pipeline: str = "", parts: Any = None, **named: Any
) -> list[bytes]:
    """Call a pipeline of diffusers as its documentation says."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import diffusers
        import torch

        pipe = getattr(diffusers, pipeline or PIPELINES[toy]).from_pretrained(folder / toy, **parts or {})
        pipe.set_progress_bar_config(disable=True)
        prepare(pipe)
        call = {"prompt": "a red circle", "negative_prompt": "blurry", "guidance_scale": GUIDANCE.get(toy), "width": 64}
        call |= {"height": 64, "num_inference_steps": 6, **named}
        call = {name: value for name, value in call.items() if value is not None}
        made = pipe(**call, generator=torch.Generator("cpu").manual_seed(7))
    return [image.convert("RGB").tobytes() for image in made.images]


# ---- step caches ----------------------------------------------------------------------------------------------------


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
def test_step_cache_acts_as_in_diffusers(folder: Path, bench: Bench, toy: str, word: str) -> None:
    before = pixels(bench.render(folder / toy, **SAID))
    said = word + (";unconditional-batch-skip-range=3" if toy == "sd3" and "Faster" in word else "")
    made = pixels(bench.render(folder / toy, **SAID, step_cache=StepCacheText().parse(said)))
    assert made == plain(folder, toy, by_hand(CACHES[word]))
    assert made != before
    assert pixels(bench.render(folder / toy, **SAID)) == before


MODES = (("sd3", "img2img"), ("flux", "inpaint"), ("flux-fill", "inpaint"), ("flux-kontext", "img2img"))
LOOSE = (
    "PAB;spatial-attention-block-skip-range=3;spatial-attention-timestep-skip-range=0,1000", "TaylorSeer;"
    "cache-interval=3;disable-cache-before-step=1", "FirstBlock;threshold=9",
    "MagCache;threshold=9;retention-ratio=0.1;mag-ratios=1,1.1", "FasterCache;"
    "spatial-attention-timestep-skip-range=0,1000",
)  # fmt: skip


SPED = [(*mode, {"step_cache": StepCacheText().parse(word)}) for word in LOOSE for mode in MODES]
SPED += [(toy, mode, {"tea_cache": True}) for toy, mode in MODES if toy != "sd3"]
SPED += [(toy, mode, {"ras_start_step": 1}) for toy in ("sd3", "sd3.5") for mode in ("img2img", "inpaint")]
SPED += [("sd3.5", "img2img", {"ras_start_step": 1, "ras_index_fusion": True})]


@pytest.mark.parametrize(
    ("toy", "mode", "said"), SPED, ids=lambda v: v if isinstance(v, str) else "+".join(map(str, v.values()))
)
def test_what_speeds_up_in_other_modes_leaves_no_trace_also_when_it_fails(
    folder: Path, bench: Bench, toy: str, mode: str, said: dict[str, Any]
) -> None:
    steps = {"num_inference_steps": 6}
    before = pixels(bench.render(folder / toy, mode, **steps))
    assert pixels(bench.render(folder / toy, mode, **steps, **said)) != before
    transformer = bench.engine.save_modules(["transformer"])["transformer"].value
    kept = [(n, sorted(vars(m)), len(m._forward_pre_hooks)) for n, m in transformer.named_modules()]

    def stop(step: int, steps: int) -> None:
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.engine.render(bench.job(folder / toy, mode, **steps, **said), INPUTS[mode], stop)
    assert [(n, sorted(vars(m)), len(m._forward_pre_hooks)) for n, m in transformer.named_modules()] == kept
    assert pixels(bench.render(folder / toy, mode, **steps)) == before


# ---- TeaCache -------------------------------------------------------------------------------------------------------


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
def test_tea_cache_is_the_loop_of_the_paper(folder: Path, bench: Bench, threshold: float) -> None:
    loops: list[Tea] = []

    def prepare(pipe: Any) -> None:
        loops.append(Tea(pipe.transformer, threshold, 6))
        pipe.transformer.forward = loops[0]

    before = pixels(bench.render(folder / "flux", **SAID))
    made = pixels(bench.render(folder / "flux", **SAID, tea_cache_rel_l1_threshold=threshold))
    assert made == plain(folder, "flux", prepare)
    assert (False in loops[0].whole, True in loops[0].whole[1:-1]) == (True, threshold < 1)
    assert made != before
    assert pixels(bench.render(folder / "flux", **SAID)) == before


@pytest.mark.parametrize("offload", ["model", "sequential"])
def test_tea_cache_goes_with_offloading(folder: Path, bench: Bench, offload: str) -> None:
    made = pixels(bench.render(folder / "flux", **SAID, tea_cache=True))
    assert pixels(bench.render(folder / "flux", **SAID, tea_cache=True, offload=offload)) == made


# ---- weighted prompts -----------------------------------------------------------------------------------------------

WEIGHTER = NamedUri("sd-embed")
LONG = ", ".join(["red blue star"] * 30)


def row(tokenizer: Any, text: str, length: int) -> Any:
    """The tokens of a text as CLIP (77) or T5 takes them, cut nowhere."""
    import torch

    ids = list(tokenizer(text, add_special_tokens=False, truncation=False).input_ids)
    ids = [*([] if tokenizer.bos_token_id is None or length != 77 else [tokenizer.bos_token_id]), *ids]
    ids = [*ids, tokenizer.eos_token_id]
    return torch.tensor([[*ids, *[tokenizer.pad_token_id] * (length - len(ids))]])


def embedded(pipe: Any, toy: str, first: list[Any], text: str, t5: Any) -> dict[str, Any]:
    """Put the rows of both CLIP encoders and the states of T5 together as a pipeline does."""
    import torch

    if toy == "flux":
        plain_row = pipe.tokenizer(text, padding="max_length", max_length=77, truncation=True, return_tensors="pt")
        return {"prompt_embeds": t5, "pooled_prompt_embeds": pipe.text_encoder(plain_row.input_ids).pooler_output}
    states, pooled = [], []
    for rows, encoder, tokenizer in zip(
        first, (pipe.text_encoder, pipe.text_encoder_2), (pipe.tokenizer, pipe.tokenizer_2), strict=True
    ):
        made = [encoder(ids, output_hidden_states=True).hidden_states[-2] for ids in rows]
        states.append(torch.cat(made, dim=1))
        short = tokenizer(text, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids
        pooled.append(encoder(short).text_embeds)
    clip = torch.cat(states, dim=-1)
    clip = torch.nn.functional.pad(clip, (0, t5.shape[-1] - clip.shape[-1]))
    return {"prompt_embeds": torch.cat([clip, t5], dim=1), "pooled_prompt_embeds": torch.cat(pooled, dim=-1)}


def drawn(folder: Path, toy: str, make: Callable[[Any], dict[str, Any]]) -> list[bytes]:
    """Call a pipeline with embeddings that are made from its own encoders."""
    import torch

    given: dict[str, Any] = {"prompt": None, "negative_prompt": None}

    def prepare(pipe: Any) -> None:
        with torch.no_grad():
            given.update(make(pipe))
        call = type(pipe).__call__
        pipe.__class__ = type("Told", (type(pipe),), {"__call__": lambda self, **named: call(self, **named | given)})

    return plain(folder, toy, prepare)


T5 = {"sd3": ("text_encoder_3", "tokenizer_3", 256), "flux": ("text_encoder_2", "tokenizer_2", 512)}


def t5_states(pipe: Any, toy: str, text: str, length: int = 0) -> Any:
    encoder, tokenizer, usual = T5[toy]
    return getattr(pipe, encoder)(row(getattr(pipe, tokenizer), text, length or usual))[0]


@pytest.mark.parametrize("toy", NAMES)
def test_prompt_without_weights_is_read_as_without_a_weighter(folder: Path, bench: Bench, toy: str) -> None:
    mode = {"flux-fill": "inpaint", "flux-kontext": "img2img"}.get(toy, "txt2img")
    said: dict[str, Any] = {"prompt": Prompt("a red circle", "blurry"), "prompt_2": Prompt("blue", "dull")}
    said |= {"output_size": Size(64, 64)} if mode == "txt2img" else {}
    said |= {"prompt_3": Prompt("green", "dark"), "clip_skip": 1} if toy == "sd3" else {"max_sequence_length": 64}
    before = pixels(bench.render(folder / toy, mode, **said))
    assert pixels(bench.render(folder / toy, mode, **said, prompt_weighter=WEIGHTER)) == before
    said["prompt_2"] = Prompt("(blue:1.8)", "dull")
    assert pixels(bench.render(folder / toy, mode, **said, prompt_weighter=WEIGHTER)) != before
    said["prompt_2"] = Prompt("blue", "dull")
    assert pixels(bench.render(folder / toy, mode, **said)) == before


@pytest.mark.parametrize("toy", PIPELINES)
def test_weights_act_on_the_tokens_of_clip_and_t5(folder: Path, bench: Bench, toy: str) -> None:
    import numpy as np

    def make(pipe: Any) -> dict[str, Any]:
        t5 = t5_states(pipe, toy, "red")
        t5[:, : len(getattr(pipe, T5[toy][1])("red", add_special_tokens=False).input_ids)] *= 1.5
        first = [[row(t, "red", 77)] for t in (pipe.tokenizer, getattr(pipe, "tokenizer_2", None))]
        found = embedded(pipe, toy, first, "red", t5)
        if toy == "sd3":
            for place in range(1, 1 + len(pipe.tokenizer("red", add_special_tokens=False).input_ids)):
                rest = found["prompt_embeds"][:, 76].clone()
                moved = rest + (found["prompt_embeds"][:, place] - rest) * 1.5
                found["prompt_embeds"][:, place] = moved
            blurry = [[row(t, "blurry", 77)] for t in (pipe.tokenizer, pipe.tokenizer_2)]
            negative = embedded(pipe, toy, blurry, "blurry", t5_states(pipe, toy, "blurry"))
            found |= {f"negative_{name}": value for name, value in negative.items()}
        return found

    said = {**SAID, "prompt": Prompt("(red:1.5)", "blurry")}
    made = pixels(bench.render(folder / toy, **said, prompt_weighter=WEIGHTER))
    wanted = drawn(folder, toy, make)
    near = np.abs(np.frombuffer(made[0], np.uint8).astype(int) - np.frombuffer(wanted[0], np.uint8))
    assert near.max() <= 1  # the order of the sums
    assert made != pixels(bench.render(folder / toy, **SAID, prompt=Prompt("red", "blurry"), prompt_weighter=WEIGHTER))


@pytest.mark.parametrize("toy", PIPELINES)
def test_long_prompt_reaches_clip_in_pieces_and_t5_whole(folder: Path, bench: Bench, toy: str) -> None:
    length = 0

    def make(pipe: Any) -> dict[str, Any]:
        nonlocal length
        tokenizer = getattr(pipe, T5[toy][1])
        length = len(tokenizer(LONG, add_special_tokens=False).input_ids) + 1
        t5 = t5_states(pipe, toy, LONG, max(length, T5[toy][2]))
        if toy == "flux":
            return embedded(pipe, toy, [], LONG, t5)
        ids = list(pipe.tokenizer(LONG, add_special_tokens=False, truncation=False).input_ids)
        comma = pipe.tokenizer("red,", add_special_tokens=False).input_ids[-1]
        pieces: list[list[int]] = []
        while len(ids) > 75:
            end = max(n for n in range(56, 76) if ids[n - 1] == comma)
            pieces.append(ids[:end])
            ids = ids[end:]
        rows = [_closed(pipe.tokenizer, piece) for piece in (*pieces, ids)]
        empty = [_closed(pipe.tokenizer, [])] * len(pieces)
        negative = embedded(
            pipe, toy, [[row(pipe.tokenizer, "blurry", 77), *empty]] * 2, "blurry",
            t5_states(pipe, toy, "blurry", max(length, T5[toy][2])),
        )  # fmt: skip
        return embedded(pipe, toy, [rows, rows], LONG, t5) | {f"negative_{k}": v for k, v in negative.items()}

    made = pixels(bench.render(folder / toy, **SAID, prompt=Prompt(LONG, "blurry"), prompt_weighter=WEIGHTER))
    assert made == drawn(folder, toy, make)
    assert (length > T5[toy][2]) == (toy == "sd3")


def _closed(tokenizer: Any, piece: list[int]) -> Any:
    import torch

    ids = [tokenizer.bos_token_id, *piece, tokenizer.eos_token_id]
    return torch.tensor([[*ids, *[tokenizer.pad_token_id] * (77 - len(ids))]])


def test_weighter_that_knows_clip_alone_is_refused(folder: Path, bench: Bench) -> None:
    with pytest.raises(EngineError, match="weighs no prompts for T5") as caught:
        bench.job(folder / "flux", prompt_weighter=NamedUri("compel"))
    assert (caught.value.code, caught.value.option) == ("unsupported-option", "prompt_weighter")


# ---- ControlNets ----------------------------------------------------------------------------------------------------

EDGES, DEPTHS = picture().rotate(90), picture().rotate(180)
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
NUMBERS = {"canny": 0, "tile": 1, "2": 2, "pose": 4, "openpose": 4, "lq": 6}


@pytest.mark.parametrize("name", STEERED)
def test_several_and_union_control_nets_steer_as_in_diffusers(folder: Path, bench: Bench, name: str) -> None:
    import diffusers

    toy, mode, pipeline, nets, modes = STEERED[name]
    scales, images = (0.8, 0.5)[: len(nets)], (EDGES, DEPTHS)[: len(nets)]
    seeds = {
        "txt2img": ImageSeed("seed", further=("seed",) * (len(nets) - 1)),
        "img2img": ImageSeed("seed", control=("seed",) * len(nets)),
        "inpaint": ImageSeed("seed", mask="mask", control=("seed",) * len(nets)),
    }
    uris = tuple(
        ControlNetUri(model=str(folder / net), scale=scale, mode=own)
        for net, scale, own in zip(nets, scales, modes, strict=True)
    )
    steps = {"num_inference_steps": 2, "prompt": Prompt("a red circle")}
    job = bench.job(folder / toy, mode, control_nets=uris, image_seed=seeds[mode], **steps)
    made = pixels(bench.engine.render(job, replace(INPUTS[mode], controls=images), lambda step, steps: None))
    cls = getattr(diffusers, "FluxControlNetModel" if toy == "flux" else "SD3ControlNetModel")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = [cls.from_pretrained(folder / net) for net in nets]
    numbers = [NUMBERS.get(str(own)) for own in modes]
    given = {"control_image": list(images), "controlnet_conditioning_scale": list(scales), "control_mode": numbers}
    given = given if len(nets) > 1 else {k: v[0] for k, v in given.items()}
    given |= {"control_mode": None} if toy == "sd3" else {}
    given |= {"image": picture(), "strength": 0.8} if mode != "txt2img" else {}
    given |= {"mask_image": mask()} if mode == "inpaint" else {}
    parts = {"controlnet": loaded if len(nets) > 1 else loaded[0]}
    wanted = plain(
        folder, toy, lambda pipe: None, pipeline=pipeline, parts=parts, negative_prompt=None,
        **{"num_inference_steps": 2, **given},
    )  # fmt: skip
    assert (job.pipeline, made) == (pipeline, wanted)
    size = {"output_size": Size(64, 64)} if mode == "txt2img" else {}
    assert pixels(bench.render(folder / toy, mode, **steps, **size)) != made


# ---- IP-adapters ----------------------------------------------------------------------------------------------------

PROMPTED = {
    ("flux", "txt2img"): "FluxPipeline",
    ("flux", "img2img"): "FluxImg2ImgPipeline",
    ("flux", "inpaint"): "FluxInpaintPipeline",
    ("flux-kontext", "img2img"): "FluxKontextPipeline",
    ("flux-kontext", "inpaint"): "FluxKontextInpaintPipeline",
}


@pytest.mark.parametrize(("toy", "mode"), PROMPTED)
def test_ip_adapters_of_flux_prompt_as_in_diffusers(folder: Path, bench: Bench, toy: str, mode: str) -> None:
    adapters = tuple(
        IpAdapterUri(model=str(folder / f"{name}.safetensors"), scale=scale)
        for name, scale in (("ip", 0.6), ("first-ip", 0.9))
    )
    groups = ((EDGES, DEPTHS), (picture(),))
    named = tuple(tuple(AdapterImage("seed") for _ in group) for group in groups)
    starts = {} if mode == "txt2img" else {"image": picture(), "strength": 0.8 if toy == "flux" else 1.0}
    starts |= {"mask_image": mask()} if mode == "inpaint" else {}
    seed = ImageSeed(None if mode == "txt2img" else "seed", mask="mask" if mode == "inpaint" else None, adapter=named)
    usual = {"num_inference_steps": 2, **({"output_size": Size(64, 64)} if mode == "txt2img" else {})}
    before = pixels(bench.render(folder / toy, mode, **usual))

    def load(pipe: Any) -> None:
        from diffusers.utils import logging
        from transformers import CLIPVisionModelWithProjection

        logging.set_verbosity_error()
        pipe.image_encoder = CLIPVisionModelWithProjection.from_pretrained(folder / "image_encoder")
        pipe.load_ip_adapter(str(folder), subfolder="", weight_name=[Path(a.model).name for a in adapters])
        pipe.set_ip_adapter_scale([a.scale for a in adapters])

    job = bench.job(folder / toy, mode, ip_adapters=adapters, **usual | {"image_seed": seed})
    inputs = replace(INPUTS[mode], adapters=groups)
    made = pixels(bench.engine.render(job, inputs, lambda step, steps: None))
    more: dict[str, Any] = {"_auto_resize": False, "max_area": 64 * 64} if toy == "flux-kontext" else {}
    more["negative_ip_adapter_image"] = [Image.new("RGB", (64, 64))] * 2  # the pipelines forget it for several
    more |= {"strength": None} if (toy, mode) == ("flux-kontext", "img2img") else {}
    wanted = plain(
        folder, toy, load, pipeline=PROMPTED[toy, mode],
        **{"num_inference_steps": 2, "ip_adapter_image": [list(group) for group in groups], **starts, **more},
    )  # fmt: skip
    assert made == wanted
    assert made != before
    with pytest.raises(KeyboardInterrupt):
        bench.engine.render(job, inputs, _stop)
    assert pixels(bench.render(folder / toy, mode, **usual)) == before


def _stop(step: int, steps: int) -> None:
    raise KeyboardInterrupt


# ---- LoRAs and learned words ----------------------------------------------------------------------------------------

EDITED = {
    ("flux-fill", "inpaint"): ("FluxFillPipeline", {"guidance_scale": 30.0, "strength": 1.0, "negative_prompt": None}),
    ("flux-kontext", "img2img"): ("FluxKontextPipeline", {"_auto_resize": False, "max_area": 64 * 64}),
    ("flux-kontext", "inpaint"): (
        "FluxKontextInpaintPipeline", {"_auto_resize": False, "max_area": 64 * 64, "strength": 1.0}
    ),
}  # fmt: skip


@pytest.mark.parametrize(("toy", "mode"), EDITED)
def test_lora_of_an_editor_acts_as_in_diffusers(folder: Path, bench: Bench, toy: str, mode: str) -> None:
    pipeline, call = EDITED[toy, mode]
    steps, lora = {"num_inference_steps": 2}, LoraUri(model=str(folder / f"{toy}-lora"), scale=0.7)
    before = pixels(bench.render(folder / toy, mode, **steps))
    made = pixels(bench.render(folder / toy, mode, **steps, loras=(lora,)))

    def load(pipe: Any) -> None:
        pipe.load_lora_weights(lora.model, adapter_name="one")
        pipe.set_adapters(["one"], [0.7])

    given = {"image": picture(), **({"mask_image": mask()} if mode == "inpaint" else {}), **steps}
    assert made == plain(folder, toy, load, pipeline=pipeline, **{"guidance_scale": 3.5, **given, **call})
    assert made != before
    assert pixels(bench.render(folder / toy, mode, **steps)) == before


def test_learned_word_of_flux_means_what_it_means_in_diffusers(folder: Path, bench: Bench) -> None:
    before = pixels(bench.render(folder / "flux", **SAID, prompt=Prompt("a zork")))
    word = TextualInversionUri(model=str(folder / "word.pt"))
    made = pixels(bench.render(folder / "flux", **SAID, prompt=Prompt("a zork"), textual_inversions=(word,)))

    def load(pipe: Any) -> None:
        pipe.load_textual_inversion(word.model, text_encoder=pipe.text_encoder, tokenizer=pipe.tokenizer)

    assert made == plain(folder, "flux", load, prompt="a zork", prompt_2="a zork", negative_prompt=None)
    assert made != before
    assert pixels(bench.render(folder / "flux", **SAID, prompt=Prompt("a zork"))) == before


# ---- region-adaptive sampling ---------------------------------------------------------------------------------------


class Regional:
    """SD3's transformer as a plain loop over active tokens, after the method's paper; keeps how many were active."""

    def __init__(self, pipe: Any, said: dict[str, Any]) -> None:
        self.pipe, self.own, self.said = pipe, pipe.transformer, said
        self.step, self.noise, self.left, self.keys, self.values = 0, None, None, {}, {}
        self.active: list[int] = []

    def chosen(self, tokens: int) -> list[int]:
        """The numbers of the active tokens."""
        import numpy as np

        said, step = self.said, self.step
        if self.noise is None or not said["start"] < step <= said["end"] or step in said["reset"]:
            self.left = np.zeros(tokens)
            return list(range(tokens))
        negative, positive = self.noise.double().numpy()
        guided = negative + 5.0 * (positive - negative)
        _, height, width = guided.shape
        rank = []
        for row in range(0, height, 2):
            for column in range(0, width, 2):
                part = guided[:, row : row + 2, column : column + 2].ravel()
                rank.append(part.std(ddof=1) if said["metric"] == "std" else np.sqrt((part**2).sum()))
        count = (1 - said["ratio"]) * tokens
        if said["length"]:
            steps = np.arange(said["start"] + 1, said["end"] + 1)
            more = (steps - said["start"] - 1) // said["length"]
            count += said["more"] * (more[step - said["start"] - 1] - more.mean())
        high = int(np.ceil(int(count) * said["high"]))
        order = np.argsort(np.array(rank) * np.exp(-said["starvation"] * self.left), kind="stable")
        active = sorted(order[int(count) - high : tokens - high])
        self.left += 1
        self.left[active] = 0
        return [int(number) for number in active]

    def attended(self, attn: Any, place: int, states: Any, texts: Any, active: list[int]) -> tuple[Any, Any]:
        """Attention with explicit products; keys and values of tokens that are not active are old ones."""
        import torch

        key, value = attn.to_k(states), attn.to_v(states)
        if len(active) < self.keys.get(place, key).shape[1]:
            for kept, new in ((self.keys, key), (self.values, value)):
                kept[place] = kept[place].clone()
                kept[place][:, active] = new
        else:
            self.keys[place], self.values[place] = key, value
        query = torch.cat([attn.to_q(states), attn.add_q_proj(texts)], dim=1)
        key = torch.cat([self.keys[place], attn.add_k_proj(texts)], dim=1)
        value = torch.cat([self.values[place], attn.add_v_proj(texts)], dim=1)
        made = []
        for q, k, v in zip(*(each.chunk(attn.heads, dim=-1) for each in (query, key, value)), strict=True):
            made.append(torch.softmax(q @ k.transpose(1, 2) / q.shape[-1] ** 0.5, dim=-1) @ v)
        joined = torch.cat(made, dim=-1)
        return joined[:, : len(active)], joined[:, len(active) :]

    def __call__(self, hidden_states: Any, timestep: Any, encoder_hidden_states: Any, **named: Any) -> Any:
        own = self.own
        self.step += 1
        states, texts = own.pos_embed(hidden_states), own.context_embedder(encoder_hidden_states)
        emb = own.time_text_embed(timestep, named["pooled_projections"])
        active = self.chosen(states.shape[1])
        self.active.append(len(active))
        states = states[:, active]
        for place, block in enumerate(own.transformer_blocks):
            normed, gate, shift, scale, gate_ff = block.norm1(states, emb=emb)
            told = block.norm1_context(texts, emb) if block.context_pre_only else block.norm1_context(texts, emb=emb)
            of_texts = told if block.context_pre_only else told[0]
            seen, read = self.attended(block.attn, place, normed, of_texts, active)
            states = states + gate[:, None] * block.attn.to_out[0](seen)
            states = states + gate_ff[:, None] * block.ff(block.norm2(states) * (1 + scale[:, None]) + shift[:, None])
            if not block.context_pre_only:
                _, own_gate, own_shift, own_scale, own_gate_ff = told
                texts = texts + own_gate[:, None] * block.attn.to_add_out(read)
                normed = block.norm2_context(texts) * (1 + own_scale[:, None]) + own_shift[:, None]
                texts = texts + own_gate_ff[:, None] * block.ff_context(normed)
        made = own.proj_out(own.norm_out(states, emb))
        count, side = len(hidden_states), hidden_states.shape[-1] // 2
        noise = self.noise.clone() if self.noise is not None else hidden_states.clone()
        for index, number in enumerate(active):
            row, column = 2 * (number // side), 2 * (number % side)
            part = made[:, index].view(count, 2, 2, -1).permute(0, 3, 1, 2)
            noise[:, :, row : row + 2, column : column + 2] = part
        self.noise = noise
        return (noise,)


HALF = {
    "ratio": 0.5,
    "high": 1.0,
    "starvation": 0.1,
    "reset": (),
    "metric": "std",
    "start": 1,
    "end": 6,
    "more": 0,
    "length": 0,
}
RAS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "half": ({"ras": True, "ras_start_step": 1}, HALF),
    "fused": ({"ras_index_fusion": True, "ras_start_step": 1}, HALF),
    "everything": (
        {
            "ras_sample_ratio": 0.4, "ras_high_ratio": 0.6, "ras_starvation_scale": 1.0, "ras_error_reset_steps": (4,),
            "ras_metric": "l2norm", "ras_start_step": 2, "ras_end_step": 5, "ras_skip_num_step": 9,
            "ras_skip_num_step_length": 1,
        },
        {**HALF, "ratio": 0.4, "high": 0.6, "starvation": 1.0, "reset": (4,), "metric": "l2norm", "start": 2, "end": 5,
         "more": 9, "length": 1},
    ),
}  # fmt: skip


ACTIVE = {
    "half": [256, 128, 128, 128, 128, 128],
    "fused": [256, 128, 128, 128, 128, 128],
    "everything": [256, 256, 112, 256, 94, 256],
}


@pytest.mark.parametrize("name", RAS)
def test_region_adaptive_sampling_is_the_loop_of_the_paper(folder: Path, bench: Bench, name: str) -> None:
    import numpy as np

    said, meant = RAS[name]
    loops: list[Regional] = []

    def prepare(pipe: Any) -> None:
        loops.append(Regional(pipe, meant))
        pipe.transformer.forward = loops[0]

    before = pixels(bench.render(folder / "sd3", **SAID))
    made = pixels(bench.render(folder / "sd3", **SAID, **said))
    wanted = plain(folder, "sd3", prepare)
    near = np.abs(np.frombuffer(made[0], np.uint8).astype(int) - np.frombuffer(wanted[0], np.uint8))
    assert near.max() <= 1  # the order of the sums
    assert loops[0].active == ACTIVE[name]
    assert made != before
    assert pixels(bench.render(folder / "sd3", **SAID)) == before


@pytest.mark.parametrize("said", [{}, {"ras_index_fusion": True}], ids=["plain", "fused"])
@pytest.mark.parametrize("toy", ["sd3", "sd3.5"])
def test_where_all_regions_are_active_the_picture_is_the_plain_one(
    folder: Path, bench: Bench, toy: str, said: dict[str, Any]
) -> None:
    import numpy as np

    before = pixels(bench.render(folder / toy, **SAID))
    made = pixels(bench.render(folder / toy, **SAID, **said, ras_start_step=1, ras_sample_ratio=1.0))
    near = np.abs(np.frombuffer(made[0], np.uint8).astype(int) - np.frombuffer(before[0], np.uint8))
    assert near.max() <= 1  # the order of the sums
    if not said:
        part = pixels(bench.render(folder / toy, **SAID, ras_start_step=1, ras_sample_ratio=0.5))
        assert pixels(bench.render(folder / toy, **SAID, ras_start_step=1, offload="model")) == part


def test_regions_follow_a_control_net(folder: Path, bench: Bench) -> None:
    nets = (ControlNetUri(model=str(folder / "sd3-net")),)
    inputs = replace(INPUTS["txt2img"], controls=(EDGES,))

    def steered(**said: Any) -> list[bytes]:
        job = bench.job(folder / "sd3", control_nets=nets, image_seed=ImageSeed("seed"), num_inference_steps=4, **said)
        return pixels(bench.engine.render(job, inputs, lambda step, steps: None))

    whole = steered()
    assert steered(ras_start_step=1) != whole
    assert steered(ras_start_step=4) == whole
