"""Cuts out what inpainting works on, and puts back what it made; lets a picture grow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dgen.diagnostic import Diagnostic
from dgen.engine.protocol import Inputs
from dgen.media.decode import brought_to
from dgen.options.request import Request
from dgen.plan.bind import Bound
from dgen.schema import BadValue
from dgen.values.scalars import Size
from dgen.values.sides import Sides

if TYPE_CHECKING:
    from PIL.Image import Image

PADDING = Sides(32, 32, 32, 32)
"""What `--inpaint-crop` leaves around a mask when nothing is said."""

Box = tuple[int, int, int, int]
"""A part of a picture: left, top, right and bottom, in pixels."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The part of a whole picture that is repainted: RGB, its mask as L, and where it lies."""

    whole: Image
    mask: Image
    box: Box

    @property
    def size(self) -> Size:
        """Its size in pixels."""
        left, top, right, bottom = self.box
        return Size(right - left, bottom - top)

    def part(self, image: Image, size: Size) -> Image:
        """Return its part of a picture that is as large as the whole, brought to a size."""
        return brought_to(image.crop(self.box), size)

    def inputs(self, whole: Inputs, size: Size, blur: int) -> Inputs:
        """Return what a job starts from, cut out of what is as large as the whole."""
        controls = tuple(self.part(image, size) for image in whole.controls)
        mask = self.part(blurred(self.mask, blur), size)
        return replace(whole, image=self.part(self.whole, size), mask=mask, controls=controls)

    def pasted(self, made: Image, r: Request) -> Image:
        """Return the whole picture with what was made in its place."""
        made = brought_to(made, self.size)
        if r.mask_blur or r.inpaint_crop_masked:
            alpha = blurred(self.mask, r.mask_blur or 0).crop(self.box)
        else:
            alpha = _ramp(self.size, r.inpaint_crop_feather or 0, self._open_sides)
        result = self.whole.copy()
        result.paste(made, self.box[:2], alpha)
        return result

    @property
    def _open_sides(self) -> tuple[bool, ...]:
        """Whether more of the picture lies at the left, above, at the right, below."""
        left, top, right, bottom = self.box
        return left > 0, top > 0, right < self.whole.width, bottom < self.whole.height


def cut(whole: Image, mask: Image, padding: Sides) -> Cut | None:
    """Cut the surroundings of a mask out; None when nothing of it is white."""
    bounds = mask.getbbox()
    if bounds is None:
        return None
    box = (
        max(0, bounds[0] - padding.left), max(0, bounds[1] - padding.top),
        min(whole.width, bounds[2] + padding.right), min(whole.height, bounds[3] + padding.bottom),
    )  # fmt: skip
    return Cut(whole, mask, box)


def empty_mask() -> BadValue:
    """Return the error for a mask that marks nothing."""
    return BadValue("nothing of the mask is white, so nothing is repainted", code="empty-mask")


def _ramp(size: Size, pixels: int, sides: tuple[bool, ...]) -> Image:
    """Return what is opaque but for a ramp of some pixels along those sides at which there is more picture."""
    import numpy as np
    from PIL import Image as Pictures

    across = _slope(size.width, pixels, sides[0], sides[2])
    down = _slope(size.height, pixels, sides[1], sides[3])
    return Pictures.fromarray(np.rint(255 * np.minimum(across[None, :], down[:, None])).astype(np.uint8))


def _slope(length: int, pixels: int, at_start: bool, at_end: bool) -> Any:
    import numpy as np

    place = np.arange(length) + 1.0
    found = np.ones(length)
    if pixels and at_start:
        found = np.minimum(found, place / (pixels + 1))
    if pixels and at_end:
        found = np.minimum(found, place[::-1] / (pixels + 1))
    return found


def blurred(mask: Image, pixels: int) -> Image:
    """Return a mask that fades over some pixels to both sides of its edge."""
    from PIL import ImageFilter

    return mask.filter(ImageFilter.GaussianBlur(pixels)) if pixels else mask


def soft(inputs: Inputs, pixels: int) -> Inputs:
    """Return what a job starts from with blurred masks."""
    masks = [blurred(mask, pixels) for mask in (inputs.mask, *inputs.batch_masks) if mask is not None]
    return replace(inputs, mask=masks[0], batch_masks=tuple(masks[1:])) if masks else inputs


def blended(made: Image, inputs: Inputs, index: int) -> Image:
    """Return a picture that was made, and where its mask is black the one it was made from."""
    from PIL import Image as Pictures

    images = (inputs.image, *inputs.batch)
    masks = (inputs.mask, *(inputs.batch_masks or (inputs.mask,) * len(inputs.batch)))
    image, mask = images[index % len(images)], masks[index % len(images)]
    if image is None or mask is None:
        return made
    return Pictures.composite(made, brought_to(image, Size(*made.size)), brought_to(mask, Size(*made.size)))


def grown(inputs: Inputs, sides: Sides) -> Inputs:
    """Return what a job starts from with larger pictures: their edges go on, and what is new is to be painted."""
    from PIL import Image as Pictures

    masks = inputs.batch_masks or (inputs.mask,) * len(inputs.batch)
    new: list[tuple[Image, Image]] = []
    for image, mask in zip((inputs.image, *inputs.batch), (inputs.mask, *masks), strict=True):
        if image is None:
            return inputs
        old = mask if mask is not None else Pictures.new("L", image.size, 0)
        size = (image.width + sides.left + sides.right, image.height + sides.top + sides.bottom)
        larger = Pictures.new("L", size, 255)
        larger.paste(old, (sides.left, sides.top))
        new.append((_going_on(image, sides), larger))
    return replace(
        inputs, image=new[0][0], mask=new[0][1], batch=tuple(i for i, _ in new[1:]),
        batch_masks=tuple(m for _, m in new[1:]),
    )  # fmt: skip


def _going_on(image: Image, sides: Sides) -> Image:
    import numpy as np
    from PIL import Image as Pictures

    around = ((sides.top, sides.bottom), (sides.left, sides.right), (0, 0))
    return Pictures.fromarray(np.pad(np.asarray(image), around, mode="edge"))


def retouching_mistakes(bound: Bound) -> Iterator[Diagnostic]:
    """Yield what is wrong with what a statement says about inpainting."""
    held = bound.given.get("image_seed")
    for index, seed in enumerate(held.values if held is not None else ()):
        span = bound.span_of("image_seed", index)
        if "inpaint_crop" in bound and seed.mask is None:
            yield Diagnostic(
                code="missing-option", message="`--inpaint-crop` needs a mask", span=span, help="add `;mask=FILE`"
            )
        if "inpaint_crop" in bound and seed.batch:
            message = "`--inpaint-crop` works on one image, not on several in a batch"
            yield Diagnostic(code="contradictory-options", message=message, span=span)
        if "mask_blur" in bound and seed.mask is None and "outpaint" not in bound:
            yield Diagnostic(
                code="missing-option", message="`--mask-blur` needs a mask", span=span, help="add `;mask=FILE`"
            )
        if "outpaint" in bound and (seed.control or seed.further or seed.image is None):
            message = "`--outpaint` works on an image without control images"
            yield Diagnostic(code="contradictory-options", message=message, span=span)
        if "outpaint" in bound and seed.is_latent:
            message = "`--outpaint` works on a picture, and here are latents"
            yield Diagnostic(code="contradictory-options", message=message, span=span)
