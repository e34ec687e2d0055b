"""A second model that finishes what an SDXL model began (Podell et al. 2023, section 2.5)."""

from __future__ import annotations

from typing import Any

from dgen.options.model import DTYPES
from dgen.options.submodels import TextEncoder, TextEncoderUri, UnetUri
from dgen.schema import Stage, Sweep, Value, opt, options, record
from dgen.values.encoders import EncoderText
from dgen.values.freeu import FreeU, FreeUText
from dgen.values.prompt import Prompt, PromptText
from dgen.values.scalars import Choice, FilePath, Integer, ModelSource, Point, PointText, Real, Size, SizeText, Text
from dgen.values.schedule import Sigmas, SigmasText
from dgen.values.uri import NamedUri, OpenUri, Uri


@record
@options("refiner")
class RefinerUri:
    """A refiner: `SOURCE;variant=fp16`."""

    model: str = opt(..., positional=True, value=ModelSource(), help="The folder, checkpoint file or hub repository.")
    revision: str | None = opt(None, value=Text(), help="A branch, tag or commit of the hub repository.")
    variant: str | None = opt(None, value=Text(), help="A variant of the weights files; the model's by default.")
    subfolder: str | None = opt(None, value=Text(), help="The folder inside the repository that holds it.")
    dtype: str | None = opt(None, value=Choice(DTYPES[1:]), help="Its precision; the model's by default.")


SECOND_MODELS = ("sdxl_refiner", "s_cascade_decoder")
"""The options that name a second model, one of which has to be said for what concerns both kinds."""


def _number(flag: str, short: str, value: Value, tag: str, help: str, **more: Any) -> Any:
    needs = SECOND_MODELS if flag.startswith("--second-model") else SECOND_MODELS[:1]
    return opt(
        None, flag=flag, short=short, stage=Stage.CALL, sweep=Sweep.SECOND_MODEL, value=value, tag=tag,
        requires=needs, help=help, **more,
    )  # fmt: skip


def _condition(flag: str, value: Value, tag: str, help: str) -> Any:
    return opt(
        None, flag=f"--sdxl-refiner-{flag}", stage=Stage.CALL, sweep=Sweep.CONDITIONING, value=value, tag=tag,
        requires=("sdxl_refiner",), help=help,
    )  # fmt: skip


def _guidance(flag: str, short: str, value: Value | None, tag: str, help: str) -> Any:
    return opt(
        False if value is None else None, flag=f"--sdxl-refiner-{flag}", short=short, stage=Stage.CALL, value=value,
        sweep=None if value is None else Sweep.ACCELERATOR if "pag" not in flag else Sweep.PAG, tag=tag,
        requires=("sdxl_refiner",), help=help,
    )  # fmt: skip


@options("refiner")
class RefinerOptions:
    """A refiner, which takes the last steps, and what it is told."""

    sdxl_refiner: RefinerUri | None = opt(
        None, flag="--sdxl-refiner", stage=Stage.CALL, value=Uri(RefinerUri), capability="refiner",
        excludes=("denoising_start", "denoising_end"), last=("last_sdxl_refiner_uri",),
        help="A refiner for SDXL, as in `REPOSITORY;variant=fp16` or `FILE.safetensors`; it uses the model's VAE and "
        "second text encoder.",
    )  # fmt: skip
    s_cascade_decoder: RefinerUri | None = opt(
        None, flag="--s-cascade-decoder", stage=Stage.CALL, value=Uri(RefinerUri), capability="decoder",
        excludes=("sdxl_refiner",), last=("last_s_cascade_decoder_uri",),
        help="The decoder that draws what Stable Cascade's prior made, as in `REPOSITORY;variant=bf16`; by default "
        "`stabilityai/stable-cascade`.",
    )  # fmt: skip
    prior: RefinerUri | None = opt(
        None, flag="--prior", stage=Stage.CALL, value=Uri(RefinerUri), capability="prior",
        help="The model that thinks of the picture which Kandinsky 2.2 draws, as in `REPOSITORY;variant=fp16`; by "
        "default the one in the model, or `kandinsky-community/kandinsky-2-2-prior` where there is none.",
    )  # fmt: skip
    second_original_config: str | None = opt(
        None, flag="--second-model-original-config", short="-olc2", stage=Stage.CALL, value=FilePath("FILE"),
        requires=("sdxl_refiner",), help="The `.yaml` that a refiner's checkpoint file was trained with.",
    )  # fmt: skip
    second_model_config: str | None = opt(
        None, flag="--second-model-config", stage=Stage.CALL, value=ModelSource("FOLDER"), requires=("sdxl_refiner",),
        help="A diffusers folder or hub repository whose configuration a refiner's checkpoint file uses.",
    )  # fmt: skip
    sdxl_refiner_edit: bool = opt(
        False, flag="--sdxl-refiner-edit", stage=Stage.CALL, requires=("sdxl_refiner",),
        help="Let the refiner repaint the finished picture, with a strength of 1 less the high-noise fraction, instead "
        "of taking the last steps; it always does where the model's pipeline cannot stop early.",
    )  # fmt: skip
    second_scheduler: NamedUri | None = opt(
        None, flag="--second-model-scheduler", short="-sch2",
        aliases=("--second-model-schedulers", "--sdxl-refiner-scheduler"), stage=Stage.CALL,
        sweep=Sweep.SECOND_SCHEDULER, value=OpenUri(), requires=SECOND_MODELS,
        help="The sampler of the refiner or the decoder; by default its own.",
    )  # fmt: skip
    second_unet: UnetUri | None = opt(
        None, flag="--second-model-unet", short="-un2", stage=Stage.CALL, value=Uri(UnetUri),
        requires=("sdxl_refiner",), help="Replace the UNet of the refiner.",
    )  # fmt: skip
    second_text_encoders: tuple[TextEncoder, ...] = opt(
        (), flag="--second-model-text-encoders", short="-te2", stage=Stage.CALL, many=True,
        value=EncoderText(TextEncoderUri), requires=SECOND_MODELS,
        help="Replace the text encoders of the refiner in their order: `+`, for it has no first one, and the second.",
    )  # fmt: skip
    second_prompt: Prompt | None = opt(
        None, flag="--second-model-prompts", aliases=("--sdxl-refiner-prompts",), stage=Stage.CALL,
        sweep=Sweep.FURTHER_PROMPT, value=PromptText(), requires=SECOND_MODELS,
        help="The prompt for the refiner or the decoder; by default the same.",
    )  # fmt: skip
    second_prompt_2: Prompt | None = opt(
        None, flag="--second-model-second-prompts", aliases=("--sdxl-refiner-second-prompts",), stage=Stage.CALL,
        sweep=Sweep.FURTHER_PROMPT, value=PromptText(), requires=("sdxl_refiner",),
        help="The prompt for the refiner's text encoder; by default the refiner's prompt.",
    )  # fmt: skip
    high_noise_fraction: float | None = opt(
        None, flag="--sdxl-high-noise-fractions", short="-hnf", stage=Stage.CALL, sweep=Sweep.HIGH_NOISE,
        value=Real(0.01, 1), tag="hnf", implied=0.8, requires=("sdxl_refiner",),
        help="The fraction of the noise schedule after which the refiner takes over.",
    )  # fmt: skip
    second_num_inference_steps: int | None = _number(
        "--second-model-inference-steps", "-ifs2", Integer(1, 10_000), "i2",
        "How many steps make the refiner's whole schedule, of which it takes the last, 30 by default; or how many a "
        "decoder takes, 10.",
        aliases=("--sdxl-refiner-inference-steps", "-ri"), implied=30,
    )  # fmt: skip
    second_guidance_scale: float | None = _number(
        "--second-model-guidance-scales", "-gs2", Real(0), "g2",
        "The guidance weight of the refiner, 5 by default, or of the decoder, 0.",
        aliases=("--sdxl-refiner-guidance-scales", "-rg"), implied=5.0,
    )  # fmt: skip
    second_guidance_rescale: float | None = _number(
        "--sdxl-refiner-guidance-rescales", "-rgr", Real(0), "gr2", "The guidance rescale factor of the refiner."
    )
    second_sigmas: Sigmas | None = _number(
        "--sdxl-refiner-sigmas", "-sir", SigmasText(), "", "The noise levels of the refiner's whole schedule."
    )
    second_freeu: FreeU | None = _guidance("freeu-params", "-rfu", FreeUText(), "fu2", "FreeU of the refiner.")
    second_deep_cache: bool = _guidance("deep-cache", "-rdc", None, "", "DeepCache in the refiner.")
    second_deep_cache_interval: int | None = _guidance(
        "deep-cache-intervals", "-rdci", Integer(1, 10_000), "dci2", "Every how many steps the refiner's DeepCache "
        "computes the whole UNet, 5 by default; it switches it on.",
    )  # fmt: skip
    second_deep_cache_branch_id: int | None = _guidance(
        "deep-cache-branch-ids", "-rdcb", Integer(0, 1000), "dcb2", "How many skip connections beyond the first it "
        "always computes, 1 by default; it switches it on.",
    )  # fmt: skip
    second_pag: bool = _guidance("pag", "-rpag", None, "", "Perturbed attention guidance of the refiner.")
    second_pag_scale: float | None = _guidance(
        "pag-scales", "-rpags", Real(0), "ps2", "Its weight, 3 by default; it switches it on."
    )
    second_pag_adaptive_scale: float | None = _guidance(
        "pag-adaptive-scales", "-rpagas", Real(0), "pas2", "By how much its weight falls with each timestep; it "
        "switches it on.",
    )  # fmt: skip
    second_aesthetic_score: float | None = _condition(
        "aesthetic-scores", Real(), "as2", "The aesthetic score for the refiner to aim for."
    )
    second_negative_aesthetic_score: float | None = _condition(
        "negative-aesthetic-scores", Real(), "nas2", "The aesthetic score for the refiner to stay away from."
    )
    second_original_size: Size | None = _condition(
        "original-sizes", SizeText(), "os2", "The size that the refiner shall think the picture had."
    )
    second_negative_original_size: Size | None = _condition(
        "negative-original-sizes", SizeText(), "nos2", "An original size for the refiner to avoid."
    )
    second_target_size: Size | None = _condition(
        "target-sizes", SizeText(), "ts2", "The size that the refiner shall think the picture is made for."
    )
    second_negative_target_size: Size | None = _condition(
        "negative-target-sizes", SizeText(), "nts2", "A target size for the refiner to avoid."
    )
    second_crops_coords_top_left: Point | None = _condition(
        "crops-coords-top-left", PointText(), "c2", "The corner at which the refiner shall think it was cropped."
    )
    second_negative_crops_coords_top_left: Point | None = _condition(
        "negative-crops-coords-top-left", PointText(), "nc2", "A crop corner for the refiner to avoid."
    )
