"""Image processors that move, cut and scale pictures."""

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from dgen.plugins import (
    BadValue,
    Bench,
    ChainText,
    Choice,
    ColorText,
    FilePath,
    Flag,
    Integer,
    Processing,
    Real,
    Size,
    SizeText,
    Text,
    image_processor,
    opt,
    options,
    record,
)

if TYPE_CHECKING:
    from PIL.Image import Image


class Box(NamedTuple):
    """Numbers of pixels at the left, the top, the right and the bottom."""

    left: int
    top: int
    right: int
    bottom: int


class BoxText(Text):
    """Four numbers, `LEFTxTOPxRIGHTxBOTTOM`."""

    metavar: str = "LxTxRxB"

    def parse(self, text: str) -> Any:
        """Read the numbers."""
        if not re.fullmatch(r"\d{1,6}([xX]\d{1,6}){3}", text):
            raise BadValue(f"expected four numbers such as `0x0x64x64`, found `{text}`")
        return Box(*map(int, text.lower().split("x")))

    def format(self, value: Any) -> str:
        """Write the numbers."""
        return "x".join(map(str, value))


class MarginText(BoxText):
    """Padding: one number for all sides, two for across and down, or four."""

    metavar: str = "P, WxH or LxTxRxB"

    def parse(self, text: str) -> Any:
        """Read the numbers."""
        if not re.fullmatch(r"-?\d{1,6}|-?\d{1,6}[xX]-?\d{1,6}|-?\d{1,6}([xX]-?\d{1,6}){3}", text):
            raise BadValue(f"expected `P`, `WxH` or `LxTxRxB`, found `{text}`")
        numbers = [int(each) for each in text.lower().split("x")]
        return Box(*(numbers * {1: 4, 2: 2, 4: 1}[len(numbers)]))


class ScaleText(Text):
    """How many times as large: one number, or one across and one down."""

    metavar: str = "X or X,Y"

    def parse(self, text: str) -> Any:
        """Read the numbers."""
        parts = [Real(0.001, 1000).parse(part.strip()) for part in text.split(",")]
        if len(parts) > 2:
            raise BadValue(f"expected one number or two, found `{text}`")
        return (parts[0], parts[-1])

    def format(self, value: Any) -> str:
        """Write the numbers."""
        return ",".join(map(repr, value))


@image_processor("mirror", Processing, example="mirror")
def mirror(said: Any, image: "Image", bench: Bench) -> "Image":
    """Change left and right."""
    from PIL import ImageOps

    return ImageOps.mirror(image)


@image_processor("flip", Processing, example="flip")
def flip(said: Any, image: "Image", bench: Bench) -> "Image":
    """Change top and bottom."""
    from PIL import ImageOps

    return ImageOps.flip(image)


@record
@options("rotate")
class Rotate(Processing):
    """Arguments of `rotate`."""

    degrees: float = opt(..., value=Real(-360, 360), help="How far to turn, against the clock.")
    expand: bool = opt(True, value=Flag(), help="Make the picture large enough to hold all of it.")
    fill: Any = opt((0, 0, 0), value=ColorText(), help="The colour of corners that were outside.")


@image_processor("rotate", Rotate, resizes=True, example="rotate;degrees=20;fill=white")
def rotate(said: Any, image: "Image", bench: Bench) -> "Image":
    """Turn a picture; quarter turns keep every pixel."""
    from PIL import Image as Pictures

    return image.rotate(said.degrees, Pictures.Resampling.BICUBIC, expand=said.expand, fillcolor=said.fill)


@record
@options("crop")
class Crop(Processing):
    """Arguments of `crop`."""

    box: Any = opt(..., value=BoxText(metavar="LxTxRxB"), help="The part to keep, in pixels from the left and the top.")


@image_processor("crop", Crop, resizes=True, example="crop;box=16x12x100x76")
def crop(said: Any, image: "Image", bench: Bench) -> "Image":
    """Keep a part of a picture."""
    return image.crop(_inside(said.box, image))


def _inside(box: Box, image: "Image") -> Box:
    """Return a box, which must lie in a picture and hold something."""
    if not (box.left < box.right <= image.width and box.top < box.bottom <= image.height):
        written = "x".join(map(str, box))
        raise BadValue(f"the box `{written}` is no part of a picture of {image.width}x{image.height}")
    return box


@record
@options("crop-to-mask")
class CropToMask(Processing):
    """Arguments of `crop-to-mask`."""

    mask: str | None = opt(None, value=FilePath("IMAGE"), help="The mask; by default the picture is its own.")
    mask_processors: Any = opt((), value=ChainText(), help="What is done with the mask before.")
    padding: Any = opt(Box(0, 0, 0, 0), value=MarginText(metavar="P, WxH or LxTxRxB"), help="How much more to keep.")


@image_processor("crop-to-mask", CropToMask, resizes=True, example="crop-to-mask;mask=mask.png;padding=8")
def crop_to_mask(said: Any, image: "Image", bench: Bench) -> "Image":
    """Keep what lies under the white part of a mask, whole rows and columns."""
    mask = bench.picture(said.mask).resize(image.size) if said.mask is not None else image
    found = bench.processed(mask, said.mask_processors).convert("L").getbbox()
    if found is None:
        raise BadValue("the mask is black all over, so that nothing would be left")
    left, top, right, bottom = found
    pad = said.padding
    wide = (left - pad.left, top - pad.top, right + pad.right, bottom + pad.bottom)
    box = Box(max(0, wide[0]), max(0, wide[1]), min(image.width, wide[2]), min(image.height, wide[3]))
    return image.crop(_inside(box, image))


@record
@options("outpaint-mask")
class OutpaintMask(Processing):
    """Arguments of `outpaint-mask`."""

    box: Any = opt(..., value=BoxText(metavar="LxTxRxB"), help="How many pixels are painted anew at each side.")


@image_processor("outpaint-mask", OutpaintMask, example="outpaint-mask;box=0x0x32x0")
def outpaint_mask(said: Any, image: "Image", bench: Bench) -> "Image":
    """Make a mask of the size of a picture: its sides white, which are repainted, and the rest black."""
    from PIL import Image as Pictures

    left, top, right, bottom = said.box
    if left + right >= image.width or top + bottom >= image.height:
        raise BadValue(f"sides of {'x'.join(map(str, said.box))} leave nothing of {image.width}x{image.height}")
    mask = Pictures.new("RGB", image.size, "white")
    mask.paste((0, 0, 0), (left, top, image.width - right, image.height - bottom))
    return mask


# ---- size --------------------------------------------------------------------------------------------------------

_ALGORITHMS = ("auto", "nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")


@record
@options("resize")
class Resize(Processing):
    """Arguments of `resize`."""

    size: Any = opt(None, value=SizeText(single="width"), help="The size to bring it to; a single number is the width.")
    scale: Any = opt(None, value=ScaleText(metavar="X or X,Y"), help="How many times as large instead of a size.")
    align: int = opt(1, value=Integer(1, 4096), help="Make the size a multiple of this, rounded down.")
    aspect_correct: bool = opt(True, value=Flag(), help="Fit the width and compute the height, instead of stretching.")
    algo: str = opt(
        "auto", value=Choice(_ALGORITHMS), help="How pixels are computed; `auto` is `lanczos` larger, `box` smaller."
    )


@image_processor("resize", Resize, resizes=True, example="resize;scale=0.5")
def resize(said: Any, image: "Image", bench: Bench) -> "Image":
    """Bring a picture to a size, or scale it."""
    from PIL import Image as Pictures

    if (said.size is None) == (said.scale is None):
        raise BadValue("give either `size` or `scale`")
    size = _fitted(image, said.size, said.aspect_correct) if said.size else _scaled(image, said.scale)
    width, height = (max(said.align, side // said.align * said.align) for side in size)
    if width * height > 20_000**2:
        raise BadValue(f"{width}x{height} is more than 400,000,000 pixels")
    algorithm = said.algo
    if algorithm == "auto":
        algorithm = "lanczos" if width * height >= image.width * image.height else "box"
    return image.resize((width, height), Pictures.Resampling[algorithm.upper()])


def _scaled(image: "Image", scale: tuple[float, float]) -> Size:
    return Size(max(1, round(image.width * scale[0])), max(1, round(image.height * scale[1])))


def _fitted(image: "Image", wanted: Size, aspect: bool) -> Size:
    if wanted.height and not aspect:
        return wanted
    return Size(wanted.width, max(1, round(image.height * wanted.width / image.width)))


@record
@options("letterbox")
class Letterbox(Processing):
    """Arguments of `letterbox`."""

    box_size: Any = opt(
        ..., value=MarginText(metavar="WxH or LxTxRxB"), help="The size of the whole; with `box-is-padding`, its sides."
    )
    box_is_padding: bool = opt(False, value=Flag(), help="Read `box-size` as what is added at each side.")
    box_color: Any = opt((0, 0, 0), value=ColorText(), help="The colour around the picture.")
    inner_size: Any = opt(None, value=SizeText(single="width"), help="The size of the picture within.")
    aspect_correct: bool = opt(True, value=Flag(), help="Keep the aspect of the picture within.")


@image_processor("letterbox", Letterbox, resizes=True, example="letterbox;box-size=128x128;box-color=#204060")
def letterbox(said: Any, image: "Image", bench: Bench) -> "Image":
    """Put a picture into the middle of a larger one of one colour."""
    from PIL import Image as Pictures

    box = said.box_size
    if said.box_is_padding:
        inner = _inner(said, image, None)
        size = Size(inner.width + box.left + box.right, inner.height + box.top + box.bottom)
        place = (box.left, box.top)
    else:
        if (box.left, box.top) != (box.right, box.bottom):
            raise BadValue("a size is `WxH`", help="four numbers need `box-is-padding=true`")
        size = Size(box.left, box.top)
        inner = _inner(said, image, size)
        place = ((size.width - inner.width) // 2, (size.height - inner.height) // 2)
    if min(*size, *place, *inner) < 0 or not all(size):
        raise BadValue(f"a box of {size} cannot hold a picture of {inner}")
    whole = Pictures.new("RGB", (size.width, size.height), said.box_color)
    if image.size != tuple(inner):
        image = image.resize((inner.width, inner.height), Pictures.Resampling.LANCZOS)
    whole.paste(image, place)
    return whole


def _inner(said: Any, image: "Image", box: Size | None) -> Size:
    """Return the size of the picture within: what was said, or as large as the box allows."""
    if said.inner_size is not None:
        return _fitted(image, said.inner_size, said.aspect_correct)
    if box is None:
        return Size(image.width, image.height)
    if not said.aspect_correct:
        return box
    scale = min(box.width / image.width, box.height / image.height)
    return Size(max(1, round(image.width * scale)), max(1, round(image.height * scale)))
