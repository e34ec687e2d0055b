"""Image processors that put something over a picture: another picture, a text, a watermark."""

from typing import TYPE_CHECKING, Any

from dgen.plugins import (
    BadValue,
    Bench,
    ChainText,
    Choice,
    ColorText,
    FilePath,
    Flag,
    Integer,
    PointText,
    Processing,
    Real,
    Text,
    image_processor,
    opt,
    options,
    record,
)

if TYPE_CHECKING:
    from PIL.Image import Image

_PLACES = ("top-left", "top", "top-right", "left", "center", "right", "bottom-left", "bottom", "bottom-right")


@record
@options("paste")
class Paste(Processing):
    """Arguments of `paste`."""

    image: str = opt(..., value=FilePath("IMAGE"), help="The picture that is put over it.")
    image_processors: Any = opt((), value=ChainText(), help="What is done with that picture before.")
    position: Any = opt(None, value=PointText(), help="Where its upper left corner goes; by default 0,0.")
    feather: int = opt(0, value=Integer(0, 4096), help="How many pixels its edge takes to fade in.")
    feather_shape: str = opt(
        "rectangle", value=Choice(("rectangle", "ellipse"), {"rect": "rectangle", "circle": "ellipse"}),
        help="The shape that fades.",
    )  # fmt: skip
    mask: str | None = opt(None, value=FilePath("IMAGE"), help="Where it is seen: white shows it, black does not.")
    mask_processors: Any = opt((), value=ChainText(), help="What is done with the mask before.")
    position_mask: str | None = opt(
        None, value=FilePath("IMAGE"), help="Put it over the white part of this mask, which is brought to the picture."
    )
    position_mask_padding: int = opt(0, value=Integer(-4096, 4096), help="How much larger than that part it gets.")
    position_mask_processors: Any = opt((), value=ChainText(), help="What is done with that mask before.")
    reverse: bool = opt(False, value=Flag(), help="Put the processed picture over the named one instead.")


@image_processor("paste", Paste, resizes=True, example="paste;image=mark.png;position=4,4;feather=6")
def paste(said: Any, image: "Image", bench: Bench) -> "Image":
    """Put a picture over another one."""
    other = bench.processed(bench.picture(said.image), said.image_processors)
    below, above = (other, image) if said.reverse else (image, other)
    if said.position is not None and said.position_mask is not None:
        raise BadValue("give either `position` or `position-mask`")
    place = (said.position.x, said.position.y) if said.position is not None else (0, 0)
    if said.position_mask is not None:
        box = _box_of(said, below, bench)
        above, place = above.resize((box[2] - box[0], box[3] - box[1])), box[:2]
    mask = _shape(said, above)
    if said.mask is not None:
        mask = bench.processed(bench.picture(said.mask), said.mask_processors).convert("L").resize(above.size)
    result = below.copy()
    result.paste(above, place, mask)
    return result


def _box_of(said: Any, below: "Image", bench: Bench) -> tuple[int, int, int, int]:
    mask = bench.processed(bench.picture(said.position_mask), said.position_mask_processors)
    found = mask.convert("L").resize(below.size).getbbox()
    pad = said.position_mask_padding
    box = (found[0] - pad, found[1] - pad, found[2] + pad, found[3] + pad) if found else (0, 0, 0, 0)
    if box[0] >= box[2] or box[1] >= box[3]:
        raise BadValue("the position mask leaves no room for a picture")
    return box


def _shape(said: Any, above: "Image") -> "Image | None":
    """Return a mask that fades towards the edge; None when nothing fades."""
    if not said.feather:
        return None
    import numpy as np
    from PIL import Image as Pictures

    width, height = above.size
    across = np.minimum(np.arange(width), np.arange(width)[::-1])[None, :] + 1.0
    down = np.minimum(np.arange(height), np.arange(height)[::-1])[:, None] + 1.0
    inside = np.minimum(across, down)
    if said.feather_shape == "ellipse":
        x = (np.arange(width) + 0.5) / width * 2 - 1
        y = (np.arange(height) + 0.5) / height * 2 - 1
        inside = (1 - np.hypot(x[None, :], y[:, None])) * min(width, height) / 2
    return Pictures.fromarray(np.rint(np.clip(inside / said.feather, 0, 1) * 255).astype(np.uint8))


@record
@options("text")
class Lettering(Processing):
    """Arguments of `text`."""

    text: str = opt(..., value=Text(), help="What is written; `\\n` starts a line.")
    font: str | None = opt(None, value=FilePath("FONT"), help="A TrueType or OpenType file; by default Pillow's own.")
    size: int = opt(24, value=Integer(1, 2000), help="How high letters are, in pixels.")
    color: Any = opt((255, 255, 255), value=ColorText(), help="The colour of the letters.")
    outline: int = opt(0, value=Integer(0, 100), help="How many pixels the outline is wide.")
    outline_color: Any = opt((0, 0, 0), value=ColorText(), help="The colour of the outline.")
    position: str = opt("bottom", value=Choice(_PLACES, metavar="PLACE"), help="Where it stands in the picture.")
    margin: int = opt(8, value=Integer(0, 10_000), help="How far it keeps from the edges, in pixels.")
    opacity: float = opt(1.0, value=Real(0, 1), help="How much it covers: 0 is invisible.")


@image_processor("text", Lettering, example="text;text=dgen;size=28;outline=2;position=bottom")
def text(said: Any, image: "Image", bench: Bench) -> "Image":
    """Write a text over a picture."""
    from PIL import Image as Pictures
    from PIL import ImageDraw

    layer = Pictures.new("RGBA", image.size, (*said.color, 0))
    draw = ImageDraw.Draw(layer)
    written, font = said.text.replace("\\n", "\n"), _font(said)
    left, top, right, bottom = draw.textbbox((0, 0), written, font=font, stroke_width=said.outline)
    place = _placed((int(right - left), int(bottom - top)), image.size, said)
    draw.text(
        (place[0] - left, place[1] - top), written, font=font, fill=(*said.color, 255), stroke_width=said.outline,
        stroke_fill=(*said.outline_color, 255),
    )  # fmt: skip
    return _over(image, layer, said.opacity)


def _font(said: Any) -> Any:
    from PIL import ImageFont

    try:
        return ImageFont.truetype(said.font, said.size) if said.font else ImageFont.load_default(said.size)
    except OSError:
        raise BadValue(f"`{said.font}` is no font that can be read", code="bad-file") from None


def _placed(inner: tuple[int, int], outer: tuple[int, int], said: Any) -> tuple[int, int]:
    """Return the upper left corner of something in a picture."""
    words = said.position.split("-")
    sides = (("left", "right"), ("top", "bottom"))
    shares = [0.0 if low in words else 1.0 if high in words else 0.5 for low, high in sides]
    room = [outer[axis] - inner[axis] - 2 * said.margin for axis in (0, 1)]
    return (said.margin + round(room[0] * shares[0]), said.margin + round(room[1] * shares[1]))


def _over(image: "Image", layer: "Image", opacity: float) -> "Image":
    """Lay an RGBA picture over an RGB one."""
    from PIL import Image as Pictures

    layer.putalpha(layer.getchannel("A").point([round(value * opacity) for value in range(256)]))
    return Pictures.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


@record
@options("watermark")
class Watermark(Processing):
    """Arguments of `watermark`."""

    image: str = opt(..., value=FilePath("IMAGE"), help="The mark; where it is white nothing is seen of it.")
    scale: float = opt(0.25, value=Real(0.001, 1), help="How wide it is, as a fraction of the picture.")
    position: str = opt("bottom-right", value=Choice(_PLACES, metavar="PLACE"), help="Where it stands in the picture.")
    margin: int = opt(8, value=Integer(0, 10_000), help="How far it keeps from the edges, in pixels.")
    opacity: float = opt(0.5, value=Real(0, 1), help="How much it covers: 0 is invisible.")


@image_processor("watermark", Watermark, example="watermark;image=mark.png;opacity=0.7")
def watermark(said: Any, image: "Image", bench: Bench) -> "Image":
    """Put a small mark into a corner of a picture."""
    from PIL import Image as Pictures
    from PIL import ImageOps

    mark = bench.picture(said.image)
    width = max(1, round(image.width * said.scale))
    mark = mark.resize((width, max(1, round(mark.height * width / mark.width))), Pictures.Resampling.LANCZOS)
    mark.putalpha(ImageOps.invert(mark.convert("L")))
    layer = Pictures.new("RGBA", image.size, (255, 255, 255, 0))
    layer.paste(mark, _placed(mark.size, image.size, said))
    return _over(image, layer, said.opacity)
