"""Makes several jobs at once that differ only in seed, prompt or guidance: one forward, a generator each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from dgen.engine.calls import generators, keywords
from dgen.engine.failures import TooBig
from dgen.engine.ladder import Hands, climb, joined, one_by_one
from dgen.engine.protocol import EngineError, Inputs, Result
from dgen.events import MemoryShort
from dgen.plan.resolve import Job, family_of

Draw = Callable[[Job, Inputs], Result]


def in_parts(pack: Sequence[Job], inputs: Inputs, hands: Hands, draw: Draw) -> Result:
    """Render jobs at once; when memory runs out, in halves, in the end each by itself.

    Raises:
        EngineError: whatever `draw` raises, but for memory that is enough for a part.
    """
    if len(pack) == 1:
        alone = replace(inputs, pack=())
        hands = replace(hands, draw=lambda job: draw(job, alone))
        return replace(climb(pack[0], hands, can_split=True), parts=(1,))
    if not family_of(pack[0]).packs or pack[0].repeats or pack[0].is_in_turns:
        return joined([in_parts((job,), inputs, hands, draw) for job in pack])
    try:
        return replace(draw(pack[0], replace(inputs, pack=tuple(pack))), parts=(len(pack),))
    except TooBig:
        raise
    except EngineError as error:
        if error.code != "out-of-memory":
            raise
        failure = error.message
    half = len(pack) // 2
    hands.free()  # the exception is gone, and with it what held the tensors of the failed attempt
    hands.emit(MemoryShort(failure=failure, remedy=f"tried again with {half} and {len(pack) - half} jobs at once"))
    return joined([in_parts(part, inputs, hands, draw) for part in (pack[:half], pack[half:])])


def is_plain(inputs: Inputs) -> bool:
    """Whether all pictures of a batch get the same inputs."""
    return not (inputs.batch or inputs.latents)


def in_turns(job: Job, inputs: Inputs) -> list[tuple[Job, Inputs]]:
    """Return a job whose pictures get inputs of their own, and are made one after another, as jobs of one each.

    Picture k has the seed `seed + k`, and the k-th of the pictures, which are taken again and again, as in one call.
    Any other job is returned as it is.
    """
    if is_plain(inputs) or not job.is_in_turns or len(inputs.latents) not in (0, job.begun):
        return [(job, inputs)]
    masks = (inputs.mask, *(inputs.batch_masks or (inputs.mask,) * len(inputs.batch)))
    pairs = list(zip((inputs.image, *inputs.batch), masks, strict=True))
    found: list[tuple[Job, Inputs]] = []
    for k, alone in enumerate(one_by_one(job, job.begun)):
        image, mask = pairs[k % len(pairs)]
        own = replace(inputs, image=image, mask=mask, batch=(), batch_masks=(), latents=inputs.latents[k : k + 1])
        found.append((alone, own))
    return found


def together(inputs: Inputs, taken: frozenset[str]) -> dict[str, Any]:
    """Return the keywords that make one call render all jobs of a pack; nothing when there is none."""
    pack = inputs.pack
    if not pack:
        return {}
    texts = [{k: v for k, v in keywords(job, Inputs(), taken).items() if "prompt" in k} for job in pack]
    found: dict[str, Any] = {k: [each[k] for each in texts] for k, v in texts[0].items() if isinstance(v, str)}
    for name, image in (("image", inputs.image), ("mask_image", inputs.mask)):
        if image is not None and name in taken:
            found[name] = [image] * len(pack)
    weights = [job.request.guidance_scale for job in pack for _ in range(job.pictures)]
    if len(set(weights)) > 1:
        found["guidance_scale"] = weights_of(weights)
    drawn = (generators(job.request.seed or 0, job.begun) for job in pack)
    found["generator"] = [one for each in drawn for one in (each if isinstance(each, list) else [each])]
    return found


class Weights(float):
    """The guidance weights of several pictures: compares as the largest, and multiplies each picture by its own."""

    weights: tuple[float, ...]

    def __mul__(self, other: Any) -> Any:
        """Multiply a tensor whose first dimension is the pictures."""
        if not hasattr(other, "new_tensor"):
            return float(self) * other
        return other.new_tensor(self.weights).reshape(-1, *(1,) * (other.ndim - 1)) * other

    __rmul__ = __mul__


def weights_of(weights: Sequence[Any]) -> Weights:
    """Make guidance weights of one for each picture."""
    made = Weights(max(weights))
    made.weights = tuple(weights)
    return made
