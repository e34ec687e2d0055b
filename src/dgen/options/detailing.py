"""Detecting parts of a picture, and painting each again."""

from __future__ import annotations

from dgen.detectors import FARTHEST, MASK_SHAPE, DetectorText
from dgen.schema import Stage, Sweep, opt, options
from dgen.values.scalars import Integer, Text
from dgen.values.sides import PaddingText, Sides
from dgen.values.uri import NamedUri

_ASKED = ("adetailer_detectors",)


@options("detailing")
class DetailingOptions:
    """Detecting parts of a picture, and painting each again."""

    adetailer_detectors: tuple[NamedUri, ...] = opt(
        (), flag="--adetailer-detectors", short="-ad", many=True, stage=Stage.CALL, value=DetectorText(),
        excludes=("outpaint", "inpaint_crop", "mask_blur"), capability="detailing",
        help="Find parts of the image seed, or of the picture that is made without one, and paint each again: a "
        "detector or a detection model, as in `color;color=red;prompt=a red star`; `--detector-help` lists detectors.",
    )  # fmt: skip
    adetailer_class_filter: tuple[str, ...] = opt(
        (), flag="--adetailer-class-filter", short="-adf", many=True, stage=Stage.CALL, value=Text(metavar="CLASS"),
        requires=_ASKED, help="Take only what is of these classes, by name or number.",
    )  # fmt: skip
    adetailer_index_filter: tuple[int, ...] = opt(
        (), flag="--adetailer-index-filter", short="-adi", many=True, stage=Stage.CALL, value=Integer(0),
        requires=_ASKED, help="Of what is left, take only these: 0 is what the detector is surest of.",
    )  # fmt: skip
    adetailer_model_masks: bool = opt(
        False, flag="--adetailer-model-masks", short="-adm", stage=Stage.CALL, requires=_ASKED,
        help="Paint the very pixels that the detector found, without a shape around them.",
    )  # fmt: skip
    adetailer_mask_shape: str | None = opt(
        None, flag="--adetailer-mask-shapes", short="-ads", stage=Stage.CALL, sweep=Sweep.DETAILER, value=MASK_SHAPE,
        implied="rectangle", requires=_ASKED, help="The shape of what is painted: `rectangle`, or `circle`.",
    )  # fmt: skip
    adetailer_detector_padding: Sides | None = opt(
        None, flag="--adetailer-detector-paddings", short="-addp", stage=Stage.CALL, sweep=Sweep.DETAILER,
        value=PaddingText(-FARTHEST), implied=Sides(), requires=_ASKED,
        help="How much larger the shape is than what was found, in pixels; a negative number makes it smaller.",
    )  # fmt: skip
    adetailer_mask_padding: Sides | None = opt(
        None, flag="--adetailer-mask-paddings", short="-admp", stage=Stage.CALL, sweep=Sweep.DETAILER,
        value=PaddingText(), implied=Sides(32, 32, 32, 32), requires=_ASKED,
        help="How much of the picture around the shape the model sees.",
    )  # fmt: skip
    adetailer_mask_blur: int | None = opt(
        None, flag="--adetailer-mask-blurs", short="-adb", stage=Stage.CALL, sweep=Sweep.DETAILER,
        value=Integer(0, FARTHEST), implied=4, requires=_ASKED,
        help="Let what is painted fade into the picture over so many pixels.",
    )  # fmt: skip
    adetailer_mask_dilation: int | None = opt(
        None, flag="--adetailer-mask-dilations", short="-add", stage=Stage.CALL, sweep=Sweep.DETAILER,
        value=Integer(0, FARTHEST), implied=4, requires=_ASKED, help="Let the shape grow by so many pixels.",
    )  # fmt: skip
    adetailer_size: int | None = opt(
        None, flag="--adetailer-sizes", short="-adsz", stage=Stage.CALL, sweep=Sweep.DETAILER, value=Integer(2),
        requires=_ASKED,
        help="The longer side, in pixels, at which each part is painted; by default its own, and at least the model's.",
    )  # fmt: skip
    adetailer_crop_control_image: bool = opt(
        False, flag="--adetailer-crop-control-image", short="-adc", stage=Stage.CALL, requires=_ASKED,
        help="Cut the part out of the control images as well; otherwise they are brought to its size as a whole.",
    )  # fmt: skip
