"""Inpainting: where it looks, and how what it makes is put back."""

from __future__ import annotations

from dgen.schema import Stage, Sweep, opt, options
from dgen.values.scalars import Integer
from dgen.values.sides import OutpaintText, PaddingText, Sides


@options("inpainting")
class InpaintingOptions:
    """Inpainting: where it looks, and how what it makes is put back."""

    mask_blur: int | None = opt(
        None, flag="--mask-blur", short="-mb", stage=Stage.CALL, sweep=Sweep.CROP, value=Integer(0, 4096),
        requires=("image_seed",),
        help="Let what is repainted fade into the picture over so many pixels, outside of the mask as within.",
    )  # fmt: skip
    outpaint: Sides | None = opt(
        None, flag="--outpaint", stage=Stage.CALL, value=OutpaintText(), requires=("image_seed",),
        help="Make the image larger, and paint what is new: `left=256,right=128`; a mask is repainted as well.",
    )  # fmt: skip
    inpaint_crop: bool = opt(
        False, flag="--inpaint-crop", short="-ic", stage=Stage.CALL, requires=("image_seed",),
        excludes=("no_aspect", "outpaint"),
        help="Repaint the surroundings of the mask alone, at the size of the run, and paste them back into the image, "
        "which keeps its own size.",
    )  # fmt: skip
    inpaint_crop_padding: Sides | None = opt(
        None, flag="--inpaint-crop-paddings", short="-icp", stage=Stage.CALL, sweep=Sweep.CROP, value=PaddingText(),
        requires=("inpaint_crop",), help="How far the surroundings of the mask reach; 32 pixels by default.",
    )  # fmt: skip
    inpaint_crop_masked: bool = opt(
        False, flag="--inpaint-crop-masked", short="-icm", stage=Stage.CALL, requires=("inpaint_crop",),
        help="Paste the pixels under the mask alone.",
    )  # fmt: skip
    inpaint_crop_feather: int | None = opt(
        None, flag="--inpaint-crop-feathers", short="-icf", stage=Stage.CALL, sweep=Sweep.CROP, value=Integer(0, 4096),
        requires=("inpaint_crop",), excludes=("inpaint_crop_masked",),
        help="Let what is pasted fade into the image over so many pixels at its edge.",
    )  # fmt: skip
