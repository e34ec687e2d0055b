"""Says which neighbouring calls of a statement can be made at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from dgen.options.request import ROWS, Request
from dgen.plan.embedded import PROMPTS
from dgen.plan.shots import Shot

VARYING = ("seed", "guidance_scale", *PROMPTS)
"""What may differ between calls that are made at once."""

ALONE = (
    "prompt_weighter", "preview", "control_nets", "t2i_adapters", "ip_adapters", "sdxl_refiner", "inpaint_crop",
    "adetailer_detectors",
)  # fmt: skip
"""Options whose calls are made one by one."""

_DRAWS_BY_ITSELF = "solversde"
"""A part of the names of schedulers that draw noise without the generators they are given."""


def packs(shots: Iterable[Shot], limit: int) -> Iterator[tuple[Shot, ...]]:
    """Cut calls into those that are made at once, at most `limit` of them, in their order."""
    pack: list[Shot] = []
    for shot in shots:
        if pack and (len(pack) >= limit or not _fit(pack[0], shot)):
            yield tuple(pack)
            pack = []
        pack.append(shot)
    if pack:
        yield tuple(pack)


def _fit(one: Shot, other: Shot) -> bool:
    first, second = one.request, other.request
    if one.reel is not None or other.reel is not None or not _may_share(first):
        return False
    return replace(second, **{name: getattr(first, name) for name in VARYING}) == first and _alike(first, second)


def _may_share(request: Request) -> bool:
    seed = request.image_seed
    if any(getattr(request, name, None) for name in ALONE) or (seed is not None and (seed.latents or seed.batch)):
        return False
    if seed is not None and seed.mask is not None and (request.num_images_per_prompt or 1) > 1:
        return False  # inpainting pipelines encode the picture with another generator than alone
    return request.scheduler is None or _DRAWS_BY_ITSELF not in request.scheduler.name.casefold()


def _alike(one: Request, other: Request) -> bool:
    """Whether both are guided or neither is, and both or neither have a negative prompt: models compute otherwise."""

    def kind(request: Request) -> tuple[object, ...]:
        scale = request.guidance_scale if request.guidance_scale is not None else ROWS["guidance_scale"].implied
        said = [getattr(request, name) for name in PROMPTS]
        return scale > 1, any(p is not None and p.negative for p in said), *(p is None for p in said)

    return kind(one) == kind(other)
