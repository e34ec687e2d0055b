"""Image processors that part what a picture is of from what is behind it."""

import re
from typing import TYPE_CHECKING, Any

from dgen.plugins import (
    BadValue,
    Bench,
    ColorText,
    Flag,
    Integer,
    Lens,
    ModelSource,
    OnnxFile,
    Seeing,
    Text,
    image_processor,
    opt,
    options,
    record,
)

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

_SIDE = 1024
"""At how many pixels each way a network sees that takes any."""


class ThreeText(Text):
    """Three numbers, commas between them; one number stands for three."""

    metavar: str = "X[,X,X]"

    def parse(self, text: str) -> Any:
        """Read the numbers."""
        found = [part for part in text.split(",") if re.fullmatch(r"\s*\d*\.?\d+\s*", part)]
        if len(found) not in (1, 3) or len(found) != text.count(",") + 1:
            raise BadValue(f"expected one number or three with commas between them, found `{text}`")
        return tuple(map(float, found * (3 // len(found))))

    def format(self, value: Any) -> str:
        """Write the numbers."""
        return ",".join(map(str, value))


@record
@options("remove-background")
class RemoveBackground(Seeing):
    """Arguments of `remove-background`."""

    model: str = opt(
        "onnx-community/BiRefNet_lite-ONNX", value=ModelSource(),
        help="A BiRefNet, U2-Net, IS-Net or their like as `.onnx`, or a repository with `onnx/model.onnx`.",
    )  # fmt: skip
    background: Any = opt((255, 255, 255), value=ColorText(), help="The colour that takes its place.")
    mask: bool = opt(False, value=Flag(), help="Make a mask instead: white is what stays.")
    outpaint: bool = opt(False, value=Flag(), help="With `mask`: white is the background.")
    threshold: int = opt(
        0,
        value=Integer(0, 100),
        help="What is to less per cent in front is behind, the rest in front; 0 keeps edges soft.",
    )
    mean: Any = opt(
        (0.485, 0.456, 0.406), value=ThreeText(), help="What the network wants taken from each colour, 0 to 1."
    )
    spread: Any = opt((0.229, 0.224, 0.225), value=ThreeText(), help="What it then wants each colour divided by.")


@image_processor("remove-background", RemoveBackground, example="remove-background;background=#88aacc")
def remove_background(said: Any, image: "Image", bench: Bench) -> "Image":
    """Put what a picture is of before one colour, or make a mask of it."""
    import numpy as np
    from PIL import Image as Pictures

    is_file = said.model.lower().endswith(".onnx")
    lens = Lens(
        noun="network that finds backgrounds", model=said.model, subfolder=None if is_file else "onnx",
        file="model.onnx", open=OnnxFile,
    )  # fmt: skip
    with bench.look(lens, said) as seer:
        front = _front(seer.model, image, said)
    if said.threshold:
        front = (front >= said.threshold / 100).astype(np.float32)
    if said.mask:
        return Pictures.fromarray(np.rint(255 * (1 - front if said.outpaint else front)).astype(np.uint8))
    share = Pictures.fromarray(np.rint(255 * front).astype(np.uint8))
    return Pictures.composite(image, Pictures.new("RGB", image.size, said.background), share)


def _front(network: OnnxFile, image: "Image", said: Any) -> "np.ndarray":
    """Return how much of each pixel is in front: (h, w) float32 in [0, 1].

    Networks give logits, or what is stretched over [0, 1] as the authors of U2-Net (arXiv 2005.09007) do.
    """
    import numpy as np
    from PIL import Image as Pictures

    session = network.session(said.device)
    (given,) = session.get_inputs()
    height, width = (side if isinstance(side, int) else _SIDE for side in given.shape[-2:])
    small = np.asarray(image.resize((width, height), Pictures.Resampling.BILINEAR), dtype=np.float32) / 255
    pixels = ((small - np.float32(said.mean)) / np.float32(said.spread)).transpose(2, 0, 1)[None]
    seen = np.asarray(session.run(None, {given.name: pixels.astype(np.float32)})[0], dtype=np.float32)
    if seen.size != seen.shape[-1] * seen.shape[-2]:
        raise BadValue(f"`{network.path.name}` answers {seen.shape}, which is no single map", code="bad-model")
    found = seen.reshape(seen.shape[-2:])
    if found.min() < 0 or found.max() > 1:
        found = 1 / (1 + np.exp(-found))
    elif np.ptp(found) > 0:
        found = (found - found.min()) / np.ptp(found)
    whole = Pictures.fromarray(found).resize(image.size, Pictures.Resampling.BILINEAR)
    return np.asarray(whole).clip(0, 1)
