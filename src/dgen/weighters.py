"""The prompt weighters, as rows: what reads a prompt in which words weigh more or less, of any length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from dgen.registry import PluginRow, Registry
from dgen.schema import opt, options
from dgen.values.scalars import Text


@options("prompt weighter")
class Weighting:
    """What every prompt weighter takes."""

    name: str = opt(..., positional=True, value=Text(metavar="NAME"), help="Its name.")


class Reader(Protocol):
    """A text encoder of a job, with its tokenizer, clip skip and learned words."""

    tokenizer: Any  # of transformers
    encoder: Any  # called as one of transformers; answers with the states of the wanted layer as `last_hidden_state`

    @property
    def reads_whole(self) -> bool:
        """Whether a text of any length is read at once, and has no mark at its start, as with T5."""
        ...

    @property
    def room(self) -> int:
        """How many tokens the encoder reads at once, without the marks at their start and end."""
        ...

    def tokens(self, text: str) -> list[int]:
        """Return the tokens of a text of any length, without those marks."""
        ...

    def states(self, tokens: Sequence[int]) -> Any:
        """Encode at most `room` tokens: (1, room + 2, width), in the encoder's own precision.

        What reads texts whole takes any number, and answers with the mark at the end and padding after their states.
        """
        ...


@dataclass(frozen=True, slots=True)
class Encoded:
    """What became of a prompt: the states of all its tokens, (1, a multiple of room + 2, width), and its bare text."""

    states: Any
    plain: str


Weigh = Callable[[Any, str, Reader], Encoded]
"""Takes the arguments as an instance of the row's class, a text, and what encodes it."""


@dataclass(frozen=True, slots=True)
class Row(PluginRow):
    """A prompt weighter."""

    reads_whole: bool = False  # whether it weighs for text encoders that read a text of any length at once


WEIGHTERS: Registry[Row] = Registry("prompt weighter", Weighting, takes=3)


def prompt_weighter(name: str, options: type, *, reads_whole: bool = False) -> Callable[[Weigh], Weigh]:
    """Register a function as the prompt weighter of a name; `options` is a `@record` class that joins `Weighting`.

    With `reads_whole` it is also asked to weigh for text encoders such as T5, of which `reader.reads_whole` is true.
    """
    return WEIGHTERS.registering(lambda call: Row(name, options, call, reads_whole))
