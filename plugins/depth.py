"""Image processors that draw how near things are, as models of transformers see it."""

import math
from typing import TYPE_CHECKING, Any

from dgen.plugins import Bench, Flag, Lens, ModelSource, Real, Seeing, Seer, image_processor, opt, options, record

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

EIGHTH = 8
"""What part of a side two neighbouring quarters share, when a picture is seen in quarters."""


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
    with bench.look(_lens(said), said) as seer:
        return _drawn(_from_zero_to_one(_nearness(seer, image)))


@record
@options("midas")
class Midas(Seeing):
    """Arguments of `midas`."""

    model: str = opt("Intel/dpt-hybrid-midas", value=ModelSource(), help="The model; another DPT will do.")
    normals: bool = opt(
        False, value=Flag(), help="Draw where surfaces face instead: right in red, down in green, here in blue."
    )
    alpha: float = opt(
        2 * math.pi, value=Real(0.001, 10000), help="With `normals`: how flat surfaces are, against the model's depth."
    )
    background_threshold: float = opt(
        0.1, value=Real(0, 1), help="With `normals`: the nearness up to which all is background, which faces here."
    )


@image_processor("midas", Midas, example="midas;normals=true")
def midas(said: Any, image: "Image", bench: Bench) -> "Image":
    """Draw how near things are, the nearest white and the farthest black, or where their surfaces face."""
    from PIL import Image as Pictures

    with bench.look(_lens(said), said) as seer:
        near = _nearness(seer, image)
    if not said.normals:
        return _drawn(_from_zero_to_one(near))
    return Pictures.fromarray(_facing(near, said.alpha, said.background_threshold))


@record
@options("zoe")
class Zoe(Seeing):
    """Arguments of `zoe`."""

    model: str = opt("Intel/zoedepth-nyu-kitti", value=ModelSource(), help="The model; another ZoeDepth will do.")
    gamma_corrected: bool = opt(
        False, value=Flag(), help="Raise nearness to the power of 2.2, which leaves more shades to what is near."
    )


@image_processor("zoe", Zoe, example="zoe")
def zoe(said: Any, image: "Image", bench: Bench) -> "Image":
    """Draw how near things are, the nearest white and the farthest black."""
    with bench.look(_lens(said), said) as seer:
        near = _from_zero_to_one(_nearness(seer, image))
    return _drawn(near**2.2 if said.gamma_corrected else near)


@record
@options("leres")
class Leres(Seeing):
    """Arguments of `leres`."""

    model: str = opt(
        "Intel/dpt-large", value=ModelSource(),
        help="A depth model of transformers; the network of LeReS, which none of its formats has, is not among them.",
    )  # fmt: skip
    threshold_near: float = opt(0.0, value=Real(0, 100), help="How many per cent of the depth, the nearest, are white.")
    threshold_far: float = opt(0.0, value=Real(0, 100), help="How many per cent of the depth, the farthest, are black.")
    boost: bool = opt(
        False, value=Flag(), help="Look at overlapping quarters of the picture as well, which shows finer detail."
    )


@image_processor("leres", Leres, example="leres;threshold-far=20")
def leres(said: Any, image: "Image", bench: Bench) -> "Image":
    """Draw how near things are, the nearest white and the farthest black; a DPT takes the place of LeReS."""
    import numpy as np

    with bench.look(_lens(said), said) as seer:
        near = _nearness(seer, image)
        near = _from_zero_to_one(_with_detail(near, seer, image) if said.boost else near)
    near = np.where(1 - near <= said.threshold_near / 100, 1, near) if said.threshold_near else near
    return _drawn(np.where(near <= said.threshold_far / 100, 0, near) if said.threshold_far else near)


def _lens(said: Any) -> Lens:
    return Lens(noun="depth model", model=said.model, classes=("ForDepthEstimation",))


def _nearness(seer: Seer, image: "Image") -> "np.ndarray":
    """Return how near each pixel is, in the model's own unit: (h, w) float32, more is nearer."""
    size = (image.height, image.width)
    seen = seer.model(**seer.preparing(images=image, return_tensors="pt").to(seer.device))
    if seer.model.config.model_type == "zoedepth":
        found = _without_margin(seen.predicted_depth, size, seer.preparing.do_pad)
    else:
        found = seer.preparing.post_process_depth_estimation(seen, target_sizes=[size])[0]["predicted_depth"]
    return (-found if _is_metric(seer.model.config) else found).float().cpu().numpy()


def _without_margin(depth: Any, size: tuple[int, int], has_margin: bool) -> Any:
    """Bring what ZoeDepth saw, (1, h, w), to the size of a picture, whose mirrored margin it saw as well.

    The margin is `int(3 sqrt(side / 2))` pixels wide, as its authors have it; transformers takes it away with
    torchvision alone.
    """
    import torch

    margin = tuple(int(math.sqrt(side / 2) * 3) if has_margin else 0 for side in size)
    whole = tuple(side + 2 * more for side, more in zip(size, margin, strict=True))
    wide = torch.nn.functional.interpolate(depth.unsqueeze(1), whole, mode="bicubic", align_corners=False)[0, 0]
    return wide[margin[0] : margin[0] + size[0], margin[1] : margin[1] + size[1]]


def _is_metric(config: Any) -> bool:
    """Whether a model gives distances, where others give their inverse."""
    return config.model_type == "zoedepth" or getattr(config, "depth_estimation_type", "") == "metric"


def _from_zero_to_one(near: "np.ndarray") -> "np.ndarray":
    """Stretch nearness over [0, 1]; where all is equally near, it is 0."""
    import numpy as np

    span = near.max() - near.min()
    return (near - near.min()) / span if span > 0 else np.zeros_like(near)


def _drawn(near: "np.ndarray") -> "Image":
    import numpy as np
    from PIL import Image as Pictures

    return Pictures.fromarray(np.rint(near * 255).astype(np.uint8))


def _facing(near: "np.ndarray", alpha: float, background: float) -> "np.ndarray":
    """Return where surfaces face, as (h, w, 3) bytes: the gradient of nearness by Sobel's operator, and `alpha`."""
    import numpy as np

    wide = np.pad(near, 1, mode="reflect" if min(near.shape) > 1 else "edge").astype(np.float64)
    rows, columns = wide[:-2] + 2 * wide[1:-1] + wide[2:], wide[:, :-2] + 2 * wide[:, 1:-1] + wide[:, 2:]
    slopes = np.stack((rows[:, 2:] - rows[:, :-2], columns[2:] - columns[:-2], np.full_like(near, alpha)), axis=-1)
    slopes[_from_zero_to_one(near) < background, :2] = 0
    slopes /= np.linalg.norm(slopes, axis=-1, keepdims=True)
    return np.clip(np.rint(slopes * 127.5 + 127.5), 0, 255).astype(np.uint8)


def _with_detail(near: "np.ndarray", seer: Seer, image: "Image") -> "np.ndarray":
    """Mend nearness by what the model sees of each quarter, brought to the whole by scale and shift (least squares).

    Quarters overlap, and fade into one another from their middles; where a quarter's depth runs against that of the
    whole it adds nothing.
    """
    import numpy as np

    total, weight = np.zeros_like(near, dtype=np.float64), np.zeros_like(near, dtype=np.float64)
    for top, bottom in _halves(image.height):
        for left, right in _halves(image.width):
            part = _nearness(seer, image.crop((left, top, right, bottom))).astype(np.float64)
            own = near[top:bottom, left:right]
            slope, shift = np.polyfit(part.ravel(), own.ravel(), 1) if np.ptp(part) > 0 else (0.0, own.mean())
            fitted = slope * part + shift if slope > 0 else own
            fade = np.minimum.outer(_hill(bottom - top), _hill(right - left))
            total[top:bottom, left:right] += fade * fitted
            weight[top:bottom, left:right] += fade
    return (total / weight).astype(np.float32)


def _halves(side: int) -> tuple[tuple[int, int], tuple[int, int]]:
    more = side // EIGHTH
    return (0, min(side, side // 2 + more)), (max(0, side // 2 - more), side)


def _hill(side: int) -> "np.ndarray":
    import numpy as np

    rise = np.arange(1, side + 1, dtype=np.float64)
    return np.minimum(rise, rise[::-1])
