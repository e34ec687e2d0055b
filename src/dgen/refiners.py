"""The latents processors, as rows: what changes latents before a run, or those that it makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from dgen.registry import Chosen, PluginRow, Registry
from dgen.schema import opt, options
from dgen.values.scalars import Text
from dgen.values.uri import NamedUri

NEXT = "+"
"""What stands before the processors of the next file."""


@options("latents processor")
class Refining:
    """What every latents processor takes."""

    name: str = opt(..., positional=True, value=Text(metavar="NAME"), help="Its name.")


class Noise(Protocol):
    """Gives processors the noise of a job's scheduler."""

    def noised(self, latents: Any, timestep: int, seed: int | None) -> Any:
        """Return latents with the noise of a timestep; without a seed, that of the job draws it."""
        ...


Refine = Callable[[Any, Any, Noise], Any]
"""Takes the arguments as an instance of the row's class, latents (n, channels, h, w), and what gives noise."""


@dataclass(frozen=True, slots=True)
class Row(PluginRow):
    """A latents processor."""


REFINERS: Registry[Row] = Registry("latents processor", Refining, takes=3)


def latents_processor(name: str, options: type) -> Callable[[Refine], Refine]:
    """Register a function as the latents processor of a name; `options` is a `@record` class that joins `Refining`."""
    return REFINERS.registering(lambda call: Row(name, options, call))


def chains_of(uris: Sequence[NamedUri]) -> list[list[Chosen[Row]]]:
    """Cut the processors of an option at each `+`: a chain for each file, or one for all of them.

    Raises:
        BadValue: one of them is wrong.
    """
    found: list[list[Chosen[Row]]] = [[]]
    for uri in uris:
        if uri.name == NEXT:
            found.append([])
        else:
            found[-1].append(REFINERS.read(str(uri)))
    return found
