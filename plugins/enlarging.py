"""Image processors that enlarge, restore and complete pictures with the many networks that spandrel knows."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from dgen.plugins import (
    BadValue,
    Bench,
    ChainText,
    Choice,
    Computing,
    FilePath,
    Flag,
    Integer,
    Lens,
    ModelSource,
    Real,
    Seer,
    image_processor,
    opt,
    options,
    record,
)

if TYPE_CHECKING:
    from PIL.Image import Image

AUTO = "auto"

_FILES = (".safetensors", ".sft", ".pth", ".pt", ".ckpt", ".bin")
_TILES = (2048, 1024, 512, 256, 128)
_DTYPES = ("float32", "float16", "bfloat16")


class Network:
    """A network of spandrel, which dgen counts and moves."""

    def __init__(self, descriptor: Any) -> None:
        """`descriptor` is what spandrel makes of weights."""
        self.descriptor = descriptor
        self.nbytes = sum(p.numel() * p.element_size() for p in descriptor.model.parameters())

    def to(self, device: str) -> None:
        """Move it to a device."""
        self.descriptor.to(device)


def of_file(model: str, dtype: str, noun: str) -> Lens:
    """Return the lens of a network in one weights file, which spandrel reads.

    Raises:
        BadValue: `missing-package`.
    """
    spandrel = _spandrel()
    import torch

    def make(tensors: Any) -> Network:
        kept = {name: tensor for name, tensor in tensors.items() if isinstance(tensor, torch.Tensor)}
        found = spandrel.ModelLoader().load_from_state_dict(spandrel.canonicalize_state_dict(kept or tensors))
        if (dtype == "float16" and not found.supports_half) or (dtype == "bfloat16" and not found.supports_bfloat16):
            raise BadValue(f"a {found.architecture.name} does not compute in {dtype}", help="leave `dtype` out")
        return Network(found.to(dtype=getattr(torch, dtype)).eval())

    return Lens(noun=noun, model=model, make=make, dtype=dtype)


def _spandrel() -> Any:
    try:
        import spandrel
    except ModuleNotFoundError as error:
        missing = str(error.name).partition(".")[0]
        needs = f"the package `{missing}`" + ("" if missing == "spandrel" else ", which `spandrel` imports")
        raise BadValue(
            f"needs {needs}", code="missing-package", help='install both: `pip install "dgen-lang[processors]"`'
        ) from None
    return spandrel


class TileText(Integer):
    """The side of a tile in pixels, or `auto`."""

    metavar: str = "N|auto"

    def parse(self, text: str) -> Any:
        """Read it."""
        if text.strip().lower() == AUTO:
            return AUTO
        try:
            return Integer(16, 65536).parse(text)
        except BadValue:
            raise BadValue(f"expected `{AUTO}` or an integer from 16 to 65536, found `{text}`") from None


@record
@options("upscaler")
class Upscaler(Computing):
    """Arguments of `upscaler`."""

    model: str = opt(
        ..., value=ModelSource(),
        help="A weights file of a network that spandrel knows, as ESRGAN or SwinIR; or a Swin2SR of transformers.",
    )  # fmt: skip
    tile: Any = opt(
        512, value=TileText(), help="Enlarge in tiles of so many pixels; `auto` uses them when memory runs out alone."
    )
    overlap: int = opt(32, value=Integer(0, 4096), help="How many pixels neighbouring tiles share.")
    scale: float | None = opt(
        None, value=Real(0.01, 64), help="How many times larger the result is; by default as the network makes it."
    )
    force_tiling: bool = opt(
        False, value=Flag(), help="Use tiles also for networks that look at the whole picture, which show seams then."
    )
    dtype: str = opt("float32", value=Choice(_DTYPES), help="The precision of the network.")


def _guess(said: Any, image: "Image") -> "Image":
    """Enlarge a picture without the network, whose own scale is most often 4."""
    scale = said.scale or 4
    return image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))


@image_processor("upscaler", Upscaler, resizes=True, example="upscaler;model=4x.safetensors;scale=2", unseen=_guess)
def upscaler(said: Any, image: "Image", bench: Bench) -> "Image":
    """Enlarge a picture with a network that draws what it cannot see, such as an ESRGAN."""
    from PIL import Image as Pictures

    lens = of_file(said.model, said.dtype, "network") if is_file(said.model) else _swin2sr(said)
    with bench.look(lens, said) as seer:
        enlarge, tiles = _enlarger(seer), _tiles(said, seer)
        pixels = _tried(enlarge, fed(image, seer, said.dtype), tiles, said.overlap)
    result = shown(pixels)
    if said.scale is None:
        return result
    size = (max(1, round(image.width * said.scale)), max(1, round(image.height * said.scale)))
    return result if result.size == size else result.resize(size, Pictures.Resampling.LANCZOS)


def is_file(model: str) -> bool:
    """Whether a source is a weights file, of this machine or an address; others are folders and repositories."""
    return model.partition("?")[0].lower().endswith(_FILES) or model.startswith(("http://", "https://"))


def _swin2sr(said: Any) -> Lens:
    return Lens(
        noun="upscaling model", model=said.model, classes=("ForImageSuperResolution",), preparing="", dtype=said.dtype
    )


def _enlarger(seer: Seer) -> Callable[[Any], Any]:
    """Return what enlarges (1, 3, h, w) in [0, 1]."""
    if not isinstance(seer.model, Network):
        return lambda pixels: seer.model(pixel_values=pixels).reconstruction.clamp(0, 1)
    descriptor = seer.model.descriptor
    if not isinstance(descriptor, _spandrel().ImageModelDescriptor):
        raise BadValue(f"a {descriptor.architecture.name} completes pictures", help="take the processor `inpaint`")
    if (descriptor.input_channels, descriptor.output_channels) != (3, 3):
        raise BadValue(f"the network takes {descriptor.input_channels} channels, and pictures have 3")
    return descriptor


def _tiles(said: Any, seer: Seer) -> tuple[int, ...]:
    """Return the sides of tiles to try, one after the other when memory runs out; 0 is the whole picture."""
    is_whole = isinstance(seer.model, Network) and seer.model.descriptor.tiling.name != "SUPPORTED"
    if is_whole and not said.force_tiling:
        return (0,)
    return (0, *_TILES) if said.tile == AUTO else (said.tile,)


def _tried(enlarge: Callable[[Any], Any], pixels: Any, tiles: tuple[int, ...], overlap: int) -> Any:
    import torch

    for side in tiles[:-1]:
        try:
            return tiled(enlarge, pixels, side, overlap)
        except (torch.OutOfMemoryError, MemoryError):
            continue
    return tiled(enlarge, pixels, tiles[-1], overlap)


def tiled(enlarge: Callable[[Any], Any], pixels: Any, side: int, overlap: int) -> Any:
    """Enlarge (1, 3, h, w) pixels tile by tile, where it is larger than a tile.

    Of what two tiles share, each alone gives the quarter that is farther from its edge, where a network sees nothing
    beyond, and both fade into one another between.
    """
    import torch

    height, width = pixels.shape[2:]
    if not side or (height <= side and width <= side):
        return enlarge(pixels)
    overlap = min(overlap, side // 2)
    total = weight = None
    for top, bottom in spans(height, side, overlap):
        for left, right in spans(width, side, overlap):
            made = enlarge(pixels[:, :, top:bottom, left:right])
            scale = made.shape[3] // (right - left)
            if total is None or weight is None:
                total = torch.zeros((1, made.shape[1], height * scale, width * scale), dtype=torch.float32)
                weight = torch.zeros((1, 1, height * scale, width * scale), dtype=torch.float32)
            down = _fade(top > 0, bottom < height, (bottom - top) * scale, overlap * scale)
            across = _fade(left > 0, right < width, (right - left) * scale, overlap * scale)
            rows, columns = slice(top * scale, bottom * scale), slice(left * scale, right * scale)
            total[:, :, rows, columns] += made.float().cpu() * (fade := down[:, None] * across)
            weight[:, :, rows, columns] += fade
    return pixels if total is None or weight is None else total / weight


def spans(length: int, side: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Yield where tiles start and end along a length; the last one is moved back, so that it is whole."""
    start = 0
    while start + side < length:
        yield start, start + side
        start += side - overlap
    yield max(0, length - side), length


def _fade(from_start: bool, to_end: bool, length: int, overlap: int) -> Any:
    """Return how much each pixel along a tile counts, (length,) from 0 to 1."""
    import torch

    distance = torch.arange(length, dtype=torch.float32) + 0.5
    rise = ((distance - overlap / 4) / max(overlap / 2, 1)).clamp(1e-6 if overlap else 1, 1)
    counts = rise if from_start else torch.ones(length)
    return torch.minimum(counts, rise.flip(0)) if to_end else counts


def fed(image: "Image", seer: Seer, dtype: str) -> Any:
    """Return a picture as (1, 3, h, w) in [0, 1]."""
    import numpy as np
    import torch

    pixels = torch.from_numpy(np.asarray(image, dtype=np.float32).transpose(2, 0, 1)[None].copy()) / 255
    return pixels.to(seer.device, getattr(torch, dtype))


def shown(pixels: Any) -> "Image":
    """Make a picture of (1, 3, h, w) in [0, 1]."""
    import numpy as np
    from PIL import Image as Pictures

    made: np.ndarray = pixels[0].float().cpu().numpy().transpose(1, 2, 0)
    return Pictures.fromarray(np.rint(made.clip(0, 1) * 255).astype(np.uint8))


@record
@options("inpaint")
class Inpaint(Computing):
    """Arguments of `inpaint`."""

    model: str = opt(..., value=ModelSource(), help="A weights file of a network that completes pictures: LaMa.")
    mask: str | None = opt(None, value=FilePath("IMAGE"), help="What is painted: the white part of this picture.")
    mask_processors: Any = opt((), value=ChainText(), help="What is done with the mask before.")
    image: str | None = opt(
        None, value=FilePath("IMAGE"), help="Instead of a mask: the picture to complete, whose mask the other one is."
    )
    image_processors: Any = opt((), value=ChainText(), help="What is done with that picture before.")
    dtype: str = opt("float32", value=Choice(_DTYPES), help="The precision of the network.")


@image_processor("inpaint", Inpaint, example="inpaint;model=big-lama.safetensors;mask=mask.png")
def inpaint(said: Any, image: "Image", bench: Bench) -> "Image":
    """Paint the white part of a mask as a network thinks it goes on, such as LaMa, which knows no prompts."""
    import torch
    from PIL import Image as Pictures

    if (said.mask is None) == (said.image is None):
        raise BadValue("give either `mask` or `image`")
    named = bench.processed(
        bench.picture(said.mask or said.image), said.mask_processors if said.mask else said.image_processors
    ).resize(image.size, Pictures.Resampling.LANCZOS)
    picture, mask = (image, named) if said.mask else (named, image)
    with bench.look(of_file(said.model, said.dtype, "network that completes pictures"), said) as seer:
        descriptor = seer.model.descriptor
        if not isinstance(descriptor, _spandrel().MaskedImageModelDescriptor):
            raise BadValue(f"a {descriptor.architecture.name} takes no mask", help="take the processor `upscaler`")
        hole = (fed(mask.convert("L").convert("RGB"), seer, said.dtype)[:, :1] >= 0.5).to(getattr(torch, said.dtype))
        return shown(descriptor(fed(picture, seer, said.dtype), hole))
