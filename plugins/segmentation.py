"""Image processors that cut pictures into things, as Segment Anything (arXiv 2304.02643, 2408.00714) sees them."""

import colorsys
import re
from collections.abc import Iterator, Sequence
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from dgen.plugins import (
    BadValue,
    Bench,
    ChainText,
    ColorText,
    Computing,
    FilePath,
    Finding,
    Flag,
    Integer,
    Lens,
    ModelSource,
    Real,
    Seeing,
    Seer,
    Text,
    detect,
    image_processor,
    opt,
    options,
    record,
)

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_BATCH = 64
_TURN = 0.618034  # of the colour wheel from one thing to the next: neighbours never look alike

ASSETS = MappingProxyType(
    {
        "sam": {"b": "base", "l": "large", "h": "huge"},
        "sam2": {"t": "tiny", "s": "small", "b": "base-plus", "l": "large"},
    }
)
"""The sizes in the names that others give to the models, as hubs call them."""


class AssetSource(ModelSource):
    """A Segment Anything model, or one of its usual names."""

    def parse(self, text: str) -> str:
        """Read a source; `sam_b`, `sam2.1_t.pt` and their like stand for repositories of the hub."""
        found = re.fullmatch(r"(?P<kind>sam|sam2|sam2\.1)_(?P<size>\w)(\.pt)?", text.strip())
        if found is None:
            if re.fullmatch(r"(mobile_sam|FastSAM-\w|sam3)(\.pt)?", text.strip()):
                raise BadValue(f"transformers has no `{text}`", help="take `sam_b`, `sam2.1_t`, or a model of your own")
            return super().parse(text)
        kind, sizes = found["kind"], ASSETS[found["kind"].partition(".")[0]]
        if found["size"] not in sizes:
            listed = ", ".join(f"`{kind}_{each}`" for each in sizes)
            raise BadValue(f"there is no `{text}`", help=f"there are {listed}")
        name = sizes[found["size"]]
        return f"facebook/sam-vit-{name}" if kind == "sam" else f"facebook/{kind}-hiera-{name}"


class NumbersText(Text):
    """Groups of whole numbers, white space between the groups, as `10,20 30,40`; brackets and quotes may stay."""

    counts: tuple[int, ...] = (2,)
    sample: str = "10,20"

    def parse(self, text: str) -> Any:
        """Read the groups."""
        groups = re.sub(r"[\[\]()\"']", " ", text).replace(";", " ")
        found = []
        for group in re.split(r"(?:^|\s),?\s*|,\s+", groups):
            if not group.strip(","):
                continue
            numbers = re.split(r"[x,]", group.strip(","))
            if len(numbers) not in self.counts or not all(re.fullmatch(r"\d{1,6}", n) for n in numbers):
                raise BadValue(f"expected numbers such as `{self.sample}`, found `{group}`")
            found.append(tuple(map(int, numbers)))
        if not found:
            raise BadValue(f"expected numbers such as `{self.sample}`, found nothing")
        return tuple(found)

    def format(self, value: Any) -> str:
        """Write the groups."""
        return " ".join(",".join(map(str, group)) for group in value)


@record
@options("sam")
class Sam(Seeing):
    """Arguments of `sam`."""

    model: str = opt(
        "sam_b",
        value=AssetSource(),
        help="A Segment Anything model of transformers, 1 or 2, or a usual name such as `sam_b`.",
    )
    points_per_side: int = opt(32, value=Integer(1, 256), help="How many points of the picture are asked each way.")
    confidence: float = opt(0.88, value=Real(0, 1), help="Keep the masks that the model thinks at least so good.")
    stability: float = opt(0.95, value=Real(0, 1), help="Keep masks that change so little with their threshold.")
    overlap: float = opt(0.7, value=Real(0, 1), help="Of masks whose boxes share more than this, the best stays.")


@image_processor("sam", Sam, example="sam;points-per-side=16")
def sam(said: Any, image: "Image", bench: Bench) -> "Image":
    """Paint everything in a picture that is a thing of its own in a colour of its own, on black."""
    import numpy as np
    from PIL import Image as Pictures

    with bench.look(_lens(said.model), said) as seer:
        masks = _everything(seer, image, said)
    painted = np.zeros((image.height, image.width, 3), np.uint8)
    for index, mask in enumerate(sorted(masks, key=lambda mask: -int(mask.sum()))):
        painted[mask] = [round(255 * part) for part in colorsys.hsv_to_rgb(index * _TURN % 1, 0.75, 1)]
    return Pictures.fromarray(painted)


@record
@options("u-sam")
class USam(Computing):
    """Arguments of `u-sam`."""

    asset: str = opt(
        ...,
        value=AssetSource(),
        help="A Segment Anything model of transformers, 1 or 2, or a usual name such as `sam2.1_t`.",
    )
    points: Any = opt(
        (), value=NumbersText(metavar="X,Y[,LABEL] …", counts=(2, 3), sample="10,20"),
        help="Pixels of the things to find, each of one of its own; those with a label of 0 belong to none of them.",
    )  # fmt: skip
    boxes: Any = opt(
        (), value=NumbersText(metavar="LxTxRxB …", counts=(4,), sample="10x10x90x60"),
        help="Boxes around the things to find: left, top, right, bottom.",
    )  # fmt: skip
    boxes_mask: str | None = opt(
        None, value=FilePath("IMAGE"), help="A mask: the box around each of its white areas is one around a thing."
    )
    boxes_mask_processors: Any = opt((), value=ChainText(), help="What is done with that mask before.")
    font_size: int | None = opt(None, value=Integer(8, 500), help="How high numbers are; by default by the picture.")
    line_width: int | None = opt(None, value=Integer(1, 100), help="How wide lines are; by default by the picture.")
    line_color: Any = opt(None, value=ColorText(), help="The colour of lines; by default one for each thing.")
    masks: bool = opt(False, value=Flag(), help="Make a mask of what was found, white, instead of drawing it.")
    outpaint: bool = opt(False, value=Flag(), help="With `masks`: what was found is black, and the rest white.")


@image_processor("u-sam", USam, example="u-sam;asset=sam_b;points=47,60;masks=true")
def u_sam(said: Any, image: "Image", bench: Bench) -> "Image":
    """Find the things at points or in boxes: outline them and tint them, or make a mask of them."""
    boxes = [*said.boxes, *_boxes_of(said, image, bench)]
    kept = [point for point in said.points if point[2:] != (0,)]
    if not boxes and not kept:
        raise BadValue("nothing says what to find", help="give `points`, `boxes` or `boxes-mask`")
    outside = next((g for g in (*said.points, *boxes) if not _is_inside(g, image)), None)
    if outside is not None:
        raise BadValue(f"`{','.join(map(str, outside))}` is not inside the picture of {image.width}x{image.height}")
    none = [point[:2] for point in said.points if point[2:] == (0,)]
    with bench.look(_lens(said.asset), said) as seer:
        masks = _asked(seer, image, [([p[:2]], none) for p in kept], boxes)
    return masked(masks, image, said.outpaint) if said.masks else drawn(masks, image, said)


@record
@options("yolo-sam")
class YoloSam(Finding):
    """Arguments of `yolo-sam`."""

    yolo_model: str = opt(..., value=ModelSource(), help="The detection model that finds things, as `yolo` takes it.")
    yolo_weight_name: str | None = opt(None, value=Text(metavar="FILE"), help="Its file, of a folder with several.")
    yolo_subfolder: str | None = opt(None, value=Text(metavar="FOLDER"), help="The folder in which it lies.")
    yolo_revision: str | None = opt(None, value=Text(metavar="NAME"), help="A branch or commit of its repository.")
    sam_asset: str = opt("sam_b", value=AssetSource(), help="The Segment Anything model that cuts them out.")


@image_processor("yolo-sam", YoloSam, example="yolo-sam;yolo-model=PekingU/rtdetr_r50vd;masks=true")
def yolo_sam(said: Any, image: "Image", bench: Bench) -> "Image":
    """Cut out the things that a detection model finds: outline them and tint them, or make a mask of them."""
    wanted = SimpleNamespace(
        model=said.yolo_model, weight_name=said.yolo_weight_name, subfolder=said.yolo_subfolder,
        revision=said.yolo_revision, confidence=said.confidence, class_filter=said.class_filter,
        index_filter=said.index_filter, device=said.device, model_offload=said.model_offload,
    )  # fmt: skip
    boxes, more = [], said.detector_padding
    for found in detect(wanted, image, bench):
        left, top, right, bottom = found.box
        box = (max(0, left - more.left), max(0, top - more.top),
               min(image.width, right + more.right), min(image.height, bottom + more.bottom))  # fmt: skip
        boxes += [box] if box[2] > box[0] and box[3] > box[1] else []
    if not boxes:
        return masked([], image, said.outpaint) if said.masks else image
    with bench.look(_lens(said.sam_asset), said) as seer:
        masks = _asked(seer, image, [], boxes)
    return masked(masks, image, said.outpaint) if said.masks else drawn(masks, image, said)


def _lens(model: str) -> Lens:
    return Lens(
        noun="Segment Anything model", model=AssetSource().parse(model), preparing="",
        classes=("SamModel", "Sam2Model", "Sam2VideoModel"), instead=(("Sam2VideoModel", "Sam2Model"),),
    )  # fmt: skip


def _is_inside(group: Sequence[int], image: "Image") -> bool:
    if len(group) < 4:
        return group[0] < image.width and group[1] < image.height
    return group[0] < group[2] <= image.width and group[1] < group[3] <= image.height


def _boxes_of(said: Any, image: "Image", bench: Bench) -> Iterator[tuple[int, int, int, int]]:
    """Yield the boxes around the white areas of a mask, whose pixels touch at sides and corners."""
    if said.boxes_mask is None:
        return
    import numpy as np

    mask = bench.processed(bench.picture(said.boxes_mask), said.boxes_mask_processors).convert("L").resize(image.size)
    left = np.asarray(mask) > 127
    if not left.any():
        raise BadValue("the mask of boxes has no white area")
    while left.any():
        area = _area_at(left, tuple(np.argwhere(left)[0]))
        rows, columns = np.flatnonzero(area.any(axis=1)), np.flatnonzero(area.any(axis=0))
        yield int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
        left &= ~area


def _area_at(mask: "np.ndarray", pixel: tuple[int, ...]) -> "np.ndarray":
    """Return the connected white area of a pixel: it grows by a pixel at all sides for as long as it finds white."""
    import numpy as np

    area = np.zeros_like(mask)
    area[pixel] = True
    count = 0
    while count != (count := int(area.sum())):
        wide = np.pad(area, 1)
        tall = wide[:-2] | wide[1:-1] | wide[2:]
        area = (tall[:, :-2] | tall[:, 1:-1] | tall[:, 2:]) & mask
    return area


# ---- looking --------------------------------------------------------------------------------------------------------


class View:
    """A picture as a model has seen it: asked about points and boxes of the picture, it gives masks."""

    def __init__(self, seer: Seer, image: "Image") -> None:
        """Let the model look at a picture once.

        Segment Anything 1 sees it in the upper left corner of a black square, at its own aspect; 2 sees it stretched.
        """
        import numpy as np
        import torch

        self._torch, self._seer, self._size = torch, seer, (image.height, image.width)
        side = seer.model.config.prompt_encoder_config.image_size
        self._square = (side, side) if isinstance(side, int) else tuple(side)
        scale = self._square[0] / max(image.size)
        self._seen = self._square if seer.model.config.model_type != "sam" else self._half_up(scale)
        from PIL import Image as Pictures

        small = image.resize((self._seen[1], self._seen[0]), Pictures.Resampling.BILINEAR)
        pixels = (np.asarray(small, dtype=np.float32) / 255 - _MEAN) / _SPREAD
        pixels = np.pad(pixels, ((0, self._square[0] - self._seen[0]), (0, self._square[1] - self._seen[1]), (0, 0)))
        given = torch.from_numpy(pixels.transpose(2, 0, 1)[None].astype(np.float32)).to(seer.device)
        self._embedded = seer.model.get_image_embeddings(given)

    def _half_up(self, scale: float) -> tuple[int, int]:
        return int(self._size[0] * scale + 0.5), int(self._size[1] * scale + 0.5)

    def asked(self, points: Any = None, boxes: Any = None, best: bool = True) -> tuple["np.ndarray", "np.ndarray"]:
        """Return masks, and how good the model thinks each is from 0 to 1.

        `points`: (things, points, 3), x, y and label; `boxes`: (things, 4); of both, in pixels of the picture. `best`:
        one mask for each thing, (things, h, w) float32 in logits; otherwise three, (3 things, h, w).
        """
        given: dict[str, Any] = {}
        if points is not None:
            given["input_points"] = self._scaled(points[..., :2], 2)[None]
            labels = self._torch.as_tensor(points[..., 2], dtype=self._torch.int32, device=self._seer.device)
            given["input_labels"] = labels[None]
        if boxes is not None:
            given["input_boxes"] = self._scaled(boxes, 4)[None]
        embedded = {"image_embeddings": self._embedded}
        seen = self._seer.model(**embedded, **given, multimask_output=True)
        scores, masks = seen.iou_scores[0], seen.pred_masks[0]
        if best:
            chosen = scores.argmax(dim=1)
            rows = self._torch.arange(len(chosen), device=chosen.device)
            scores, masks = scores[rows, chosen][:, None], masks[rows, chosen][:, None]
        return self._brought_back(masks), scores.flatten().float().cpu().numpy()

    def _scaled(self, numbers: Any, each: int) -> Any:
        (height, width), (down, across) = self._size, self._seen
        factors = self._torch.tensor([across / width, down / height] * (each // 2), device=self._seer.device)
        return self._torch.as_tensor(numbers, dtype=self._torch.float32, device=self._seer.device) * factors

    def _brought_back(self, masks: Any) -> "np.ndarray":
        """Bring masks (things, n, h, w) from the model's size to the picture's."""
        stretch = self._torch.nn.functional.interpolate
        if self._seen != self._square or self._seer.model.config.model_type == "sam":
            masks = stretch(masks.float(), self._square, mode="bilinear", align_corners=False)
            masks = masks[..., : self._seen[0], : self._seen[1]]
        masks = stretch(masks.float(), self._size, mode="bilinear", align_corners=False)
        return masks.flatten(0, 1).cpu().numpy()


def _asked(
    seer: Seer, image: "Image", points: Sequence[tuple[Sequence[Any], Sequence[Any]]], boxes: Sequence[Any]
) -> list["np.ndarray"]:
    """Return the mask, (h, w) bool, of each thing: of points that belong to it and some that do not, or of a box."""
    import numpy as np

    view, found = View(seer, image), []
    if points:
        asked = [[(*p, 1) for p in own] + [(*p, 0) for p in others] for own, others in points]
        found += list(view.asked(points=np.array(asked, dtype=np.float32))[0] > 0)
    if boxes:
        found += list(view.asked(boxes=np.array(boxes, dtype=np.float32))[0] > 0)
    return found


def _everything(seer: Seer, image: "Image", said: Any) -> list["np.ndarray"]:
    """Return the masks of all things, by asking a grid of points, as appendix B of arXiv 2304.02643 does.

    What the model doubts goes, what changes with the threshold of its logits (by 1 up and down) goes, and of masks in
    much the same box the one stays that it thinks best.
    """
    import numpy as np

    view = View(seer, image)
    steps = (np.arange(said.points_per_side) + 0.5) / said.points_per_side
    grid = np.stack(np.meshgrid(steps * image.width, steps * image.height), axis=-1).reshape(-1, 1, 2)
    asked = np.concatenate((grid, np.ones((len(grid), 1, 1))), axis=-1)
    masks, scores = [], []
    for start in range(0, len(asked), _BATCH):
        found, sure = view.asked(points=asked[start : start + _BATCH], best=False)
        inner, outer = (found > 1).sum(axis=(1, 2)), (found > -1).sum(axis=(1, 2))
        stays = (
            (sure > said.confidence) & (inner > said.stability * np.maximum(outer, 1)) & (found > 0).any(axis=(1, 2))
        )
        masks += list(found[stays] > 0)
        scores += list(sure[stays])
    return [masks[index] for index in _once(masks, scores, said.overlap)]


def _once(masks: Sequence["np.ndarray"], scores: Sequence[float], overlap: float) -> list[int]:
    """Return which masks stay, the best first: of two whose boxes share more than `overlap` of both, the better."""
    import numpy as np

    kept: list[int] = []
    boxes = [_box(mask) for mask in masks]
    for index in np.argsort(-np.array(scores), kind="stable").tolist():
        if all(_shared(boxes[index], boxes[other]) <= overlap for other in kept):
            kept.append(index)
    return kept


def _box(mask: "np.ndarray") -> tuple[int, int, int, int]:
    import numpy as np

    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])


def _shared(one: Sequence[int], other: Sequence[int]) -> float:
    """Return how much of what two boxes cover together both of them cover."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    both = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return both / max(sum(areas) - both, 1)


# ---- drawing --------------------------------------------------------------------------------------------------------


def masked(masks: Sequence["np.ndarray"], image: "Image", outpaint: bool) -> "Image":
    """Return a mask in which all masks are white; with `outpaint`, they are black."""
    import numpy as np
    from PIL import Image as Pictures

    white = np.any(masks, axis=0) if len(masks) else np.zeros((image.height, image.width), bool)
    return Pictures.fromarray(np.where(white != outpaint, 255, 0).astype(np.uint8))


def drawn(masks: Sequence["np.ndarray"], image: "Image", said: Any) -> "Image":
    """Return a picture in which each mask is tinted, outlined and numbered."""
    import numpy as np
    from PIL import Image as Pictures
    from PIL import ImageDraw, ImageFilter

    wide = said.line_width or max(1, round(sum(image.size) / 400))
    size = said.font_size or max(8, round(sum(image.size) / 60))
    result = image.copy()
    for index, mask in enumerate(masks):
        colour = said.line_color or tuple(round(255 * c) for c in colorsys.hsv_to_rgb(index * _TURN % 1, 0.85, 1))
        whole = Pictures.fromarray(np.where(mask, 255, 0).astype(np.uint8))
        result.paste(colour, mask=whole.point([value * 2 // 5 for value in range(256)]))
        inner = whole.filter(ImageFilter.MinFilter(2 * wide + 1))
        result.paste(colour, mask=Pictures.fromarray(np.asarray(whole) - np.asarray(inner)))
        if mask.any():
            left, top, _, _ = _box(mask)
            ImageDraw.Draw(result).text((left + wide, top + wide), str(index), fill=colour, font_size=size,
                                        stroke_width=1, stroke_fill="black")  # fmt: skip
    return result
