"""Finds parts of a picture with detectors, and paints one after another again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dgen.detectors import DETECTORS, INSTEAD, PICKLES, Found, Looking, Row, area, padded, passing
from dgen.diagnostic import DgenError, Diagnostic
from dgen.engine.protocol import Engine, EngineError, Inputs, OnStep, Preview, Result
from dgen.families.inspection import ModelFacts
from dgen.families.rows import INPAINT, TXT2IMG
from dgen.media.decode import brought_to
from dgen.options.request import ROWS, Request
from dgen.plan.bind import Bound
from dgen.plan.control import said_by, variant_of
from dgen.plan.resolve import Job, fit, pipeline_of
from dgen.processors import Lens, Seer, Unseen
from dgen.registry import Chosen
from dgen.retouching import Cut, cut
from dgen.schema import BadValue
from dgen.values.prompt import Prompt
from dgen.values.scalars import Size, is_local
from dgen.values.sides import Sides

if TYPE_CHECKING:
    from PIL.Image import Image

OPTION = "adetailer_detectors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How what a detector found is painted again: what its URI says before what the statement says."""

    class_filter: tuple[str, ...]
    index_filter: tuple[int, ...]
    model_masks: bool
    mask_shape: str
    detector_padding: Sides
    mask_padding: Sides
    mask_blur: int
    mask_dilation: int
    size: int | None

    def chosen(self, found: Sequence[Found]) -> list[Found]:
        """Return what passes the filters, the surest first."""
        return passing(found, self.class_filter, self.index_filter)

    def mask(self, found: Found, size: Size) -> Image:
        """Return what is painted of a picture, white on black: (h, w) 8 bit.

        Raises:
            BadValue: the detector draws no masks, and they were asked for.
        """
        from PIL import Image as Pictures

        if not self.model_masks:
            mask = area(found, (size.width, size.height), self.mask_shape, self.detector_padding)
        elif found.mask is not None:
            mask = Pictures.fromarray(found.mask.astype("uint8") * 255)
        else:
            raise BadValue("finds places and draws no masks", help="leave `--adetailer-model-masks` out")
        return _dilated(mask, self.mask_dilation)


def manner_of(said: Any, request: Request) -> Manner:
    """Return how what a detector found is painted; `request` is decided."""

    def setting(name: str) -> Any:
        own = getattr(said, name)
        return getattr(request, f"adetailer_{name}") if own is None else own

    return Manner(**{field.name: setting(field.name) for field in fields(Manner)})


def _dilated(mask: Image, pixels: int) -> Image:
    """Return a mask that has grown by a square of some pixels to each side."""
    from PIL import ImageFilter

    bounds = mask.getbbox()
    if not pixels or bounds is None:
        return mask
    box = padded(bounds, Sides(*(2 * pixels,) * 4))  # PIL repeats the edge, so it has to be black
    grown = mask.crop(box).filter(ImageFilter.MaxFilter(2 * pixels + 1))
    mask.paste(grown, box[:2])
    return mask


@dataclass(frozen=True, slots=True)
class Telling:
    """Where the steps and previews of a job go."""

    on_step: OnStep
    preview: Preview | None


class Detailing:
    """Renders jobs, and paints what their detectors find again."""

    def __init__(self, engine: Engine, is_offline: Callable[[], bool], warn: Callable[[Diagnostic], None]) -> None:
        """`warn` is told of pictures in which nothing was found."""
        self._engine, self._is_offline, self._warn = engine, is_offline, warn

    # ---- what detectors ask for ----------------------------------------------------------------------------------

    def look(self, lens: Lens, said: Looking) -> AbstractContextManager[Seer]:
        """Give a model, which is loaded once, for as long as a block lasts; what fails in it is the model's failure."""
        return self._engine.look(lens, said.device, offline=self._is_offline(), stays=not said.model_offload)

    # ---- jobs ----------------------------------------------------------------------------------------------------

    def render(self, job: Job, inputs: Inputs, facts: ModelFacts, telling: Telling) -> Result:
        """Run a job; what its detectors find, if it has any, is painted one after another.

        Raises:
            EngineError: as the engine's `render`; a detector fails or is told nonsense.
        """
        if not job.request.adetailer_detectors or not self._engine.draws:
            return self._engine.render(job, inputs, telling.on_step, telling.preview)
        whole = Result((inputs.image,) * job.pictures if inputs.image is not None else ())
        if job.mode == TXT2IMG:
            base = replace(job, request=replace(job.request, strength=None))
            whole = self._engine.render(base, inputs, telling.on_step, telling.preview)
        detectors = tuple(DETECTORS.read(str(uri)) for uri in job.request.adetailer_detectors)
        made: list[Image] = []
        for number, picture in enumerate(whole.images):
            request = replace(job.request, seed=(job.request.seed or 0) + number, num_images_per_prompt=None)
            made.append(_Pass(self, _painting(job, request, facts), inputs, facts, telling).over(picture, detectors))
        return replace(whole, images=tuple(made))

    def repaint(self, job: Job, facts: ModelFacts, telling: Telling, image: Image, said: Any) -> Image:
        """Return a picture of a job, some parts painted again as `said`, a `Repainting`, says.

        Raises:
            BadValue: the job's model cannot paint parts.
            EngineError: as the engine's `render`; the detector fails or is told nonsense.
            Unseen: models are not run now.
        """
        if not self._engine.draws:
            raise Unseen
        request = replace(job.request, **_ALONE, **_said_of_painting(said, job.request))
        chosen = DETECTORS.read(str(said.model))
        given = {name: getattr(said, field) for name, field in _OF_DETECTOR.items()}
        given = {name: value for name, value in given.items() if value is not None and hasattr(chosen.said, name)}
        detector = replace(chosen, said=replace(chosen.said, **given))
        return _Pass(self, _painting(job, request, facts), Inputs(), facts, telling).over(image, (detector,))

    def found(self, chosen: Chosen[Row], index: int, image: Image) -> Sequence[Found]:
        """Return what a detector is sure enough of.

        Raises:
            EngineError: it fails, or is told nonsense.
        """
        row = chosen.row
        try:
            found = row.call(chosen.said, image.copy(), self)
            return [each for each in found if each.score >= chosen.said.confidence]
        except (BadValue, EngineError) as error:
            raise _blamed(row.name, error, index) from error
        except DgenError as error:
            first = error.diagnostics[0]
            raise EngineError(first.code, first.message, OPTION, first.help).at(index) from error
        except Exception as error:
            path, line = row.place
            message = f"the detector `{row.name}` failed: {type(error).__name__}: {error}"
            help = f"it is written in `{path.name}`, line {line}"
            raise EngineError("bad-plugin", message, OPTION, help).at(index) from error

    def draw(self, job: Job, inputs: Inputs, telling: Telling) -> Image:
        """Paint a part."""
        return self._engine.render(job, inputs, telling.on_step, telling.preview).images[0]

    def tell_nothing(self, name: str) -> None:
        """Tell that a detector found nothing in a picture."""
        message = f"`{name}` found nothing, so it changes nothing"
        help = "a lower `confidence=` finds more"
        self._warn(Diagnostic(severity="warning", code="nothing-found", message=message, help=help))


@dataclass(frozen=True, slots=True)
class _Pass:
    """The way of one picture through the detectors of a job; the job makes one picture."""

    detailing: Detailing
    job: Job
    inputs: Inputs
    facts: ModelFacts
    telling: Telling

    def over(self, picture: Image, detectors: Sequence[Chosen[Row]]) -> Image:
        """Return a picture after detectors."""
        for index, chosen in enumerate(detectors):
            manner = manner_of(chosen.said, self.job.request)
            found = manner.chosen(self.detailing.found(chosen, index, picture))
            if not found:
                self.detailing.tell_nothing(chosen.said.name)
            for each in found:
                picture = self._painted(picture, each, manner, (chosen, index))
        return picture

    def _painted(self, picture: Image, found: Found, manner: Manner, which: tuple[Chosen[Row], int]) -> Image:
        chosen, index = which
        try:
            mask = manner.mask(found, Size(*picture.size))
        except BadValue as error:
            raise _blamed(chosen.said.name, error, index) from None
        part = cut(picture, mask, manner.mask_padding)
        if part is None:  # padded away
            return picture
        size = self._size(part, manner)
        request = replace(self.job.request, **_own_prompts(chosen.said, self.job.request))
        made = self.detailing.draw(
            replace(self.job, size=size, request=request), self._inputs(part, size, manner), self.telling
        )
        return part.pasted(made, replace(request, mask_blur=manner.mask_blur, inpaint_crop_masked=True))

    def _size(self, part: Cut, manner: Manner) -> Size:
        own = max(part.size)
        longer = manner.size or max(own, *self.facts.default_size)
        width = max(1, round(part.size.width * longer / own))
        return fit(part.size, Size(width, 0), True, self.facts.family.multiple_of)

    def _inputs(self, part: Cut, size: Size, manner: Manner) -> Inputs:
        """Return what the painting of a part starts from."""
        controls = self.inputs.controls
        if self.job.request.adetailer_crop_control_image:
            controls = tuple(brought_to(image, Size(*part.whole.size)) for image in controls)
            return part.inputs(replace(self.inputs, controls=controls), size, manner.mask_blur)
        made = part.inputs(replace(self.inputs, controls=()), size, manner.mask_blur)
        return replace(made, controls=tuple(brought_to(image, size) for image in controls))


def _painting(job: Job, request: Request, facts: ModelFacts) -> Job:
    """Return the job that paints parts of what a job made, with a request of its own.

    Raises:
        BadValue: the model cannot.
    """
    pipeline = pipeline_of(facts, INPAINT, variant_of(said_by(request), facts.family))
    if pipeline is None:
        raise BadValue(f"this model of {facts.family.label} has no {INPAINT}", code="unsupported-mode")
    return replace(job, mode=INPAINT, pipeline=pipeline, request=request)


_ALONE: dict[str, Any] = {
    "control_nets": (), "t2i_adapters": (), "ip_adapters": (), "image_encoder": None, "sdxl_refiner": None,
    "high_noise_fraction": None, "denoising_start": None, "denoising_end": None, "sigmas": None, "timesteps": None,
    "prompt_2": None, "prompt_3": None, "num_images_per_prompt": None, "call": (), "adetailer_detectors": (),
}  # fmt: skip
"""What the painting of a part leaves out of a finished picture's request: what steered the whole of it."""

_OF_DETECTOR = {
    **{name: name for name in ("confidence", "prompt", "negative_prompt", "weight_name", "subfolder", "revision")},
    **{field.name: field.name for field in fields(Manner)}, "device": "detector_device",
}  # fmt: skip
"""What a detector takes, and how `Repainting` calls it."""


def _said_of_painting(said: Any, request: Request) -> dict[str, Any]:
    """Return what `Repainting` says of the job that paints, by the fields of `Request`."""
    manner = {f"adetailer_{field.name}": ROWS[f"adetailer_{field.name}"].implied for field in fields(Manner)}
    return {
        **{name: value for name, value in manner.items() if getattr(request, name) is None},
        "prompt": Prompt(said.prompt, said.negative_prompt or ""), "prompt_weighter": said.prompt_weighter,
        "seed": request.seed if said.seed is None else said.seed, "strength": said.strength,
        "num_inference_steps": said.inference_steps, "guidance_scale": said.guidance_scale,
        "pag": said.pag_scale is not None or said.pag_adaptive_scale is not None,
        "pag_scale": said.pag_scale, "pag_adaptive_scale": said.pag_adaptive_scale,
    }  # fmt: skip


def said_of_picture(said: Any, job: Job, number: int) -> Any:
    """Return what a `Repainting` says of a picture of a job, counted from 0: each is painted with a seed of its own."""
    first = (job.request.seed or 0) if said.seed is None else said.seed
    return replace(said, seed=first + number)


def _own_prompts(said: Any, request: Request) -> dict[str, Any]:
    """Return the prompts of a detector, for every encoder; nothing when it has none of its own."""
    if said.prompt is None and said.negative_prompt is None:
        return {}
    positive = request.prompt.positive if said.prompt is None else said.prompt
    negative = request.prompt.negative if said.negative_prompt is None else said.negative_prompt
    return {"prompt": Prompt(positive, negative), "prompt_2": None, "prompt_3": None}


def _blamed(name: str, error: BadValue | EngineError, index: int) -> EngineError:
    return EngineError(error.code, f"`{name}`: {error.message}", OPTION, error.help).at(index)


def detailing_mistakes(bound: Bound) -> Iterator[Diagnostic]:
    """Yield what a statement with detectors says in vain."""
    if OPTION not in bound:
        return
    flag = bound.given[OPTION].flag
    yield from _unusable(bound)
    held = bound.given.get("image_seed")
    for index, seed in enumerate(held.values if held is not None else ()):
        what = "a mask" if seed.mask is not None else "several images in a batch" if seed.batch else None
        what = "latents" if seed.is_latent or seed.latents else what
        if what is not None:
            yield Diagnostic(
                code="contradictory-options", span=bound.span_of("image_seed", index),
                message=f"`{flag.text}` finds for itself what is painted in an image, and here is {what}",
                help="leave one of them out",
            )  # fmt: skip


def _unusable(bound: Bound) -> Iterator[Diagnostic]:
    """Yield the detection models that are not there, or that are files which can run code."""
    for index, uri in enumerate(bound.given[OPTION].values):
        file = dict(uri.arguments).get("weight_name", uri.name)
        is_file = uri.name not in DETECTORS.rows() and is_local(uri.name)
        if is_file and not Path(uri.name).expanduser().exists():
            message = f"there is no file or folder `{uri.name}`"
            yield Diagnostic(code="missing-file", message=message, span=bound.span_of(OPTION, index))
        elif file.lower().endswith(PICKLES):
            yield Diagnostic(
                code="unsafe-weights", message=f"`{Path(file).name}` is a pickle: opening it could run what is in it",
                span=bound.span_of(OPTION, index), help=INSTEAD,
            )  # fmt: skip
