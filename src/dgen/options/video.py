"""Videos that a model makes as a whole."""

from __future__ import annotations

from dgen.schema import Stage, opt, options
from dgen.values.scalars import Integer, Real


@options("video")
class VideoOptions:
    """Videos that a model makes as a whole, all frames at once."""

    num_frames: int | None = opt(
        None, flag="--frames", aliases=("--num-frames",), stage=Stage.CALL, value=Integer(1, 100_000),
        keyword="num_frames", capability="video",
        help="How many frames a video has; by default as many as the model was made for, or as its source has.",
    )  # fmt: skip
    fps: float | None = opt(
        None, flag="--fps", stage=Stage.CALL, value=Real(0.01, 1000.0, metavar="RATE"), capability="video",
        help="Frames a second of a video; models that know of a rate are told. By default the model's, or that of the "
        "source.",
    )  # fmt: skip
