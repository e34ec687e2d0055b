"""Image processors that enlarge, restore and complete pictures with the many networks that spandrel knows."""

import sys
from collections.abc import Callable, Iterator
from importlib import import_module, util
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from dgen.plugins import (
    BadValue,
    Bench,
    Choice,
    Completing,
    Computing,
    Finding,
    Flag,
    Found,
    Integer,
    Lens,
    ModelSource,
    Processing,
    Real,
    Seer,
    detect,
    image_processor,
    opt,
    options,
    record,
    same_as,
)

if TYPE_CHECKING:
    from pathlib import Path

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
    _check_spandrel()

    def make(tensors: Any) -> Network:
        import spandrel
        import torch

        kept = {name: tensor for name, tensor in tensors.items() if isinstance(tensor, torch.Tensor)}
        found: Any = spandrel.ModelLoader().load_from_state_dict(spandrel.canonicalize_state_dict(kept or tensors))
        if (dtype == "float16" and not found.supports_half) or (dtype == "bfloat16" and not found.supports_bfloat16):
            raise BadValue(f"a {found.architecture.name} does not compute in {dtype}", help="leave `dtype` out")
        return Network(found.to(dtype=getattr(torch, dtype)).eval())

    return Lens(noun=noun, model=model, make=make, dtype=dtype)


def _check_spandrel() -> None:
    """Find out whether spandrel can be imported, without the seconds that this takes."""
    if sys.modules.get("spandrel") is not None:
        return
    missing = next((name for name in ("spandrel", "torchvision") if util.find_spec(name) is None), None)
    if missing is not None:
        needs = f"the package `{missing}`" + ("" if missing == "spandrel" else ", which `spandrel` imports")
        raise BadValue(
            f"needs {needs}", code="missing-package", help='install both: `pip install "dgen-lang[processors]"`'
        )


class TileText(Integer):
    """A number such as the side of a tile in pixels, or `auto`."""

    low: int | None = 16
    metavar: str = "N|auto"

    def parse(self, text: str) -> Any:
        """Read it."""
        if text.strip().lower() == AUTO:
            return AUTO
        try:
            return super().parse(text)
        except BadValue:
            raise BadValue(f"expected `{AUTO}` or an integer of at least {self.low}, found `{text}`") from None

    def format(self, value: Any) -> str:
        """Write it."""
        return str(value)


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
    lens = of_file(said.model, said.dtype, "network") if is_file(said.model) else _swin2sr(said)
    with bench.look(lens, said) as seer:
        enlarge, tiles = _enlarger(seer), _tiles(said, seer)
        pixels = _tried(enlarge, fed(image, seer, said.dtype), tiles, said.overlap)
    return _scaled(shown(pixels), image, said.scale)


def _scaled(made: "Image", image: "Image", scale: float | None) -> "Image":
    """Bring what a network made of a picture to the scale that was said."""
    from PIL import Image as Pictures

    if scale is None:
        return made
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return made if made.size == size else made.resize(size, Pictures.Resampling.LANCZOS)


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
    from spandrel import ImageModelDescriptor

    descriptor = seer.model.descriptor
    if not isinstance(descriptor, ImageModelDescriptor):
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
class Inpaint(Completing, Computing):
    """Arguments of `inpaint`."""

    model: str = opt(..., value=ModelSource(), help="A weights file of a network that completes pictures: LaMa.")
    dtype: str = opt("float32", value=Choice(_DTYPES), help="The precision of the network.")


@image_processor("inpaint", Inpaint, example="inpaint;model=big-lama.safetensors;mask=mask.png")
def inpaint(said: Any, image: "Image", bench: Bench) -> "Image":
    """Paint the white part of a mask as a network thinks it goes on, such as LaMa, which knows no prompts."""

    picture, mask = said.sort(image, bench)
    with bench.look(of_file(said.model, said.dtype, "network that completes pictures"), said) as seer:
        import torch
        from spandrel import MaskedImageModelDescriptor

        descriptor: Any = seer.model.descriptor
        if not isinstance(descriptor, MaskedImageModelDescriptor):
            raise BadValue(f"a {descriptor.architecture.name} takes no mask", help="take the processor `upscaler`")
        hole = (fed(mask.convert("L").convert("RGB"), seer, said.dtype)[:, :1] >= 0.5).to(getattr(torch, said.dtype))
        return shown(descriptor(fed(picture, seer, said.dtype), hole))


# ---- faces ----------------------------------------------------------------------------------------------------------


@record
@options("face-restore")
class FaceRestore(Computing):
    """Arguments of `face-restore`."""

    model: str = opt(
        ..., value=ModelSource(), help="A weights file of a network that restores faces: GFPGAN, RestoreFormer."
    )
    detector: str | None = opt(
        None, value=ModelSource(), help="A detection model that finds faces; without one, the picture is one face."
    )
    confidence: float = opt(0.3, value=Real(0, 1), help="Restore the faces that the detector is so sure of.")
    class_filter: Any = same_as(Finding, "class_filter")
    margin: float = opt(0.3, value=Real(0, 4), help="How much of a face's size is restored around it.")
    size: int = opt(512, value=Integer(16, 4096), help="At how many pixels each way the network sees a face.")
    strength: float = opt(1.0, value=Real(0, 1), help="How much of the restored face is laid over the old one.")
    dtype: str = opt("float32", value=Choice(_DTYPES), help="The precision of the network.")


@image_processor("face-restore", FaceRestore, example="face-restore;model=GFPGANv1.4.pth")
def face_restore(said: Any, image: "Image", bench: Bench) -> "Image":
    """Draw the faces of a picture anew, by a network that knows how faces look."""
    from PIL import Image as Pictures

    boxes = [_square(found, image, said.margin) for found in _faces(said, image, bench)]
    result = image.copy()
    with bench.look(of_file(said.model, said.dtype, "network"), said) as seer:
        restore = _enlarger(seer)
        for box in boxes or ([(0, 0, *image.size)] if said.detector is None else []):
            part = image.crop(box)
            seen = fed(part.resize((said.size, said.size), Pictures.Resampling.LANCZOS), seer, said.dtype)
            made = shown(restore(seen)).resize(part.size, Pictures.Resampling.LANCZOS)
            result.paste(made, box[:2], _soft(part.size, said.strength, bool(boxes)))
    return result


def _faces(said: Any, image: "Image", bench: Bench) -> list[Found]:
    if said.detector is None:
        return []
    wanted = SimpleNamespace(
        model=said.detector, confidence=said.confidence, class_filter=said.class_filter, device=said.device,
        model_offload=said.model_offload,
    )  # fmt: skip
    return detect(wanted, image, bench)


def _square(found: Found, image: "Image", margin: float) -> tuple[int, int, int, int]:
    """Return a square around a face, with a margin; at the edges of the picture it is cut."""
    left, top, right, bottom = found.box
    half = max(right - left, bottom - top) * (1 + margin) / 2
    x, y = (left + right) / 2, (top + bottom) / 2
    box = (max(0, round(x - half)), max(0, round(y - half)))
    return (
        *box,
        max(box[0] + 1, min(image.width, round(x + half))),
        max(box[1] + 1, min(image.height, round(y + half))),
    )


def _soft(size: tuple[int, int], strength: float, fades: bool) -> "Image":
    """Return how much of a part is laid over: an even share that, where it `fades`, falls within an eighth to 0."""
    import numpy as np
    from PIL import Image as Pictures

    width, height = size
    share = np.full((height, width), strength)
    if fades:
        hills = [np.minimum(np.arange(n) + 0.5, n - np.arange(n) - 0.5) / max(1, n / 8) for n in (height, width)]
        share *= np.minimum.outer(*hills).clip(0, 1)
    return Pictures.fromarray(np.rint(255 * share).astype(np.uint8))


# ---- ncnn -----------------------------------------------------------------------------------------------------------


class Ncnn:
    """The weights of a network of ncnn, which is made once for each way of computing."""

    def __init__(self, path: "Path") -> None:
        """`path` is the file of its weights."""
        self.path, self.nbytes = path, path.stat().st_size
        self._made: dict[tuple[Any, ...], Any] = {}

    def network(self, param: "Path", said: Any) -> Any:
        """Return the network, of which `param` is the file that says how it is built.

        Raises:
            BadValue: the files are no network, or there is no GPU.
        """
        key = (str(param), said.use_gpu, said.gpu_index, said.threads, said.blocktime, said.winograd, said.sgemm)
        if key not in self._made:
            self._made[key] = self._read(param, said)
        return self._made[key]

    def _read(self, param: "Path", said: Any) -> Any:
        ncnn: Any = import_module("ncnn")
        network = ncnn.Net()
        network.opt.use_vulkan_compute = said.use_gpu
        if said.use_gpu:
            if said.gpu_index >= ncnn.get_gpu_count():
                raise BadValue(f"this machine has no GPU {said.gpu_index} for Vulkan", help="leave `use-gpu` out")
            network.set_vulkan_device(said.gpu_index)
        wanted = {
            "num_threads": said.threads, "openmp_blocktime": said.blocktime,
            "use_winograd_convolution": said.winograd, "use_sgemm_convolution": said.sgemm,
        }  # fmt: skip
        for name, value in wanted.items():
            if value not in (None, AUTO):
                setattr(network.opt, name, value)
        if network.load_param(str(param)):
            raise BadValue(f"`{param.name}` does not say how a network of ncnn is built", code="bad-model")
        if network.load_model(str(self.path)):
            raise BadValue(f"`{self.path.name}` does not fit `{param.name}`", code="bad-weights")
        return network


def _no_ncnn() -> BadValue:
    help = 'install it: `pip install "dgen-lang[processors]"`'
    return BadValue("needs the package `ncnn`", code="missing-package", help=help)


@record
@options("upscaler-ncnn")
class UpscalerNcnn(Processing):
    """Arguments of `upscaler-ncnn`."""

    model: str = opt(..., value=ModelSource(), help="The weights of a network of ncnn, a `.bin` file.")
    param: str = opt(..., value=ModelSource(), help="The `.param` file that says how it is built.")
    use_gpu: bool = opt(False, value=Flag(), help="Compute on a GPU, through Vulkan.")
    gpu_index: int = opt(0, value=Integer(0, 64), help="Which GPU, counted from 0.")
    threads: Any = opt(AUTO, value=TileText(1), help="How many threads of the processor compute; `auto` is all.")
    blocktime: int | None = opt(
        None, value=Integer(0, 400), help="How many milliseconds a thread waits for more to do."
    )
    winograd: bool | None = opt(None, value=Flag(), help="Use Winograd's algorithm for convolutions.")
    sgemm: bool | None = opt(None, value=Flag(), help="Use matrix products for convolutions.")
    tile: Any = opt(400, value=TileText(), help="Enlarge in tiles of so many pixels; `auto` is the whole at once.")
    overlap: int = opt(8, value=Integer(0, 4096), help="How many pixels neighbouring tiles share.")
    scale: float | None = same_as(Upscaler, "scale")


@image_processor(
    "upscaler-ncnn", UpscalerNcnn, resizes=True, example="upscaler-ncnn;model=4x.bin;param=4x.param", unseen=_guess
)
def upscaler_ncnn(said: Any, image: "Image", bench: Bench) -> "Image":
    """Enlarge a picture with a network of ncnn, such as a Real-ESRGAN, also on GPUs that PyTorch does not know."""
    if util.find_spec("ncnn") is None:
        raise _no_ncnn()
    where = SimpleNamespace(device="cpu", model_offload=False)
    with bench.look(Lens(noun="description of a network", model=said.param, file=".param", open=PathOf), where) as seer:
        param = seer.model.path
    with bench.look(Lens(noun="network of ncnn", model=said.model, file=".bin", open=Ncnn), where) as seer:
        network = seer.model.network(param, said)
        pixels = fed(image, seer, "float32")
        made = tiled(lambda part: _run(network, part), pixels, 0 if said.tile == AUTO else said.tile, said.overlap)
    return _scaled(shown(made), image, said.scale)


class PathOf:
    """A file that is read elsewhere."""

    def __init__(self, path: "Path") -> None:
        """Keep its path."""
        self.path = path


def _run(network: Any, pixels: Any) -> Any:
    """Enlarge (1, 3, h, w) float32 in [0, 1]."""
    import numpy as np
    import torch

    extractor = network.create_extractor()
    given = np.ascontiguousarray(pixels[0].numpy())  # a `Mat` only points to it
    extractor.input(network.input_names()[0], import_module("ncnn").Mat(given))
    failed, made = extractor.extract(network.output_names()[-1])
    if failed:
        raise BadValue("ncnn cannot run the network", code="render-failed")
    return torch.from_numpy(np.array(made)[None].clip(0, 1))
