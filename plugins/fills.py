"""`patchmatch`: fills a part of a picture with what lies around it, as an example of how such parts look.

C. Barnes, E. Shechtman, A. Finkelstein, D. B. Goldman, "PatchMatch: A Randomized Correspondence Algorithm for
Structural Image Editing", ACM Transactions on Graphics 28 (2009); and what it is applied to: Y. Wexler, E. Shechtman,
M. Irani, "Space-Time Completion of Video", IEEE Transactions on Pattern Analysis and Machine Intelligence 29 (2007).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dgen.plugins import (
    BadValue,
    Bench,
    Completing,
    Integer,
    Odd,
    image_processor,
    opt,
    options,
    record,
)

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

_PASSES = 4
"""How often a level is filled; the finest one, which is almost right, half as often."""
_SWEEPS = 3
"""How often better patches are looked for before a level is filled."""
_BLOCK = 1 << 15
"""As many patches are compared at once: memory does not grow with the picture."""


@record
@options("patchmatch")
class PatchMatch(Completing):
    """Arguments of `patchmatch`."""

    patch_size: int = opt(5, value=Odd(3, 31), help="How wide the patches are that are compared; an odd number.")
    seed: int = opt(0, value=Integer(0, 2**32 - 1), help="Another number, another filling.")


@image_processor("patchmatch", PatchMatch, example="patchmatch;mask=mask.png")
def patchmatch(said: Any, image: "Image", bench: Bench) -> "Image":
    """Fill the white part of a mask with patches from elsewhere in the picture, without a model."""
    import numpy as np
    from PIL import Image as Pictures

    picture, mask = said.sort(image, bench)
    hole = np.asarray(mask.convert("L")) >= 128
    pixels = np.asarray(picture, dtype=np.float32)
    made = filled(pixels, hole, said.patch_size // 2, np.random.default_rng(said.seed))
    return Pictures.fromarray(np.clip(np.rint(made), 0, 255).astype(np.uint8))


def filled(pixels: "np.ndarray", hole: "np.ndarray", half: int, chance: "np.random.Generator") -> "np.ndarray":
    """Fill a hole, (h, w) bool, in (h, w, 3) pixels, from coarse to fine; a patch is `2 half + 1` pixels wide."""
    if not hole.any():
        return pixels
    levels = [(pixels, hole)]
    if not _sources(hole, half).any():
        raise BadValue(f"the mask leaves no whole patch of {2 * half + 1}x{2 * half + 1} pixels to copy from")
    while min(hole.shape) >= 4 * (2 * half + 1) and _sources(_halved_hole(hole), half).any():
        pixels, hole = _halved(pixels, hole), _halved_hole(hole)
        levels.append((pixels, hole))
    pixels, hole = levels.pop()
    made = _complete(Level(_smeared(pixels, hole), hole, half), _PASSES, None, chance)
    while levels:
        pixels, hole = levels.pop()
        guess = pixels.copy()
        guess[hole] = made.pixels.repeat(2, axis=0).repeat(2, axis=1)[: hole.shape[0], : hole.shape[1]][hole]
        made = _complete(Level(guess, hole, half), _PASSES if levels else _PASSES // 2, made, chance)
    return made.pixels


def _halved(pixels: "np.ndarray", hole: "np.ndarray") -> "np.ndarray":
    """Average the known pixels of each 2x2; where none is known, all of them."""
    import numpy as np

    edges = ((0, pixels.shape[0] % 2), (0, pixels.shape[1] % 2))
    weight = np.where(np.pad(hole, edges, mode="edge"), 1e-6, 1.0).astype(np.float32)[..., None]
    sums = [
        _squares(each).sum(axis=(1, 3)) for each in (np.pad(pixels, (*edges, (0, 0)), mode="edge") * weight, weight)
    ]
    return sums[0] / sums[1]


def _halved_hole(hole: "np.ndarray") -> "np.ndarray":
    import numpy as np

    whole = np.pad(hole, ((0, hole.shape[0] % 2), (0, hole.shape[1] % 2)), mode="edge")
    return np.asarray(_squares(whole).any(axis=(1, 3)))


def _squares(pixels: "np.ndarray") -> "np.ndarray":
    return pixels.reshape(pixels.shape[0] // 2, 2, pixels.shape[1] // 2, 2, *pixels.shape[2:])


def _smeared(pixels: "np.ndarray", hole: "np.ndarray") -> "np.ndarray":
    """Fill a hole from its rim inwards with the mean of the neighbours: a first guess."""
    import numpy as np

    known, made = ~hole, np.where(hole[..., None], 0, pixels)
    height, width = hole.shape
    while not known.all():
        count = np.pad(known, 1).astype(np.float32)
        total = np.pad(made, ((1, 1), (1, 1), (0, 0)))
        windows = [(slice(y, y + height), slice(x, x + width)) for y in range(3) for x in range(3)]
        counts, sums = sum(count[w] for w in windows), sum(total[w] for w in windows)
        rim = ~known & (np.asarray(counts) > 0)
        made[rim] = np.asarray(sums)[rim] / np.asarray(counts)[rim][:, None]
        known = known | rim
    return made


def _sources(hole: "np.ndarray", half: int) -> "np.ndarray":
    """Return where the middle of a patch may lie that is copied: wholly within the picture, and not in the hole."""
    import numpy as np

    height, width = hole.shape
    free = np.pad(~hole, half)
    for axis, length in ((0, height), (1, width)):
        free = np.logical_and.reduce([np.take(free, range(i, i + length), axis) for i in range(2 * half + 1)])
    return free


@dataclass(slots=True)
class Level:
    """A picture at one scale, its hole, and for each patch that touches the hole the one that is most like it.

    `targets` and `nearest` are (n, 2) rows and columns of the middles; `distance` is (n,).
    """

    pixels: "np.ndarray"
    hole: "np.ndarray"
    half: int
    targets: Any = None
    nearest: Any = None
    distance: Any = None
    number: Any = None  # (h, w): which target a pixel is, or -1
    free: Any = None  # (h, w): where sources may lie

    def __post_init__(self) -> None:
        """Find the patches that touch the hole."""
        import numpy as np

        self.free = _sources(self.hole, self.half)
        touched = np.pad(self.hole, self.half)
        for axis, length in ((0, self.hole.shape[0]), (1, self.hole.shape[1])):
            windows = [np.take(touched, range(i, i + length), axis) for i in range(2 * self.half + 1)]
            touched = np.logical_or.reduce(windows)
        self.targets = np.argwhere(touched)
        self.number = np.full(self.hole.shape, -1)
        self.number[touched] = np.arange(len(self.targets))

    def offsets(self) -> "np.ndarray":
        """Return the pixels of a patch, (p * p, 2), from its middle."""
        import numpy as np

        side = np.arange(-self.half, self.half + 1)
        return np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 2)

    def measure(self, which: "np.ndarray", candidates: "np.ndarray") -> "np.ndarray":
        """Return the mean squared difference between targets and patches, (n,); outside the picture its edge counts."""
        import numpy as np

        wide = np.pad(self.pixels, ((self.half, self.half), (self.half, self.half), (0, 0)), mode="edge")
        flat, width = wide.reshape(-1, 3), wide.shape[1]
        around = (self.offsets() + self.half) @ np.array([width, 1])
        found = np.empty(len(which), dtype=np.float32)
        for start in range(0, len(which), _BLOCK):
            part = slice(start, start + _BLOCK)
            one, other = (at[part] @ np.array([width, 1]) for at in (self.targets[which], candidates))
            difference = flat[one[:, None] + around] - flat[other[:, None] + around]
            found[part] = np.einsum("npc,npc->n", difference, difference) / difference[0].size
        return found

    def improve(self, which: "np.ndarray", candidates: "np.ndarray") -> None:
        """Take candidates, (n, 2), for targets where they are sources and nearer than what was found."""
        import numpy as np

        height, width = self.hole.shape
        inside = np.asarray(((candidates >= 0) & (candidates < (height, width))).all(axis=1))
        inside[inside] = self.free[tuple(candidates[inside].T)]
        which, candidates = which[inside], candidates[inside]
        distance = self.measure(which, candidates)
        better = distance < self.distance[which]
        self.nearest[which[better]] = candidates[better]
        self.distance[which[better]] = distance[better]

    def start(self, coarser: "Level | None", chance: "np.random.Generator") -> None:
        """Choose patches at random, or those of a coarser level where they are nearer (section 3.1)."""
        import numpy as np

        every = np.arange(len(self.targets))
        self.nearest = chance.choice(np.argwhere(self.free), len(every))
        self.distance = self.measure(every, self.nearest)
        if coarser is not None:
            before = coarser.number[tuple((self.targets // 2).T)]
            has = before >= 0
            near = coarser.nearest[before[has]] * 2 + self.targets[has] % 2
            self.improve(every[has], near)

    def search(self, chance: "np.random.Generator") -> None:
        """Look for better patches once: those of the neighbours, shifted, and random ones around (section 3.2).

        All targets ask their neighbours at once, instead of one after another, which NumPy would be slow at.
        """
        import numpy as np

        every = np.arange(len(self.targets))
        for shift in np.array([(0, 1), (1, 0), (0, -1), (-1, 0)]):
            beside = self.targets - shift
            inside = ((beside >= 0) & (beside < self.hole.shape)).all(axis=1)
            numbers = np.full(len(every), -1)
            numbers[inside] = self.number[tuple(beside[inside].T)]
            has = numbers >= 0
            self.improve(every[has], self.nearest[numbers[has]] + shift)
        radius = max(self.hole.shape)
        while radius >= 1:
            step = chance.integers(-radius, radius + 1, self.nearest.shape)
            self.improve(every, self.nearest + step)
            radius //= 2

    def vote(self) -> None:
        """Fill the hole with the mean of what the patches say, the nearer ones louder (Wexler, equation 3)."""
        import numpy as np

        spread = max(float(np.percentile(self.distance, 75)), 1e-3)
        weight = np.exp(-self.distance / (2 * spread)).astype(np.float64) + 1e-12
        total, weights = np.zeros(self.pixels.shape), np.zeros(self.hole.shape)
        for offset in self.offsets():
            at = self.targets + offset
            inside = ((at >= 0) & (at < self.hole.shape)).all(axis=1)
            place, source = tuple(at[inside].T), tuple((self.nearest + offset)[inside].T)
            total[place] += weight[inside][:, None] * self.pixels[source]
            weights[place] += weight[inside]
        self.pixels = self.pixels.copy()
        self.pixels[self.hole] = total[self.hole] / weights[self.hole][:, None]


def _complete(level: Level, passes: int, coarser: Level | None, chance: "np.random.Generator") -> Level:
    """Fill a level: find the nearest patches, let them vote, and again."""
    import numpy as np

    level.start(coarser, chance)
    for _ in range(passes):
        for _ in range(_SWEEPS):
            level.search(chance)
        level.vote()
        level.distance = level.measure(np.arange(len(level.targets)), level.nearest)
    return level
