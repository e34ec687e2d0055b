"""What attaches to a model: LoRAs, learned words, ControlNets, T2I and IP-adapters."""

from __future__ import annotations

from dgen.options.model import DTYPES
from dgen.options.quantizers import Quantizer, QuantizerText
from dgen.schema import Stage, Sweep, opt, options, record
from dgen.values import control_modes
from dgen.values.blocks import Blocks, BlocksText
from dgen.values.scalars import Choice, ModelSource, Real, Text
from dgen.values.uri import Uri

_SOURCE = "The folder, file, URL, hub repository or `builtin:NAME`."


@record
@options("lora")
class LoraUri:
    """A LoRA: `SOURCE;scale=0.8`."""

    model: str = opt(..., positional=True, value=ModelSource(kind="lora"), help=_SOURCE)
    scale: float = opt(1.0, value=Real(), help="How strongly it acts.")
    blocks: Blocks | None = opt(
        None, value=BlocksText(), help="Factors on the scale in parts of the model, as in `down:0.5,up.1:0,"
        "text-encoder:0.8`; the narrowest counts.",
    )  # fmt: skip
    revision: str | None = opt(None, value=Text(), help="A branch, tag or commit of the hub repository.")
    subfolder: str | None = opt(None, value=Text(), help="The folder inside the repository that holds it.")
    weight_name: str | None = opt(None, value=Text(), help="The file, where there are several.")


@record
@options("textual inversion")
class TextualInversionUri:
    """A learned word: `SOURCE;token=<word>`."""

    model: str = opt(..., positional=True, value=ModelSource(kind="textual inversion"), help=_SOURCE)
    token: str | None = opt(None, value=Text(), help="The word for it in prompts; by default the one in the file.")
    revision: str | None = opt(None, value=Text(), help="A branch, tag or commit of the hub repository.")
    subfolder: str | None = opt(None, value=Text(), help="The folder inside the repository that holds it.")
    weight_name: str | None = opt(None, value=Text(), help="The file, where there are several.")


@record
@options("ControlNet")
class ControlNetUri:
    """A ControlNet: `SOURCE;scale=0.8;start=0;end=0.6`."""

    model: str = opt(..., positional=True, value=ModelSource(kind="controlnet"), help=_SOURCE)
    scale: float = opt(1.0, value=Real(), help="How strongly it acts.")
    start: float = opt(0.0, value=Real(0, 1), help="The fraction of the steps after which it begins to act.")
    end: float = opt(1.0, value=Real(0, 1), help="The fraction of the steps after which it stops.")
    mode: str | None = opt(
        None, value=Choice((*control_modes.NAMES, *control_modes.NUMBERS), control_modes.ALIASES),
        help=f"What the control image shows, for a union ControlNet: of SDXL {', '.join(control_modes.SDXL_MODES)}, of "
        f"FLUX.1 {', '.join(control_modes.FLUX_MODES)}, or a number.",
    )  # fmt: skip
    revision: str | None = opt(None, value=Text(), help="A branch, tag or commit of the hub repository.")
    variant: str | None = opt(None, value=Text(), help="A variant of the weights files; the model's by default.")
    subfolder: str | None = opt(None, value=Text(), help="The folder inside the repository that holds it.")
    dtype: str | None = opt(None, value=Choice(DTYPES[1:]), help="Its precision; the model's by default.")
    quantizer: Quantizer | None = opt(None, value=QuantizerText(), help="Its quantizer, as `--quantizer` says one.")


@record
@options("T2I adapter")
class T2iAdapterUri:
    """A T2I adapter: `SOURCE;scale=0.8`."""

    model: str = opt(..., positional=True, value=ModelSource(kind="T2I adapter"), help=_SOURCE)
    scale: float = opt(1.0, value=Real(), help="How strongly it acts.")
    revision: str | None = opt(None, value=Text(), help="A branch, tag or commit of the hub repository.")
    variant: str | None = opt(None, value=Text(), help="A variant of the weights files; the model's by default.")
    subfolder: str | None = opt(None, value=Text(), help="The folder inside the repository that holds it.")
    dtype: str | None = opt(None, value=Choice(DTYPES[1:]), help="Its precision; the model's by default.")


@record
@options("IP-adapter")
class IpAdapterUri:
    """An IP-adapter: `SOURCE;weight-name=FILE;scale=0.6`."""

    model: str = opt(..., positional=True, value=ModelSource(kind="IP-adapter"), help=_SOURCE)
    scale: float = opt(1.0, value=Real(), help="How strongly its pictures act beside the prompt.")
    revision: str | None = opt(None, value=Text(), help="A branch, tag or commit of the hub repository.")
    subfolder: str | None = opt(None, value=Text(), help="The folder inside the repository that holds it.")
    weight_name: str | None = opt(None, value=Text(), help="The file, where there are several.")


@record
@options("image encoder")
class ImageEncoderUri:
    """A CLIP image encoder: `SOURCE;subfolder=models/image_encoder`."""

    model: str = opt(..., positional=True, value=ModelSource(kind="image encoder"), help="The folder or repository.")
    revision: str | None = opt(None, value=Text(), help="A branch, tag or commit of the hub repository.")
    variant: str | None = opt(None, value=Text(), help="A variant of the weights files; the model's by default.")
    subfolder: str | None = opt(None, value=Text(), help="The folder inside the repository that holds it.")
    dtype: str | None = opt(None, value=Choice(DTYPES[1:]), help="Its precision; the model's by default.")


@options("attachments")
class AttachmentOptions:
    """What attaches to the model and is taken off again after each job."""

    loras: tuple[LoraUri, ...] = opt(
        (), flag="--loras", short="-lra", aliases=("--lora",), stage=Stage.CALL, many=True, value=Uri(LoraUri),
        needs="LoraLoaderMixin", last=("last_lora_uris",),
        help="LoRAs, all active at once, as in `FILE;scale=0.8`.",
    )  # fmt: skip
    lora_fuse_scale: float | None = opt(
        None, flag="--lora-fuse-scale", short="-lrfs", stage=Stage.CALL, value=Real(), needs="LoraLoaderMixin",
        requires=("loras",), help="A factor on the scale of every LoRA.",
    )  # fmt: skip
    textual_inversions: tuple[TextualInversionUri, ...] = opt(
        (), flag="--textual-inversions", short="-ti", stage=Stage.CALL, many=True, value=Uri(TextualInversionUri),
        needs="TextualInversionLoaderMixin", last=("last_textual_inversion_uris",),
        help="Learned words that prompts can use, as in `FILE;token=<word>`.",
    )  # fmt: skip
    control_nets: tuple[ControlNetUri, ...] = opt(
        (), flag="--control-nets", short="-cn", stage=Stage.LOAD, parts=("controlnet",), replaces=True, many=True,
        value=Uri(ControlNetUri), requires=("image_seed",), last=("last_control_net_uris",),
        help="ControlNets, as in `FOLDER;scale=0.8`; each follows one control image of the image seed.",
    )  # fmt: skip
    t2i_adapters: tuple[T2iAdapterUri, ...] = opt(
        (), flag="--t2i-adapters", short="-t2i", stage=Stage.LOAD, parts=("adapter",), replaces=True, many=True,
        value=Uri(T2iAdapterUri), requires=("image_seed",), excludes=("control_nets",),
        last=("last_t2i_adapter_uris",),
        help="T2I adapters, as in `FOLDER;scale=0.8`; each follows one control image of the image seed.",
    )  # fmt: skip
    adapter_conditioning_factor: float | None = opt(
        None, flag="--sdxl-t2i-adapter-factors", stage=Stage.CALL, sweep=Sweep.ADAPTER_FACTOR, value=Real(0, 1),
        tag="taf", keyword="adapter_conditioning_factor", requires=("t2i_adapters",),
        help="The fraction of the steps in which T2I adapters act; all by default.",
    )  # fmt: skip
    ip_adapters: tuple[IpAdapterUri, ...] = opt(
        (), flag="--ip-adapters", short="-ipa", stage=Stage.CALL, many=True, value=Uri(IpAdapterUri),
        needs="IPAdapterMixin", requires=("image_seed",), last=("last_ip_adapter_uris",),
        help="IP-adapters, as in `REPOSITORY;subfolder=models;weight-name=FILE;scale=0.6`: pictures as prompts. Image "
        "seeds name a group of pictures for each: `adapter: x.png + y.png, z.png` or `a.png;adapter=x.png`.",
    )  # fmt: skip
    image_encoder: ImageEncoderUri | None = opt(
        None, flag="--image-encoder", short="-ie", stage=Stage.LOAD, parts=("image_encoder",), replaces=True,
        value=Uri(ImageEncoderUri), requires=("ip_adapters",), last=("last_image_encoder_uri",),
        help="What looks at the pictures for IP-adapters; by default the model's own, or the one beside the adapter.",
    )  # fmt: skip
