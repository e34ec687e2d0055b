"""What image processors take that have parts of a finished picture painted again."""

from __future__ import annotations

from typing import Any

from dgen.detectors import DETECTORS, Detecting, DetectorText, Looking
from dgen.processors import Processing
from dgen.schema import opt, options, record, same_as
from dgen.values.scalars import Integer, Real, Text
from dgen.values.uri import NamedUri, OpenUri


class KnownDetector(DetectorText):
    """A detector in one word, which is looked up and checked."""

    metavar: str = "DETECTOR"

    def parse(self, text: str) -> NamedUri:
        """Read it.

        Raises:
            BadValue: there is none of that name, it lacks an argument, or has one that it does not take.
        """
        DETECTORS.read(text)
        return super().parse(text)


@record
@options("image processor")
class Repainting(Processing):
    """What image processors take that find parts of a picture, and let the pipeline that made it paint them again."""

    model: NamedUri = opt(
        ..., value=KnownDetector(), help="What finds the parts: a detection model, or a detector as `--detector-help` "
        "lists them; one with arguments stands in quotes, as in `model='color;color=red'`.",
    )  # fmt: skip
    prompt: str = opt(..., value=Text(), help="What shall be there.")
    negative_prompt: str | None = same_as(Detecting, "negative_prompt")
    prompt_weighter: NamedUri | None = opt(None, value=OpenUri(), help="As `--prompt-weighter`.")
    weight_name: str | None = same_as(Looking, "weight_name")
    subfolder: str | None = same_as(Looking, "subfolder")
    revision: str | None = same_as(Looking, "revision")
    seed: int | None = opt(
        None, value=Integer(0),
        help="The seed of the painting, counted up for each picture of a batch; by default that of the picture.",
    )  # fmt: skip
    inference_steps: int = opt(30, value=Integer(1), help="The steps of the painting.")
    guidance_scale: float = opt(5.0, value=Real(0), help="How closely the painting follows the prompt.")
    pag_scale: float | None = opt(None, value=Real(0), help="Perturbed attention in the painting, this strong.")
    pag_adaptive_scale: float | None = opt(None, value=Real(0), help="How fast that fades.")
    strength: float = opt(0.4, value=Real(0, 1), help="How far the painting leaves what is there.")
    confidence: float | None = opt(None, value=Real(0, 1), help="Take what it is at least so sure of; by default 0.3.")
    class_filter: tuple[str, ...] | None = same_as(Detecting, "class_filter")
    index_filter: tuple[int, ...] | None = same_as(Detecting, "index_filter")
    model_masks: bool | None = same_as(Detecting, "model_masks")
    mask_shape: str | None = same_as(Detecting, "mask_shape")
    detector_padding: Any = same_as(Detecting, "detector_padding")
    mask_padding: Any = same_as(Detecting, "mask_padding")
    mask_blur: int | None = same_as(Detecting, "mask_blur")
    mask_dilation: int | None = same_as(Detecting, "mask_dilation")
    size: int | None = same_as(Detecting, "size")
    detector_device: str | None = same_as(Looking, "device")
