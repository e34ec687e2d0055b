"""Models of two stages: the second one enlarges what the first one made of a picture, `floyd=` of its image seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from dgen.diagnostic import Diagnostic, Span
from dgen.families.rows import FAMILIES, FLOYD, IMG2IMG, Family, some_of
from dgen.families.signatures import accepts
from dgen.values.image_seed import ImageSeed
from dgen.values.scalars import Size

ORIGINAL = "original_image"
"""The keyword of pipelines that get the picture of a first stage beside the picture that it was made from."""


def is_staged(seed: object) -> bool:
    """Whether image seeds, one or several, name the picture of a first stage."""
    return any(each.floyd is not None for each in _every(seed))


def has_last(seed: object) -> bool:
    """Whether image seeds, one or several, name what a video ends with."""
    return any(each.last is not None for each in _every(seed))


def _every(seed: object) -> list[ImageSeed]:
    seeds = cast("tuple[object, ...]", seed) if isinstance(seed, tuple) else (seed,)
    return [each for each in seeds if isinstance(each, ImageSeed)]


def stage_mistakes(
    family: Family, pipelines: Sequence[str], seeds: Sequence[tuple[ImageSeed, Span]]
) -> Iterator[Diagnostic]:
    """Find pictures of a first stage that no pipeline takes, and image seeds that lack one."""
    for (seed, span), pipeline in zip(seeds, pipelines, strict=False):
        takes = accepts(pipeline, ORIGINAL, family.package)
        if seed.floyd is not None and not takes:
            able = some_of([f.name for f in FAMILIES.values() if FLOYD in f.capabilities])
            yield Diagnostic(
                code="unsupported-mode", span=span, help=f"these have one: {able}",
                message=f"{family.label} has no second stage that takes the picture of a first one",
            )  # fmt: skip
        elif seed.floyd is None and takes:
            message = f"{pipeline} needs the picture that the first stage made"
            yield Diagnostic(code="missing-option", message=message, span=span, help="add `;floyd=stage1.png`")


def filled(source: Size, own: Size) -> Size:
    """Return the size of a picture whose shorter side is a model's, as DeepFloyd's pipelines bring pictures to it."""
    side, shape = min(own), source.width / source.height
    longer = round(side / 8 * max(shape, 1 / shape)) * 8
    return Size(longer, side) if shape >= 1 else Size(side, longer)


def is_filled(family: Family, mode: str, seed: ImageSeed) -> bool:
    """Whether an image is brought to the model's own size: of a second stage, only what it is made from."""
    return family.resizes and (family.enlarges == 1 or mode != IMG2IMG or seed.floyd is not None)
