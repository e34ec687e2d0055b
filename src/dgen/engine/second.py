"""Runs a refiner after a model, on the latents or the pictures that the model leaves to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dgen.engine import quantizers, schedulers
from dgen.engine.calls import generators
from dgen.engine.models import Models
from dgen.engine.protocol import EngineError, Inputs, OnStep, Result
from dgen.engine.replaced import check_left_out, check_replaced
from dgen.engine.sources import Layout, Part, Source, parts_of, replaced_parts, source_of
from dgen.engine.weights import check_files
from dgen.families.inspection import SAFETENSORS_SUFFIXES, refiner_index
from dgen.families.rows import Family
from dgen.options.request import Request
from dgen.plan.resolve import Job
from dgen.plan.second import Handover, prior_request, refiner_request, second_of

_SHARED = ("vae", "text_encoder_2", "tokenizer_2")
"""The parts that a refiner takes from the model: what it is told and draws is in their words and their space."""

_OPTIONS = {
    "scheduler": "second_scheduler", "unet": "second_unet", "text_encoders": "second_text_encoders",
    "model_config": "second_model_config", "original_config": "second_original_config",
    "quantizer": "second_quantizer",
}  # fmt: skip
"""The options of a refiner that are called otherwise than those of a model."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One of the two calls of a job with a refiner, or the only one of any other."""

    named: Mapping[str, Any] = field(default_factory=dict[str, Any])  # keywords of the call
    parts: Mapping[str, Part] = field(default_factory=dict[str, Part])  # by kind, in the place of the job's own
    is_second: bool = False
    may_move: bool = False  # whether hooks may be on layers, which move weights

    @property
    def thinks(self) -> bool:
        """Whether what it makes is no picture yet."""
        return self.named.get("output_type") == "pt"

    @property
    def hands_over(self) -> bool:
        """Whether what it makes are latents for the other one."""
        return self.named.get("output_type") in ("latent", "pt")


Draw = Callable[[Job, Inputs, OnStep, Leg], Result]


def shared_parts(job: Job, layout: Layout, second: Job) -> dict[str, Part]:
    """Return the parts of a job's model that its refiner uses, by their kind."""
    if layout.is_file:  # its parts lie in one file, which only the model's own pipeline takes apart
        return {}
    own = {part.kind for part in replaced_parts(second.request)}
    if second.request.dtype != job.request.dtype:
        own.add("text_encoder_2")  # its words would be of another precision than the UNet
    return {p.kind: p for p in parts_of(job, layout) if p.kind in _SHARED and p.kind not in own}


def draw(job: Job, inputs: Inputs, on_step: OnStep, once: Draw, layout: Layout) -> Result:
    """Run a job, and its refiner when it has one.

    Raises:
        EngineError: as `once`.
    """
    handover = second_of(job)
    if handover is None:
        return once(job, inputs, on_step, Leg())
    shared = {"generator": generators(job.request.seed or 0, job.pictures)}
    total = _Total(on_step, handover.fraction, handover.job.request.num_inference_steps or 0)
    parts = shared_parts(job, layout, handover.job)
    if handover.is_decoder:
        thought = once(_as_pictures(job), inputs, total.first, Leg({**shared, "output_type": "pt"})).latents[0]
        late = {"image_embeddings": thought}
        return once(handover.job, Inputs(), total.second, Leg({**shared, **late}, is_second=True))
    if handover.is_edit:
        made = once(_as_pictures(job), inputs, total.first, Leg(shared)).images
    else:
        early = {"denoising_end": handover.fraction, "output_type": "latent"}
        made = once(job, inputs, total.first, Leg({**shared, **early})).latents[0]
    late = {"image": list(made) if handover.is_edit else made, **_start(handover)}
    return once(handover.job, Inputs(mask=inputs.mask), total.second, Leg({**shared, **late}, parts, is_second=True))


def _start(handover: Handover) -> dict[str, float]:
    return {} if handover.is_edit else {"denoising_start": handover.fraction}


def _as_pictures(job: Job) -> Job:
    """Return a job that makes pictures, whatever is to be written in the end."""
    return replace(job, request=replace(job.request, image_format="png"))


class _Total:
    """Tells the steps of both calls as those of one."""

    def __init__(self, on_step: OnStep, fraction: float, steps: int) -> None:
        self.on_step, self.done = on_step, 0
        self.late = max(1, steps - int(steps * fraction))

    def first(self, step: int, steps: int) -> None:
        """Tell a step of the model."""
        self.done = step
        self.on_step(step, steps + self.late)

    def second(self, step: int, steps: int) -> None:
        """Tell a step of the refiner."""
        self.on_step(self.done + step, self.done + steps)


def check_second(models: Models, request: Request, family: Family, sees: Callable[[Source], bool]) -> None:
    """Check the second model of a request, as far as it can be seen, before anything is loaded.

    Raises:
        EngineError: `bad-model`, `bad-weights`, `missing-file`, `unknown-scheduler`, `bad-uri` …
    """
    if "prior" in family.capabilities:
        _check_prior(models, request, family, sees)
    second = refiner_request(request)
    check = _check_decoder if family.decoder else _check
    if second is None or not {"refiner", "decoder"} & set(family.capabilities):
        return
    try:
        check(models, second, family, sees)
    except EngineError as error:
        error.option = _OPTIONS.get(error.option, "s_cascade_decoder" if family.decoder else "sdxl_refiner")
        raise


def _check_prior(models: Models, request: Request, family: Family, sees: Callable[[Source], bool]) -> None:
    prior = prior_request(request)
    if prior is None or not sees(source_of(prior)):
        return
    try:
        found = models.layout(prior).index.get("_class_name")
        if found not in family.lenders:
            what = f"its class is `{found}`" if found else "it is a checkpoint file"
            raise EngineError("bad-model", f"`{prior.model}` is no prior of {family.label}: {what}")
        models.check(prior)
    except EngineError as error:
        error.option = "prior"
        raise


def _check_decoder(models: Models, second: Request, family: Family, sees: Callable[[Source], bool]) -> None:
    if not sees(source_of(second)):
        return
    found = models.layout(second).index.get("_class_name")
    if found != family.decoder:
        what = f"its class is `{found}`" if found else "it is a checkpoint file"
        raise EngineError("bad-model", f"`{second.model}` is no decoder of {family.label}: {what}")
    models.check(second)
    schedulers.check(second, family, models.schedulers(second))


def _check(models: Models, second: Request, family: Family, sees: Callable[[Source], bool]) -> None:
    if not sees(source_of(second)):
        return
    layout = models.layout(second)
    quantizers.check_wholeness(second, layout)
    if second.original_config is not None and not layout.is_file:
        raise EngineError(
            "bad-value", f"`{second.model}` is no checkpoint file, which alone needs it", "original_config"
        )
    if layout.is_file and layout.path is not None:
        _check_file(second, layout, layout.path)
    _check_index(second, layout, family)
    models.check(second)
    schedulers.check(second, family, models.schedulers(second))
    check_left_out(second, family)
    for source, check in check_replaced(models.hub, second, layout, family):
        if sees(source):
            check()


def _check_file(second: Request, layout: Layout, path: Path) -> None:
    """Refuse a checkpoint file that is no refiner, or that does not tell."""
    check_files([path])
    if path.suffix.lower() in SAFETENSORS_SUFFIXES and not refiner_index(path):
        raise EngineError(
            "bad-model", f"`{second.model}` is no refiner: it holds another kind of model",
            help="a refiner for SDXL has one text encoder, the second of SDXL",
        )  # fmt: skip
    if not layout.index:
        raise EngineError(
            "bad-model", f"what `{path.name}` consists of cannot be told from the file",
            help="name a folder with its configuration: `--second-model-config FOLDER`",
        )  # fmt: skip


def _check_index(second: Request, layout: Layout, family: Family) -> None:
    found = str(layout.index.get("_class_name"))
    if found not in family.classes:
        raise EngineError("bad-model", f"`{second.model}` is no refiner of {family.label}: its class is `{found}`")
    if layout.index.get("text_encoder", [None])[0] is not None:
        raise EngineError(
            "bad-model", f"`{second.model}` is no refiner: it has a first text encoder, as whole models have",
            help="use it as the model, with `--image-seeds`",
        )  # fmt: skip
