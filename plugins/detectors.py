"""Detectors: by colour, and through detection models."""

from ast import literal_eval
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dgen.plugins import (
    BadValue,
    ColorText,
    Detecting,
    Found,
    Lens,
    Looking,
    OnnxFile,
    Real,
    Seer,
    Sight,
    detector,
    opt,
    options,
    record,
)

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from PIL.Image import Image

ONNX = ".onnx"

_SPAN = 3**0.5 * 255  # between black and white


@record
@options("color")
class Color(Detecting):
    """Arguments of `color`."""

    color: Any = opt(..., value=ColorText(), help="The colour to look for.")
    tolerance: float = opt(
        0.25, value=Real(0, 1), help="How far from it a pixel may be: 0 is the same, 1 is as far as black from white."
    )
    smallest: float = opt(0.002, value=Real(0, 1), help="Leave out what is a smaller part of the picture.")


@detector("color", Color)
def color(said: Any, image: "Image", sight: Sight) -> Sequence[Found]:
    """Find the connected pieces of a colour; it is as sure of one as its pixels are near to the colour."""
    import numpy as np

    distance = np.linalg.norm(np.asarray(image, np.float32) - np.float32(said.color), axis=-1) / _SPAN
    label = ColorText().format(said.color)
    found: list[Found] = []
    for runs in pieces(distance <= said.tolerance):
        if sum(end - start for _, start, end in runs) < max(1, said.smallest * distance.size):
            continue
        mask = np.zeros(distance.shape, bool)
        for row, start, end in runs:
            mask[row, start:end] = True
        left, right = min(start for _, start, _ in runs), max(end for _, _, end in runs)
        box = (left, runs[0][0], right, runs[-1][0] + 1)
        found.append(Found(box, float(1 - distance[mask].mean()), label, mask=mask))
    return found


Run = tuple[int, int, int]
"""Pixels beside one another: their row, the first column, and the one after the last."""


def pieces(mask: "np.ndarray") -> list[list[Run]]:
    """Return the connected pieces of a mask (h, w) bool, as runs from the top to the bottom.

    Pixels touch at their sides and corners. Runs that touch are joined, as in A. Rosenfeld and J. L. Pfaltz,
    "Sequential operations in digital picture processing" (1966).
    """
    import numpy as np

    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    starts, ends = np.argwhere(edges == 1), np.argwhere(edges == -1)
    runs: list[Run] = [(int(r), int(s), int(e)) for (r, s), e in zip(starts, ends[:, 1], strict=True)]
    parents = list(range(len(runs)))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = index = parents[parents[index]]
        return index

    for one, other in _touching(runs):
        first, second = sorted((root(one), root(other)))
        parents[second] = first
    found: dict[int, list[Run]] = {}
    for index, run in enumerate(runs):
        found.setdefault(root(index), []).append(run)
    return list(found.values())


def _touching(runs: Sequence[Run]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of runs that touch; `runs` are in the order of reading."""
    above = 0
    for index, (row, start, end) in enumerate(runs):
        while runs[above][0] < row - 1 or (runs[above][0] == row - 1 and runs[above][2] < start):
            above += 1
        other = above
        while runs[other][0] == row - 1 and runs[other][1] <= end:
            yield other, index
            other += 1


@record
@options("model")
class Model(Looking):
    """Arguments of `model`."""

    overlap: float = opt(
        0.45, value=Real(0, 1), help="Of what a YOLO finds twice, the surer stays: boxes that share so much of both."
    )


@detector("model", Model)
def model(said: Any, image: "Image", sight: Sight) -> Sequence[Found]:
    """Find what a model knows: one of transformers (YOLOS, RT-DETR, MaskFormer …), or a YOLO v8 or v11 in `.onnx`."""
    if (said.weight_name or said.name).lower().endswith(ONNX):
        lens = Lens(
            noun="YOLO", model=said.name, revision=said.revision, subfolder=said.subfolder,
            file=said.weight_name or ONNX, open=Yolo,
        )  # fmt: skip
        with sight.look(lens, said) as seer:
            return seer.model.found(said, image)
    lens = Lens(
        noun="detection model", model=said.name, revision=said.revision, subfolder=said.subfolder,
        classes=("ForObjectDetection", "ForInstanceSegmentation", "ForUniversalSegmentation"),
    )  # fmt: skip
    with sight.look(lens, said) as seer:
        draws_masks = hasattr(seer.preparing, "post_process_instance_segmentation")
        is_segmenter = draws_masks and not type(seer.model).__name__.endswith("ForObjectDetection")
        return list((_instances if is_segmenter else _objects)(said, image, seer))


def _objects(said: Any, image: "Image", seer: Seer) -> Iterator[Found]:
    seen = seer.model(**seer.preparing(images=image, return_tensors="pt").to(seer.device))
    (found,) = seer.preparing.post_process_object_detection(
        seen, threshold=said.confidence, target_sizes=[(image.height, image.width)]
    )
    names = seer.model.config.id2label
    for score, number, box in zip(found["scores"], found["labels"], found["boxes"], strict=True):
        left, top, right, bottom = map(float, box)
        yield Found((left, top, right, bottom), float(score), str(names.get(int(number), int(number))), int(number))


def _instances(said: Any, image: "Image", seer: Seer) -> Iterator[Found]:
    """Yield what a model finds that draws a mask of each thing, such as a MaskFormer."""
    import numpy as np

    size = (image.height, image.width)
    seen = seer.model(**seer.preparing(images=image, return_tensors="pt").to(seer.device))
    (found,) = seer.preparing.post_process_instance_segmentation(
        seen, threshold=said.confidence, target_sizes=[size], return_binary_maps=True
    )
    names, maps = seer.model.config.id2label, found["segmentation"]
    for told in found["segments_info"]:
        mask = maps[told["id"]].cpu().numpy() > 0.5
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = (float(columns[0]), float(rows[0]), columns[-1] + 1.0, rows[-1] + 1.0)
        number = int(told["label_id"])
        yield Found(box, float(told["score"]), str(names.get(number, number)), number, mask)


class Yolo:
    """A YOLO as its exporters write it: (1, 3, h, w) RGB in [0, 1] in, (1, 4 + classes, n) out.

    Each of the n answers is the middle, width and height of a box in pixels, then how sure it is of each class.
    """

    def __init__(self, path: "Path") -> None:
        """Read a `.onnx` file, which holds no code."""
        self._file = OnnxFile(path)

    def found(self, said: Any, image: "Image") -> list[Found]:
        """Return what it finds in an RGB picture, on the host unless another device is named."""
        import numpy as np

        network = self._file.session(said.device)
        (given,) = network.get_inputs()
        seen, scale = _in_corner(image, [side if isinstance(side, int) else 640 for side in given.shape[2:]])
        answers = np.asarray(network.run(None, {given.name: seen})[0])
        if answers.ndim != 3 or answers.shape[1] < 5:
            message = f"`{self._file.path.name}` answers {answers.shape}, which is not what a YOLO v8 does"
            raise BadValue(message, code="bad-model")
        sure = answers[0, 4:].T
        scores, numbers = sure.max(axis=1), sure.argmax(axis=1)
        middles, halves = answers[0, :2].T, answers[0, 2:4].T / 2
        boxes = np.concatenate([middles - halves, middles + halves], axis=1) / scale
        kept = np.flatnonzero(scores >= said.confidence)
        names, found = _class_names(network), list[Found]()
        for index in _once(boxes, scores, kept, said.overlap):
            left, top, right, bottom = map(float, boxes[index])
            number = int(numbers[index])
            label = str(names.get(number, number))
            found.append(Found((left, top, right, bottom), float(scores[index]), label, number))
        return found


def _class_names(network: Any) -> dict[int, str]:
    """Return the names that an exporter wrote, as the text of a Python dictionary."""
    try:
        names: Any = literal_eval(network.get_modelmeta().custom_metadata_map.get("names", "{}"))
    except (ValueError, SyntaxError):
        return {}
    return names if isinstance(names, dict) else {}


def _in_corner(image: "Image", sides: Sequence[int]) -> tuple["np.ndarray", float]:
    """Return a picture for a network, (1, 3, h, w) float32 in [0, 1], and how much smaller it is seen.

    It fills the upper left corner; the rest is the grey that YOLOs are trained with.
    """
    import numpy as np
    from PIL import Image as Pictures

    height, width = sides
    scale = min(width / image.width, height / image.height)
    smaller = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    whole = Pictures.new("RGB", (width, height), (114, 114, 114))
    whole.paste(smaller, (0, 0))
    return np.asarray(whole, np.float32).transpose(2, 0, 1)[None] / 255, scale


def _once(boxes: "np.ndarray", scores: "np.ndarray", kept: "np.ndarray", overlap: float) -> Iterator[int]:
    """Yield which boxes stay, the surest first: none of which another that stays covers more than `overlap`.

    Boxes are (n, 4): left, top, right, bottom. What two share is measured against what they cover together.
    """
    import numpy as np

    left = kept[np.argsort(-scores[kept], kind="stable")]
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    while len(left):
        first, left = left[0], left[1:]
        yield int(first)
        shared = np.minimum(boxes[left, 2:], boxes[first, 2:]) - np.maximum(boxes[left, :2], boxes[first, :2])
        both = np.prod(np.maximum(shared, 0), axis=1)
        left = left[both <= overlap * (areas[left] + areas[first] - both)]
