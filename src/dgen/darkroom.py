"""Runs image processors on the pictures that a job starts from, and on those that it makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from dgen.developer import Developer
from dgen.engine.protocol import Engine, Inputs
from dgen.families.inspection import ModelFacts
from dgen.families.rows import INPAINT, TXT2IMG, TXT2VID, VID2VID
from dgen.media.read import PictureFiles, brought_to
from dgen.misprocessing import OF_SEEDS
from dgen.options.request import Request
from dgen.plan.control import asked_mode, control_images, is_steered, said_by
from dgen.plan.resolve import Job, align, family_of, fit, made_size, multiple_for, resolve, seed_size
from dgen.plan.shots import Moving
from dgen.plan.video import take_of
from dgen.processors import Chain, chain_of, chains
from dgen.retouching import PADDING, Cut, blended, cut, empty_mask, grown, soft
from dgen.schema import BadValue
from dgen.values.image_seed import AdapterImage, ImageSeed
from dgen.values.scalars import Size
from dgen.values.sides import Sides

if TYPE_CHECKING:
    from PIL.Image import Image

_KNOWN = 24  # jobs that are resolved once

RepaintOne = Callable[[int, "Image", Any], "Image"]
"""Paints parts of a picture again, told first which picture of its job it is, counted from 0."""


class Darkroom(Developer):
    """Develops the pictures that jobs start from and that they make."""

    def __init__(
        self, pictures: PictureFiles, engine: Engine | None = None,
        allow: Callable[[str, None], None] = lambda path, span: None,
    ) -> None:  # fmt: skip
        """`engine` runs the models of processors; `allow` refuses files that may not be written.

        `allow` is given a path, and raises a `DgenError`.
        """
        super().__init__(pictures, engine, allow)
        self._jobs: dict[tuple[Request, str, tuple[Size, ...]], tuple[ModelFacts, Job]] = {}

    def resolve(self, request: Request, facts: ModelFacts, device: str) -> Job:
        """Decide everything that a request leaves open; processors of its image may change its size.

        Raises:
            BadValue, EngineError: as `plan.resolve.resolve` and `develop`.
        """
        job = self._decided(request, facts, device)
        seed = job.request.image_seed
        late = _late(_first_chain(job.request))
        if seed is None or seed.image is None:
            return job
        if job.request.inpaint_crop:
            return self._resolved_cut(job, facts.family.multiple_of)
        if _resizes(late):
            first = self.pictures.picture(seed.image, seed.frame)
            size = Size(*self._brought(first, _first_chain(job.request), job.size).size)
            job = replace(job, size=align(size, multiple_for(job.request, job.mode, facts.family)))
        sides = job.request.outpaint
        return job if sides is None else replace(job, size=_with_sides(job.size, sides))

    def _decided(self, request: Request, facts: ModelFacts, device: str) -> Job:
        """Resolve a request; the frames of an animation are decided alike, but for processors that may differ."""
        seed = request.image_seed
        if seed is None or seed.frame is None or any(getattr(request, name) for name in OF_SEEDS):
            return resolve(request, facts, device, _Sizes(self, request))
        still = replace(request, image_seed=seed.at_frame(0))
        sized = tuple(self.pictures.size(path) for path in (seed.image,) if path is not None and not seed.is_latent)
        known = self._jobs.get((still, device, sized))
        if known is None or known[0] is not facts:
            while len(self._jobs) >= _KNOWN:
                del self._jobs[next(iter(self._jobs))]
            known = self._jobs[still, device, sized] = (facts, resolve(still, facts, device, _Sizes(self, still)))
        job = known[1]
        decided = job.request.image_seed
        if decided is None:
            return job
        return replace(job, request=replace(job.request, image_seed=decided.at_frame(seed.frame)))

    def _resolved_cut(self, job: Job, multiple: int) -> Job:
        """Return a job that repaints a part of its picture: it has the size of the run, by the width of the part."""
        found = self._cut(job)
        if found is None:
            return job
        seed = job.request.image_seed
        wanted = (seed.resize if seed is not None else None) or job.request.output_size
        return replace(job, size=align(fit(found.size, wanted, True, multiple), multiple))

    def _cut(self, job: Job) -> Cut | None:
        """Return the part of a picture that is repainted alone; None when its mask marks nothing."""
        inputs = self._whole_inputs(job)
        if inputs.image is None or inputs.mask is None:
            return None
        return cut(inputs.image, inputs.mask, job.request.inpaint_crop_padding or PADDING)

    def _whole_inputs(self, job: Job) -> Inputs:
        """Return what a job starts from at the size of its own picture."""
        seed = job.request.image_seed
        if seed is None or seed.image is None:
            return Inputs()
        request = replace(job.request, image_seed=replace(seed, resize=None, align=1), output_size=None)
        size = _Sizes(self, request).size(seed.image)
        late = _late(_first_chain(request))
        if _resizes(late):
            first = self.pictures.picture(seed.image, seed.frame)
            size = Size(*self._brought(first, _first_chain(request), size).size)
        return self._inputs(replace(job, request=request, size=size), 1)

    def inputs_of(self, job: Job) -> Inputs:
        """Decode and process the pictures that a job starts from, brought to its size.

        Raises:
            BadValue, EngineError: `size-mismatch`, or as `develop`.
        """
        r = job.request
        if r.inpaint_crop:
            found = self._cut(job)
            if found is None:
                raise empty_mask()
            return found.inputs(self._whole_inputs(job), job.size, r.mask_blur or 0)
        multiple = multiple_for(r, job.mode, family_of(job))
        if r.outpaint is not None:
            base = replace(job, size=_with_sides(job.size, r.outpaint, -1))
            return soft(grown(self._inputs(base, multiple), r.outpaint), r.mask_blur or 0)
        return soft(self._inputs(job, multiple), r.mask_blur or 0)

    def _inputs(self, job: Job, multiple: int) -> Inputs:
        r, seed = job.request, job.request.image_seed
        adapters = tuple(tuple(self._looked_at(i, seed) for i in g) for g in seed.adapter) if seed is not None else ()
        if seed is None or seed.image is None or seed.is_latent:
            files = [self.pictures.find(path) for path in seed.latent_files] if seed is not None else []
            if seed is not None and seed.is_latent:
                return Inputs(adapters=adapters, image_latents=files[0])
            return Inputs(adapters=adapters, latents=tuple(files))
        before = align(seed_size(r, seed, multiple, _Sizes(self, r)), multiple)
        fitting = _Fitting(job, seed, before, _Sizes(self, r).size(seed.image))
        first = self.pictures.picture(seed.image, seed.frame)
        image = brought_to(self._brought(first, _first_chain(r), before), job.size)
        masks = tuple(
            self._fitted(path, _chain(r, "mask_image_processors", number), fitting, "mask").convert("L")
            for number, path in enumerate(seed.masks)
        )
        paths = control_images(seed, is_steered(said_by(r)))
        controls = [
            image if path == seed.image and job.mode == TXT2IMG and number == 0
            else self._fitted(path, _chain(r, "control_image_processors", number), fitting, "control image")
            for number, path in enumerate(paths if job.frames is None else ())
        ]  # fmt: skip
        start = None if job.mode in (TXT2IMG, TXT2VID) else image
        batch = tuple(self._fitted(path, _first_chain(r), fitting, "image") for path in seed.batch)
        made = Inputs(start, masks[0] if masks else None, tuple(controls), batch, masks[1:], adapters)
        if seed.floyd is not None:
            made = replace(made, stage=self.pictures.picture(seed.floyd, seed.frame).convert("RGB"))
        return made if job.frames is None else self._for_video(job, seed, made, fitting)

    def _for_video(self, job: Job, seed: ImageSeed, made: Inputs, fitting: _Fitting) -> Inputs:
        """Add what moves to what a video starts from, and what it ends with."""
        r, paths = job.request, control_images(seed, is_steered(said_by(job.request)))
        films = (self._video(job, path, _chain(r, "control_image_processors", n)) for n, path in enumerate(paths))
        made = replace(made, control_videos=tuple(films))
        if job.mode in (VID2VID, INPAINT) and seed.image is not None:
            masks = () if seed.mask is None else self._video(job, seed.mask, _chain(r, "mask_image_processors"))
            video = self._video(job, seed.image, _first_chain(r))
            return replace(made, image=None, video=video, video_mask=tuple(mask.convert("L") for mask in masks))
        last = None if seed.last is None else self._fitted(seed.last, _first_chain(r), fitting, "last frame")
        return replace(made, last=last)

    def _video(self, job: Job, path: str, chain: Chain) -> tuple[Image, ...]:
        """Return the frames of a video that a job starts from or follows, processed, at its size; stills repeat.

        Those after which a picture moves keep a size of their own: what they show is not to be stretched.

        Raises:
            BadValue: `bad-image-seed`: it is too short.
        """
        clip = self.pictures.clip(path)
        seed, size = job.request.image_seed, None if family_of(job).follows else job.size
        if clip is None or seed is None or seed.frame is not None:
            still = self.pictures.picture(path, seed.frame if seed is not None else None)
            return (self._at(still, chain, size),) * (job.frames or 1)
        take = take_of(job.request, family_of(job), clip)
        frames = (self.pictures.picture(path, take.first + n) for n in range(take.count))
        return tuple(self._at(each, chain, size) for each in frames)

    def _at(self, picture: Image, chain: Chain, size: Size | None) -> Image:
        """Return a picture after a chain, at a size or at its own."""
        wanted = size or Size(*picture.size)
        return brought_to(self._brought(picture, chain, wanted), wanted)

    def _looked_at(self, image: AdapterImage, seed: ImageSeed) -> Image:
        """Return a picture for an adapter: of its own size, or of the one that is said for it alone."""
        picture = self.pictures.picture(image.path, seed.frame)
        aspect = image.aspect if image.aspect is not None else True
        return brought_to(picture, fit(Size(*picture.size), image.resize, aspect, image.align or 1))

    def finished(self, job: Job, images: tuple[Image, ...], repaint: RepaintOne) -> tuple[Image, ...]:
        """Return the pictures of a job, put back where they were cut out, after `--post-processors`.

        `repaint` paints parts of one with the job's pipeline.
        """
        chain = _chain(job.request, "post_processors")
        numbered = enumerate(self._put_back(job, images))
        return tuple(self.develop(image, chain, partial(repaint, number)) for number, image in numbered)

    def _put_back(self, job: Job, images: tuple[Image, ...]) -> tuple[Image, ...]:
        r = job.request
        found = self._cut(job) if r.inpaint_crop else None
        if found is not None:
            return tuple(found.pasted(image, r) for image in images)
        if not r.mask_blur:
            return images
        inputs = self.inputs_of(job)
        return tuple(blended(image, inputs, index) for index, image in enumerate(images))

    def finished_size(self, job: Job) -> Size:
        """Return the size of what `finished` returns, without the pictures."""
        chain = _chain(job.request, "post_processors")
        found = self._cut(job) if job.request.inpaint_crop else None
        size = made_size(job) if found is None else Size(*found.whole.size)
        return self._size_after(size, chain) if _resizes(chain) else size

    def _size_after(self, size: Size, chain: Chain) -> Size:
        from PIL import Image as Pictures

        return Size(*self.develop(Pictures.new("RGB", (size.width, size.height)), chain).size)

    def _brought(self, picture: Image, chain: Chain, size: Size) -> Image:
        """Return a picture after a chain, brought to a size on the way."""
        image = self.develop(picture, _early(chain))
        return self.develop(brought_to(image, size), _late(chain))

    def _fitted(self, path: str, chain: Chain, fitting: _Fitting, what: str) -> Image:
        """Return a mask or control image at the size of a job."""
        early = self.develop(self.pictures.picture(path, fitting.seed.frame), _early(chain))
        if fitting.keeps_aspect:
            _same_aspect(Size(*early.size), fitting.whole, what)
        late = _late(chain)
        image = self.develop(brought_to(early, fitting.before if _resizes(late) else fitting.job.size), late)
        _same_aspect(Size(*image.size), fitting.job.size, f"processed {what}")
        return brought_to(image, fitting.job.size)


@dataclass(frozen=True, slots=True)
class _Fitting:
    """What masks and control images are brought to: the image's own size, and that before its late processors."""

    job: Job
    seed: ImageSeed
    before: Size
    whole: Size

    @property
    def keeps_aspect(self) -> bool:
        return self.seed.aspect if self.seed.aspect is not None else not self.job.request.no_aspect


@dataclass(frozen=True, slots=True)
class _Sizes:
    """The sizes of pictures; of the first of an image seed, what early processors leave of it."""

    room: Darkroom
    request: Request

    def size(self, path: str) -> Size:
        """Return width and height in pixels."""
        early = _early(_first_chain(self.request))
        seed = self.request.image_seed
        is_first = seed is not None and path == seed.image
        if seed is None or not is_first or not _resizes(early):
            return self.room.pictures.size(path)
        return Size(*self.room.develop(self.room.pictures.picture(path, seed.frame), early).size)

    def clip(self, path: str) -> Moving | None:
        """Return what is known of an animation."""
        return self.room.pictures.clip(path)


def _with_sides(size: Size, sides: Sides, sign: int = 1) -> Size:
    return Size(size.width + sign * (sides.left + sides.right), size.height + sign * (sides.top + sides.bottom))


def _early(chain: Chain) -> Chain:
    return tuple(step for step in chain if step.chosen.said.pre_resize)


def _late(chain: Chain) -> Chain:
    return tuple(step for step in chain if not step.chosen.said.pre_resize)


def _resizes(chain: Chain) -> bool:
    return any(step.chosen.row.resizes for step in chain)


def _chain(request: Request, option: str, number: int = 0) -> Chain:
    return chain_of(chains(getattr(request, option), option), number)


def _first_chain(request: Request) -> Chain:
    """Return the processors of the first picture of an image seed, which may be a control image."""
    is_control = asked_mode(request.image_seed, said_by(request)) == TXT2IMG
    return _chain(request, "control_image_processors" if is_control else "seed_image_processors")


def _same_aspect(one: Size, other: Size, what: str) -> None:
    if abs(one.height * other.width - other.height * one.width) > 0.02 * other.height * one.width:
        raise BadValue(
            f"the {what} is {one}, which does not fit an image of {other}", code="size-mismatch",
            help="give both the same processors of size, or `aspect=false` to stretch",
        )  # fmt: skip
