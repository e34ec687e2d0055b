"""The micro-conditioning of SDXL (Podell et al. 2023, section 2.2)."""

from __future__ import annotations

from typing import Any

from dgen.schema import Stage, Sweep, Value, opt, options
from dgen.values.scalars import Point, PointText, Real, Size, SizeText


def _condition(keyword: str, flag: str, value: Value, tag: str, help: str) -> Any:
    return opt(
        None,
        flag=flag,
        stage=Stage.CALL,
        sweep=Sweep.CONDITIONING,
        value=value,
        keyword=keyword,
        tag=tag,
        help=help,
    )


@options("sdxl")
class SdxlOptions:
    """What an SDXL model is told about the picture's origin."""

    aesthetic_score: float | None = _condition(
        "aesthetic_score", "--sdxl-aesthetic-scores", Real(), "as", "The aesthetic score to aim for."
    )
    negative_aesthetic_score: float | None = _condition(
        "negative_aesthetic_score", "--sdxl-negative-aesthetic-scores", Real(), "nas",
        "The aesthetic score to stay away from.",
    )  # fmt: skip
    original_size: Size | None = _condition(
        "original_size", "--sdxl-original-sizes", SizeText(), "os", "The size the picture shall seem to have had."
    )
    negative_original_size: Size | None = _condition(
        "negative_original_size", "--sdxl-negative-original-sizes", SizeText(), "nos", "An original size to avoid."
    )
    target_size: Size | None = _condition(
        "target_size", "--sdxl-target-sizes", SizeText(), "ts", "The size the picture shall seem to be made for."
    )
    negative_target_size: Size | None = _condition(
        "negative_target_size", "--sdxl-negative-target-sizes", SizeText(), "nts", "A target size to avoid."
    )
    crops_coords_top_left: Point | None = _condition(
        "crops_coords_top_left", "--sdxl-crops-coords-top-left", PointText(), "c",
        "The corner at which the picture shall seem to have been cropped.",
    )  # fmt: skip
    negative_crops_coords_top_left: Point | None = _condition(
        "negative_crops_coords_top_left", "--sdxl-negative-crops-coords-top-left", PointText(), "nc",
        "A crop corner to avoid.",
    )  # fmt: skip
