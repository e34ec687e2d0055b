"""What attaches to a model makes of its pipeline and of an image seed: the variant, the mode, the control images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dgen.diagnostic import Diagnostic, Span
from dgen.families.rows import (
    CONTROLNET,
    CONTROLNET_UNION,
    FAMILIES,
    FLOYD,
    IMG2IMG,
    INPAINT,
    LAST_FRAME,
    PAG,
    T2I_ADAPTER,
    TXT2IMG,
    Family,
    some_of,
)
from dgen.options.attachments import ControlNetUri
from dgen.options.request import Request
from dgen.plan.bind import Bound
from dgen.plan.stages import has_last, is_staged
from dgen.values.control_modes import number_of
from dgen.values.image_seed import ImageSeed

Said = Callable[[str], Any]
"""Returns what was said for an option, by its field; something false when nothing was."""

STEERING = ("control_nets", "t2i_adapters")
"""The options whose parts each follow a control image."""


def said_in(bound: Bound) -> Said:
    """Return what tells the values that a statement gives to an option."""
    return lambda name: (bound.given[name].values or (True,)) if name in bound else ()


def said_by(request: Request) -> Said:
    """Return what tells the value of an option of a request."""
    return lambda name: getattr(request, name)


def is_steered(said: Said) -> bool:
    """Whether something follows control images."""
    return any(map(said, STEERING))


PAG_OPTIONS = ("pag", "pag_scale", "pag_adaptive_scale")
"""The options each of which switches perturbed attention guidance on."""


def variant_of(said: Said, family: Family) -> str:
    """Return which pipelines of a family run what is attached; "" for those that run the model alone."""
    has_pag = any(value is not None and value is not False and value != () for value in map(said, PAG_OPTIONS))
    return "+".join(filter(None, (_stage(said, family), _steering(said, family), PAG if has_pag else "")))


def _stage(said: Said, family: Family) -> str:
    if LAST_FRAME in family.variants and has_last(said("image_seed")):
        return LAST_FRAME
    return FLOYD if FLOYD in family.variants and is_staged(said("image_seed")) else ""


def _steering(said: Said, family: Family) -> str:
    nets: Sequence[ControlNetUri] = said("control_nets")
    if not nets:
        return T2I_ADAPTER if said("t2i_adapters") else ""
    is_union = any(net.mode is not None for net in nets) and CONTROLNET_UNION in family.variants
    return CONTROLNET_UNION if is_union else CONTROLNET


def mode_of(seed: ImageSeed | None, has_nets: bool, is_grown: bool = False) -> str:
    """Return the mode that an image seed asks for: beside ControlNets, pictures without a role are control images.

    What is new of a picture that has grown is to be painted.
    """
    if seed is not None and seed.image is not None and is_grown:
        return INPAINT
    if seed is None or seed.image is None or (has_nets and seed.mask is None and not seed.control):
        return TXT2IMG
    return INPAINT if seed.mask is not None else IMG2IMG


def asked_mode(seed: ImageSeed | None, said: Said) -> str:
    """Return the mode that an image seed asks for beside what else is said: what detectors find is to be painted."""
    mode = mode_of(seed, is_steered(said), bool(said("outpaint")))
    return INPAINT if mode == IMG2IMG and said("adetailer_detectors") else mode


def control_images(seed: ImageSeed | None, has_nets: bool) -> tuple[str, ...]:
    """Return the paths of an image seed's control images, in their order."""
    if seed is None or seed.image is None:
        return ()
    if seed.control or not has_nets or seed.mask is not None or seed.batch:
        return seed.control
    return (seed.image, *seed.further)


def apart(bound: Bound, family: Family, mode: str) -> Diagnostic:
    """Describe things that a family can attach, but not together in a mode."""
    variant = variant_of(said_in(bound), family)
    given = [bound.given[name] for name in (*STEERING, *PAG_OPTIONS) if name in bound]
    able = [f"{f.name} ({', '.join(f.variants[variant])})" for f in FAMILIES.values() if variant in f.variants]
    return Diagnostic(
        code="unsupported-option", span=given[-1].flag.span,
        message=f"{family.label} cannot use `{given[-1].flag.text}` beside `{given[0].flag.text}` in {mode}",
        help=f"these can: {some_of(able)}" if able else "leave one of them out",
    )  # fmt: skip


def no_branch(branch: int, count: int) -> str:
    """Say that a model has no skip connection of a number."""
    return f"this model has {count} skip connections, 0 to {count - 1}, found {branch}"


def beyond(bound: Bound, skips: int | None) -> Iterator[Diagnostic]:
    """Find numbers of skip connections for DeepCache that a model has not; `skips` is how many it has."""
    held = bound.given["deep_cache_branch_id"].values if skips and "deep_cache_branch_id" in bound else ()
    for index, branch in enumerate(held):
        if skips is not None and branch >= skips:
            span = bound.span_of("deep_cache_branch_id", index)
            yield Diagnostic(code="bad-value", message=no_branch(branch, skips), span=span)


def misfits(bound: Bound, family: Family) -> Iterator[Diagnostic]:
    """Find image seeds that don't have one control image for each ControlNet, and union modes without a union."""
    option = next((name for name in STEERING if name in bound), STEERING[0])
    nets: Sequence[Any] = bound.given[option].values if option in bound else ()
    noun = "T2I adapter" if option == "t2i_adapters" else "ControlNet"
    held = bound.given.get("image_seed")
    for index, seed in enumerate(held.values if held else ()):
        found = control_images(seed, bool(nets))
        yield from _unused(bound, index, seed, family)
        if family.follows:
            yield from _unled(bound, index, seed, family)
        elif not nets and (seed.control or seed.further):
            yield Diagnostic(
                code="missing-option", message="control images need `--control-nets`", help=_why(seed),
                span=_span(bound, index, seed.control or seed.further),
            )  # fmt: skip
        elif len(found) != len(nets) and nets:
            yield Diagnostic(
                code="control-images", span=_span(bound, index, found), help=_how(seed, len(nets)),
                message=f"{_count(len(nets), noun)} need{'s' if len(nets) == 1 else ''} "
                f"{_count(len(nets), 'control image')}, found {len(found)}",
            )  # fmt: skip
        yield from _groups(bound, index, seed)
    yield from _modes(bound, nets if noun == "ControlNet" else (), family)


def _unled(bound: Bound, index: int, seed: ImageSeed, family: Family) -> Iterator[Diagnostic]:
    """Find an image seed that doesn't name one video for its picture to follow."""
    if seed.image is not None and (len(seed.control) != 1 or seed.further):
        yield Diagnostic(
            code="control-images", span=_span(bound, index, seed.control or seed.further),
            message=f"in {family.label} a picture moves as a video does, found {_count(len(seed.control), 'video')}",
            help="name it as in `a.png;control=b.mp4`",
        )  # fmt: skip


def _groups(bound: Bound, index: int, seed: ImageSeed) -> Iterator[Diagnostic]:
    """Find an image seed that doesn't have one group of pictures for each IP-adapter."""
    adapters = len(bound.given["ip_adapters"].values) if "ip_adapters" in bound else 0
    if adapters and len(seed.adapter) != adapters:
        names = ", ".join(f"x{n}.png" for n in range(1, adapters + 1)) if adapters > 1 else "x.png"
        yield Diagnostic(
            code="adapter-images", span=_span(bound, index, [image.path for group in seed.adapter for image in group]),
            message=f"{_count(adapters, 'IP-adapter')} need{'s' if adapters == 1 else ''} "
            f"{_count(adapters, 'group')} of pictures, found {len(seed.adapter)}",
            help=f"write `adapter: {names}`, or `a.png;adapter={names}`; a `+` joins the pictures of a group",
        )  # fmt: skip


def _unused(bound: Bound, index: int, seed: ImageSeed, family: Family) -> Iterator[Diagnostic]:
    """Find parts of an image seed that nothing takes."""
    if seed.adapter and "ip_adapters" not in bound and not family.references:
        first = seed.adapter[0][0].path
        yield Diagnostic(
            code="missing-option", message="adapter images need `--ip-adapters`", help="add `--ip-adapters`",
            span=_span(bound, index, [first]),
        )  # fmt: skip
    count, most = sum(map(len, seed.adapter)), family.most_references
    if most and count > most:
        yield Diagnostic(
            code="adapter-images", message=f"{family.label} refers to {most} pictures at most, found {count}",
            span=_span(bound, index, [image.path for group in seed.adapter for image in group]),
        )  # fmt: skip
    if family.referring and seed.adapter and seed.image is not None:
        yield Diagnostic(
            code="adapter-images", message=f"{family.label} refers to pictures, or has a first frame, but not both",
            span=_span(bound, index, [seed.adapter[0][0].path]), help="write them alone: `adapter: x.png`",
        )  # fmt: skip


def _modes(bound: Bound, nets: Sequence[ControlNetUri], family: Family) -> Iterator[Diagnostic]:
    with_mode = [index for index, net in enumerate(nets) if net.mode is not None]
    if with_mode and not family.union_modes:
        able = some_of([f.name for f in FAMILIES.values() if f.union_modes])
        yield Diagnostic(
            code="unsupported-option", message=f"{family.label} has no union ControlNets, which take a `mode`",
            span=bound.span_of("control_nets", with_mode[0]), help=f"these have them: {able}",
        )  # fmt: skip
    elif CONTROLNET_UNION in family.variants and 0 < len(with_mode) < len(nets):
        other = next(index for index in range(len(nets)) if index not in with_mode)
        yield Diagnostic(
            code="contradictory-options", message="union ControlNets and plain ones cannot act together",
            span=bound.span_of("control_nets", other), help="give each a `mode`, or none",
            notes=((bound.span_of("control_nets", with_mode[0]), "this one has a `mode`"),),
        )  # fmt: skip
    for index in with_mode if family.union_modes else ():
        if number_of(str(nets[index].mode), family.union_modes) is None:
            yield Diagnostic(
                code="bad-uri", message=f"union ControlNets of {family.label} know no mode `{nets[index].mode}`",
                span=bound.span_of("control_nets", index),
                help="they know " + ", ".join(f"`{name}`" for name in family.union_modes),
            )  # fmt: skip


def _why(seed: ImageSeed) -> str:
    return "add `--control-nets`" + ("; a `,` in a file's name stands in quotes" if seed.further else "")


def _how(seed: ImageSeed, nets: int) -> str | None:
    if seed.control or seed.further or (seed.mask is None and nets == 1):
        return None
    names = ", ".join(f"c{n}.png" for n in range(1, nets + 1)) if nets > 1 else "c.png"
    return f"add `;control={names}`" if seed.mask is not None else f"write `{names}`, or `a.png;control={names}`"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _span(bound: Bound, index: int, paths: Sequence[str]) -> Span:
    """Return the span from the first of these paths to the last, or of the whole image seed."""
    held = bound.given["image_seed"]
    if index >= len(held.words):
        return bound.span_of("image_seed", index)
    word = held.words[index]
    end = word.text.rfind(paths[-1]) + len(paths[-1]) if paths and paths[-1] in word.text else 0
    start = word.text.rfind(paths[0], 0, end) if end else -1
    return word.at(start, end) if start >= 0 else word.span
