"""An image processor that finds parts of a finished picture, and has them painted again."""

from typing import TYPE_CHECKING, Any

from dgen.plugins import Bench, Repainting, image_processor, options, record

if TYPE_CHECKING:
    from PIL.Image import Image


@record
@options("adetailer")
class ADetailer(Repainting):
    """Arguments of `adetailer`."""


@image_processor("adetailer", ADetailer, example="adetailer;model=faces.onnx;prompt='a clear face'", repaints=True)
def adetailer(said: Any, image: "Image", bench: Bench) -> "Image":
    """Paint what a detector finds again, closer up, with the pipeline that made the picture."""
    return bench.repaint(image, said)
