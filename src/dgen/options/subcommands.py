"""The options of the commands that scripts have as directives too."""

from __future__ import annotations

from dgen.options.model import DTYPES, ModelOptions
from dgen.options.output import OutputOptions
from dgen.processors import ProcessorText
from dgen.schema import opt, options, same_as
from dgen.values.prompt import Prompt, PromptText
from dgen.values.scalars import Choice, FilePath, Integer, Size, SizeText, Text
from dgen.values.uri import NamedUri


@options("to-diffusers")
class ConversionOptions:
    """Options of `dgen to-diffusers`."""

    model: str = same_as(ModelOptions, "model")
    output_path: str = opt(
        ..., flag="--output", short="-o", value=FilePath("FOLDER"),
        help="The folder to write; it must not be there, or be empty.",
    )  # fmt: skip
    output_overwrite: bool = opt(
        False, flag="--output-overwrite", short="-ox", help="Replace the folder when it holds a model already."
    )
    dtypes: tuple[str, ...] = opt(
        ("float32",), flag="--dtypes", short="-t", aliases=("--dtype",), many=True,
        value=Choice(DTYPES[1:], {"half": "float16"}, "TYPE"),
        help="The precisions to write, one or two; float16 gets the variant `fp16`, bfloat16 `bf16`, float32 none.",
    )  # fmt: skip
    model_type: str | None = same_as(ModelOptions, "model_type")
    revision: str | None = same_as(ModelOptions, "revision")
    variant: str | None = same_as(ModelOptions, "variant", help="A variant of the weights files to read.")
    subfolder: str | None = same_as(ModelOptions, "subfolder")
    original_config: str | None = same_as(ModelOptions, "original_config")
    model_config: str | None = same_as(ModelOptions, "model_config")
    auth_token: str | None = same_as(ModelOptions, "auth_token")
    offline_mode: bool = same_as(ModelOptions, "offline_mode")
    verbose: bool = same_as(OutputOptions, "verbose")


@options("model")
class ModelPageOptions:
    """Options of `dgen model`."""

    model: str = same_as(ModelOptions, "model")
    json: bool = opt(False, flag="--json", help="Print it as a JSON object.")
    model_type: str | None = same_as(ModelOptions, "model_type")
    revision: str | None = same_as(ModelOptions, "revision")
    variant: str | None = same_as(ModelOptions, "variant", help="A variant of the weights files to look at.")
    subfolder: str | None = same_as(ModelOptions, "subfolder")
    model_config: str | None = same_as(ModelOptions, "model_config")
    auth_token: str | None = same_as(ModelOptions, "auth_token")
    offline_mode: bool = same_as(ModelOptions, "offline_mode")


@options("prompt-upscale")
class UpscaleOptions:
    """Options of `dgen prompt-upscale`."""

    prompts: tuple[Prompt, ...] = opt(
        ..., flag="--prompts", short="-p", aliases=("--prompt",), many=True, value=PromptText(),
        help="The prompts; each may become several.",
    )  # fmt: skip
    upscalers: tuple[str, ...] = opt(
        ..., flag="--upscalers", short="-u", aliases=("--upscaler",), many=True, value=Text(metavar="NAME;ARG=VALUE"),
        help="The upscalers, each of which gets what the one before made; `--prompt-upscaler-help` lists them.",
    )  # fmt: skip
    device: str | None = same_as(ModelOptions, "device")
    output_format: str = opt(
        "text", flag="--output-format", short="-of", value=Choice(("text", "json", "toml", "yaml"), metavar="FORMAT"),
        help="A prompt a line, or a list.",
    )  # fmt: skip
    output_path: str | None = opt(
        None, flag="--output", short="-o", value=FilePath("FILE"), help="Write to a file instead of standard output."
    )
    quotes: str = opt(
        "none", flag="--quotes", short="-q", value=Choice(("none", "shell", "dgenerate"), {"dgen": "dgenerate"}),
        help="How `text` quotes prompts: for a shell, for a script, or not at all.",
    )  # fmt: skip
    offline_mode: bool = same_as(ModelOptions, "offline_mode")
    verbose: bool = same_as(OutputOptions, "verbose")


@options("image-process")
class ProcessOptions:
    """Options of `dgen image-process`."""

    inputs: tuple[str, ...] = opt(
        ..., positional=True, many=True, value=FilePath("IMAGE"),
        help="Pictures, animations and videos: files, folders of them, patterns such as `*.png`, or URLs.",
    )  # fmt: skip
    processors: tuple[NamedUri, ...] = opt(
        ..., flag="--processors", short="-p", aliases=("--processor",), many=True, value=ProcessorText(),
        help="The processors, one after another; after a lone `+` stand those of the next picture, and without any "
        "`+` all are processed alike. `--image-processor-help` lists them.",
    )  # fmt: skip
    output_path: tuple[str, ...] = opt(
        (), flag="--output", short="-o", many=True, value=FilePath(),
        help="A file for each picture or animation, or a folder for all; by default `NAME_processed` beside each.",
    )  # fmt: skip
    output_overwrite: bool = opt(
        False, flag="--output-overwrite", short="-ox", help="Replace files instead of adding `_duplicate_N`."
    )
    resize: Size | None = opt(
        None, flag="--resize", short="-r", value=SizeText(single="width"),
        help="Bring pictures to a size, after the processors with `pre-resize` and before the others.",
    )  # fmt: skip
    no_aspect: bool = opt(
        False, flag="--no-aspect", short="-na", requires=("resize",), help="Stretch instead of fitting the width."
    )
    align: int = opt(1, flag="--align", short="-al", value=Integer(1, 4096), help="Make sizes multiples of this.")
    frame_format: str = opt(
        "png", flag="--frame-format", short="-ff", value=Choice(("png", "jpg", "jpeg", "webp"), metavar="FORMAT"),
        help="The format of the picture of each frame of an animation.",
    )  # fmt: skip
    frame_start: int | None = opt(
        None, flag="--frame-start", short="-fs", value=Integer(0),
        help="The first frame of animations that is used, counted from 0.",
    )  # fmt: skip
    frame_end: int | None = opt(
        None, flag="--frame-end", short="-fe", value=Integer(0),
        help="The last frame of animations that is used, itself included.",
    )  # fmt: skip
    no_frames: bool = opt(
        False, flag="--no-frames", short="-nf", help="Write animations without the picture of each frame."
    )
    no_animation_file: bool = opt(
        False, flag="--no-animation-file", short="-naf", help="Write the pictures of frames alone."
    )
    keep_audio: bool = opt(
        False, flag="--keep-audio", excludes=("no_animation_file",), help="Copy the sound of each video into its mp4."
    )
    plugin_modules: tuple[str, ...] = opt(
        (), flag="--plugin-modules", many=True, value=FilePath("FILE"), help="Load plugin files, or folders of them."
    )
    offline_mode: bool = same_as(ModelOptions, "offline_mode")


@options("civitai-links")
class CivitaiOptions:
    """Options of `dgen civitai-links`."""

    url: str = opt(
        ..., positional=True, value=Text(metavar="URL"),
        help="The page of a model, as in `https://civitai.com/models/4384`; `?modelVersionId=N` picks one version.",
    )  # fmt: skip
    token: str | None = opt(
        None, flag="--token", value=Text(metavar="TOKEN"),
        help="Your API key; it joins the links of files that cannot be downloaded without one.",
    )  # fmt: skip


@options("auto1111-metadata")
class Auto1111Options:
    """Options of `dgen auto1111-metadata`."""

    image: str = opt(
        ..., positional=True, value=FilePath("IMAGE"),
        help="A picture that carries its config: PNG, JPEG or WebP, a file or a URL.",
    )  # fmt: skip
    output_path: str | None = opt(
        None, flag="--output", short="-o", value=FilePath("FILE"),
        help="Write the picture with the text here, instead of into IMAGE itself.",
    )  # fmt: skip
    config: str | None = opt(
        None, flag="--config", short="-c", value=FilePath("FILE"),
        help="The `.dgen` of the picture, when it carries none or another one shall be told.",
    )  # fmt: skip
    offline_mode: bool = same_as(
        ModelOptions, "offline_mode", help="Use no network: IMAGE comes from this machine or the cache."
    )
    verbose: bool = same_as(OutputOptions, "verbose", help="Print the text that is written.")
