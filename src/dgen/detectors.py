"""The detectors, as rows: what finds the parts of a picture that are painted again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from math import ceil, floor
from typing import TYPE_CHECKING, Any, Protocol

from dgen.processors import ColorText, Computing, Lens, Seer
from dgen.registry import PluginRow, Registry
from dgen.schema import BadValue, opt, options, record, same_as
from dgen.values.scalars import Choice, Flag, Integer, Real, Text, is_local
from dgen.values.sides import PaddingText, Sides
from dgen.values.uri import NamedUri, OpenUri

if TYPE_CHECKING:
    from PIL.Image import Image

PICKLES = (".pt", ".pth", ".ckpt", ".bin")
"""How the names of models end that can run code when they are opened."""

INSTEAD = "export the model as `.onnx`, or name a detection model of transformers, such as a YOLOS or RT-DETR"
"""What to do with a model that is not opened."""

FARTHEST = 4096
"""So many pixels a padding may have at most."""


MASK_SHAPE = Choice(
    ("rectangle", "circle"),
    {"rect": "rectangle", "r": "rectangle", "box": "rectangle", "c": "circle", "ellipse": "circle", "oval": "circle"},
    metavar="SHAPE",
)
"""The shape of a mask around what was found."""


class ClassText(Text):
    """Classes, by name or number, commas between them."""

    metavar: str = "CLASS,…"

    def parse(self, text: str) -> Any:
        """Read names and numbers."""
        found = tuple(each.strip() for each in text.split(","))
        if not all(found):
            raise BadValue(f"expected names or numbers of classes with commas between them, found `{text}`")
        return found

    def format(self, value: Any) -> str:
        """Write them."""
        return ",".join(value)


class IndexText(ClassText):
    """Numbers of findings, counted from 0, commas between them."""

    metavar: str = "N,…"

    def parse(self, text: str) -> Any:
        """Read whole numbers."""
        return tuple(Integer(0).parse(each) for each in text.split(","))

    def format(self, value: Any) -> str:
        """Write them."""
        return ",".join(map(str, value))


@record
@options("detector")
class Detecting:
    """What every detector takes; what is not said is what the options of the statement say."""

    name: str = opt(..., positional=True, value=Text(metavar="NAME"), help="Its name, or the model that it looks with.")
    confidence: float = opt(0.3, value=Real(0, 1), help="Take what it is at least so sure of.")
    prompt: str | None = opt(None, value=Text(), help="What shall be there; by default what the statement says.")
    negative_prompt: str | None = opt(None, value=Text(), help="What shall not be there.")
    class_filter: tuple[str, ...] | None = opt(None, value=ClassText(), help="As `--adetailer-class-filter`.")
    index_filter: tuple[int, ...] | None = opt(None, value=IndexText(), help="As `--adetailer-index-filter`.")
    model_masks: bool | None = opt(None, value=Flag(), help="As `--adetailer-model-masks`.")
    mask_shape: str | None = opt(None, value=MASK_SHAPE, help="As `--adetailer-mask-shapes`.")
    detector_padding: Any = opt(None, value=PaddingText(-FARTHEST), help="As `--adetailer-detector-paddings`.")
    mask_padding: Any = opt(None, value=PaddingText(), help="As `--adetailer-mask-paddings`.")
    mask_blur: int | None = opt(None, value=Integer(0, FARTHEST), help="As `--adetailer-mask-blurs`.")
    mask_dilation: int | None = opt(None, value=Integer(0, FARTHEST), help="As `--adetailer-mask-dilations`.")
    size: int | None = opt(None, value=Integer(2), help="As `--adetailer-sizes`.")


@record
@options("detector")
class Looking(Detecting):
    """What detectors take that look through a model, of which the name is the first word."""

    revision: str | None = opt(None, value=Text(metavar="NAME"), help="A branch or commit of the model's repository.")
    subfolder: str | None = opt(None, value=Text(metavar="FOLDER"), help="The folder in which the model lies.")
    weight_name: str | None = opt(None, value=Text(metavar="FILE"), help="The file, of a folder with several.")
    device: str | None = same_as(Computing, "device")
    model_offload: bool = same_as(Computing, "model_offload")


@record
@options("image processor")
class Finding(Computing):
    """What image processors take that show what a detection model finds."""

    confidence: float = same_as(Detecting, "confidence")
    class_filter: tuple[str, ...] | None = same_as(
        Detecting, "class_filter", help="Keep what is of these classes, by name or number."
    )
    index_filter: tuple[int, ...] | None = same_as(
        Detecting, "index_filter", help="Keep these of what is left, counted from 0, the surest first."
    )
    detector_padding: Any = opt(
        Sides(), value=PaddingText(-FARTHEST), help="How many pixels more, or fewer, are around what it found."
    )
    font_size: int | None = opt(None, value=Integer(8, 500), help="How high letters are; by default by the picture.")
    line_width: int | None = opt(None, value=Integer(1, 100), help="How wide lines are; by default by the picture.")
    line_color: Any = opt(None, value=ColorText(), help="The colour of lines; by default one for each thing.")
    masks: bool = opt(False, value=Flag(), help="Make a mask of what was found, white, instead of drawing it.")
    outpaint: bool = opt(False, value=Flag(), help="With `masks`: what was found is black, and the rest white.")


class DetectorText(OpenUri):
    """A detector in one word: its name, or a model."""

    names_models = True

    def map_paths(self, value: NamedUri, change: Callable[[str], str]) -> NamedUri:
        """Change the model when it is a path of this machine."""
        is_path = is_local(value.name) and value.name not in DETECTORS.rows()
        return NamedUri(change(value.name), value.arguments) if is_path else value

    def recorded(self, value: NamedUri) -> NamedUri:
        """Leave out where it computes."""
        return NamedUri(value.name, tuple(pair for pair in value.arguments if pair[0] not in _OF_THE_RUN))


_OF_THE_RUN = ("device", "model_offload")


@dataclass(frozen=True, slots=True)
class Found:
    """Something in a picture: where, how surely (0 to 1), its class by name and number, and maybe its own pixels."""

    box: tuple[float, float, float, float]  # left, top, right and bottom, in pixels
    score: float
    label: str
    number: int = 0
    mask: Any = None  # (h, w) bool, of the whole picture; None: it knows the box alone


class Sight(Protocol):
    """What a detector can ask for."""

    def look(self, lens: Lens, said: Looking) -> AbstractContextManager[Seer]:
        """Give a model, which is loaded once, for as long as a block lasts; what fails in it is the model's failure.

        Raises:
            EngineError: the model cannot be had, or fails.
        """
        ...


Detect = Callable[[Any, Any, Sight], Sequence[Found]]
"""Takes the arguments as an instance of the row's class, an RGB picture, and what sees; returns what it finds."""


@dataclass(frozen=True, slots=True)
class Row(PluginRow):
    """A detector."""


MODEL = "model"
"""The detector whose first word is no name but a model."""

DETECTORS: Registry[Row] = Registry("detector", Detecting, takes=3, otherwise=MODEL)


def detector(name: str, options: type) -> Callable[[Detect], Detect]:
    """Register a function as the detector of a name; `options` is a `@record` class that joins `Detecting`."""
    return DETECTORS.registering(lambda call: Row(name, options, call))


# ---- what is done with findings ------------------------------------------------------------------------------------

_SHARED = ("confidence", "revision", "subfolder", "weight_name", "device", "model_offload")


def detect(said: Any, image: Image, sight: Sight) -> list[Found]:
    """Return what a model finds in an RGB picture and what passes the filters, the surest first.

    `said` joins `Computing` and has `model`; of `confidence`, `class_filter`, `index_filter`, `revision`, `subfolder`
    and `weight_name` it may have any.

    Raises:
        EngineError: the model cannot be had, or fails.
        BadValue: `unsafe-weights`: the model could run code.
    """
    row = DETECTORS.rows()[MODEL]
    if (getattr(said, "weight_name", None) or said.model).lower().endswith(PICKLES):
        raise BadValue(f"`{said.model}` could run code when it is opened", code="unsafe-weights", help=INSTEAD)
    given = {name: getattr(said, name) for name in _SHARED if hasattr(said, name)}
    found = row.call(row.options(name=said.model, **given), image, sight)
    return passing(found, getattr(said, "class_filter", None) or (), getattr(said, "index_filter", None) or ())


def passing(found: Sequence[Found], classes: Sequence[str], indices: Sequence[int]) -> list[Found]:
    """Return what is of some classes, by name or number, and of that what has some indices, the surest first."""
    ordered, wanted = sorted(found, key=lambda each: -each.score), set(classes)
    left = [each for each in ordered if not wanted or wanted & {each.label, str(each.number)}]
    return [each for n, each in enumerate(left) if not indices or n in indices]


def area(found: Found, size: tuple[int, int], shape: str, padding: Sides) -> Image:
    """Return the box of something, padded, white on black: 8 bit, of `size`, in one of the shapes of `MASK_SHAPE`."""
    from PIL import Image as Pictures
    from PIL import ImageDraw

    mask = Pictures.new("L", size, 0)
    left, top, right, bottom = padded(found.box, padding)
    if right > left and bottom > top:
        pen = ImageDraw.Draw(mask)
        draw = pen.ellipse if shape == "circle" else pen.rectangle
        draw((left, top, right - 1, bottom - 1), fill=255)
    return mask


def padded(box: tuple[float, float, float, float], sides: Sides) -> tuple[int, int, int, int]:
    """Return a box with pixels around it, in whole pixels."""
    left, top, right, bottom = box
    return floor(left) - sides.left, floor(top) - sides.top, ceil(right) + sides.right, ceil(bottom) + sides.bottom
