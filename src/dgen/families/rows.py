"""The table of model families."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dgen.diagnostic import did_you_mean
from dgen.schema import BadValue

TXT2IMG, IMG2IMG, INPAINT = MODES = ("txt2img", "img2img", "inpaint")
CONTROLNET, CONTROLNET_UNION, T2I_ADAPTER = "controlnet", "controlnet-union", "t2i-adapter"
PAG = "pag"  # alone, or with one of those: `controlnet+pag`


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A model family: what its pipelines are called and what their signatures do not say."""

    name: str
    label: str
    pipelines: Mapping[str, str]  # mode -> class of diffusers
    variants: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    """The pipelines of the same model with something attached: what it is -> mode -> class of diffusers."""
    package: str = ""  # the folder under diffusers/pipelines in which the classes stand
    aliases: tuple[str, ...] = ()
    multiple_of: int = 8  # width and height divide by it, in pixels
    default_size: int = 512  # pixels each way, when the model itself does not say
    accelerated_dtype: str = "float16"  # what `--dtype auto` means off the CPU
    checkpoint_keys: tuple[str, ...] = ()  # tensors that a checkpoint file of this family holds
    single_file: bool = False  # whether checkpoint files can be loaded
    also: tuple[str, ...] = ()  # further classes a model's index may name
    denoiser_channels: Mapping[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    """The input channels of a denoiser that a mode can run: an inpainting UNet has 9 and draws nothing else."""

    text_layers: Mapping[str, int] = field(default_factory=dict[str, int])
    """CLIP text encoders -> how many of their last layers the pipelines leave out; of 0 the last norm follows."""
    steps_preset: str = ""  # what the names of its "Align Your Steps" schedules in diffusers start with

    @property
    def pipeline(self) -> str:
        """The class that a model of the family names when nothing else is known."""
        return next(iter(self.pipelines.values()))

    @property
    def classes(self) -> tuple[str, ...]:
        """Every pipeline class that means this family."""
        attached = (name for variant in self.variants.values() for name in variant.values())
        return (*self.pipelines.values(), *attached, *self.also)


_LATENT_4 = {TXT2IMG: (4,), IMG2IMG: (4,), INPAINT: (4, 9)}

SD = Family(
    name="sd",
    label="Stable Diffusion 1.x and 2.x",
    package="stable_diffusion",
    aliases=("torch", "torch-sd"),
    pipelines={
        TXT2IMG: "StableDiffusionPipeline",
        IMG2IMG: "StableDiffusionImg2ImgPipeline",
        INPAINT: "StableDiffusionInpaintPipeline",
    },
    variants={
        CONTROLNET: {
            TXT2IMG: "StableDiffusionControlNetPipeline",
            IMG2IMG: "StableDiffusionControlNetImg2ImgPipeline",
            INPAINT: "StableDiffusionControlNetInpaintPipeline",
        },
        T2I_ADAPTER: {TXT2IMG: "StableDiffusionAdapterPipeline"},
        PAG: {
            TXT2IMG: "StableDiffusionPAGPipeline",
            IMG2IMG: "StableDiffusionPAGImg2ImgPipeline",
            INPAINT: "StableDiffusionPAGInpaintPipeline",
        },
        f"{CONTROLNET}+{PAG}": {
            TXT2IMG: "StableDiffusionControlNetPAGPipeline",
            INPAINT: "StableDiffusionControlNetPAGInpaintPipeline",
        },
    },
    checkpoint_keys=("model.diffusion_model.input_blocks.0.0.weight", "cond_stage_model."),
    single_file=True,
    denoiser_channels=_LATENT_4,
    steps_preset="StableDiffusion",
    text_layers={"text_encoder": 0},
)

SDXL = Family(
    name="sdxl",
    label="Stable Diffusion XL",
    package="stable_diffusion_xl",
    aliases=("torch-sdxl",),
    pipelines={
        TXT2IMG: "StableDiffusionXLPipeline",
        IMG2IMG: "StableDiffusionXLImg2ImgPipeline",
        INPAINT: "StableDiffusionXLInpaintPipeline",
    },
    variants={
        CONTROLNET: {
            TXT2IMG: "StableDiffusionXLControlNetPipeline",
            IMG2IMG: "StableDiffusionXLControlNetImg2ImgPipeline",
            INPAINT: "StableDiffusionXLControlNetInpaintPipeline",
        },
        CONTROLNET_UNION: {
            TXT2IMG: "StableDiffusionXLControlNetUnionPipeline",
            IMG2IMG: "StableDiffusionXLControlNetUnionImg2ImgPipeline",
            INPAINT: "StableDiffusionXLControlNetUnionInpaintPipeline",
        },
        T2I_ADAPTER: {TXT2IMG: "StableDiffusionXLAdapterPipeline"},
        PAG: {
            TXT2IMG: "StableDiffusionXLPAGPipeline",
            IMG2IMG: "StableDiffusionXLPAGImg2ImgPipeline",
            INPAINT: "StableDiffusionXLPAGInpaintPipeline",
        },
        f"{CONTROLNET}+{PAG}": {
            TXT2IMG: "StableDiffusionXLControlNetPAGPipeline",
            IMG2IMG: "StableDiffusionXLControlNetPAGImg2ImgPipeline",
        },
    },
    default_size=1024,
    checkpoint_keys=("model.diffusion_model.input_blocks.0.0.weight", "conditioner.embedders."),
    single_file=True,
    denoiser_channels=_LATENT_4,
    steps_preset="StableDiffusionXL",
    text_layers={"text_encoder": 1, "text_encoder_2": 1},
)

PIX2PIX = Family(
    name="pix2pix",
    label="InstructPix2Pix",
    package="stable_diffusion",
    pipelines={IMG2IMG: "StableDiffusionInstructPix2PixPipeline"},
    denoiser_channels={IMG2IMG: (8,)},
    text_layers={"text_encoder": 0},
)

FAMILIES: dict[str, Family] = {f.name: f for f in (SD, SDXL, PIX2PIX)}


def generic(pipeline: str) -> Family:
    """Make the row for a diffusers pipeline that has none: it draws from text, as its signature says."""
    return Family(
        name="generic", label=pipeline, pipelines={TXT2IMG: pipeline}, accelerated_dtype="bfloat16", multiple_of=8
    )


def family_of_class(pipeline: str) -> Family:
    """Return the family of a pipeline class, or the generic row."""
    for family in FAMILIES.values():
        if pipeline in family.classes:
            return family
    return generic(pipeline)


def family_named(name: str) -> Family:
    """Return the family that `--model-type` names, in any spelling since dgenerate 2.0.

    Raises:
        BadValue: `unknown-model-type`, or `removed-feature` for Flax.
    """
    wanted = name.strip().lower()
    if wanted.startswith("flax"):
        raise BadValue(
            f"`{name}` is gone: diffusers no longer has Flax", code="removed-feature",
            help="leave `--model-type` out, or use `sd`",
        )  # fmt: skip
    for family in FAMILIES.values():
        if wanted in (family.name, f"torch-{family.name}", *family.aliases):
            return family
    known = tuple(FAMILIES)
    listed = "known are " + ", ".join(f"`{n}`" for n in known)
    raise BadValue(
        f"no model type named `{name}`", code="unknown-model-type",
        help=did_you_mean(wanted.removeprefix("torch-"), known, listed),
    )  # fmt: skip
