"""What families that make videos take from a statement: their modes, their numbers of frames, their sources."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dgen.diagnostic import Diagnostic, Span
from dgen.families.inspection import ModelFacts
from dgen.families.rows import FAMILIES, IMG2IMG, IMG2VID, TXT2IMG, TXT2VID, VID2VID, Family
from dgen.families.signatures import accepts
from dgen.options.animation import ANIMATION_FORMATS, WITH_SOUND, WITH_TRANSPARENCY
from dgen.options.output import TENSOR_FORMATS
from dgen.options.request import ROWS, Request
from dgen.plan.bind import Bound
from dgen.plan.shots import Clips, Moving
from dgen.schema import BadValue
from dgen.values.image_seed import ImageSeed

Moves = Callable[[ImageSeed], bool]
"""Tells whether the image of a seed moves."""

_MOVING = tuple(".3gp .avi .flv .gif .apng .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ogv .ts .webm .wmv".split())  # noqa: SIM905


def seems_to_move(seed: ImageSeed) -> bool:
    """Whether the image of a seed moves, as far as its name tells."""
    return seed.image is not None and seed.image.lower().endswith(_MOVING) and seed.frame is None


def moves_in(clips: Clips) -> Moves:
    """Return what tells whether the image of a seed moves, by a look at the file."""

    def moves(seed: ImageSeed) -> bool:
        try:
            return seed.image is not None and seed.frame is None and clips(seed.image) is not None
        except BadValue:  # another check says what is wrong with the file
            return seems_to_move(seed)

    return moves


def mode_for(family: Family, mode: str, moves: bool) -> str:
    """Return the mode of a family for the one that an image seed asks for; `moves`: its image does."""
    if not family.makes_video:
        return mode
    if mode == IMG2IMG:
        return VID2VID if moves else IMG2VID
    return TXT2VID if mode == TXT2IMG else mode


# ---- numbers of frames ---------------------------------------------------------------------------------------------


def near_frames(family: Family, count: int) -> tuple[int, ...]:
    """Return the numbers of frames next to a number that a family can make: the number alone when it can."""
    group, rest, least = family.frame_group, family.frame_rest, family.frame_least
    most = family.frame_most or count + group
    below = (count - rest) // group * group + rest
    if below == count and least <= count <= most:
        return (count,)
    return tuple(n for n in (below, below + group) if least <= n <= most) or (least if count < least else most,)


def frame_rule(family: Family) -> str:
    """Say which numbers of frames a family can make, as `4k+1` or `17k+5 (124 to 345)`."""
    if family.frame_group == 1:
        return f"at least {family.frame_least}"
    found = f"{family.frame_group}k{family.frame_rest:+}" if family.frame_rest else f"{family.frame_group}k"
    return found + (f" ({family.frame_least} to {family.frame_most})" if family.frame_most else "")


def video_mistakes(bound: Bound, facts: ModelFacts, modes: Sequence[str]) -> Iterator[Diagnostic]:
    """Yield what is wrong with the frames of a statement whose family makes videos, and with what they end with."""
    family, said = facts.family, bound.value("num_frames")
    near = near_frames(family, said) if said is not None else ()
    if said is not None and said not in near:
        yield Diagnostic(
            code="bad-value", span=bound.span_of("num_frames"), help=f"try {' or '.join(f'`{n}`' for n in near)}",
            message=f"`--frames`: videos of {family.label} have {frame_rule(family)} frames, found `{said}`",
        )  # fmt: skip
    if family.rate is not None and bound.value("fps") not in (None, family.rate):
        yield Diagnostic(
            code="bad-value", span=bound.span_of("fps"), help="leave `--fps` out",
            message=f"`--fps`: videos of {family.label} have {family.rate:g} frames a second, "
            f"found `{bound.value('fps'):g}`",
        )  # fmt: skip
    if family.makes_video and bound.value("image_format") in TENSOR_FORMATS:
        yield Diagnostic(
            code="unsupported-option", span=bound.span_of("image_format"),
            message=f"{family.label} makes videos, of which latents are not written", help="leave `--image-format` out",
        )  # fmt: skip
    for part in family.joins:
        if facts.parts and part not in facts.parts and part not in bound:
            flag = ROWS[part].flag
            message, help = f"{family.label} needs `{flag}`: this model makes pictures alone", f"add `{flag} SOURCE`"
            yield Diagnostic(code="missing-option", message=message, span=bound.span_of("model"), help=help)
    held = bound.given.get("image_seed")
    for index, (seed, mode) in enumerate(zip(held.values if held is not None else (), modes, strict=False)):
        yield from _wrong_end(seed, mode, facts, bound.span_of("image_seed", index))
        yield from _missing_package(mode, family, bound.span_of("image_seed", index))


def _missing_package(mode: str, family: Family, span: Span) -> Iterator[Diagnostic]:
    package = family.packages.get(mode, "")
    if package and importlib.util.find_spec(package) is None:
        yield Diagnostic(
            code="missing-package", span=span, message=f"{family.label} needs the package `{package}` in {mode}",
            help='install it: `pip install "dgen-lang[video]"`',
        )  # fmt: skip


def unheard(bound: Bound, family: Family) -> Iterator[Diagnostic]:
    """Warn of a format of animations that holds no sound where a model makes some."""
    ending = bound.value("animation_format")
    if family.sounds and ending not in (None, *WITH_SOUND):
        yield Diagnostic(
            severity="warning", code="no-sound", span=bound.span_of("animation_format"),
            message=f"{family.label} makes sound, which `{ending}` does not hold",
            help=f"`--animation-format {WITH_SOUND[0]}` keeps it",
        )  # fmt: skip


def opaque(bound: Bound, family: Family) -> Iterator[Diagnostic]:
    """Warn of a format of animations that holds no transparency where a model makes pictures with it."""
    ending = bound.value("animation_format") or ANIMATION_FORMATS[0]
    layered = any(accepts(pipeline, "layers", family.package) for pipeline in family.pipelines.values())
    if layered and ending not in (*WITH_TRANSPARENCY, "frames"):
        yield Diagnostic(
            severity="warning", code="no-transparency",
            span=bound.span_of("animation_format") if "animation_format" in bound else bound.span,
            message=f"{family.label} makes pictures with transparency, which `{ending}` does not hold",
            help=f"`--animation-format {WITH_TRANSPARENCY[0]}` keeps it",
        )  # fmt: skip


def _wrong_end(seed: ImageSeed, mode: str, facts: ModelFacts, span: Span) -> Iterator[Diagnostic]:
    family, able = facts.family, ", ".join(f.name for f in FAMILIES.values() if f.ends)
    if seed.last is not None and (mode != IMG2VID or not family.ends):
        yield Diagnostic(
            code="unsupported-mode", span=span, message=f"{family.label} takes no last frame in {mode}",
            help=f"these take one in img2vid: {able}",
        )  # fmt: skip
    elif seed.last is not None and facts.ends is False:
        yield Diagnostic(code="unsupported-mode", span=span, message="this model cannot be told a last frame")
    elif mode == VID2VID and family.untold and facts.ends is False:
        yield Diagnostic(code="unsupported-mode", span=span, message="this model cannot go on where a video ends")
    elif seed.last is None and mode == IMG2VID and facts.ends:
        yield Diagnostic(
            code="unsupported-mode", span=span, message="this model goes from a first frame to a last one",
            help="name it as in `a.png;last=b.png`",
        )  # fmt: skip


# ---- sources -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Take:
    """The frames of a source that a job starts from: the first, counted from 0, and how many."""

    first: int
    count: int


def _slice(request: Request, seed: ImageSeed, clip: Moving) -> Take:
    """Return what the seed, or else the statement, takes of a source."""
    first = seed.frame_start if seed.frame_start is not None else request.frame_start
    last = seed.frame_end if seed.frame_end is not None else request.frame_end
    end = clip.frames - 1 if last is None else min(last, clip.frames - 1)
    return Take(first or 0, max(1, end - (first or 0) + 1))


def take_of(request: Request, family: Family, clip: Moving) -> Take:
    """Return the frames of its source that a job takes, as many as its family can.

    Raises:
        BadValue: `bad-image-seed`: the source is too short.
    """
    seed = request.image_seed
    found = _slice(request, seed if seed is not None else ImageSeed(), clip)
    wanted = found.count if family.continues or request.num_frames is None else request.num_frames
    if wanted > found.count:
        message = f"the source has {found.count} frames from frame {found.first} on, and `--frames` wants {wanted}"
        raise BadValue(message, code="bad-image-seed")
    count = max(1, min(near_frames(family, wanted)))
    if count > found.count:
        held = f"{found.count} frame{'s' if found.count > 1 else ''}"
        message = f"the source has {held}, and videos of {family.label} have at least {family.frame_least}"
        raise BadValue(message, code="bad-image-seed")
    return Take(found.first, count)


def numbers_of(request: Request, facts: ModelFacts, clip: Moving | None) -> dict[str, Any]:
    """Return the frames, and how many of them a second, of a request's video; `clip` is its source when it has one.

    Raises:
        BadValue: as `take_of`.
    """
    family, frames, fps = facts.family, request.num_frames, request.fps
    if clip is not None:
        take = take_of(request, family, clip)
        frames = frames if family.continues else take.count
        fps = float(clip.rate) if fps is None else fps
    usual = (facts.default_frames or 0) * family.group_frames
    return {
        "num_frames": frames or usual or family.defaults["num_frames"],
        "fps": family.defaults["fps"] if fps is None else fps,
    }
