"""Image processors that draw how near things are, as models of transformers see it."""

from typing import TYPE_CHECKING, Any

from dgen.plugins import Bench, ModelSource, Seeing, image_processor, opt, options, record

if TYPE_CHECKING:
    from PIL.Image import Image


@record
@options("depth")
class Depth(Seeing):
    """Arguments of `depth`."""

    model: str = opt(
        "depth-anything/Depth-Anything-V2-Small-hf", value=ModelSource(),
        help="A depth model of transformers: Depth Anything, DPT and MiDaS, ZoeDepth and their like.",
    )  # fmt: skip


@image_processor("depth", Depth, example="depth;detect-resolution=512")
def depth(said: Any, image: "Image", bench: Bench) -> "Image":
    """Draw how near things are, the nearest white and the farthest black."""
    import numpy as np
    from PIL import Image as Pictures

    near = bench.depth(image, said.model, said.device)
    return Pictures.fromarray(np.rint(near * 255).astype(np.uint8))


@record
@options("midas")
class Midas(Seeing):
    """Arguments of `midas`."""

    model: str = opt("Intel/dpt-hybrid-midas", value=ModelSource(), help="The model; another DPT will do.")


image_processor("midas", Midas, example="midas")(depth)


@record
@options("zoe")
class Zoe(Seeing):
    """Arguments of `zoe`."""

    model: str = opt("Intel/zoedepth-nyu-kitti", value=ModelSource(), help="The model; another ZoeDepth will do.")


image_processor("zoe", Zoe, example="zoe")(depth)
