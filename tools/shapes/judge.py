"""Says what is in a picture by plain image analysis: colours, connected pieces, place, size, form.

Nothing here is learned. `python tools/evaluate_shapes.py --only truth` proves it on the drawings themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

from .drawings import Figure, form_mask
from .words import COLOURS, FORMS, PICTURE_PX

SEEN_PX = 128
"""Width and height that a picture is looked at in; all pixels below are of this size."""

BORDER_PX = 3
PIECE_PX = 60
"""Smaller pieces are specks, not figures."""

TEMPLATE_PX = 48
TEMPLATE_SPREAD_PX = 12.0
LEFT_OF, RIGHT_OF = 0.43, 0.57
LARGE_FROM_PX, SMALL_BELOW_PX = 32.3, 22.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One connected figure: `x`, `y` of its bounding box's centre and `radius`, in pixels of the picture.

    `painted` is the painted share of the form's inside: near 0 when outlined, a half when striped, 1 when plain.
    """

    colour: str
    form: str
    x: float
    y: float
    radius: float
    column: str
    row: str
    size: str
    painted: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the picture shows; the largest piece comes first."""

    background: str
    pieces: tuple[Piece, ...]
    sharpness: float


def palette() -> np.ndarray:
    """Return the colours of the word list: (10, 3) float32 in [0, 255]."""
    return np.array(list(COLOURS.values()), dtype=np.float32)


def nearest_colours(pixels: np.ndarray) -> np.ndarray:
    """Return the index of the nearest listed colour of every pixel: (…, 3) to (…)."""
    distance = ((pixels[..., None, :].astype(np.float32) - palette()) ** 2).sum(axis=-1)
    return distance.argmin(axis=-1)


def commonest(indices: np.ndarray) -> str:
    """Return the name of the colour that occurs most often."""
    return list(COLOURS)[int(np.bincount(indices.ravel(), minlength=len(COLOURS)).argmax())]


def border(pixels: np.ndarray) -> np.ndarray:
    """Return the pixels of the frame: (n, 3)."""
    frame = np.ones(pixels.shape[:2], dtype=bool)
    frame[BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX] = False
    return pixels[frame]


def see(picture: Image.Image) -> Seen:
    """Analyse a picture, resized to SEEN_PX squared first."""
    picture = picture.resize((SEEN_PX, SEEN_PX), Image.Resampling.BICUBIC)
    pixels = np.asarray(picture.convert("RGB")).astype(np.float32)
    frame = border(pixels)
    background = commonest(nearest_colours(frame))
    ground = np.median(frame, axis=0)
    mask = foreground(pixels, ground)
    pieces = [describe(pixels, whole, ground) for whole in merge_nested(connected(mask)) if whole.sum() >= PIECE_PX]
    pieces.sort(key=lambda piece: -piece.radius)
    return Seen(background=background, pieces=tuple(pieces), sharpness=sharpness(pixels))


def foreground(pixels: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """Return where the picture is not background: (h, w) bool, cut at half of the strongest difference."""
    off = np.sqrt(((pixels - ground) ** 2).sum(axis=-1))
    strongest = np.percentile(off, 99.5)
    return off > max(24.0, 0.5 * min(strongest, 160.0))


def connected(mask: np.ndarray) -> list[np.ndarray]:
    """Return the 8-connected pieces of a mask, each a (h, w) bool array."""
    open_cells = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    pieces = []
    while open_cells:
        waiting = [open_cells.pop()]
        piece = np.zeros_like(mask)
        while waiting:
            y, x = waiting.pop()
            piece[y, x] = True
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & open_cells
            open_cells -= near
            waiting.extend(near)
        pieces.append(piece)
    return pieces


def filled(mask: np.ndarray) -> np.ndarray:
    """Return the mask with its holes closed."""
    outside = np.zeros((mask.shape[0] + 2, mask.shape[1] + 2), dtype=bool)
    room = np.pad(~mask, 1, constant_values=True)
    outside[0, :] = outside[-1, :] = outside[:, 0] = outside[:, -1] = True
    while True:
        grown = outside.copy()
        grown[1:] |= outside[:-1]
        grown[:-1] |= outside[1:]
        grown[:, 1:] |= outside[:, :-1]
        grown[:, :-1] |= outside[:, 1:]
        grown &= room
        if (grown == outside).all():
            return ~outside[1:-1, 1:-1]
        outside = grown


def describe(pixels: np.ndarray, mask: np.ndarray, ground: np.ndarray) -> Piece:
    """Measure one piece; its colour is that of the pixels furthest from the background."""
    off = ((pixels - ground) ** 2).sum(axis=-1)
    core = mask & (off >= np.quantile(off[mask], 0.45))
    left, top, right, bottom = box(mask)
    x, y, radius = (left + right) / 2, (top + bottom) / 2, max(right - left, bottom - top) / 2 + 0.5
    whole = filled(mask)
    return Piece(
        colour=commonest(nearest_colours(pixels[core])),
        form=form_of(mask, whole),
        x=float(x),
        y=float(y),
        radius=float(radius),
        column=third(x, ("left", "middle", "right")),
        row=third(y, ("top", "middle", "bottom")),
        size="small" if radius < SMALL_BELOW_PX else "large" if radius > LARGE_FROM_PX else "medium",
        painted=painted_share(mask, whole, rounds=max(2, round(0.3 * radius))),
    )


def painted_share(mask: np.ndarray, whole: np.ndarray, rounds: int) -> float:
    """Return how much is painted of what is left of the closed form after taking off `rounds` pixels all round."""
    inside = np.pad(whole, 1)
    for _ in range(rounds):
        smaller = inside.copy()
        smaller[1:] &= inside[:-1]
        smaller[:-1] &= inside[1:]
        smaller[:, 1:] &= inside[:, :-1]
        smaller[:, :-1] &= inside[:, 1:]
        if not smaller.any():
            break
        inside = smaller
    inside = inside[1:-1, 1:-1]
    return float(mask[inside].mean())


def third(position_px: float, names: tuple[str, str, str]) -> str:
    """Name the part of the picture that a centre lies in."""
    share = (position_px + 0.5) / SEEN_PX
    return names[0] if share < LEFT_OF else names[2] if share > RIGHT_OF else names[1]


def box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of the true cells, all inclusive."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])


def merge_nested(masks: list[np.ndarray]) -> list[np.ndarray]:
    """Join each piece to the one whose box encloses its centre (the inner line of an outlined ring, bars)."""
    kept: list[np.ndarray] = []
    for mask in sorted(masks, key=lambda m: (box(m)[0] - box(m)[2]) * (box(m)[3] - box(m)[1])):
        left, top, right, bottom = box(mask)
        x, y = (left + right) / 2, (top + bottom) / 2
        for other in kept:
            outer = box(other)
            if outer[0] < x < outer[2] and outer[1] < y < outer[3]:
                other |= mask
                break
        else:
            kept.append(mask.copy())
    return kept


def normalised(mask: np.ndarray) -> np.ndarray:
    """Move a mask to its centre of gravity and scale it to a fixed second moment: (48, 48) float32 in [0, 1]."""
    ys, xs = np.nonzero(mask)
    x, y = xs.mean(), ys.mean()
    spread = np.sqrt(((xs - x) ** 2 + (ys - y) ** 2).mean())
    step, half = spread / TEMPLATE_SPREAD_PX, TEMPLATE_PX / 2
    picture = Image.fromarray(mask.astype(np.uint8) * 255)
    moved = picture.transform(
        (TEMPLATE_PX, TEMPLATE_PX),
        Image.Transform.AFFINE,
        (step, 0, x - half * step, 0, step, y - half * step),
        Image.Resampling.BILINEAR,
    )
    return np.asarray(moved).astype(np.float32) / 255


@cache
def templates() -> dict[str, np.ndarray]:
    """Return every filled form, normalised."""
    found = {}
    for form in FORMS:
        figure = Figure(
            form=form,
            colour="red",
            size="large",
            column="middle",
            row="middle",
            style="plain",
            x=PICTURE_PX / 2,
            y=PICTURE_PX / 2,
            radius=PICTURE_PX * 0.31,
        )
        found[form] = normalised(filled(np.asarray(form_mask(figure, SEEN_PX)) > 127))
    return found


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Return intersection over union of two masks, which may be soft."""
    return float(np.minimum(a, b).sum() / max(1e-6, np.maximum(a, b).sum()))


def form_of(mask: np.ndarray, whole: np.ndarray) -> str:
    """Name the form whose outline matches best; a round one with a hole in the middle is a ring."""
    shape = normalised(whole)
    best = max((form for form in FORMS if form != "ring"), key=lambda form: overlap(shape, templates()[form]))
    if best != "circle":
        return best
    y, x = (round(axis.mean()) for axis in np.nonzero(whole))
    share = max((p.sum() for p in connected(whole & ~mask) if p[y, x]), default=0) / whole.sum()
    return "ring" if 0.08 < share < 0.42 else "circle"


def sharpness(pixels: np.ndarray) -> float:
    """Return the steepest change from pixel to pixel (99.7th percentile) over the picture's contrast, in [0, 1]."""
    gray = pixels.mean(axis=-1)
    steep = np.maximum(np.abs(np.diff(gray, axis=0))[:, 1:], np.abs(np.diff(gray, axis=1))[1:])
    contrast = np.percentile(gray, 99.5) - np.percentile(gray, 0.5)
    return float(np.percentile(steep, 99.7) / max(contrast, 1.0))
