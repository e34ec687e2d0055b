"""Lays the calls of a statement out: its combinations, and for image seeds that move each of their frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from typing import NamedTuple, Protocol

from dgen.diagnostic import Diagnostic
from dgen.options.animation import WITH_SOUND
from dgen.options.request import ROWS, Request
from dgen.plan.bind import Bound
from dgen.plan.expand import Expansion
from dgen.schema import BadValue
from dgen.values.image_seed import ImageSeed

AT_ONCE = 16
"""So many animations are written at once; those of more combinations of an image seed follow in a second pass."""

OF_FILMS = ("animation_format", "no_frames", "keep_audio", "frame_start", "frame_end")
"""The options that concern animations, and not the pictures that they are made of."""


class Moving(Protocol):
    """What is known of an animation."""

    @property
    def frames(self) -> int:
        """How many frames it has."""
        ...

    @property
    def rate(self) -> Fraction:
        """Frames a second."""
        ...


Clips = Callable[[str], Moving | None]
"""Tells what is known of a path's animation; None for a still picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reel:
    """The frames of an image seed that moves: the first and the last one, counted from 0, and frames a second."""

    first: int
    last: int
    rate: Fraction
    lead: str  # the path of the animation that gives the rate

    def __len__(self) -> int:
        return self.last - self.first + 1


class Count(NamedTuple):
    """Where a call stands among those of its statement, counted from 1."""

    number: int
    calls: int
    step: int  # the combination, as file names count


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """A call: its request; for a frame of an animation the request of that, and its frames."""

    request: Request
    count: Count
    reel: Reel | None = None
    whole: Request | None = None

    @property
    def frame(self) -> int:
        """The frame, counted from 0."""
        seed = self.request.image_seed
        return (seed.frame or 0) if seed is not None else 0

    @property
    def is_without_picture(self) -> bool:
        """Whether it is for an animation alone."""
        return self.reel is not None and self.whole is not None and self.whole.no_frames

    @property
    def is_first(self) -> bool:
        """Whether it is the first frame of an animation."""
        return self.reel is not None and self.frame == self.reel.first

    @property
    def is_last(self) -> bool:
        """Whether it is the last frame of an animation."""
        return self.reel is not None and self.frame == self.reel.last


def reel_of(seed: ImageSeed, said: tuple[int | None, int | None], clips: Clips) -> Reel | None:
    """Return the frames of an image seed; None when nothing of it moves. `said` is the slice of the statement.

    The shortest animation decides, and the first one gives the rate. Of a slice of one frame, the first is the last.

    Raises:
        BadValue: `bad-image-seed`: the slice starts after the last frame; or an animation can't be read.
    """
    moving = {path: clip for path in dict.fromkeys(seed.pictures) if (clip := clips(path)) is not None}
    own = (seed.frame_start, seed.frame_end)
    if not moving:
        if own != (None, None):
            raise BadValue("frames are sliced, and none of these pictures moves", code="bad-image-seed")
        return None
    first, last = ((mine if mine is not None else theirs) for mine, theirs in zip(own, said, strict=True))
    shortest = min(moving, key=lambda path: moving[path].frames)
    end = moving[shortest].frames - 1
    if (first or 0) > end:
        message = f"the slice starts at frame {first}, and the last frame of `{shortest}` is {end}"
        raise BadValue(message, code="bad-image-seed")
    lead = next(iter(moving))
    return Reel(first=first or 0, last=end if last is None else min(last, end), rate=moving[lead].rate, lead=lead)


def said_slice(bound: Bound) -> tuple[int | None, int | None]:
    """Return the slice that a statement says for all its image seeds."""
    return (bound.value("frame_start"), bound.value("frame_end"))


def film_mistakes(bound: Bound) -> Iterator[Diagnostic]:
    """Yield what is contradictory in what a statement says of animations."""
    first, last = said_slice(bound)
    if first is not None and last is not None and first > last:
        message = f"`--frame-end`: the last frame, {last}, comes before the first, {first}"
        yield Diagnostic(code="bad-value", message=message, span=bound.span_of("frame_end"))
    ending = bound.value("animation_format")
    if ending == "frames" and "no_frames" in bound:
        yield Diagnostic(
            code="contradictory-options", message="without frames and without an animation nothing is written",
            span=bound.given["no_frames"].flag.span, help="leave one of the two out",
            notes=((bound.span_of("animation_format"), "this writes the frames alone"),),
        )  # fmt: skip
    if ending not in (None, *WITH_SOUND) and "keep_audio" in bound:
        yield Diagnostic(
            code="contradictory-options", message="only an mp4 holds sound",
            span=bound.given["keep_audio"].flag.span, help="leave one of the two out",
            notes=((bound.span_of("animation_format"), "this is the format"),),
        )  # fmt: skip


def calls_of(expansion: Expansion, reels: Sequence[Reel | None]) -> int:
    """Count the calls; `reels` has one for each image seed."""
    if not reels:
        return len(expansion)
    return len(expansion) // len(reels) * sum(1 if reel is None else len(reel) for reel in reels)


def shots(expansion: Expansion, reels: Sequence[Reel | None], *, makes_video: bool = False) -> Iterator[Shot]:
    """Yield the calls in their order: image seeds outermost, then frames, then all else.

    So a frame is decoded once for all combinations that use it. Calls that make videos keep what is said of them.
    """
    requests, calls = iter(expansion), calls_of(expansion, reels)
    number = step = 0
    for reel in reels or (None,):
        left = len(expansion) // max(1, len(reels))
        while left:
            group = list(islice(requests, min(left, AT_ONCE if reel is not None else 1)))
            for shot in _as_said(group) if makes_video else _of_group(group, reel):
                number += 1
                place = step + 1 + group.index(shot.whole) if shot.whole is not None else step + 1
                yield replace(shot, count=Count(number, calls, place))
            step, left = step + len(group), left - len(group)


_NOWHERE = Count(0, 0, 0)


def _as_said(group: Sequence[Request]) -> Iterator[Shot]:
    yield from (Shot(request=request, count=_NOWHERE) for request in group)


def _of_group(group: Sequence[Request], reel: Reel | None) -> Iterator[Shot]:
    if reel is None:
        yield from (Shot(request=as_still(request, None), count=_NOWHERE) for request in group)
        return
    is_film = len(reel) > 1
    for frame in range(reel.first, reel.last + 1):
        for request in group:
            still = as_still(request, frame)
            yield Shot(request=still, count=_NOWHERE, reel=reel if is_film else None, whole=request)


def as_still(request: Request, frame: int | None) -> Request:
    """Return the request of a picture: of one frame, and without what concerns animations."""
    seed = request.image_seed
    changed = {name: ROWS[name].default for name in OF_FILMS if getattr(request, name) != ROWS[name].default}
    if seed is not None and frame is not None:
        changed["image_seed"] = seed.at_frame(frame)
    return replace(request, **changed) if changed else request
