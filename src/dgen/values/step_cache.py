"""Caches that repeat what a denoiser computed in earlier steps: `NAME;argument=value`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dgen.diagnostic import did_you_mean
from dgen.schema import BadValue, Kind, Value
from dgen.values.scalars import Integer
from dgen.values.uri import Part, split_uri


class Stretch(Kind):
    """Two timesteps, the lower one first."""

    metavar: str = "LOW,HIGH"

    def parse(self, text: str) -> tuple[int, int]:
        """Read two numbers from 0 to 1000."""
        low, _, high = text.partition(",")
        if not (low.strip().isdecimal() and high.strip().isdecimal()) or not int(low) < int(high) <= 1000:
            raise BadValue(f"expected two rising numbers from 0 to 1000 such as `100,800`, found `{text}`")
        return int(low), int(high)

    def format(self, value: tuple[int, int]) -> str:
        """Write the two numbers."""
        return f"{value[0]},{value[1]}"


_EVERY, _STRETCH = Integer(1, 1000), Stretch()

CACHES: Mapping[str, Mapping[str, Value]] = {
    "PAB": {
        "spatial_attention_block_skip_range": _EVERY, "cross_attention_block_skip_range": _EVERY,
        "spatial_attention_timestep_skip_range": _STRETCH, "cross_attention_timestep_skip_range": _STRETCH,
    },
    "TaylorSeer": {
        "cache_interval": _EVERY, "disable_cache_before_step": Integer(1, 10_000),
        "disable_cache_after_step": Integer(1, 10_000), "max_order": Integer(0, 8),
    },
}  # fmt: skip
"""The caches, and the arguments of each, named as diffusers names them."""

FOR_TRANSFORMERS = ("FirstBlock", "MagCache", "FasterCache")
"""Caches of diffusers that repeat the blocks of a transformer, which a UNet has not."""


@dataclass(frozen=True, slots=True)
class StepCache:
    """A cache, and the arguments that were said."""

    name: str
    arguments: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        """Write it as one word."""
        kinds = CACHES[self.name]
        return ";".join((self.name, *(f"{n.replace('_', '-')}={kinds[n].format(v)}" for n, v in self.arguments)))


class StepCacheText(Kind):
    """A cache in one word."""

    metavar: str = "NAME;ARG=VALUE"
    names: tuple[str, ...] = tuple(CACHES)

    def parse(self, text: str) -> StepCache:
        """Read a cache; unknown, repeated and malformed arguments are errors at their characters."""
        head, *parts = split_uri(text)
        name = next((n for n in CACHES if n.lower() == head.value.lower()), None)
        if name is None:
            raise _unknown(head)
        given: dict[str, Any] = {}
        for part in parts:
            argument = part.name.replace("-", "_")
            kind = CACHES[name].get(argument)
            if kind is None:
                legal = [n.replace("_", "-") for n in CACHES[name]]
                listed = "its arguments are " + ", ".join(f"`{n}`" for n in legal)
                raise BadValue(
                    f"{name} has no argument named `{part.name}`", part.start, part.start + len(part.name),
                    code="bad-uri", help=did_you_mean(part.name, legal, listed),
                )  # fmt: skip
            if argument in given:
                raise BadValue(f"`{part.name}` was given before", part.start, part.end, code="bad-uri")
            given[argument] = _read(kind, part)
        return StepCache(name, tuple(given.items()))

    def format(self, value: StepCache) -> str:
        """Write a cache."""
        return str(value)


def _read(kind: Value, part: Part) -> Any:
    try:
        return kind.parse(part.value)
    except BadValue as error:
        raise BadValue(error.message, part.value_start, part.end, code="bad-uri") from None


def _unknown(head: Part) -> BadValue:
    listed = "these are: " + ", ".join(f"`{n}`" for n in CACHES)
    wanted = head.value.lower()
    far = next((n for n in FOR_TRANSFORMERS if wanted in (n.lower(), f"{n}Cache".lower())), None)
    if far is not None:
        return BadValue(f"{far} is a cache for transformers, not for a UNet", head.start, head.end, help=listed)
    return BadValue(
        f"no step cache named `{head.value}`",
        head.start,
        head.end,
        help=did_you_mean(head.value, tuple(CACHES), listed),
    )
