"""Image processors that draw the lines of a picture: M-LSD, informative drawings, and line art of anime.

The networks are written out here after their papers, over the tensors of the weights files by name.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dgen.plugins import (
    Bench,
    Flag,
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
"""The repository of the hub that has the weights."""


def conv(x: Any, held: Tensors, name: str, **how: Any) -> Any:
    """Convolve with the weight, and the bias where there is one, of a name."""
    import torch

    return torch.nn.functional.conv2d(x, held[f"{name}.weight"], held.get(f"{name}.bias"), **how)


def grow(x: Any, held: Tensors, name: str, **how: Any) -> Any:
    """Convolve the other way round, which doubles the size."""
    import torch

    return torch.nn.functional.conv_transpose2d(
        x, held[f"{name}.weight"], held.get(f"{name}.bias"), stride=2, padding=1, **how
    )


def alike(x: Any) -> Any:
    """Give every channel a mean of 0 and a spread of 1 (instance normalization)."""
    import torch

    return torch.nn.functional.instance_norm(x)


def fed(image: "Image", device: str) -> Any:
    """Return a picture as (1, 3, h, w) float32 in [0, 255]."""
    import numpy as np
    import torch

    return torch.from_numpy(np.asarray(image, dtype=np.float32).transpose(2, 0, 1)[None].copy()).to(device)


def turned(lines: "np.ndarray") -> "Image":
    """Make a picture of dark lines, from 0 to 255 on white, that are white on black."""
    import numpy as np
    from PIL import Image as Pictures

    return Pictures.fromarray(255 - lines.clip(0, 255).astype(np.uint8))


# ---- informative drawings -------------------------------------------------------------------------------------------


@record
@options("lineart")
class Lineart(Seeing):
    """Arguments of `lineart`."""

    model: str = opt(
        ANNOTATORS, value=ModelSource(), help="The weights, `sk_model.pth` and `sk_model2.pth`, or a file of them."
    )
    course: bool = opt(False, value=Flag(), help="Draw coarse lines, by `sk_model2.pth`.")


@image_processor("lineart", Lineart, example="lineart")
def lineart(said: Any, image: "Image", bench: Bench) -> "Image":
    """Draw the lines of a picture white on black, as Informative Drawings (arXiv 2203.12691) do."""
    file = "sk_model2.pth" if said.course else "sk_model.pth"
    with bench.look(Lens(noun="lineart network", model=said.model, file=file), said) as seer:
        import torch

        more = (0, -image.width % 4, 0, -image.height % 4)
        wide = torch.nn.functional.pad(fed(image, seer.device) / 255, more, mode="replicate")
        lines = drawing(wide, seer.model)[0, 0, : image.height, : image.width].cpu().numpy()
    return turned(lines * 255)


def drawing(x: Any, held: Tensors) -> Any:
    """Return dark lines on white, (1, 1, h, w) in [0, 1], of (1, 3, h, w) in [0, 1]; sides divide by 4."""
    import torch

    def mirrored(y: Any, width: int) -> Any:
        return torch.nn.functional.pad(y, (width,) * 4, mode="reflect")

    x = torch.relu(alike(conv(mirrored(x, 3), held, "model0.1")))
    for index in (0, 3):
        x = torch.relu(alike(conv(x, held, f"model1.{index}", stride=2, padding=1)))
    block = 0
    while f"model2.{block}.conv_block.1.weight" in held:
        y = torch.relu(alike(conv(mirrored(x, 1), held, f"model2.{block}.conv_block.1")))
        x = x + alike(conv(mirrored(y, 1), held, f"model2.{block}.conv_block.5"))
        block += 1
    for index in (0, 3):
        x = torch.relu(alike(grow(x, held, f"model3.{index}", output_padding=1)))
    return torch.sigmoid(conv(mirrored(x, 3), held, "model4.1"))


# ---- line art of anime ----------------------------------------------------------------------------------------------


@record
@options("lineart-anime")
class LineartAnime(Seeing):
    """Arguments of `lineart-anime`."""

    model: str = opt(ANNOTATORS, value=ModelSource(), help="The weights, `netG.pth`, or a folder of them.")


@image_processor("lineart-anime", LineartAnime, example="lineart-anime")
def lineart_anime(said: Any, image: "Image", bench: Bench) -> "Image":
    """Draw the lines of a drawing white on black, by a U-Net as of pix2pix (arXiv 1611.07004)."""
    import numpy as np
    from PIL import Image as Pictures

    with bench.look(Lens(noun="lineart network", model=said.model, file="netG.pth"), said) as seer:
        side = 2 ** len(_names(seer.model))  # each level halves the picture
        size = (-(-image.width // side) * side, -(-image.height // side) * side)
        given = fed(image.resize(size, Pictures.Resampling.BICUBIC), seer.device) / 127.5 - 1
        lines = (unet(given, seer.model) * 127.5 + 127.5)[0, 0].cpu().numpy()
    whole = Pictures.fromarray(lines.astype(np.float32)).resize(image.size, Pictures.Resampling.BICUBIC)
    return turned(np.asarray(whole))


def _names(held: Tensors) -> list[tuple[str, str]]:
    """Return the names of the convolutions down and up of each level, the outermost first.

    A level is a list of layers in which the next one stands, behind a normalization that has no weights.
    """
    outer, names = "model.model", [("model.model.0", "model.model.3")]
    inner = f"{outer}.1.model"
    while f"{inner}.5.weight" in held:
        names.append((f"{inner}.1", f"{inner}.5"))
        inner = f"{inner}.3.model"
    return [*names, (f"{inner}.1", f"{inner}.3")]


def unet(x: Any, held: Tensors) -> Any:
    """Return dark lines on white, (1, 1, h, w) in [-1, 1], of (1, 3, h, w) in [-1, 1]."""
    import torch

    (outer, *names), leaky = _names(held), torch.nn.functional.leaky_relu
    kept = [conv(x, held, outer[0], stride=2, padding=1)]
    for down, _ in names:
        x = conv(leaky(kept[-1], 0.2), held, down, stride=2, padding=1)
        kept.append(x if down == names[-1][0] else alike(x))
    x = kept.pop()
    for _, up in reversed(names):
        x = torch.cat((kept.pop(), alike(grow(torch.relu(x), held, up))), dim=1)
    return torch.tanh(grow(torch.relu(x), held, outer[1]))


# ---- M-LSD ----------------------------------------------------------------------------------------------------------


@record
@options("mlsd")
class Mlsd(Seeing):
    """Arguments of `mlsd`."""

    model: str = opt(
        ANNOTATORS, value=ModelSource(), help="The weights, `mlsd_large_512_fp32.pth`, or a folder of them."
    )
    threshold_score: float = opt(0.1, value=Real(0, 1), help="Draw the lines that it is surer of.")
    threshold_distance: float = opt(
        0.1, value=Real(0, 1000), help="Draw the lines that are longer, in pixels of the 256x256 that it sees in."
    )


@image_processor("mlsd", Mlsd, example="mlsd")
def mlsd(said: Any, image: "Image", bench: Bench) -> "Image":
    """Draw the straight lines of a picture white on black, as M-LSD (arXiv 2106.00186) sees them."""
    from PIL import Image as Pictures
    from PIL import ImageDraw

    with bench.look(Lens(noun="M-LSD network", model=said.model, file="mlsd_large_512_fp32.pth"), said) as seer:
        import torch

        seen = fed(image.resize((_SEEN, _SEEN), Pictures.Resampling.BOX), seer.device)
        given = torch.cat((seen, torch.ones_like(seen[:, :1])), dim=1) / 127.5 - 1
        found = segments(straight(given, seer.model)[0], said.threshold_score, said.threshold_distance)
    across, down = image.width / _SEEN * 2, image.height / _SEEN * 2
    result = Pictures.new("RGB", image.size)
    draw = ImageDraw.Draw(result)
    for start_x, start_y, end_x, end_y in found:
        draw.line((start_x * across, start_y * down, end_x * across, end_y * down), fill="white")
    return result


_SEEN = 512
"""At how many pixels each way M-LSD sees."""

_MOST = 200
"""How many lines it finds at most."""

_STAGES = ((1, 1), (2, 2), (3, 2), (4, 2), (3, 1))
"""The stages of its MobileNetV2 (arXiv 1801.04381): how many blocks, and the stride of the first."""

_KEPT = (1, 3, 6, 10, 13)
"""The layers whose features are kept, from the finest to the coarsest."""


def straight(x: Any, held: Tensors) -> Any:
    """Return, of (1, 4, h, w) in [-1, 1], a map (1, 9, h / 2, w / 2).

    Its first channel tells, in logits, where the middle of a line is, and the next four where its ends are from there.
    """
    import torch

    finest, *features = _mobile(x, held)
    x = features.pop()
    for number, fine in zip((15, 17, 19), reversed(features), strict=True):
        x = _refined(_joined(fine, x, held, (number, number > 15)), held, number + 1)
    x = _refined(_joined(finest, x, held, (21, True)), held, 22)
    x = torch.relu(_normal(conv(x, held, "block23.conv1.0", padding=5, dilation=5), held, "block23.conv1.1"))
    x = torch.relu(_normal(conv(x, held, "block23.conv2.0", padding=1), held, "block23.conv2.1"))
    return conv(x, held, "block23.conv3")[:, 7:]


def _normal(x: Any, held: Tensors, name: str) -> Any:
    import torch

    parts = (held[f"{name}.{each}"] for each in ("running_mean", "running_var", "weight", "bias"))
    return torch.nn.functional.batch_norm(x, *parts)


def _mobile(x: Any, held: Tensors) -> list[Any]:
    """Return the features of the layers that are kept."""
    strides = [2, *(stride if block == 0 else 1 for count, stride in _STAGES for block in range(count))]
    features = []
    for layer, stride in enumerate(strides):
        name = f"backbone.features.{layer}"
        x = _step(x, held, name, stride) if layer == 0 else _inverted(x, held, f"{name}.conv", stride)
        features.append(x)
    return [features[layer] for layer in _KEPT]


def _step(x: Any, held: Tensors, name: str, stride: int = 1) -> Any:
    """Convolve, normalize, and cut off at 0 and 6; a stride of 2 pads on the right and below alone."""
    import torch

    kernel = held[f"{name}.0.weight"]
    x = torch.nn.functional.pad(x, (0, 1, 0, 1)) if stride == 2 else x
    padding = 0 if stride == 2 else (kernel.shape[-1] - 1) // 2
    y = conv(x, held, f"{name}.0", stride=stride, padding=padding, groups=x.shape[1] // kernel.shape[1])
    return torch.nn.functional.relu6(_normal(y, held, f"{name}.1"))


def _inverted(x: Any, held: Tensors, name: str, stride: int) -> Any:
    """Widen, look at each channel, and narrow again (an inverted residual)."""
    is_wider = f"{name}.3.weight" in held
    y = _step(x, held, f"{name}.0") if is_wider else x
    y = _step(y, held, f"{name}.{int(is_wider)}", stride)
    y = _normal(conv(y, held, f"{name}.{1 + is_wider}"), held, f"{name}.{2 + is_wider}")
    return x + y if stride == 1 and x.shape == y.shape else y


def _joined(fine: Any, coarse: Any, held: Tensors, block: tuple[int, bool]) -> Any:
    """Put coarse features beside fine ones; the number of a block, and whether the coarse are of half the size."""
    import torch

    name = f"block{block[0]}"
    coarse = torch.relu(_normal(conv(coarse, held, f"{name}.conv1.0"), held, f"{name}.conv1.1"))
    fine = torch.relu(_normal(conv(fine, held, f"{name}.conv2.0"), held, f"{name}.conv2.1"))
    if block[1]:
        coarse = torch.nn.functional.interpolate(coarse, scale_factor=2.0, mode="bilinear", align_corners=True)
    return torch.cat((fine, coarse), dim=1)


def _refined(x: Any, held: Tensors, number: int) -> Any:
    import torch

    name = f"block{number}"
    x = x + torch.relu(_normal(conv(x, held, f"{name}.conv1.0", padding=1), held, f"{name}.conv1.1"))
    return torch.relu(_normal(conv(x, held, f"{name}.conv2.0", padding=1), held, f"{name}.conv2.1"))


def segments(seen: Any, score: float, distance: float) -> "np.ndarray":
    """Return the ends of lines, (n, 4) x, y, x, y in pixels of a map (9, h, w), section 3.2 of the paper.

    A middle is the greatest of 5x5 pixels; of them the surest are taken.
    """
    import torch

    sure = torch.sigmoid(seen[0])[None, None]
    peak = (sure * (torch.nn.functional.max_pool2d(sure, 5, 1, 2) == sure)).flatten()
    scores, places = peak.topk(min(_MOST, len(peak)))
    ends = seen[1:5].flatten(1)[:, places].T
    middles = torch.stack((places % seen.shape[2], places // seen.shape[2]), dim=1).repeat(1, 2)
    stays = (scores > score) & ((ends[:, :2] - ends[:, 2:]).norm(dim=1) > distance)
    return (middles + ends)[stays].cpu().numpy()
