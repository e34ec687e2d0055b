"""Pictures to start from, and the size of the result."""

from __future__ import annotations

from dgen.processors import ProcessorText
from dgen.schema import Stage, Sweep, opt, options
from dgen.values.image_seed import ImageSeed, ImageSeedText
from dgen.values.scalars import Size, SizeText
from dgen.values.uri import NamedUri


@options("images")
class ImageOptions:
    """Pictures to start from."""

    image_seed: ImageSeed | None = opt(
        None, flag="--image-seeds", short="-is", stage=Stage.CALL, sweep=Sweep.IMAGE_SEED, value=ImageSeedText(),
        help="An image to start from, with an optional mask, size and control images: "
        "`a.png;mask.png;512x512;control=c.png`; beside ControlNets `c.png` alone is a control image.",
    )  # fmt: skip
    seed_image_processors: tuple[NamedUri, ...] = opt(
        (), flag="--seed-image-processors", short="-sip", aliases=("--seed-image-preprocessors",), many=True,
        stage=Stage.CALL, value=ProcessorText(), requires=("image_seed",),
        help="Change the image to start from, one processor after another; `--image-processor-help` lists them.",
    )  # fmt: skip
    mask_image_processors: tuple[NamedUri, ...] = opt(
        (), flag="--mask-image-processors", short="-mip", aliases=("--mask-image-preprocessors",), many=True,
        stage=Stage.CALL, value=ProcessorText(), requires=("image_seed",), help="Change the mask in the same way.",
    )  # fmt: skip
    control_image_processors: tuple[NamedUri, ...] = opt(
        (), flag="--control-image-processors", short="-cip", aliases=("--control-image-preprocessors",), many=True,
        stage=Stage.CALL, value=ProcessorText(), requires=("image_seed",),
        help="Change the control images; a lone `+` stands before the processors of the next one, and without any "
        "`+` all are processed alike.",
    )  # fmt: skip
    post_processors: tuple[NamedUri, ...] = opt(
        (), flag="--post-processors", short="-pp", aliases=("--post-processor",), many=True, stage=Stage.CALL,
        value=ProcessorText(), help="Change each picture that is made, before it is written.",
    )  # fmt: skip
    output_size: Size | None = opt(
        None, flag="--output-size", short="-s", stage=Stage.CALL, value=SizeText(),
        help="The size of the pictures; by default the model's own, or that of the image seed.",
    )  # fmt: skip
    no_aspect: bool = opt(
        False, flag="--no-aspect", short="-na", stage=Stage.CALL, requires=("image_seed",),
        help="Stretch image seeds to the size instead of keeping their aspect.",
    )  # fmt: skip
    relative_inputs: bool = opt(
        False, flag="--relative-inputs",
        help="Read relative paths from the folder of the script instead of the working directory.",
    )  # fmt: skip
