"""Lets models of transformers look at pictures: how far away what they show is."""

from __future__ import annotations

import math
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from dgen.engine.components import Need, Store
from dgen.engine.failures import first_line, is_short_of_memory
from dgen.engine.footprint import footprint
from dgen.engine.libraries import quiet
from dgen.engine.loading import Loader
from dgen.engine.protocol import EngineError
from dgen.engine.sources import Part, Source
from dgen.engine.texts import named_class

if TYPE_CHECKING:
    from PIL.Image import Image

_PREPARING, _MODEL = "sight_processor", "sight_model"


def see_depth(image: Image, model: str, tools: tuple[Store, Loader], where: tuple[str, bool]) -> Any:
    """Return how near each pixel of a picture is: (h, w) float32 in [0, 1], 1 the nearest.

    `where` is the device, and whether offline.

    Raises:
        EngineError: `bad-model`, `bad-weights`, `offline`, `hub-refused`, `out-of-memory`, `render-failed`.
    """
    (store, loader), (device, offline) = tools, where
    source = Source(model=model, offline=offline)
    with ExitStack() as stack, quiet():
        preparing, found = store.gather(stack, _needs(source, loader))
        store.bring(found, device)
        try:
            return _near(image, preparing.value, found.value, device)
        except Exception as error:
            if is_short_of_memory(error):
                message = f"memory ran out while `{source.shown}` looked at {image.width}x{image.height} pixels"
                raise EngineError("out-of-memory", message, help="try a smaller `detect-resolution`") from error
            raise EngineError("render-failed", f"`{source.shown}` cannot see: {first_line(error)}") from error


def _needs(source: Source, loader: Loader) -> tuple[Need, Need]:
    folder = loader.hub.folders(source, [""])
    class_name = named_class(folder, source, "depth model")
    if not class_name.endswith("ForDepthEstimation"):
        raise EngineError("bad-model", f"`{source.shown}` is no depth model but a `{class_name}`")
    parts = (
        Part(kind=_PREPARING, key=(_PREPARING, source.model), source=source, dtype="float32", library="transformers",
             class_name="AutoImageProcessor"),
        Part(kind=_MODEL, key=(_MODEL, source.model), source=source, dtype="float32", library="transformers",
             class_name=class_name),
    )  # fmt: skip
    sizes = (0, footprint(loader.hub, parts[1]).bytes or 0)
    first, second = (
        Need(key=p.key, kind=p.kind, source=source.shown, load=partial(loader.load_from, p, folder), bytes=size)
        for p, size in zip(parts, sizes, strict=True)
    )
    return first, second


def _near(image: Image, preparing: Any, model: Any, device: str) -> Any:
    import torch

    size = (image.height, image.width)
    given = preparing(images=image, return_tensors="pt").to(device)
    with torch.inference_mode():
        seen = model(**given)
    if model.config.model_type == "zoedepth":
        depth = _without_margin(seen.predicted_depth, size, preparing.do_pad)
    else:
        (found,) = preparing.post_process_depth_estimation(seen, target_sizes=[size])
        depth = found["predicted_depth"]
    near = (-depth if _is_metric(model.config) else depth).float().cpu()
    span = near.max() - near.min()
    return ((near - near.min()) / span if span > 0 else torch.zeros_like(near)).numpy()


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
