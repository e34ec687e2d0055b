"""Pictures to start from, and the size of the result."""

from __future__ import annotations

from dgen.schema import Stage, Sweep, opt, options
from dgen.values.image_seed import ImageSeed, ImageSeedText
from dgen.values.scalars import Size, SizeText


@options("images")
class ImageOptions:
    """Pictures to start from."""

    image_seed: ImageSeed | None = opt(
        None, flag="--image-seeds", short="-is", stage=Stage.CALL, sweep=Sweep.IMAGE_SEED, value=ImageSeedText(),
        help="An image to start from, with an optional mask, size and control images: "
        "`a.png;mask.png;512x512;control=c.png`; beside ControlNets `c.png` alone is a control image.",
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
