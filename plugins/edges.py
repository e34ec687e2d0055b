"""Image processors that draw edges as small networks see them: HED, PiDiNet and TEED, with their published weights.

The networks are written out here after their papers, over the tensors of the weights files by name.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dgen.plugins import (
    BadValue,
    Bench,
    ChainText,
    Flag,
    Integer,
    Lens,
    ModelSource,
    Real,
    Seeing,
    image_processor,
    opt,
    options,
    record,
)

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

Tensors = Mapping[str, Any]

ANNOTATORS = "lllyasviel/Annotators"
"""The repository of the hub that has most of the weights."""

FOLDERS = {"bdsqlsz/qinglong_controlnet-lllite": "Annotators", "TheMistoAI/MistoLine": "Anyline"}
"""The folders in which repositories of the hub have the weights of a TEED."""


def conv(x: Any, held: Tensors, name: str, **how: Any) -> Any:
    """Convolve with the weight, and the bias where there is one, of a name."""
    import torch

    return torch.nn.functional.conv2d(x, held[f"{name}.weight"], held.get(f"{name}.bias"), **how)


def fed(image: "Image", device: str) -> Any:
    """Return a picture as (1, 3, h, w) float32 in [0, 255]."""
    import numpy as np
    import torch

    return torch.from_numpy(np.asarray(image, dtype=np.float32).transpose(2, 0, 1)[None].copy()).to(device)


def averaged(seen: list[Any], size: tuple[int, int]) -> "np.ndarray":
    """Return the sigmoid of the mean of maps (1, 1, h, w) of logits, each brought to a size: (h, w) in [0, 1]."""
    import torch

    resize = torch.nn.functional.interpolate
    whole = [resize(each, size, mode="bilinear", align_corners=False)[0, 0] for each in seen]
    return torch.sigmoid(torch.stack(whole).double().mean(dim=0)).cpu().numpy()


def in_steps(edges: "np.ndarray", steps: int = 2) -> "np.ndarray":
    """Leave few shades of edges, from 0 to 1: a ControlNet then learns nothing of the picture from them."""
    import numpy as np

    return np.floor(edges * (steps + 1)).clip(0, steps) / steps


def drawn(edges: "np.ndarray") -> "Image":
    """Make a picture of edges from 0 to 1."""
    import numpy as np
    from PIL import Image as Pictures

    return Pictures.fromarray((edges * 255).clip(0, 255).astype(np.uint8))


# ---- HED ------------------------------------------------------------------------------------------------------------


@record
@options("hed")
class Hed(Seeing):
    """Arguments of `hed`."""

    model: str = opt(ANNOTATORS, value=ModelSource(), help="The weights, `ControlNetHED.pth`, or a folder of them.")
    scribble: bool = opt(False, value=Flag(), help="Draw the edges like a scribble: a few strokes, white or black.")
    safe: bool = opt(False, value=Flag(), help="Leave three shades, which tell nothing else of the picture.")


@image_processor("hed", Hed, example="hed;safe=true")
def hed(said: Any, image: "Image", bench: Bench) -> "Image":
    """Draw soft edges, as the network of Holistically-Nested Edge Detection (arXiv 1504.06375) sees them."""
    lens = Lens(noun="HED network", model=said.model, file="ControlNetHED.pth")
    with bench.look(lens, said) as seer:
        edges = averaged(hed_sides(fed(image, seer.device), seer.model), (image.height, image.width))
    edges = scribbled(edges) if said.scribble else edges
    return drawn(in_steps(edges) if said.safe else edges)


def hed_sides(x: Any, held: Tensors) -> list[Any]:
    """Return what five stages of convolutions see, (1, 1, h, w) logits each, of (1, 3, h, w) in [0, 255]."""
    import torch

    x, sides = x - held["norm"], []
    for stage in range(1, 6):
        x = x if stage == 1 else torch.nn.functional.max_pool2d(x, 2)
        layer = 0
        while f"block{stage}.convs.{layer}.weight" in held:
            x = torch.relu(conv(x, held, f"block{stage}.convs.{layer}", padding=1))
            layer += 1
        sides.append(conv(x, held, f"block{stage}.projection"))
    return sides


def scribbled(edges: "np.ndarray") -> "np.ndarray":
    """Return strokes, 0 or 1, of edges from 0 to 1: the ridges of blurred edges above one half, drawn thick.

    A pixel is on a ridge where it is the greatest of three in a row, a column or a diagonal.
    """
    import numpy as np

    soft = blurred(np.floor(edges * 255), 3.0)
    ridge = np.zeros(soft.shape, bool)
    wide = np.pad(soft, 1, mode="edge")
    height, width = soft.shape
    for down, across in ((0, 1), (1, 0), (1, 1), (1, -1)):
        one = wide[1 + down : 1 + down + height, 1 + across : 1 + across + width]
        other = wide[1 - down : 1 - down + height, 1 - across : 1 - across + width]
        ridge |= (soft >= one) & (soft >= other)
    return (blurred(np.where(ridge & (soft > 127), 255.0, 0.0), 3.0) > 4).astype(np.float64)


def blurred(pixels: "np.ndarray", sigma: float) -> "np.ndarray":
    """Blur (h, w) pixels by a Gaussian, cut off where it hardly weighs; edges are mirrored."""
    import numpy as np

    half = round(4 * sigma)
    weights = np.exp(-(np.arange(-half, half + 1) ** 2) / (2 * sigma**2))
    weights /= weights.sum()
    for axis in (0, 1):
        pad = [(half, half) if a == axis else (0, 0) for a in (0, 1)]
        wide = np.pad(pixels, pad, mode="symmetric")
        length = pixels.shape[axis]
        pixels = np.sum([w * np.take(wide, range(i, i + length), axis) for i, w in enumerate(weights)], axis=0)
    return pixels


# ---- PiDiNet --------------------------------------------------------------------------------------------------------


@record
@options("pidi")
class Pidi(Seeing):
    """Arguments of `pidi`."""

    model: str = opt(ANNOTATORS, value=ModelSource(), help="The weights, `table5_pidinet.pth`, or a folder of them.")
    apply_filter: bool = opt(False, value=Flag(), help="Leave only what is more edge than not, as white.")
    safe: bool = opt(False, value=Flag(), help="Leave three shades, which tell nothing else of the picture.")


@image_processor("pidi", Pidi, example="pidi;safe=true")
def pidi(said: Any, image: "Image", bench: Bench) -> "Image":
    """Draw soft edges, as Pixel Difference Networks (arXiv 2108.07009) see them."""
    lens = Lens(noun="PiDiNet", model=said.model, file="table5_pidinet.pth")
    with bench.look(lens, said) as seer:
        given = fed(image, seer.device).flip(1) / 255  # blue first, as ControlNets were trained with
        edges = pidinet(given, seer.model)[0, 0].double().cpu().numpy()
    edges = (edges > 0.5).astype(float) if said.apply_filter else edges
    return drawn(in_steps(edges) if said.safe else edges)


_OPERATORS = ("central", "angular", "radial", "plain")
"""Which differences the layers take, in turn: the configuration `carv4` of the paper."""

_AROUND = (3, 0, 1, 6, 4, 2, 7, 8, 5)
"""Where each of 3x3 pixels finds its neighbour on the way round the middle."""

_OUTER, _INNER = (0, 2, 4, 10, 14, 20, 22, 24), (6, 7, 8, 11, 13, 16, 17, 18)
"""The pixels of 5x5 whose differences the radial operator takes, along eight rays."""


def pidinet(x: Any, held: Tensors) -> Any:
    """Return edges, (1, 1, h, w) in [0, 1], of (1, 3, h, w) in [0, 1], blue first."""
    import torch

    size, layer, sides = x.shape[2:], 1, []
    x = differences(x, held["init_block.weight"], "central")
    for stage in range(1, 5):
        for block in range(1, 4 if stage == 1 else 5):
            x = _difference_block(x, held, f"block{stage}_{block}", _OPERATORS[layer % 4])
            layer += 1
        side = _attended(_dilated(x, held, f"dilations.{stage - 1}"), held, f"attentions.{stage - 1}")
        side = conv(side, held, f"conv_reduces.{stage - 1}.conv")
        sides.append(torch.nn.functional.interpolate(side, size, mode="bilinear", align_corners=False))
    return torch.sigmoid(conv(torch.cat(sides, dim=1), held, "classifier"))


def differences(x: Any, weight: Any, operator: str) -> Any:
    """Convolve the differences of pixels that an operator takes, in section 3 of the paper, keeping the size."""
    import torch

    convolve, groups = torch.nn.functional.conv2d, x.shape[1] // weight.shape[1]
    flat = weight.flatten(2)
    if operator == "central":
        middle = convolve(x, weight.sum(dim=(2, 3), keepdim=True), groups=groups)
        return convolve(x, weight, padding=1, groups=groups) - middle
    if operator == "angular":
        return convolve(x, (flat - flat[:, :, _AROUND]).view_as(weight), padding=1, groups=groups)
    if operator == "radial":
        rays = torch.zeros((*flat.shape[:2], 25), device=x.device)
        rays[:, :, _OUTER], rays[:, :, _INNER] = flat[:, :, 1:], -flat[:, :, 1:]
        return convolve(x, rays.view(*flat.shape[:2], 5, 5), padding=2, groups=groups)
    return convolve(x, weight, padding=1, groups=groups)


def _difference_block(x: Any, held: Tensors, name: str, operator: str) -> Any:
    import torch

    is_first = f"{name}.shortcut.weight" in held  # of a stage: it sees half the size
    x = torch.nn.functional.max_pool2d(x, 2) if is_first else x
    y = conv(torch.relu(differences(x, held[f"{name}.conv1.weight"], operator)), held, f"{name}.conv2")
    return y + (conv(x, held, f"{name}.shortcut") if is_first else x)


def _dilated(x: Any, held: Tensors, name: str) -> Any:
    import torch

    x = conv(torch.relu(x), held, f"{name}.conv1")
    return sum(conv(x, held, f"{name}.conv2_{n}", padding=d, dilation=d) for n, d in enumerate((5, 7, 9, 11), 1))


def _attended(x: Any, held: Tensors, name: str) -> Any:
    import torch

    y = conv(conv(torch.relu(x), held, f"{name}.conv1"), held, f"{name}.conv2", padding=1)
    return x * torch.sigmoid(y)


# ---- TEED -----------------------------------------------------------------------------------------------------------


@record
@options("teed")
class Teed(Seeing):
    """Arguments of `teed`."""

    model: str = opt(
        "bdsqlsz/qinglong_controlnet-lllite", value=ModelSource(),
        help="The weights, `7_model.pth` in a folder `Annotators`, or a file of them.",
    )  # fmt: skip
    safe: bool = opt(True, value=Flag(), help="Leave three shades, which tell nothing else of the picture.")


@image_processor("teed", Teed, example="teed")
def teed(said: Any, image: "Image", bench: Bench) -> "Image":
    """Draw fine edges, as the Tiny and Efficient Edge Detector (arXiv 2308.06468) sees them."""
    edges = _teed_edges("7_model.pth", said, image, bench)
    return drawn(in_steps(edges) if said.safe else edges)


@record
@options("anyline")
class Anyline(Seeing):
    """Arguments of `anyline`."""

    model: str = opt(
        "TheMistoAI/MistoLine", value=ModelSource(),
        help="The weights of its TEED, `MTEED.pth` in a folder `Anyline`, or a file of them.",
    )  # fmt: skip
    gaussian_sigma: float = opt(2.0, value=Real(0.1, 100), help="How far it looks around for what is darker.")
    intensity_threshold: int = opt(2, value=Integer(0, 255), help="How much darker a pixel of a dark line must be.")
    smallest: int = opt(36, value=Integer(1, 100_000), help="Leave out dark lines of fewer pixels.")


@image_processor("anyline", Anyline, example="anyline")
def anyline(said: Any, image: "Image", bench: Bench) -> "Image":
    """Draw the edges that TEED sees with the dark lines of a picture over them, white on black."""
    import numpy as np

    edges = in_steps(_teed_edges("MTEED.pth", said, image, bench))
    words = f"lineart-standard;gaussian-sigma={said.gaussian_sigma};intensity-threshold={said.intensity_threshold}"
    lines = np.asarray(bench.processed(image, ChainText().parse(words)).convert("L"), dtype=np.float64) / 255
    lines = lines * large_areas(lines > 0, said.smallest)
    return drawn(np.where(lines > 0, 1 - (1 - edges) * (1 - lines), edges))


def large_areas(mask: "np.ndarray", smallest: int) -> "np.ndarray":
    """Leave of a mask, (h, w) bool, the areas of at least so many pixels, which touch at their sides."""
    import numpy as np

    try:
        from scipy import ndimage
    except ModuleNotFoundError:
        raise BadValue(
            "needs the package `scipy`",
            code="missing-package",
            help='install it: `pip install "dgen-lang[processors]"`',
        ) from None
    found: Any = ndimage.label(mask)
    labels: np.ndarray = found[0]
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return sizes[labels] >= smallest


def _teed_edges(file: str, said: Any, image: "Image", bench: Bench) -> "np.ndarray":
    """Return edges, (h, w) in [0, 1]; the network sees sides that divide by 8, whose last pixels are repeated."""
    lens = Lens(noun="TEED network", model=said.model, subfolder=FOLDERS.get(said.model), file=file)
    with bench.look(lens, said) as seer:
        import torch

        more = (0, -image.width % 8, 0, -image.height % 8)
        seen = teed_sides(torch.nn.functional.pad(fed(image, seer.device), more, mode="replicate"), seer.model)
        whole = averaged(seen, (image.height + more[3], image.width + more[1]))
    return whole[: image.height, : image.width]


def smish(x: Any) -> Any:
    """Return `x tanh(log(1 + sigmoid(x)))`, equation 1 of the paper."""
    import torch

    return x * torch.tanh(torch.log(1 + torch.sigmoid(x)))


def teed_sides(x: Any, held: Tensors) -> list[Any]:
    """Return what three stages see and what they see together, (1, 1, h, w) logits each, of (1, 3, h, w)."""
    import torch

    first = smish(conv(x, held, "block_1.conv1", stride=2, padding=1))
    first = smish(conv(first, held, "block_1.conv2", padding=1))
    second = conv(smish(conv(first, held, "block_2.conv1", padding=1)), held, "block_2.conv2", padding=1)
    small = torch.nn.functional.max_pool2d(second, 3, 2, 1)
    third = smish(small + conv(first, held, "side_1.conv", stride=2))
    third = smish(conv(third, held, "dblock_3.denselayer1.conv1", padding=2))
    third = 0.5 * (conv(third, held, "dblock_3.denselayer1.conv2") + conv(small, held, "pre_dense_3.conv"))
    sides = [_grown(y, held, f"up_block_{n}") for n, y in enumerate((first, second, third), 1)]
    return [*sides, _fused(torch.cat(sides, dim=1), held)]


def _grown(x: Any, held: Tensors, name: str) -> Any:
    """Double the size, once or twice, as the weights have it."""
    import torch

    for start in (0, 3):
        if f"{name}.features.{start}.weight" in held:
            kernel = held[f"{name}.features.{start + 2}.weight"]
            bias = held.get(f"{name}.features.{start + 2}.bias")
            x = smish(conv(x, held, f"{name}.features.{start}"))
            padding = (kernel.shape[-1] - 2) // 2
            x = torch.nn.functional.conv_transpose2d(x, kernel, bias, stride=2, padding=padding)
    return x


def _fused(x: Any, held: Tensors) -> Any:
    one = conv(smish(x), held, "block_cat.DWconv1", padding=1, groups=x.shape[1])
    other = conv(smish(one), held, "block_cat.DWconv2", padding=1, groups=one.shape[1])
    return smish((one + other).sum(dim=1, keepdim=True))
