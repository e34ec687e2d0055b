"""What ControlNets make of an image seed: the mode it asks for, and the pictures that are control images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dgen.diagnostic import Diagnostic, Span
from dgen.families.rows import CONTROLNET, CONTROLNET_UNION, FAMILIES, IMG2IMG, INPAINT, TXT2IMG, Family
from dgen.options.attachments import ControlNetUri
from dgen.plan.bind import Bound
from dgen.values.image_seed import ImageSeed


def variant_of(nets: Sequence[ControlNetUri], family: Family) -> str:
    """Return which pipelines of a family run these ControlNets; "" when there are none to run."""
    if not nets:
        return ""
    is_union = any(net.mode is not None for net in nets) and CONTROLNET_UNION in family.variants
    return CONTROLNET_UNION if is_union else CONTROLNET


def mode_of(seed: ImageSeed | None, has_nets: bool) -> str:
    """Return the mode that an image seed asks for: beside ControlNets, pictures without a role are control images."""
    if seed is None or (has_nets and seed.mask is None and not seed.control):
        return TXT2IMG
    return INPAINT if seed.mask is not None else IMG2IMG


def control_images(seed: ImageSeed | None, has_nets: bool) -> tuple[str, ...]:
    """Return the paths of an image seed's control images, in their order."""
    if seed is None:
        return ()
    if seed.control or not has_nets or seed.mask is not None:
        return seed.control
    return (seed.image, *seed.further)


def misfits(bound: Bound, family: Family) -> Iterator[Diagnostic]:
    """Find image seeds that don't have one control image for each ControlNet, and union modes without a union."""
    nets: Sequence[ControlNetUri] = bound.given["control_nets"].values if "control_nets" in bound else ()
    held = bound.given.get("image_seed")
    for index, seed in enumerate(held.values if held else ()):
        found = control_images(seed, bool(nets))
        if not nets and (seed.control or seed.further):
            yield Diagnostic(
                code="missing-option", message="control images need `--control-nets`", help=_why(seed),
                span=_span(bound, index, seed.control or seed.further),
            )  # fmt: skip
        elif len(found) != len(nets) and nets:
            yield Diagnostic(
                code="control-images", span=_span(bound, index, found), help=_how(seed, len(nets)),
                message=f"{_count(len(nets), 'ControlNet')} need {_count(len(nets), 'control image')}"
                f", found {len(found)}".replace("1 ControlNet need", "1 ControlNet needs"),
            )  # fmt: skip
    yield from _modes(bound, nets, family)


def _modes(bound: Bound, nets: Sequence[ControlNetUri], family: Family) -> Iterator[Diagnostic]:
    with_mode = [index for index, net in enumerate(nets) if net.mode is not None]
    if with_mode and CONTROLNET_UNION not in family.variants:
        able = ", ".join(f.name for f in FAMILIES.values() if CONTROLNET_UNION in f.variants)
        yield Diagnostic(
            code="unsupported-option", message=f"{family.label} has no union ControlNets, which take a `mode`",
            span=bound.span_of("control_nets", with_mode[0]), help=f"these have them: {able}",
        )  # fmt: skip
    elif with_mode and len(with_mode) < len(nets):
        other = next(index for index in range(len(nets)) if index not in with_mode)
        yield Diagnostic(
            code="contradictory-options", message="union ControlNets and plain ones cannot act together",
            span=bound.span_of("control_nets", other), help="give each a `mode`, or none",
            notes=((bound.span_of("control_nets", with_mode[0]), "this one has a `mode`"),),
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
