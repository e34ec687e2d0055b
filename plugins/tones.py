"""Image processors that change colours and tones: each pixel by itself, or the picture as a whole."""

from typing import TYPE_CHECKING, Any

from dgen.plugins import Bench, FilePath, Integer, Processing, Real, image_processor, opt, options, record

if TYPE_CHECKING:
    from PIL.Image import Image


@image_processor("grayscale", Processing, example="grayscale")
def grayscale(said: Any, image: "Image", bench: Bench) -> "Image":
    """Take the colours out, by their luminance (ITU-R BT.601)."""
    return image.convert("L")


@image_processor("invert", Processing, example="invert")
def invert(said: Any, image: "Image", bench: Bench) -> "Image":
    """Turn every colour into its opposite."""
    return image.point([255 - value for value in range(256)] * 3)


@record
@options("posterize")
class Posterize(Processing):
    """Arguments of `posterize`."""

    bits: int = opt(..., value=Integer(1, 8), help="How many bits of each colour are kept.")


@image_processor("posterize", Posterize, example="posterize;bits=2")
def posterize(said: Any, image: "Image", bench: Bench) -> "Image":
    """Leave few shades of each colour."""
    from PIL import ImageOps

    return ImageOps.posterize(image, said.bits)


@record
@options("solarize")
class Solarize(Processing):
    """Arguments of `solarize`."""

    threshold: int = opt(128, value=Integer(0, 256), help="The shade from which on colours turn into their opposite.")


@image_processor("solarize", Solarize, example="solarize;threshold=128")
def solarize(said: Any, image: "Image", bench: Bench) -> "Image":
    """Turn bright colours into their opposites."""
    return image.point([value if value < said.threshold else 255 - value for value in range(256)] * 3)


@record
@options("brightness")
class Factor(Processing):
    """Arguments of processors that strengthen or weaken something."""

    factor: float = opt(..., value=Real(0, 100), help="How much of it: 1 leaves the picture as it is, 0 takes it out.")


@image_processor("brightness", Factor, example="brightness;factor=1.5")
def brightness(said: Any, image: "Image", bench: Bench) -> "Image":
    """Make a picture brighter or darker."""
    from PIL import ImageEnhance

    return ImageEnhance.Brightness(image).enhance(said.factor)


@image_processor("contrast", Factor, example="contrast;factor=1.6")
def contrast(said: Any, image: "Image", bench: Bench) -> "Image":
    """Move colours away from the mean grey of the picture, or towards it."""
    from PIL import ImageEnhance

    return ImageEnhance.Contrast(image).enhance(said.factor)


@image_processor("saturation", Factor, example="saturation;factor=2")
def saturation(said: Any, image: "Image", bench: Bench) -> "Image":
    """Make colours stronger or paler."""
    from PIL import ImageEnhance

    return ImageEnhance.Color(image).enhance(said.factor)


@record
@options("hue")
class Hue(Processing):
    """Arguments of `hue`."""

    degrees: float = opt(..., value=Real(-360, 360), help="How far colours turn: 120 makes red green, and green blue.")


@image_processor("hue", Hue, example="hue;degrees=120")
def hue(said: Any, image: "Image", bench: Bench) -> "Image":
    """Turn colours around the colour wheel; greys stay."""
    from PIL import Image as Pictures

    turned = round(said.degrees / 360 * 256) % 256
    if not turned:
        return image
    angle, strength, value = image.convert("HSV").split()
    angle = angle.point([(each + turned) % 256 for each in range(256)])
    return Pictures.merge("HSV", (angle, strength, value)).convert("RGB")


@record
@options("auto-contrast")
class AutoContrast(Processing):
    """Arguments of `auto-contrast`."""

    cutoff: float = opt(0.0, value=Real(0, 49), help="The per cent of the darkest and brightest pixels to leave aside.")


@image_processor("auto-contrast", AutoContrast, example="auto-contrast;cutoff=2")
def auto_contrast(said: Any, image: "Image", bench: Bench) -> "Image":
    """Stretch each colour so that it reaches from black to white."""
    from PIL import ImageOps

    return ImageOps.autocontrast(image, cutoff=said.cutoff)


@record
@options("color-match")
class ColorMatch(Processing):
    """Arguments of `color-match`."""

    image: str = opt(..., value=FilePath("IMAGE"), help="The picture whose colours are taken.")
    strength: float = opt(1.0, value=Real(0, 1), help="How far the colours go: 0 leaves them, 1 matches them.")


@image_processor("color-match", ColorMatch, example="color-match;image=evening.png")
def color_match(said: Any, image: "Image", bench: Bench) -> "Image":
    """Give a picture the mean and the spread of each colour of another one.

    E. Reinhard et al., "Color Transfer between Images", IEEE Computer Graphics and Applications 21 (2001), in RGB.
    """
    import numpy as np
    from PIL import Image as Pictures

    own = np.asarray(image, dtype=np.float64)
    wanted = np.asarray(bench.picture(said.image), dtype=np.float64)
    spread = np.maximum(own.std(axis=(0, 1)), 1e-6)
    matched = (own - own.mean(axis=(0, 1))) / spread * wanted.std(axis=(0, 1)) + wanted.mean(axis=(0, 1))
    mixed = own + (matched - own) * said.strength
    return Pictures.fromarray(np.clip(np.rint(mixed), 0, 255).astype(np.uint8))


@record
@options("film-grain")
class FilmGrain(Processing):
    """Arguments of `film-grain`."""

    strength: float = opt(0.1, value=Real(0, 1), help="How far grain moves a colour, as a fraction of white.")
    size: int = opt(1, value=Integer(1, 64), help="How many pixels a grain is wide.")
    seed: int = opt(0, value=Integer(0), help="Where the grain is drawn from; the same seed gives the same grain.")


@image_processor("film-grain", FilmGrain, example="film-grain;strength=0.2;seed=1")
def film_grain(said: Any, image: "Image", bench: Bench) -> "Image":
    """Scatter grey grain over a picture, most of it over middle tones."""
    import numpy as np
    from PIL import Image as Pictures

    colours = np.asarray(image, dtype=np.float64) / 255
    height, width = colours.shape[:2]
    coarse = (-(-height // said.size), -(-width // said.size))
    grain = np.random.default_rng(said.seed).standard_normal(coarse)
    grain = np.kron(grain, np.ones((said.size, said.size)))[:height, :width, None]
    tone = colours.mean(axis=2, keepdims=True)
    grained = colours + grain * said.strength * 4 * tone * (1 - tone)
    return Pictures.fromarray(np.rint(np.clip(grained, 0, 1) * 255).astype(np.uint8))
