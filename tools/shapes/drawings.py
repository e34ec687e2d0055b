"""Draws what a caption says: figures on a coloured background."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from .words import (
    BACKGROUND_COLOURS,
    COLOURS,
    COLUMNS,
    FIGURE_COLOURS,
    FORMS,
    PICTURE_PX,
    ROWS,
    SIZES,
)

OVERSAMPLING = 4
CENTRES = {"left": 0.25, "top": 0.25, "middle": 0.5, "right": 0.75, "bottom": 0.75}
SHIFT = 0.035
MARGIN_PX = 2
STROKE_PX = 2.5
STRIPE_PX = 8
BLUR_PX = 1.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One coloured form. `x`, `y`, `radius` are in pixels of the finished picture."""

    form: str
    colour: str
    size: str
    column: str
    row: str
    style: str
    x: float
    y: float
    radius: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """What is in one picture; `relation` is how the figures were placed to one another."""

    background: str
    figures: tuple[Figure, ...]
    relation: str = ""
    blurry: bool = False


def outline_points(form: str, radius: float) -> list[tuple[float, float]]:
    """Return the corners of `form` around (0, 0), y downwards; circles and rings are drawn as ellipses."""
    if form == "square":
        side = radius * 0.86
        return [(-side, -side), (side, -side), (side, side), (-side, side)]
    if form == "triangle":
        return [(0, -radius), (radius * 0.98, radius * 0.78), (-radius * 0.98, radius * 0.78)]
    if form == "star":
        turns = [(math.pi * i / 5 - math.pi / 2, radius * (1.08 if i % 2 == 0 else 0.45)) for i in range(10)]
        return [(r * math.cos(a), r * math.sin(a)) for a, r in turns]
    steps = [2 * math.pi * i / 60 for i in range(60)]
    return [
        (radius * 16 * math.sin(t) ** 3 / 16.5,
         -radius * (13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t) + 2.5) / 16.5)
        for t in steps
    ]  # fmt: skip


def form_mask(figure: Figure, size_px: int, shrink_px: float = 0) -> Image.Image:
    """Return the filled form as an "L" mask of `size_px` squared, made smaller by `shrink_px` all round."""
    scale = size_px / PICTURE_PX
    mask = Image.new("L", (size_px, size_px), 0)
    pen = ImageDraw.Draw(mask)
    x, y, radius = figure.x * scale, figure.y * scale, (figure.radius - shrink_px) * scale
    if figure.form in ("circle", "ring"):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
        if figure.form == "ring":
            hole = (figure.radius * 0.52 + shrink_px) * scale
            pen.ellipse((x - hole, y - hole, x + hole, y + hole), fill=0)
    else:
        pen.polygon([(x + dx, y + dy) for dx, dy in outline_points(figure.form, radius)], fill=255)
    return mask


def stroke_width_px(figure: Figure) -> float:
    """Return how far the inner edge of an outline lies inside, for the pointed forms further than the stroke."""
    pointed = {"triangle": 1.75, "star": 1.9, "heart": 1.15}.get(figure.form, 1.0)
    slim = 0.75 if figure.form == "ring" else 1.0
    return STROKE_PX * pointed * slim * (0.8 if figure.size == "small" else 1.0)


def stripes(size_px: int, figure: Figure) -> Image.Image:
    """Return diagonal bars as an "L" mask, their phase fixed to the figure's centre."""
    scale = size_px / PICTURE_PX
    mask = Image.new("L", (size_px, size_px), 0)
    pen = ImageDraw.Draw(mask)
    period, reach = STRIPE_PX * scale, size_px
    for i in range(-12, 13):
        offset = figure.x * scale + figure.y * scale + i * period
        near, far = offset - period / 4, offset + period / 4
        pen.polygon(
            [
                (near + reach, -reach),
                (far + reach, -reach),
                (far - 3 * reach, 3 * reach),
                (near - 3 * reach, 3 * reach),
            ],
            fill=255,
        )
    return mask


def figure_mask(figure: Figure, size_px: int) -> Image.Image:
    """Return the painted part of a figure as an "L" mask, following its style."""
    mask = form_mask(figure, size_px)
    if figure.style == "plain":
        return mask
    inner = form_mask(figure, size_px, stroke_width_px(figure) * (1.0 if figure.style == "outlined" else 0.5))
    rim = ImageChops.subtract(mask, inner)
    if figure.style == "outlined":
        return rim
    return ImageChops.lighter(rim, ImageChops.multiply(inner, stripes(size_px, figure)))


def render(drawing: Drawing, colours: dict[str, tuple[int, int, int]] = COLOURS) -> Image.Image:
    """Return the picture: RGB, PICTURE_PX squared, anti-aliased."""
    size_px = PICTURE_PX * OVERSAMPLING
    picture = Image.new("RGB", (size_px, size_px), colours[drawing.background])
    for figure in drawing.figures:
        picture.paste(colours[figure.colour], (0, 0), figure_mask(figure, size_px))
    picture = picture.reduce(OVERSAMPLING)
    return picture.filter(ImageFilter.GaussianBlur(BLUR_PX)) if drawing.blurry else picture


def place(figure: Figure, rng: random.Random) -> Figure:
    """Return the figure with x, y and radius drawn from its size, column and row; it lies wholly inside."""
    radius = rng.uniform(*SIZES[figure.size])
    low, high = radius * 1.05 + MARGIN_PX, PICTURE_PX - radius * 1.05 - MARGIN_PX
    x, y = (
        min(max((CENTRES[name] + rng.uniform(-SHIFT, SHIFT)) * PICTURE_PX, low), high)
        for name in (figure.column, figure.row)
    )
    return replace(figure, x=x, y=y, radius=radius)


def new_figure(rng: random.Random, background: str, **fixed: str) -> Figure:
    """Return a random figure that differs in colour from the background; `fixed` names what is not random."""
    style = rng.choices(("plain", "outlined", "striped"), (8, 1, 1))[0]
    values = {
        "form": rng.choice(FORMS),
        "colour": rng.choice([c for c in FIGURE_COLOURS if c != background]),
        "size": rng.choices(("small", "medium", "large"), (3, 4, 3))[0],
        "column": rng.choice(COLUMNS),
        "row": rng.choice(ROWS),
        "style": style,
    }
    figure = Figure(**{**values, **fixed}, x=0, y=0, radius=0)
    return place(figure, rng)


def new_drawing(rng: random.Random) -> Drawing:
    """Return a random drawing: mostly one figure, some with two or three, a few blurry."""
    background = rng.choice(BACKGROUND_COLOURS)
    count = rng.choices((1, 2, 3), (76, 21, 3))[0]
    blurry = rng.random() < 0.04
    if count == 1:
        return Drawing(background=background, figures=(new_figure(rng, background),), blurry=blurry)
    figures, relation = new_group(rng, background, count)
    return Drawing(background=background, figures=figures, relation=relation, blurry=blurry)


def new_group(rng: random.Random, background: str, count: int) -> tuple[tuple[Figure, ...], str]:
    """Return two or three figures beside or above one another, and "beside", "above" or "same"."""
    relation = rng.choices(("beside", "above"), (6, 4))[0]
    size = "small" if count == 3 else rng.choice(("small", "medium"))
    lines = COLUMNS if relation == "beside" else ROWS
    lines = lines if count == 3 else (lines[0], lines[2])
    alike = rng.random() < 0.3 or count == 3
    first = new_figure(rng, background, size=size)
    across = rng.choices(("middle", first.row if relation == "beside" else first.column), (3, 1))[0]
    figures = []
    for line in lines:
        spot = {"column": line, "row": across} if relation == "beside" else {"column": across, "row": line}
        if alike:
            figures.append(place(replace(first, **spot), rng))
        else:
            figures.append(new_figure(rng, background, size=size, **spot))
    return tuple(figures), f"{relation} alike" if alike else relation
