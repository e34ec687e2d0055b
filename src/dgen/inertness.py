"""Takes a config that an output carries for what it may be: one invocation, of which nothing is evaluated."""

from __future__ import annotations

from dgen.diagnostic import Source, Word, fail
from dgen.lang.replay import replay_words
from dgen.misprocessing import outside_a_config
from dgen.options.request import ROWS
from dgen.plan.bind import Bound, bind, request_table
from dgen.values.prompt import Prompt


def inert(source: Source) -> tuple[tuple[Word, ...], Bound]:
    """Return the words of a config, and what they mean.

    Raises:
        DgenError: `not-replayable`: it is more than one invocation, or says what no config says; or it is wrong.
    """
    words = replay_words(source)
    bound = bind(words, request_table(), words[0].span)
    for word in outside_a_config(bound):
        raise fail("not-replayable", f"a config never says where `{word.text}` computes or writes", word.span)
    for name, held in bound.given.items():
        if not ROWS[name].is_recorded and name != "relative_inputs":
            raise fail("not-replayable", f"a config never says `{held.flag.text}`", held.flag.span)
        for word, value in zip(held.words, held.values, strict=False):
            if isinstance(value, Prompt) and value.upscalers:
                raise fail("not-replayable", "a config never says `<upscaler: …>`, which runs a plugin", word.span)
    return words, bound
