"""The numbers of the sampling process."""

from __future__ import annotations

from dgen.schema import Stage, Sweep, opt, options
from dgen.values.extras import Extra, ExtraText
from dgen.values.scalars import Integer, Real
from dgen.values.schedule import Sigmas, SigmasText, Timesteps, TimestepsText


@options("sampling")
class SamplingOptions:
    """The numbers that steer the sampling, in the order in which file names show them."""

    seed: int | None = opt(
        None, flag="--seeds", short="-se", stage=Stage.CALL, sweep=Sweep.SEED, value=Integer(0, 2**63 - 1), tag="s",
        excludes=("gen_seeds",), help="The seed of the noise; a random one by default.",
    )  # fmt: skip
    gen_seeds: int | None = opt(
        None, flag="--gen-seeds", short="-gse", value=Integer(1, 10_000_000),
        help="Use this many random seeds.",
    )  # fmt: skip
    seeds_to_images: bool = opt(
        False, flag="--seeds-to-images", short="-sei", requires=("image_seed",),
        help="Pair each seed with one image seed instead of crossing them.",
    )  # fmt: skip
    noise_level: int | None = opt(
        None, flag="--upscaler-noise-levels", short="-uns", aliases=("--upscaler-noise-level",), stage=Stage.CALL,
        sweep=Sweep.UPSCALER_NOISE, value=Integer(0, 1000), tag="unl", keyword="noise_level",
        requires=("image_seed",),
        help="How much noise an upscaler, or the second stage of DeepFloyd, adds to the image before it is enlarged.",
    )  # fmt: skip
    strength: float | None = opt(
        None, flag="--image-seed-strengths", short="-iss", stage=Stage.CALL, sweep=Sweep.STRENGTH, value=Real(0, 1),
        tag="st", keyword="strength", implied=0.8, requires=("image_seed", "adetailer_detectors"),
        help="How much of the image is repainted: 0 is nothing, 1 is everything.",
    )  # fmt: skip
    guidance_scale: float | None = opt(
        None, flag="--guidance-scales", short="-gs", stage=Stage.CALL, sweep=Sweep.GUIDANCE, value=Real(0), tag="g",
        keyword="guidance_scale", implied=5.0,
        help="Classifier-free guidance weight: how closely to follow the prompt.",
    )  # fmt: skip
    guidance_rescale: float | None = opt(
        None, flag="--guidance-rescales", short="-gr", stage=Stage.CALL, sweep=Sweep.RESCALE, value=Real(0), tag="gr",
        keyword="guidance_rescale",
        help="Guidance rescale factor (Lin et al. 2023, section 3.4), against overexposed pictures.",
    )  # fmt: skip
    image_guidance_scale: float | None = opt(
        None, flag="--image-guidance-scales", short="-igs", aliases=("--image-guidance-scale",), stage=Stage.CALL,
        sweep=Sweep.IMAGE_GUIDANCE, value=Real(1), tag="igs", keyword="image_guidance_scale", implied=1.5,
        requires=("image_seed",),
        help="How closely a model that edits pictures (InstructPix2Pix) keeps to the image.",
    )  # fmt: skip
    sigmas: Sigmas | None = opt(
        None, flag="--sigmas", short="-si", stage=Stage.CALL, sweep=Sweep.SIGMAS, value=SigmasText(), keyword="sigmas",
        excludes=("timesteps",),
        help="The noise levels of the steps in place of the scheduler's: falling numbers such as `14.6,3.8,0.9`, an "
        "expression such as `expr: sigmas * 0.95` with `sigmas` the scheduler's own and NumPy as `np`, or `AYS`.",
    )  # fmt: skip
    timesteps: Timesteps | None = opt(
        None, flag="--timesteps", stage=Stage.CALL, sweep=Sweep.SIGMAS, value=TimestepsText(), keyword="timesteps",
        help="The timesteps at which the model is asked: falling whole numbers such as `999,645,233`, or `AYS`, the "
        "10 of \"Align Your Steps\".",
    )  # fmt: skip
    num_inference_steps: int | None = opt(
        None, flag="--inference-steps", short="-ifs", stage=Stage.CALL, sweep=Sweep.STEPS, value=Integer(1, 10_000),
        tag="i", keyword="num_inference_steps", implied=30,
        help="How many denoising steps to take.",
    )  # fmt: skip
    call: tuple[Extra, ...] = opt(
        (), flag="--call", stage=Stage.CALL, sweep=Sweep.EXTRA, value=ExtraText(), many=True, repeats=True, tag="call",
        help="A further parameter of the model's pipeline, such as `eta=0.5`; several act together, and several "
        "values of one multiply. `dgen model MODEL` lists them.",
    )  # fmt: skip
    clip_skip: int | None = opt(
        None, flag="--clip-skips", short="-cs", stage=Stage.CALL, sweep=Sweep.CLIP_SKIP, value=Integer(0, 64), tag="cs",
        keyword="clip_skip", help="How many of the last layers of the CLIP text encoder to skip.",
    )  # fmt: skip
    num_images_per_prompt: int | None = opt(
        None, flag="--batch-size", short="-bs", stage=Stage.CALL, value=Integer(1, 4096),
        keyword="num_images_per_prompt", implied=1,
        help="How many pictures one pipeline call makes; where a model's pipeline makes one at a time, they are made "
        "one after another.",
    )  # fmt: skip
    layers: int | None = opt(
        None, flag="--layers", stage=Stage.CALL, value=Integer(1, 64), keyword="layers", implied=4,
        help="Into how many layers Qwen-Image-Layered takes a picture apart; each is a picture with transparency.",
    )  # fmt: skip
    batch_jobs: int | None = opt(
        None, flag="--batch-jobs", value=Integer(1, 4096), excludes=("preview",),
        help="Make up to N pictures of a sweep at once that differ only in seed, prompt or guidance; the "
        "last bits of a picture depend on what is made with it.",
    )  # fmt: skip
