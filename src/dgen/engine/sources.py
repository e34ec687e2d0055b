"""Says which components a job needs and where each comes from; loads nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dgen.diagnostic import did_you_mean
from dgen.engine.protocol import MODULES, EngineError
from dgen.families.indices import Place, is_part
from dgen.families.modular import MODULAR, configs_of_blocks
from dgen.families.rows import CONTROLNET_UNION, Family
from dgen.families.signatures import optional_components, parameters
from dgen.fetch import shown
from dgen.options.memory import quantizer_of
from dgen.options.quantizers import Quantizer, quantizer_said
from dgen.options.request import ROWS, Request
from dgen.plan.resolve import Job, component_key, family_of
from dgen.plan.second import prior_request
from dgen.values.encoders import NONE
from dgen.values.scalars import is_local, is_url, real_place

ASKED_BY: dict[str, str | None] = {
    "safety_checker": "safety_checker",
    "feature_extractor": "safety_checker",
    "image_encoder": None,
    "watermarker": None,
}
"""Parts that a pipeline can do without, and the option that asks for them."""

ADAPTERS = {"loras": "lora", "textual_inversions": "textual_inversion", "ip_adapters": "ip_adapter"}
"""The options that list adapters, and the kinds under which their files are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a model, or one part of a model, is found."""

    model: str = field(compare=False)  # as it is called; what it is called does not make it another one
    revision: str | None = None
    variant: str | None = None
    subfolder: str | None = None
    file: str | None = None  # in a folder with several
    option: str = "model"  # the field of `Request` that names it
    index: int = field(default=0, compare=False)  # which value of the option
    token: str | None = field(default=None, repr=False, compare=False)
    offline: bool = field(default=False, compare=False)
    place: str = field(init=False, repr=False)  # where the model is, whichever link leads there

    def __post_init__(self) -> None:
        """Follow the links of this machine."""
        object.__setattr__(self, "place", real_place(self.model))

    @property
    def shown(self) -> str:
        """The source as messages may show it."""
        return shown(self.model) if is_url(self.model) else self.model

    @property
    def name(self) -> str:
        """The source without the folders of this machine."""
        return Path(self.model).name if is_local(self.model) else self.shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One component of a job: what determines it, and the class that loads it."""

    kind: str
    key: tuple[Any, ...]
    source: Source
    dtype: str
    library: str = ""  # "" and class_name "": a checkpoint file decides
    class_name: str = ""
    quantizer: Quantizer | None = None
    mode: str | None = None  # which of several it is in a file
    joins: Part | None = None  # what is put into it when it is loaded
    folder: str = ""  # in its model, where that is not called as its kind
    settings: tuple[tuple[str, Any], ...] | None = None  # what its class is made with, where it lies nowhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What a look at a model's index tells: where it lies, and the class of each of its parts."""

    path: Path | None  # None: not seen
    index: Mapping[str, Any]  # model_index.json; of its `--model-config` for a checkpoint file; {} when unknown
    is_file: bool = False
    base: str | None = None  # the built-in model that brings the parts whose folders are not here
    places: Mapping[str, Place] = field(
        default_factory=dict[str, Place]
    )  # of parts that lie in no folder of their name

    def owner_of(self, kind: str, model: str) -> str:
        """Return the model that a part is read from."""
        if self.base is None or self.path is None or (self.path / kind).is_dir():
            return model
        return self.base


def source_of(request: Request) -> Source:
    """Return where the main model of a request is found."""
    return Source(
        model=request.model, revision=request.revision, variant=request.variant, subfolder=request.subfolder,
        token=request.auth_token, offline=request.offline_mode,
    )  # fmt: skip


def vae_source(request: Request) -> Source | None:
    """Return where the VAE of `--vae` is found; None when the model's own is used."""
    uri = request.vae
    if uri is None:
        return None
    return Source(
        model=uri.model, revision=uri.revision, variant=uri.variant or request.variant, subfolder=uri.subfolder,
        option="vae", token=request.auth_token, offline=request.offline_mode,
    )  # fmt: skip


def attached_sources(request: Request, option: str) -> tuple[Source, ...]:
    """Return where everything is found that an option of `AttachmentOptions` lists."""
    return tuple(
        Source(
            model=uri.model, revision=uri.revision, subfolder=uri.subfolder, file=getattr(uri, "weight_name", None),
            variant=(uri.variant or request.variant) if hasattr(uri, "variant") else None,
            option=option, index=index, token=request.auth_token, offline=request.offline_mode,
        )
        for index, uri in enumerate(getattr(request, option))
    )  # fmt: skip


def control_parts(request: Request, family: Family) -> Iterator[Part]:
    """Yield the ControlNets of a request, in their order; where and how strongly they act is no matter of loading."""
    for uri, source in zip(request.control_nets, attached_sources(request, "control_nets"), strict=True):
        is_union = uri.mode is not None and CONTROLNET_UNION in family.variants
        name = "ControlNetUnionModel" if is_union else family.controlnet
        dtype, quantizer = uri.dtype or request.dtype, quantizer_of(request, "controlnet", uri.quantizer)
        yield Part(
            kind="controlnet", key=("controlnet", name, source, dtype, quantizer), source=source, dtype=dtype,
            library="diffusers", class_name=name, quantizer=quantizer,
        )  # fmt: skip


def t2i_parts(request: Request, family: Family) -> Iterator[Part]:
    """Yield the T2I adapters of a request, in their order; those of every family are of the same class."""
    for uri, source in zip(request.t2i_adapters, attached_sources(request, "t2i_adapters"), strict=True):
        dtype = uri.dtype or request.dtype
        yield Part(
            kind="adapter", key=("t2i-adapter", source, dtype), source=source, dtype=dtype, library="diffusers",
            class_name="T2IAdapter",
        )  # fmt: skip


def encoder_part(request: Request, layout: Layout) -> Part | None:
    """Return what looks at the pictures for IP-adapters; None when there are none, or when the model brings it."""
    uri = request.image_encoder
    has_own = not layout.is_file and (layout.index.get("image_encoder") or [None])[0] is not None
    if not request.ip_adapters or (uri is None and has_own):
        return None
    adapter = attached_sources(request, "ip_adapters")[0]
    source = replace(adapter, file=None, model=_folder_of(adapter.model))
    if uri is not None:
        source = Source(
            model=uri.model, revision=uri.revision, variant=uri.variant or request.variant, subfolder=uri.subfolder,
            option="image_encoder", token=request.auth_token, offline=request.offline_mode,
        )  # fmt: skip
    dtype = (uri.dtype if uri is not None else None) or request.dtype
    return Part(
        kind="image_encoder", key=("image_encoder", source, dtype), source=source, dtype=dtype,
        library="transformers", class_name="CLIPVisionModelWithProjection",
    )  # fmt: skip


def _folder_of(model: str) -> str:
    """Return the folder of a file on this machine; anything else is what holds the folder `image_encoder`."""
    path = os.path.expanduser(model)
    return str(Path(path).parent) if is_local(model) and os.path.isfile(path) else model


def replaced_parts(request: Request) -> Iterator[Part]:
    """Yield the denoiser and the text encoders that replace a model's own; its index tells the denoiser's class."""
    if request.unet is not None:
        yield _replacing(request, request.unet, ("unet", "", ""), "unet", 0)
    if request.transformer is not None:
        yield _replacing(request, request.transformer, ("transformer", "", ""), "transformer", 0)
    kinds = ROWS["text_encoders"].parts
    for index, (kind, uri) in enumerate(zip(kinds, request.text_encoders, strict=False)):
        if not isinstance(uri, str):
            yield _replacing(request, uri, (kind, "transformers", uri.class_name), "text_encoders", index)
    motion = request.motion_adapter
    if motion is not None:
        yield _replacing(request, motion, ("motion_adapter", "diffusers", "MotionAdapter"), "motion_adapter", 0)


def left_out(request: Request) -> frozenset[str]:
    """Return the text encoders that a request goes without."""
    kinds = zip(ROWS["text_encoders"].parts, request.text_encoders, strict=False)
    return frozenset(kind for kind, uri in kinds if uri == NONE)


def _replacing(request: Request, uri: Any, what: tuple[str, str, str], option: str, index: int) -> Part:
    kind, library, class_name = what
    source = Source(
        model=uri.model, revision=uri.revision, variant=uri.variant or request.variant, subfolder=uri.subfolder,
        option=option, index=index, token=request.auth_token, offline=request.offline_mode,
    )  # fmt: skip
    quantizer = quantizer_of(request, kind, quantizer_said(uri))
    return Part(
        kind=kind, key=(*component_key(request, kind), quantizer), source=source, dtype=uri.dtype or request.dtype,
        library=library, class_name=class_name, quantizer=quantizer, mode=getattr(uri, "mode", None),
    )  # fmt: skip


def adapter_parts(request: Request) -> Iterator[Part]:
    """Yield the files that are put into the parts of a request's model for the time of its job."""
    for option, kind in ADAPTERS.items():
        for source in attached_sources(request, option):
            yield Part(kind=kind, key=(kind, source), source=source, dtype=request.dtype)


def config_source(request: Request) -> Source | None:
    """Return where the configuration of a checkpoint file is found; None when nobody said."""
    if request.model_config is None:
        return None
    return Source(
        model=request.model_config, option="model_config", token=request.auth_token, offline=request.offline_mode
    )


def parts_of(job: Job, layout: Layout) -> Iterator[Part]:
    """Yield the components that a job's pipeline is made of, in the order of its signature.

    Raises:
        EngineError: `bad-model`: the model lacks one that the pipeline needs.
    """
    found = _separate_parts(job, layout)
    return _joined(job, list(found)) if family_of(job).joins else found


def _joined(job: Job, parts: list[Part]) -> Iterator[Part]:
    """Yield the parts of a job, those that are put into another one together with that."""
    joins = family_of(job).joins
    into = {joins[part.kind]: part for part in parts if part.kind in joins}
    for part in parts:
        if part.kind in joins:
            continue
        inner, is_plain = into.get(part.kind), part.class_name in _PLAIN
        if inner is None and is_plain and part.kind in joins.values():
            raise EngineError(
                "missing-option", f"`{job.request.model}` makes pictures alone", help="add `--motion-adapter SOURCE`"
            )
        is_put = inner is not None and (is_plain or inner.source.option != "model")
        yield replace(part, key=(*part.key, inner.key), joins=inner) if is_put and inner is not None else part


_PLAIN = ("UNet2DConditionModel",)
"""Classes of parts that something has to be put into."""

_JOINED = "UNetMotionModel"
"""And what they then are."""


def _separate_parts(job: Job, layout: Layout) -> Iterator[Part]:
    package = family_of(job).package
    optional = (*optional_components(job.pipeline, package), *family_of(job).joins)
    replaced = {part.kind: part for part in replaced_parts(job.request)}
    for parameter in parameters(job.pipeline, "__init__", package):
        kind = parameter.name
        asked = ASKED_BY.get(kind)
        may_lack = kind in optional or parameter.default is not None or "None" in parameter.annotation
        if kind == "image_encoder" and job.request.ip_adapters:
            yield encoder_part(job.request, layout) or _own(kind, _ENCODER, job.request)
            continue
        is_wanted = kind in family_of(job).wants and layout.index.get(kind) is not None
        if may_lack and kind in ASKED_BY and not is_wanted and not (asked and getattr(job.request, asked)):
            continue
        if kind in _STEERING:
            yield from _STEERING[kind](job.request, family_of(job))
            continue
        if kind in left_out(job.request) or kind in _idle(job):
            continue
        if kind in replaced:
            yield _named(replaced[kind], layout, parameter.annotation)
            continue
        if kind == "vae" and job.request.vae is not None:
            yield _other_vae(job.request)
            continue
        lent = lent_part(job.request, family_of(job), kind)
        if lent is not None:
            yield lent
            continue
        classes = _classes(kind, layout, job, may_lack)
        if classes is not None:
            owner = layout.owner_of(kind, job.request.model)
            request = job.request if owner == job.request.model else replace(job.request, model=owner)
            yield placed_part(kind, classes, request, layout.places.get(kind, Place()))


def _idle(job: Job) -> Iterable[str]:
    """Return the parts that others stand in for, where pictures are referred to, or that stand in for others."""
    seed, referring = job.request.image_seed, family_of(job).referring
    return referring.values() if seed is not None and seed.adapter else referring.keys()


def _named(part: Part, layout: Layout, annotation: str) -> Part:
    """Return a part with its class: that of the part it replaces, or, in a checkpoint file, of the signature."""
    if part.class_name:
        return part
    own = layout.index.get(part.kind)
    name = str(own[1]) if isinstance(own, list) and len(own) == 2 else annotation.partition("|")[0].strip()
    return replace(part, library="diffusers", class_name=plain_class(name))


def plain_class(name: str) -> str:
    """Return the class of a part that comes from elsewhere in place of one: what is put into it comes apart."""
    return _PLAIN[0] if name == _JOINED else name


def placed_part(kind: str, classes: tuple[str, str], request: Request, place: Place) -> Part:
    """Return a part of a request's model that lies where its index says; two models may name the same place."""
    if place.model is not None:
        request = replace(request, model=place.model, revision=place.revision, subfolder=None)
    part = _own(place.folder or kind, classes, request)
    return replace(part, kind=kind, folder=place.folder, settings=place.settings)


def lent_part(request: Request, family: Family, kind: str) -> Part | None:
    """Return the part that the prior of a request lends to its model; None when it does not."""
    lender = prior_request(request)
    if lender is None or kind not in family.lent:
        return None
    folder, *classes = family.lent[kind]
    part = _own(folder, (classes[0], classes[1]), lender)
    return replace(part, kind=kind, folder=folder, source=replace(part.source, option="prior"))


_STEERING = {"controlnet": control_parts, "adapter": t2i_parts}
"""What yields the parts of a kind that follow control images."""

_ENCODER = ("transformers", "CLIPVisionModelWithProjection")


def _classes(kind: str, layout: Layout, job: Job, may_lack: bool) -> tuple[str, str] | None:
    """Return library and class of a part, ("", "") when only loading will tell; None when the pipeline goes without."""
    entry: Any = layout.index.get(kind)
    if is_part(entry) and entry[0] is not None and not (layout.is_file and kind in ASKED_BY):
        return str(entry[0]), str(entry[1])
    if kind == "safety_checker" and (layout.index or layout.is_file):
        raise EngineError("bad-model", f"`{job.request.model}` has no safety checker", kind)
    if layout.is_file and may_lack and kind in ASKED_BY:
        return None
    if not layout.index:
        return ("", "") if kind in MODULES else None
    if may_lack or entry is not None:
        return None
    present = [k for k, v in layout.index.items() if is_part(v)]
    raise EngineError(
        "bad-model", f"`{job.request.model}` has no `{kind}`, which {job.pipeline} needs",
        help=did_you_mean(kind, present, "its parts are " + ", ".join(f"`{p}`" for p in present)),
    )  # fmt: skip


def _own(kind: str, classes: tuple[str, str], request: Request) -> Part:
    source = source_of(request)
    quantizer = quantizer_of(request, kind)
    keyed = replace(request, scheduler=None) if kind == "scheduler" and request.scheduler is not None else request
    if keyed.quantizer != quantizer or keyed.quantizer_map:  # what other parts do is no matter of this one
        keyed = replace(keyed, quantizer=quantizer, quantizer_map=())
    return Part(
        kind=kind, key=component_key(keyed, kind), source=source, dtype=request.dtype,
        library=classes[0], class_name=classes[1], quantizer=quantizer,
    )  # fmt: skip


def _other_vae(request: Request) -> Part:
    source = vae_source(request)
    if source is None or request.vae is None:
        raise ValueError("the request has no VAE of its own")
    return Part(
        kind="vae", key=component_key(request, "vae"), source=source, dtype=request.vae.dtype or request.dtype,
        library="diffusers", class_name=request.vae.class_name,
    )  # fmt: skip


def options_of(job: Job, layout: Layout) -> dict[str, Any]:
    """Return what the model's index says to its pipeline besides parts, such as `force_zeros_for_empty_prompt`."""
    taken = {p.name for p in parameters(job.pipeline, "__init__", family_of(job).package)}
    taken |= set(configs_of_blocks(job.pipeline)) if job.pipeline.endswith(MODULAR) else set[str]()
    return {k: v for k, v in layout.index.items() if k in taken and not is_part(v) and k[:1] != "_"}
