"""Multiplies a statement out: one frozen request per combination, made when it is asked for."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from dgen.options.request import ROWS, Request
from dgen.plan.bind import Bound
from dgen.plan.embedded import PROMPTS
from dgen.schema import Option

SEED_LIMIT = 99_999_999_999_999


@dataclass(frozen=True, slots=True)
class Expansion:
    """The requests of a statement, in the order of LANGUAGE.md section 8; holds the values, not the product."""

    fixed: dict[str, Any]
    names: tuple[str, ...]
    pools: tuple[tuple[Any, ...], ...]
    paired_seeds: tuple[int, ...] = ()  # `--seeds-to-images`: seed k goes with image seed k
    arguments: tuple[tuple[str, Any], ...] = ()  # what prompts themselves say of other options

    def __len__(self) -> int:
        return math.prod(len(p) for p in self.pools)

    def __iter__(self) -> Iterator[Request]:
        """Make the requests one after another, the last option varying fastest."""
        if not self.paired_seeds:
            for values in itertools.product(*self.pools):
                yield _decided(Request(**self.fixed, **dict(zip(self.names, values, strict=True))))
            return
        images, *inner = self.pools
        for index, image in enumerate(images):
            seed = self.paired_seeds[index % len(self.paired_seeds)]
            for values in itertools.product(*inner):
                named = dict(zip(self.names[1:], values, strict=True))
                yield _decided(Request(**self.fixed, image_seed=image, seed=seed, **named))

    def values(self, name: str) -> tuple[Any, ...]:
        """Return every value that an option takes in the expansion."""
        if name == "seed" and self.paired_seeds:
            return self.paired_seeds
        if name in self.names:
            return (*self.pools[self.names.index(name)], *self.said_in_prompts(name))
        return (self.fixed[name],) if name in self.fixed else self.said_in_prompts(name)

    def said_in_prompts(self, name: str) -> tuple[Any, ...]:
        """Return the values that prompts themselves give an option."""
        return tuple(value for field, value in self.arguments if field == name)


def _decided(request: Request) -> Request:
    """Return a request with what its prompts say of other options, and the prompts without it."""
    prompts = {n: p for n in PROMPTS if (p := getattr(request, n)) is not None and p.arguments}
    if not prompts:
        return request
    said = {field: value for prompt in prompts.values() for field, value in prompt.arguments}
    return replace(request, **{n: replace(p, said=(), arguments=()) for n, p in prompts.items()}, **said)


def expand(bound: Bound, rng: random.Random | None = None) -> Expansion:
    """Multiply a statement out; seeds that it leaves open are drawn from `rng` (the system's entropy by default)."""
    swept: list[tuple[Option, tuple[Any, ...]]] = []
    fixed: dict[str, Any] = {}
    for name, held in bound.given.items():
        row = ROWS[name]
        if row.sweep is not None:
            swept.append((row, row.pool(held.values)))
        elif name != "gen_seeds":
            fixed[name] = held.values if row.many else bound.value(name)
    seeds = _seeds(bound, rng or random.SystemRandom())
    paired = bool(fixed.get("seeds_to_images"))
    swept = [(r, v) for r, v in swept if r.name != "seed"]
    if not paired:
        swept.append((ROWS["seed"], seeds))
    order = list(ROWS)
    swept.sort(key=lambda s: (s[0].sweep, order.index(s[0].name)))
    names, pools = tuple(r.name for r, _ in swept), tuple(v for _, v in swept)
    said = {r.name: values for r, values in swept if r.name in PROMPTS}
    arguments = tuple(pair for name in PROMPTS for prompt in said.get(name, ()) for pair in prompt.arguments)
    return Expansion(fixed, names, pools, seeds if paired else (), arguments)


def _seeds(bound: Bound, rng: random.Random) -> tuple[int, ...]:
    if "seed" in bound:
        return bound.given["seed"].values
    return tuple(rng.randrange(SEED_LIMIT + 1) for _ in range(bound.value("gen_seeds", 1)))
