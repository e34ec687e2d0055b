"""Caches that repeat what a denoiser computed in earlier steps: `NAME;argument=value`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from dgen.diagnostic import did_you_mean
from dgen.schema import BadValue, Kind, Value
from dgen.values.scalars import Integer, Real
from dgen.values.uri import Part, split_uri

STEP_CACHE, BLOCK_CACHE = "step_cache", "block_cache"
CROSS_ATTENTION, BATCHED_GUIDANCE, MAG_RATIOS = "cross_attention", "batched_guidance", "mag_ratios"
"""What a family has to have for some caches and some arguments of them."""


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


class Falloff(Kind):
    """Positive numbers, one a step of a schedule of any length."""

    metavar: str = "X,Y,…"

    def parse(self, text: str) -> tuple[float, ...]:
        """Read at least two numbers."""
        number = Real(0, 1000)
        if "," not in text:
            raise BadValue(f"expected at least two numbers such as `1,1.21,0.98`, found `{text}`")
        return tuple(number.parse(each) for each in text.split(","))

    def format(self, value: tuple[float, ...]) -> str:
        """Write the numbers."""
        return ",".join(map(Real().format, value))


class Argument(NamedTuple):
    """An argument of a cache: what it takes, and the capability of a family without which it would do nothing."""

    kind: Value
    asks: str = ""


class Cache(NamedTuple):
    """A cache: its arguments, named as diffusers names them, and the capability that a family needs for it."""

    arguments: Mapping[str, Argument]
    asks: str = STEP_CACHE


_COUNT, _EVERY, _STRETCH, _ALPHA = Integer(1, 10_000), Integer(1, 1000), Stretch(), Real(0, 100)

CACHES: Mapping[str, Cache] = {
    "PAB": Cache({
        "spatial_attention_block_skip_range": Argument(_EVERY),
        "cross_attention_block_skip_range": Argument(_EVERY, CROSS_ATTENTION),
        "spatial_attention_timestep_skip_range": Argument(_STRETCH),
        "cross_attention_timestep_skip_range": Argument(_STRETCH, CROSS_ATTENTION),
    }),
    "TaylorSeer": Cache({
        "cache_interval": Argument(_EVERY), "disable_cache_before_step": Argument(_COUNT),
        "disable_cache_after_step": Argument(_COUNT), "max_order": Argument(Integer(0, 8)),
    }),
    "FirstBlock": Cache({"threshold": Argument(_ALPHA)}, BLOCK_CACHE),
    "MagCache": Cache({
        "threshold": Argument(_ALPHA), "max_skip_steps": Argument(_COUNT), "retention_ratio": Argument(Real(0, 1)),
        "mag_ratios": Argument(Falloff()),
    }, BLOCK_CACHE),
    "FasterCache": Cache({
        "spatial_attention_block_skip_range": Argument(_EVERY),
        "spatial_attention_timestep_skip_range": Argument(_STRETCH),
        "attention_weight": Argument(_ALPHA),
        "unconditional_batch_skip_range": Argument(_EVERY, BATCHED_GUIDANCE),
        "unconditional_batch_timestep_skip_range": Argument(_STRETCH, BATCHED_GUIDANCE),
        "low_frequency_weight_update_timestep_range": Argument(_STRETCH, BATCHED_GUIDANCE),
        "high_frequency_weight_update_timestep_range": Argument(_STRETCH, BATCHED_GUIDANCE),
        "alpha_low_frequency": Argument(_ALPHA, BATCHED_GUIDANCE),
        "alpha_high_frequency": Argument(_ALPHA, BATCHED_GUIDANCE),
    }, BLOCK_CACHE),
}  # fmt: skip
"""The caches by name."""


@dataclass(frozen=True, slots=True)
class StepCache:
    """A cache, and the arguments that were said."""

    name: str
    arguments: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        """Write it as one word."""
        kinds = CACHES[self.name].arguments
        said = (f"{n.replace('_', '-')}={kinds[n].kind.format(v)}" for n, v in self.arguments)
        return ";".join((self.name, *said))


class StepCacheText(Kind):
    """A cache in one word."""

    metavar: str = "NAME;ARG=VALUE"
    names: tuple[str, ...] = tuple(CACHES)

    def parse(self, text: str) -> StepCache:
        """Read a cache; unknown, repeated and malformed arguments are errors at their characters."""
        head, *parts = split_uri(text)
        wanted = head.value.lower()
        name = next((n for n in CACHES if wanted in (n.lower(), f"{n}Cache".lower())), None)
        if name is None:
            raise _unknown(head)
        given: dict[str, Any] = {}
        for part in parts:
            argument = part.name.replace("-", "_")
            known = CACHES[name].arguments
            if argument not in known:
                legal = [n.replace("_", "-") for n in known]
                listed = "its arguments are " + ", ".join(f"`{n}`" for n in legal)
                raise BadValue(
                    f"{name} has no argument named `{part.name}`", part.start, part.start + len(part.name),
                    code="bad-uri", help=did_you_mean(part.name, legal, listed),
                )  # fmt: skip
            if argument in given:
                raise BadValue(f"`{part.name}` was given before", part.start, part.end, code="bad-uri")
            given[argument] = _read(known[argument].kind, part)
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
    return BadValue(
        f"no step cache named `{head.value}`",
        head.start,
        head.end,
        help=did_you_mean(head.value, tuple(CACHES), listed),
    )
