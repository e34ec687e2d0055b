"""Says which calls of a statement can be made at once."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import replace

from dgen.options.request import ROWS, Request
from dgen.plan.embedded import PROMPTS
from dgen.plan.shots import Shot

VARYING = ("seed", "guidance_scale", *PROMPTS)
"""What may differ between calls that are made at once."""

ALONE = (
    "prompt_weighter", "preview", "control_nets", "t2i_adapters", "ip_adapters", "sdxl_refiner", "s_cascade_decoder",
    "inpaint_crop", "adetailer_detectors",
)  # fmt: skip
"""Options whose calls are made one by one."""

_DRAWS_BY_ITSELF = "solversde"
"""A part of the names of schedulers that draw noise without the generators they are given."""


def packs(shots: Iterable[Shot], limit: int) -> Iterator[tuple[Shot, ...]]:
    """Gather the calls that are made at once, at most `limit` of them; each pack stands where its first call does."""
    if limit == 1:
        yield from ((shot,) for shot in shots)
        return
    made: list[list[Shot]] = []
    growing: dict[Hashable, list[Shot]] = {}
    for shot in shots:
        key = _alike(shot)
        pack = growing.get(key) if key is not None else None
        if pack is None or len(pack) >= limit:
            pack = growing[key] = []
            made.append(pack)
        pack.append(shot)
    yield from map(tuple, made)


def _alike(shot: Shot) -> Hashable:
    """Return what calls that can be made at once have in common; None for one that is made alone.

    All of them are guided or none is, and all have a negative prompt or none has: models compute otherwise.
    """
    request = shot.request
    if shot.reel is not None or not _may_share(request):
        return None
    scale = request.guidance_scale if request.guidance_scale is not None else ROWS["guidance_scale"].implied
    said = [getattr(request, name) for name in PROMPTS]
    kind = (scale > 1, any(p is not None and p.negative for p in said), *(p is None for p in said))
    return replace(request, **{name: ROWS[name].default for name in VARYING}), kind


def _may_share(request: Request) -> bool:
    seed = request.image_seed
    own = seed is not None and (seed.latents or seed.batch or seed.floyd)
    if own or any(getattr(request, name, None) for name in ALONE):
        return False
    if seed is not None and seed.mask is not None and (request.num_images_per_prompt or 1) > 1:
        return False  # inpainting pipelines encode the picture with another generator than alone
    return request.scheduler is None or _DRAWS_BY_ITSELF not in request.scheduler.name.casefold()
