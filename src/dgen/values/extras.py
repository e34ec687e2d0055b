"""Further parameters of a pipeline's call: `NAME=VALUE`."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from dgen.schema import BadValue, Kind

_NAME = re.compile(r"\s*([A-Za-z_][\w-]*)\s*=")


@dataclass(frozen=True, slots=True)
class Extra:
    """A parameter and its value as it was written; what it means is up to the pipeline's signature."""

    name: str  # as the signature has it
    text: str

    def __str__(self) -> str:
        """Write it as one word."""
        return f"{self.name}={self.text}"


class ExtraText(Kind):
    """A parameter in one word."""

    metavar: str = "NAME=VALUE"

    def parse(self, text: str) -> Extra:
        """Read a parameter; `-` and `_` in its name are one."""
        found = _NAME.match(text)
        if found is None:
            raise BadValue(f"expected `NAME=VALUE` such as `eta=0.5`, found `{text}`")
        return Extra(found[1].replace("-", "_"), text[found.end() :])

    def format(self, value: Extra) -> str:
        """Write a parameter."""
        return str(value)

    def combined(self, values: Sequence[Extra]) -> tuple[tuple[Extra, ...], ...]:
        """Return what each job gets: one value of every parameter, those of the last one varying fastest."""
        names = dict.fromkeys(each.name for each in values)
        return tuple(itertools.product(*([each for each in values if each.name == name] for name in names)))
