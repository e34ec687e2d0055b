"""The files that are written."""

from __future__ import annotations

from dgen.schema import Stage, opt, options
from dgen.values.scalars import Choice, FileEnding, FilePath, Integer, Size, SizeText, Text

IMAGE_FORMATS = ("png", "jpg", "jpeg", "webp")
TENSOR_FORMATS = ("safetensors", "pt", "pth")
"""Formats of latents instead of pictures."""


@options("output")
class OutputOptions:
    """The files that are written."""

    output_path: str = opt(
        "output", flag="--output-path", short="-o", stage=Stage.OUTPUT, value=FilePath("FOLDER"), recorded=False,
        help="The folder for the files; it is made when it is missing.",
    )  # fmt: skip
    output_prefix: str | None = opt(
        None, flag="--output-prefix", short="-op", stage=Stage.OUTPUT, value=Text(forbidden="/\\\0"),
        help="What the file names start with.",
    )  # fmt: skip
    output_overwrite: bool = opt(
        False, flag="--output-overwrite", short="-ox", stage=Stage.OUTPUT, recorded=False,
        help="Replace files of the same name instead of adding `_duplicate_N`.",
    )  # fmt: skip
    output_configs: bool = opt(
        False, flag="--output-configs", short="-oc", stage=Stage.OUTPUT, recorded=False,
        help="Write a `.dgen` beside each picture that makes it again.",
    )  # fmt: skip
    output_metadata: bool = opt(
        False, flag="--output-metadata", short="-om", stage=Stage.OUTPUT, recorded=False,
        excludes=("no_output_metadata",),
        help="Write the config into each picture, which is the default.",
    )  # fmt: skip
    no_output_metadata: bool = opt(
        False, flag="--no-output-metadata", stage=Stage.OUTPUT,
        help="Write pictures without the config that makes them again.",
    )  # fmt: skip
    output_auto1111_metadata: bool = opt(
        False, flag="--output-auto1111-metadata", short="-oam", stage=Stage.OUTPUT,
        help="Write the `parameters` text that other programs read, as well.",
    )  # fmt: skip
    image_format: str = opt(
        "png", flag="--image-format", short="-if", stage=Stage.OUTPUT,
        value=Choice((*IMAGE_FORMATS, *TENSOR_FORMATS), metavar="FORMAT"),
        help="The format of the pictures; `safetensors`, `pt` and `pth` write latents, undecoded.",
    )  # fmt: skip
    batch_grid_size: Size | None = opt(
        None, flag="--batch-grid-size", short="-bgs", stage=Stage.OUTPUT,
        value=SizeText(single="", metavar="COLSxROWS"), requires=("num_images_per_prompt",),
        help="Write a batch as one picture of so many columns and rows.",
    )  # fmt: skip
    contact_sheet: str | None = opt(
        None, flag="--contact-sheet", stage=Stage.OUTPUT, value=FileEnding("FILE.html|FILE.png", ("html", "png")),
        recorded=False,
        help="Lay all pictures of the invocation out in one file while they are made: a page to filter, sort and "
        "compare, or a picture. The options with several values are its axes. A file that is there is replaced.",
    )  # fmt: skip
    preview: int | None = opt(
        None, flag="--preview", optional_value=True, value=Integer(1),
        help="Show the picture while it is made, every N steps; 5 when no number is given.",
    )  # fmt: skip
    verbose: bool = opt(
        False, flag="--verbose", short="-v", help="Say what is loaded, from where, and how long it takes."
    )
