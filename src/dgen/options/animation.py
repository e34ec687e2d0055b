"""Animations: which frames are used, and what is written."""

from __future__ import annotations

from dgen.schema import Stage, opt, options
from dgen.values.scalars import Choice, Integer

ANIMATION_FORMATS = ("mp4", "gif", "webp", "apng", "png", "frames")
WITH_SOUND = ("mp4",)
"""The formats of animations that can hold sound."""

WITH_TRANSPARENCY = ("webp", "apng", "png", "gif")
"""Those that can hold transparency; a gif has clear pixels and solid ones."""


@options("animation")
class AnimationOptions:
    """Animations: image seeds that move make one for each combination of the other options."""

    frame_start: int | None = opt(
        None, flag="--frame-start", short="-fs", stage=Stage.CALL, value=Integer(0), requires=("image_seed",),
        help="The first frame of image seeds that move, counted from 0.",
    )  # fmt: skip
    frame_end: int | None = opt(
        None, flag="--frame-end", short="-fe", stage=Stage.CALL, value=Integer(0), requires=("image_seed",),
        help="The last frame of image seeds that move, itself included.",
    )  # fmt: skip
    animation_format: str | None = opt(
        None, flag="--animation-format", short="-af", stage=Stage.OUTPUT,
        value=Choice(ANIMATION_FORMATS, metavar="FORMAT"),
        help="The format of animations, mp4 by default; with `frames` their pictures alone are written.",
    )  # fmt: skip
    no_frames: bool = opt(
        False, flag="--no-frames", short="-nf", stage=Stage.OUTPUT,
        help="Write animations without the picture of each frame.",
    )  # fmt: skip
    keep_audio: bool = opt(
        False, flag="--keep-audio", stage=Stage.OUTPUT, requires=("image_seed",),
        help="Copy the sound of the first animation of an image seed into the mp4.",
    )  # fmt: skip
