"""The fixed word list of the drawings: forms, colours, sizes, places, styles, and their synonyms."""

from __future__ import annotations

PICTURE_PX = 64
"""Width and height of every drawing."""

FORMS = ("circle", "square", "triangle", "star", "heart", "ring")
STYLES = ("plain", "outlined", "striped")

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (220, 38, 38),
    "orange": (245, 140, 20),
    "yellow": (250, 220, 50),
    "green": (40, 160, 70),
    "blue": (40, 90, 215),
    "purple": (130, 55, 175),
    "pink": (248, 150, 195),
    "black": (20, 20, 24),
    "white": (250, 250, 250),
    "gray": (150, 152, 158),
}
FIGURE_COLOURS = tuple(name for name in COLOURS if name != "gray")
BACKGROUND_COLOURS = ("white", "black", "gray", "blue", "green", "yellow", "pink", "red")

SIZES: dict[str, tuple[float, float]] = {"small": (8.5, 10), "medium": (13, 14.5), "large": (19, 21)}
"""Radius of a figure, in pixels: lowest and highest."""

COLUMNS = ("left", "middle", "right")
ROWS = ("top", "middle", "bottom")

SYNONYMS: dict[str, tuple[str, ...]] = {
    "large": ("large", "large", "big"),
    "small": ("small", "small", "tiny"),
    "gray": ("gray", "grey"),
}
FILLER = (
    "a drawing of",
    "a picture of",
    "an image of",
    "a photo of",
    "an illustration of",
    "simple",
    "nice",
    "beautiful",
    "high quality",
    "clean",
    "flat",
    "art",
    "minimal",
    "detailed",
    "make it",
    "turn it into",
    "change it to",
)
JUNK = (
    "ugly",
    "low quality",
    "bad",
    "worst quality",
    "deformed",
    "text",
    "watermark",
    "jpeg artifacts",
    "noise",
    "distorted",
    "horse",
    "cat",
    "city",
    "person",
    "portrait",
    "photo",
    "logo",
    "realistic",
)
GRAMMAR_WORDS = (
    "a",
    "an",
    "the",
    "and",
    "on",
    "in",
    "at",
    "of",
    "to",
    "background",
    "corner",
    "side",
    "above",
    "below",
    "next",
    "two",
    "three",
    "outline",
    "stripes",
    "shape",
    "blurry",
    "blurred",
    "sharp",
    "center",
    "centre",
    "half",
    "make",
    "it",
    "turn",
    "into",
    "change",
    "color",
    "colour",
    "figure",
    "with",
    "no",
)


def all_words() -> list[str]:
    """Return every word that gets a token of its own, sorted."""
    plurals = [form + "s" for form in FORMS]
    synonyms = [word for words in SYNONYMS.values() for word in words]
    phrases = [word for phrase in FILLER + JUNK for word in phrase.split()]
    listed = (*FORMS, *STYLES, *COLOURS, *SIZES, *COLUMNS, *ROWS, *GRAMMAR_WORDS)
    return sorted({*listed, *plurals, *synonyms, *phrases})
