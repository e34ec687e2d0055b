"""Image processors that show what detection models of transformers find: things, and how people stand."""

import colorsys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dgen.plugins import (
    MASK_SHAPE,
    BadValue,
    Bench,
    Finding,
    Flag,
    Found,
    Lens,
    ModelSource,
    Real,
    Seeing,
    Seer,
    Text,
    area,
    detect,
    image_processor,
    opt,
    options,
    record,
)

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

_TURN = 0.618034  # of the colour wheel from one class to the next


@record
@options("yolo")
class Yolo(Finding):
    """Arguments of `yolo`."""

    model: str = opt(
        ..., value=ModelSource(),
        help="A model of transformers that detects or segments things (RT-DETR, YOLOS, MaskFormer …), or a YOLO v8 or "
        "v11 that was exported as `.onnx`; a `.pt` file could run code and is refused.",
    )  # fmt: skip
    weight_name: str | None = opt(None, value=Text(metavar="FILE"), help="The file, of a folder with several.")
    subfolder: str | None = opt(None, value=Text(metavar="FOLDER"), help="The folder in which the model lies.")
    revision: str | None = opt(None, value=Text(metavar="NAME"), help="A branch or commit of the model's repository.")
    model_masks: bool = opt(False, value=Flag(), help="Take the masks of a model that segments, instead of boxes.")
    mask_shape: str = opt("rectangle", value=MASK_SHAPE, help="With `masks`: the shape within a box.")


@image_processor("yolo", Yolo, example="yolo;model=PekingU/rtdetr_r50vd;confidence=0.5")
def yolo(said: Any, image: "Image", bench: Bench) -> "Image":
    """Draw boxes around the things that a model finds, with their classes, or make a mask of them."""
    found = detect(said, image, bench)
    if said.model_masks and any(each.mask is None for each in found):
        raise BadValue(f"`{said.model}` finds places and draws no masks", help="leave `model-masks` out")
    return _masked(said, image, found) if said.masks else _boxed(said, image, found)


def _masked(said: Any, image: "Image", found: Sequence[Found]) -> "Image":
    import numpy as np
    from PIL import Image as Pictures

    white = np.zeros((image.height, image.width), bool)
    for each in found:
        box = area(each, image.size, said.mask_shape, said.detector_padding)
        white |= each.mask if said.model_masks else np.asarray(box) > 0
    return Pictures.fromarray(np.where(white != said.outpaint, 255, 0).astype(np.uint8))


def _boxed(said: Any, image: "Image", found: Sequence[Found]) -> "Image":
    from PIL import Image as Pictures
    from PIL import ImageDraw

    result = image.copy()
    wide = said.line_width or max(1, round(sum(image.size) / 400))
    size = said.font_size or max(8, round(sum(image.size) / 60))
    for index, each in enumerate(found):
        colour = said.line_color or _colour(each.number * _TURN % 1)
        if said.model_masks:
            result.paste(colour, mask=Pictures.fromarray(each.mask.astype("uint8") * 102))
        inside = area(each, image.size, "rectangle", said.detector_padding).getbbox()
        if inside is None:
            continue
        pen = ImageDraw.Draw(result)
        pen.rectangle((inside[0], inside[1], inside[2] - 1, inside[3] - 1), outline=colour, width=wide)
        told = f"{index} {each.label} {each.score:.2f}"
        pen.text((inside[0] + wide + 1, inside[1] + wide), told, colour, font_size=size, stroke_width=1,
                 stroke_fill="black")  # fmt: skip
    return result


def _colour(hue: float, share: float = 1) -> tuple[int, int, int]:
    red, green, blue = (int(255 * share * part + 0.5) for part in colorsys.hsv_to_rgb(hue, 1, 1))
    return red, green, blue


# ---- people ---------------------------------------------------------------------------------------------------------

PERSON = "person"
BODY, WHOLE = 17, 133
"""How many points models give: the body alone, and with feet, face and hands, in the order of COCO-WholeBody."""

FACE, LEFT_HAND, RIGHT_HAND = slice(23, 91), slice(91, 112), slice(112, 133)

_OPENPOSE = (0, -1, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
"""Which point of COCO each of OpenPose's 18 is (arXiv 1812.08008); -1 is the neck, between the shoulders 5 and 6."""

_LIMBS = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13), (1, 0),
    (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip

_FINGERS = tuple((0 if joint % 4 == 1 else joint - 1, joint) for joint in range(1, 21))


@record
@options("openpose")
class Openpose(Seeing):
    """Arguments of `openpose`."""

    model: str = opt(
        "usyd-community/vitpose-base-simple", value=ModelSource(),
        help="A ViTPose of transformers: of 17 points, or of 133 with hands and faces.",
    )  # fmt: skip
    detector: str = opt(
        "PekingU/rtdetr_r50vd_coco_o365", value=ModelSource(), help="The detection model that finds people."
    )
    include_body: bool = opt(True, value=Flag(), help="Draw bodies.")
    include_hand: bool = opt(False, value=Flag(), help="Draw hands, where the model sees them.")
    include_face: bool = opt(False, value=Flag(), help="Draw faces, where the model sees them.")
    confidence: float = opt(0.3, value=Real(0, 1), help="Draw the people and the points that models are so sure of.")


@image_processor("openpose", Openpose, example="openpose;include-hand=false")
def openpose(said: Any, image: "Image", bench: Bench) -> "Image":
    """Draw how people stand, as the figures of OpenPose, by a model that finds people and one that finds joints."""
    from PIL import Image as Pictures
    from PIL import ImageDraw

    result = Pictures.new("RGB", image.size)
    people = detect(_Persons(said), image, bench)
    if not people:
        return result
    lens = Lens(noun="pose model", model=said.model, classes=("VitPoseForPoseEstimation",))
    with bench.look(lens, said) as seer:
        poses = list(_poses(seer, image, people))
    wanted = said.include_hand or said.include_face
    if wanted and len(poses[0]) != WHOLE:
        raise BadValue(
            f"`{said.model}` sees {len(poses[0])} points, and no hands and faces",
            help=f"name a model of {WHOLE} points, or leave `include-hand` and `include-face` out",
        )
    for pose in poses:
        draw_person(ImageDraw.Draw(result), pose, said)
    return result


class _Persons:
    """What a detection model is asked for."""

    def __init__(self, said: Any) -> None:
        self.model, self.confidence, self.class_filter = said.detector, said.confidence, (PERSON,)
        self.device, self.model_offload = said.device, said.model_offload


def _poses(seer: Seer, image: "Image", people: Sequence[Found]) -> Iterator["np.ndarray"]:
    """Yield the points of each person, (n, 3): x and y in pixels, and how sure the model is, from 0 to 1."""
    import numpy as np

    try:
        import scipy  # noqa: F401
    except ModuleNotFoundError:
        raise BadValue(
            "needs the package `scipy`",
            code="missing-package",
            help='install it: `pip install "dgen-lang[processors]"`',
        ) from None
    boxes = [[np.array([p.box[0], p.box[1], p.box[2] - p.box[0], p.box[3] - p.box[1]]) for p in people]]
    given = seer.preparing(images=image, boxes=boxes, return_tensors="pt").to(seer.device)
    seen = seer.model(**given, **_expert(seer, len(people)))
    for found in seer.preparing.post_process_pose_estimation(seen, boxes=boxes)[0]:
        yield np.concatenate((found["keypoints"].numpy(), found["scores"].reshape(-1, 1).numpy()), axis=1)


def _expert(seer: Seer, count: int) -> dict[str, Any]:
    """Return which data set a ViTPose++ shall think of: the first is COCO, the last COCO-WholeBody."""
    experts = seer.model.config.backbone_config.num_experts
    if experts < 2:
        return {}
    import torch

    is_whole = seer.model.config.num_labels == WHOLE
    return {"dataset_index": torch.full((count,), experts - 1 if is_whole else 0, device=seer.device)}


def draw_person(pen: Any, pose: "np.ndarray", said: Any) -> None:
    """Draw the points of a person, (17 or 133, 3), of which the model is sure enough."""
    unit = max(1, min(pen.im.size) / 512)  # lines are 4 wide where ControlNets were trained
    if said.include_body and len(pose) in (BODY, WHOLE):
        _draw_body(pen, _as_openpose(pose, said.confidence), unit)
    if len(pose) != WHOLE:
        return
    if said.include_face:
        _dots(pen, pose[FACE], said.confidence, (3 * unit, (255, 255, 255)))
    for hand in (LEFT_HAND, RIGHT_HAND) if said.include_hand else ():
        _draw_hand(pen, pose[hand], said.confidence, unit)


def _as_openpose(pose: "np.ndarray", confidence: float) -> list[tuple[float, float] | None]:
    """Return where OpenPose's points are; None where the model is not sure. The neck is between the shoulders."""
    seen = [(float(x), float(y)) if sure >= confidence else None for x, y, sure in pose[:BODY]]
    left, right = seen[5], seen[6]
    neck = ((left[0] + right[0]) / 2, (left[1] + right[1]) / 2) if left and right else None
    return [neck if index < 0 else seen[index] for index in _OPENPOSE]


def _draw_body(pen: Any, points: Sequence[tuple[float, float] | None], unit: float) -> None:
    for index, (start, end) in enumerate(_LIMBS):
        one, other = points[start], points[end]
        if one is not None and other is not None:
            pen.polygon(_stick(one, other, 4 * unit), fill=_colour(index / 18, 0.6))
    for index, point in enumerate(points):
        if point is not None:
            _dot(pen, point, 4 * unit, _colour(index / 18))


def _stick(one: tuple[float, float], other: tuple[float, float], half: float) -> list[tuple[float, float]]:
    """Return the corners of an ellipse from one point to another, which is `2 half` wide in its middle."""
    import numpy as np

    start, end = np.array(one), np.array(other)
    along = (end - start) / 2
    length = max(float(np.hypot(*along)), 1e-6)
    across = np.array([-along[1], along[0]]) / length * half
    turns = np.linspace(0, 2 * np.pi, 33)[:-1, None]
    return [(float(x), float(y)) for x, y in (start + end) / 2 + np.cos(turns) * along + np.sin(turns) * across]


def _dot(pen: Any, point: tuple[float, float], radius: float, colour: tuple[int, int, int]) -> None:
    x, y = point
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def _draw_hand(pen: Any, hand: "np.ndarray", confidence: float, unit: float) -> None:
    for index, (start, end) in enumerate(_FINGERS):
        if min(hand[start, 2], hand[end, 2]) >= confidence:
            line = [tuple(map(float, hand[start, :2])), tuple(map(float, hand[end, :2]))]
            pen.line(line, fill=_colour(index / 20), width=max(1, round(2 * unit)))
    _dots(pen, hand, confidence, (4 * unit, (0, 0, 255)))


def _dots(pen: Any, points: "np.ndarray", confidence: float, how: tuple[float, tuple[int, int, int]]) -> None:
    for x, y, sure in points:
        if sure >= confidence:
            _dot(pen, (float(x), float(y)), *how)
