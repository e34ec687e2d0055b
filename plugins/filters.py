"""Image processors that look at the pixels around a pixel: blur, sharpen, dilate, and the lines of a picture."""

from typing import TYPE_CHECKING, Any

from dgen.plugins import (
    Bench,
    Choice,
    Detection,
    Flag,
    Integer,
    Odd,
    Processing,
    Real,
    image_processor,
    opt,
    options,
    record,
)

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image


def gaussian_weights(size: int, sigma: float) -> "np.ndarray":
    """Return the `size` weights of a Gaussian; a `sigma` of 0 is what suits the size (as OpenCV has it)."""
    import numpy as np

    spread = sigma if sigma > 0 else 0.3 * ((size - 1) * 0.5 - 1) + 0.8
    weights = np.exp(-((np.arange(size) - size // 2) ** 2) / (2 * spread**2))
    return weights / weights.sum()


def blurred(pixels: "np.ndarray", weights: tuple["np.ndarray", "np.ndarray"]) -> "np.ndarray":
    """Blur (h, w, c) pixels across and down, edges mirrored without their last pixel."""
    import numpy as np

    for axis, each in ((1, weights[0]), (0, weights[1])):
        half = len(each) // 2
        edges = [(half, half) if a == axis else (0, 0) for a in range(pixels.ndim)]
        wide = np.pad(pixels, edges, mode="reflect" if pixels.shape[axis] > half else "symmetric")
        length = pixels.shape[axis]
        pixels = sum(w * np.take(wide, range(i, i + length), axis) for i, w in enumerate(each))  # type: ignore[assignment]
    return pixels


def as_picture(pixels: "np.ndarray") -> "Image":
    """Make a picture of pixels, rounded and kept between 0 and 255."""
    import numpy as np
    from PIL import Image as Pictures

    return Pictures.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))


@record
@options("gaussian-blur")
class GaussianBlur(Processing):
    """Arguments of `gaussian-blur`."""

    size: int = opt(5, value=Odd(1, 999), help="How many pixels are averaged each way; an odd number.")
    sigma_x: float = opt(0.0, value=Real(0, 500), help="The spread across, in pixels; 0 is what suits the size.")
    sigma_y: float = opt(0.0, value=Real(0, 500), help="The spread down; 0 is the same as across.")


@image_processor("gaussian-blur", GaussianBlur, example="gaussian-blur;size=9")
def gaussian_blur(said: Any, image: "Image", bench: Bench) -> "Image":
    """Blur a picture."""
    import numpy as np

    across = gaussian_weights(said.size, said.sigma_x)
    down = gaussian_weights(said.size, said.sigma_y or said.sigma_x)
    return as_picture(blurred(np.asarray(image, dtype=np.float64), (across, down)))


@record
@options("sharpen")
class Sharpen(Processing):
    """Arguments of `sharpen`."""

    amount: float = opt(1.0, value=Real(0, 20), help="How much of the detail is added.")
    radius: float = opt(2.0, value=Real(0.1, 100), help="How coarse the detail may be, in pixels.")


@image_processor("sharpen", Sharpen, example="sharpen;amount=2")
def sharpen(said: Any, image: "Image", bench: Bench) -> "Image":
    """Add to a picture what a blur takes from it (unsharp masking)."""
    import numpy as np

    pixels = np.asarray(image, dtype=np.float64)
    weights = gaussian_weights(2 * round(3 * said.radius) + 1, said.radius)
    return as_picture(pixels + said.amount * (pixels - blurred(pixels, (weights, weights))))


@record
@options("dilate")
class Dilate(Processing):
    """Arguments of `dilate`."""

    size: int = opt(3, value=Odd(1, 255), help="How wide the shape is, in pixels; an odd number.")
    steps: int = opt(1, value=Integer(1, 100), help="How often it is done.")
    shape: str = opt(
        "rectangle", value=Choice(("rectangle", "circle", "cross"), {"rect": "rectangle", "ellipse": "circle"}),
        help="The shape that every bright pixel grows into.",
    )  # fmt: skip


@image_processor("dilate", Dilate, example="dilate;size=5;shape=circle")
def dilate(said: Any, image: "Image", bench: Bench) -> "Image":
    """Let bright areas grow, as white areas of a mask."""
    import numpy as np

    pixels = np.asarray(image)
    half = said.size // 2
    for _ in range(said.steps):
        wide = np.pad(pixels, ((half, half), (half, half), (0, 0)))
        grown = pixels
        for down, across in _offsets(said.shape, said.size):
            grown = np.maximum(grown, wide[down : down + pixels.shape[0], across : across + pixels.shape[1]])
        pixels = grown
    return as_picture(pixels)


def _offsets(shape: str, size: int) -> list[tuple[int, int]]:
    """List the pixels of a shape in its square."""
    half = size // 2
    every = [(down, across) for down in range(size) for across in range(size)]
    if shape == "rectangle":
        return every
    if shape == "cross":
        return [(d, a) for d, a in every if half in (d, a)]
    return [(d, a) for d, a in every if (d - half) ** 2 + (a - half) ** 2 <= half**2]


# ---- lines -------------------------------------------------------------------------------------------------------


@record
@options("lineart-standard")
class LineartStandard(Detection):
    """Arguments of `lineart-standard`."""

    gaussian_sigma: float = opt(6.0, value=Real(0.1, 100), help="How coarse a line may be, in pixels.")
    intensity_threshold: int = opt(8, value=Integer(0, 255), help="What is fainter does not count for the contrast.")


@image_processor("lineart-standard", LineartStandard, example="lineart-standard;gaussian-sigma=3")
def lineart_standard(said: Any, image: "Image", bench: Bench) -> "Image":
    """Draw the dark lines of a picture white on black: what is darker than its surroundings."""
    import numpy as np

    pixels = np.asarray(image, dtype=np.float64)
    weights = gaussian_weights(2 * round(4 * said.gaussian_sigma) + 1, said.gaussian_sigma)
    darker = np.clip((blurred(pixels, (weights, weights)) - pixels).min(axis=2), 0, 255)
    strong = darker[darker > said.intensity_threshold]
    typical = max(16.0, float(np.median(strong)) if strong.size else 0.0)
    return as_picture(darker / typical * 127)


@record
@options("canny")
class Canny(Detection):
    """Arguments of `canny`."""

    lower: int = opt(50, value=Integer(0, 100_000), help="The gradient from which on a pixel may continue an edge.")
    upper: int = opt(100, value=Integer(0, 100_000), help="The gradient from which on a pixel is an edge for sure.")
    aperture_size: int = opt(3, value=Odd(3, 7), help="The size of the Sobel operator: 3, 5 or 7.")
    L2_gradient: bool = opt(False, value=Flag(), help="Measure gradients by their length, not by the sum of parts.")
    blur: bool = opt(False, value=Flag(), help="Blur the picture first, which leaves fewer edges.")
    gray: bool = opt(False, value=Flag(), help="Take the colours out first, instead of using the strongest one.")
    threshold_algo: str | None = opt(
        None, value=Choice(("otsu", "triangle", "median"), metavar="NAME"),
        help="Find both thresholds in the picture instead.",
    )  # fmt: skip
    sigma: float = opt(0.33, value=Real(0, 1), help="How far they then lie from the shade that was found.")


@image_processor("canny", Canny, example="canny;lower=60;upper=140")
def canny(said: Any, image: "Image", bench: Bench) -> "Image":
    """Draw the edges of a picture white on black.

    J. Canny, "A Computational Approach to Edge Detection", IEEE Transactions on Pattern Analysis and Machine
    Intelligence 8 (1986).
    """
    import numpy as np

    pixels = np.asarray(image.convert("L") if said.gray else image, dtype=np.float64)
    if said.blur:
        soft = np.array([0.25, 0.5, 0.25])
        pixels = np.floor(blurred(pixels, (soft, soft)) + 0.5)
    lower, upper = sorted((said.lower, said.upper))
    if said.threshold_algo is not None:
        shade = _THRESHOLDS[said.threshold_algo](np.asarray(image.convert("L")))
        lower, upper = (int(v) for v in (max(0, (1 - said.sigma) * shade), min(255, (1 + said.sigma) * shade)))
    measure = np.hypot if said.L2_gradient else _sum_of_both
    across, down = _gradient(pixels, said.aperture_size, measure)
    size = measure(across, down)
    ridge = _ridges(across, down, size) & (size > lower)
    return as_picture(_continued(ridge, ridge & (size > upper)) * 255)


def _sum_of_both(across: "np.ndarray", down: "np.ndarray") -> "np.ndarray":
    return abs(across) + abs(down)


def _gradient(pixels: "np.ndarray", aperture: int, measure: Any) -> tuple["np.ndarray", "np.ndarray"]:
    """Return the Sobel derivatives across and down, (h, w) each; of several colours the strongest at each pixel."""
    import numpy as np

    smooth, slope = np.array([1.0]), np.array([-1.0, 0.0, 1.0])
    for _ in range(aperture - 1):
        smooth = np.convolve(smooth, [1, 1])
    for _ in range(aperture - 3):
        slope = np.convolve(slope, [1, 1])
    half = aperture // 2
    wide = np.pad(pixels, [(half, half), (half, half), *[(0, 0)] * (pixels.ndim - 2)], mode="edge")
    across, down = (_swept(wide, *pair) for pair in ((slope, smooth), (smooth, slope)))
    scale = 16 if aperture == 7 else 1
    if pixels.ndim == 2:
        return across / scale, down / scale
    strongest = measure(across, down).argmax(axis=2)[..., None]
    return tuple(np.take_along_axis(each, strongest, axis=2)[..., 0] / scale for each in (across, down))  # type: ignore[return-value]


def _swept(wide: "np.ndarray", across: "np.ndarray", down: "np.ndarray") -> "np.ndarray":
    """Correlate padded pixels with one kernel across and another down."""
    width, height = wide.shape[1] - len(across) + 1, wide.shape[0] - len(down) + 1
    rows = sum(w * wide[:, i : i + width] for i, w in enumerate(across))
    return sum(w * rows[i : i + height] for i, w in enumerate(down))  # type: ignore[index, return-value]


def _ridges(across: "np.ndarray", down: "np.ndarray", size: "np.ndarray") -> "np.ndarray":
    """Keep pixels whose gradient is larger than that of both neighbours along it (non-maximum suppression)."""
    import numpy as np

    wide = np.pad(size, 1)
    height, width = size.shape

    def beside(dy: int, dx: int) -> "np.ndarray":
        return wide[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]

    ratio = np.sqrt(2) - 1  # tan 22.5 degrees
    x, y = np.abs(across), np.abs(down)
    flat, steep = y < x * ratio, y > x * (ratio + 2)
    falls = (across < 0) ^ (down < 0)
    level = (size > beside(0, -1)) & (size >= beside(0, 1))
    upright = (size > beside(-1, 0)) & (size >= beside(1, 0))
    rising = (size > beside(-1, -1)) & (size > beside(1, 1))
    falling = (size > beside(-1, 1)) & (size > beside(1, -1))
    return np.where(flat, level, np.where(steep, upright, np.where(falls, falling, rising)))


def _continued(weak: "np.ndarray", strong: "np.ndarray") -> "np.ndarray":
    """Return the strong pixels, and the weak ones that weak ones connect with them (hysteresis)."""
    import numpy as np

    open_, found = np.pad(weak & ~strong, 1), np.pad(strong, 1)
    width = open_.shape[1]
    around = np.array([dy * width + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx])
    flat_open, flat_found = open_.ravel(), found.ravel()
    front = np.flatnonzero(flat_found)
    while front.size:
        near = np.unique(front[:, None] + around)
        front = near[flat_open[near]]
        flat_found[front], flat_open[front] = True, False
    return found[1:-1, 1:-1]


def _otsu(grey: "np.ndarray") -> float:
    """Return the shade that parts a picture best in two.

    N. Otsu, "A Threshold Selection Method from Gray-Level Histograms", IEEE Transactions on Systems, Man, and
    Cybernetics 9 (1979).
    """
    import numpy as np

    share = np.bincount(grey.ravel(), minlength=256) / grey.size
    below, mean = np.cumsum(share), np.cumsum(share * np.arange(256))
    inside = (below > 0) & (below < 1)
    between = np.zeros(256)
    between[inside] = (mean[-1] * below[inside] - mean[inside]) ** 2 / (below[inside] * (1 - below[inside]))
    return float(between.argmax())


def _triangle(grey: "np.ndarray") -> float:
    """Return the shade farthest below the line from the peak of the histogram to its far end.

    G. W. Zack, W. E. Rogers, S. A. Latt, "Automatic Measurement of Sister Chromatid Exchange Frequency", Journal of
    Histochemistry and Cytochemistry 25 (1977).
    """
    import numpy as np

    counts = np.bincount(grey.ravel(), minlength=256).astype(np.float64)
    filled = np.flatnonzero(counts)
    low, high, peak = int(filled[0]), int(filled[-1]), int(counts.argmax())
    end = low if peak - low > high - peak else high
    if end == peak:
        return float(peak)
    shades = np.arange(min(peak, end), max(peak, end) + 1)
    line = counts[peak] + (counts[end] - counts[peak]) * (shades - peak) / (end - peak)
    return float(shades[(line - counts[shades]).argmax()])


def _median(grey: "np.ndarray") -> float:
    import numpy as np

    return float(np.median(grey))


_THRESHOLDS = {"otsu": _otsu, "triangle": _triangle, "median": _median}
