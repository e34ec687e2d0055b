"""Parts that replace parts of the model, and its sampler."""

from __future__ import annotations

from dgen.options.model import DTYPES
from dgen.options.quantizers import Quantizer, QuantizerText
from dgen.schema import Stage, Sweep, opt, options, record
from dgen.values.encoders import EncoderText
from dgen.values.scalars import Choice, ModelSource, Text
from dgen.values.uri import NamedUri, OpenUri, Uri

VAE_CLASSES = ("AutoencoderKL", "AsymmetricAutoencoderKL", "AutoencoderTiny", "ConsistencyDecoderVAE")


@record
@options("vae")
class VaeUri:
    """A VAE from elsewhere: `AutoencoderKL;model=SOURCE`."""

    class_name: str = opt(
        ..., positional=True, help="The class of the VAE.",
        value=Choice(VAE_CLASSES, {c.lower(): c for c in VAE_CLASSES}, "CLASS"),
    )  # fmt: skip
    model: str = opt(..., value=ModelSource(), help="The folder, file, URL or hub repository that holds it.")
    revision: str | None = opt(None, value=Text(), help="A branch, tag or commit of the hub repository.")
    variant: str | None = opt(None, value=Text(), help="A variant of the weights files; the model's by default.")
    subfolder: str | None = opt(None, value=Text(), help="The folder inside the repository that holds it.")
    dtype: str | None = opt(None, value=Choice(DTYPES[1:]), help="Its precision; the model's by default.")


@record
@options("UNet")
class UnetUri:
    """A UNet from elsewhere: `SOURCE`, a folder with a UNet or a whole model, a checkpoint file, or a `.gguf` file."""

    model: str = opt(..., positional=True, value=ModelSource(kind="UNet"), help="The folder, file or hub repository.")
    revision: str | None = opt(None, value=Text(), help="A branch, tag or commit of the hub repository.")
    variant: str | None = opt(None, value=Text(), help="A variant of the weights files; the model's by default.")
    subfolder: str | None = opt(None, value=Text(), help="The folder inside the repository; `unet` where there is one.")
    dtype: str | None = opt(None, value=Choice(DTYPES[1:]), help="Its precision; the model's by default.")
    quantizer: Quantizer | None = opt(None, value=QuantizerText(), help="Its quantizer, as `--quantizer` says one.")


@record
@options("transformer")
class TransformerUri:
    """A transformer from elsewhere: `SOURCE`, a folder with one or a whole model, or a file of its weights.

    A `.safetensors` file may name its tensors as diffusers does, or as the model's authors do where diffusers has a
    converter; a `.gguf` file holds them in few bits.
    """

    model: str = opt(
        ...,
        positional=True,
        value=ModelSource(kind="transformer"),
        help="The folder, file or hub repository.",
    )
    revision: str | None = opt(None, value=Text(), help="A branch, tag or commit of the hub repository.")
    variant: str | None = opt(None, value=Text(), help="A variant of the weights files; the model's by default.")
    subfolder: str | None = opt(
        None, value=Text(), help="The folder inside the repository; `transformer` where there is one."
    )
    dtype: str | None = opt(None, value=Choice(DTYPES[1:]), help="Its precision; the model's by default.")
    quantizer: Quantizer | None = opt(None, value=QuantizerText(), help="Its quantizer, as `--quantizer` says one.")


TEXT_MODES = {
    "clip-l": (
        "text_encoders.clip_l.transformer.", "cond_stage_model.transformer.", "conditioner.embedders.0.transformer.",
    ),
    "clip-g": (
        "text_encoders.clip_g.transformer.", "conditioner.embedders.1.model.", "conditioner.embedders.0.model.",
    ),
    "clip-h": ("cond_stage_model.model.",),
    "t5-xxl": ("text_encoders.t5xxl.transformer.",),
}  # fmt: skip
"""Text encoders in checkpoints with several, and what stands before the names of their tensors."""

_LONGER = ("-sd3", "-sd35-large")
"""What the names of modes ended with in dgenerate, which could not tell the size of an encoder from the model."""

TEXT_ENCODER_CLASSES = ("CLIPTextModel", "CLIPTextModelWithProjection", "T5EncoderModel")


@record
@options("text encoder")
class TextEncoderUri:
    """A text encoder from elsewhere: `CLIPTextModel;model=SOURCE`."""

    class_name: str = opt(
        ..., positional=True, help="The class of the text encoder.",
        value=Choice(TEXT_ENCODER_CLASSES, {c.lower(): c for c in TEXT_ENCODER_CLASSES}, "CLASS"),
    )  # fmt: skip
    model: str = opt(..., value=ModelSource(), help="The folder, file or hub repository that holds it.")
    mode: str | None = opt(
        None, value=Choice(tuple(TEXT_MODES), {m + end: m for m in TEXT_MODES for end in _LONGER}, "MODE"),
        help="Which it is in a checkpoint file with several; without it, the first that is like the model's own.",
    )  # fmt: skip
    revision: str | None = opt(None, value=Text(), help="A branch, tag or commit of the hub repository.")
    variant: str | None = opt(None, value=Text(), help="A variant of the weights files; the model's by default.")
    subfolder: str | None = opt(None, value=Text(), help="The folder inside the repository that holds it.")
    dtype: str | None = opt(None, value=Choice(DTYPES[1:]), help="Its precision; the model's by default.")
    quantizer: Quantizer | None = opt(None, value=QuantizerText(), help="Its quantizer, as `--quantizer` says one.")


TextEncoder = TextEncoderUri | str
"""A text encoder from elsewhere, `+` for the model's own, or `null` for none."""


@record
@options("motion adapter")
class MotionAdapterUri:
    """A motion adapter: `SOURCE`, a folder or a hub repository."""

    model: str = opt(
        ...,
        positional=True,
        value=ModelSource(kind="motion adapter"),
        help="The folder or hub repository that holds it.",
    )
    revision: str | None = opt(None, value=Text(), help="A branch, tag or commit of the hub repository.")
    variant: str | None = opt(None, value=Text(), help="A variant of the weights files; the model's by default.")
    subfolder: str | None = opt(None, value=Text(), help="The folder inside the repository that holds it.")
    dtype: str | None = opt(None, value=Choice(DTYPES[1:]), help="Its precision; the model's by default.")


@options("sub-models")
class SubModelOptions:
    """Parts that replace parts of the model."""

    vae: VaeUri | None = opt(
        None, flag="--vae", short="-vae", stage=Stage.LOAD, parts=("vae",), replaces=True, value=Uri(VaeUri),
        last=("last_vae_uri",),
        help="Replace the VAE, as in `AutoencoderKL;model=FOLDER`.",
    )  # fmt: skip
    unet: UnetUri | None = opt(
        None, flag="--unet", short="-un", stage=Stage.LOAD, parts=("unet",), replaces=True, value=Uri(UnetUri),
        last=("last_unet_uri",), help="Replace the UNet, as in `FOLDER`, `REPOSITORY;subfolder=unet` or `FILE.gguf`.",
    )  # fmt: skip
    transformer: TransformerUri | None = opt(
        None, flag="--transformer", short="-tf", stage=Stage.LOAD, parts=("transformer",), replaces=True,
        value=Uri(TransformerUri), last=("last_transformer_uri",),
        help="Replace the transformer, as in `FOLDER`, `FILE.safetensors`, `REPOSITORY;subfolder=transformer` or "
        "`FILE.gguf`.",
    )  # fmt: skip
    text_encoders: tuple[TextEncoder, ...] = opt(
        (), flag="--text-encoders", short="-te", stage=Stage.LOAD, replaces=True, many=True,
        parts=("text_encoder", "text_encoder_2", "text_encoder_3"), value=EncoderText(TextEncoderUri),
        last=("last_text_encoder_uris",),
        help="Replace the text encoders in their order, as in `CLIPTextModel;model=FOLDER`; `+` keeps the model's "
        "own, `null` goes without the T5 of Stable Diffusion 3; `help` lists those of the model.",
    )  # fmt: skip
    motion_adapter: MotionAdapterUri | None = opt(
        None, flag="--motion-adapter", stage=Stage.LOAD, parts=("motion_adapter",), replaces=True,
        value=Uri(MotionAdapterUri),
        help="What lets a Stable Diffusion or SDXL model make videos (AnimateDiff, Guo et al. 2023), with "
        "`--model-type animatediff` or `animatediff-sdxl`.",
    )  # fmt: skip
    vae_tiling: bool = opt(
        False, flag="--vae-tiling", short="-vt", stage=Stage.CALL,
        help="Decode in tiles, for large pictures in little memory.",
    )  # fmt: skip
    vae_slicing: bool = opt(
        False, flag="--vae-slicing", short="-vs", stage=Stage.CALL,
        help="Decode a batch one picture at a time.",
    )  # fmt: skip
    scheduler: NamedUri | None = opt(
        None, flag="--scheduler", short="-sch", aliases=("--schedulers",), stage=Stage.LOAD, parts=("scheduler",),
        replaces=True, sweep=Sweep.SCHEDULER, value=OpenUri(),
        help="The sampler, such as `EulerDiscreteScheduler;use-karras-sigmas=true` or `DPM++ 2M Karras`; `help` lists "
        "those that the model can use, `helpargs` with their arguments; `clone-config=false` forgets the model's own.",
    )  # fmt: skip
