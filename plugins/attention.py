"""`attention`: gives the words of a prompt weights drawn at random."""

import random
import warnings
from collections.abc import Sequence
from typing import Any

from dgen.plugins import BadValue, Choice, Integer, Real, Upscaling, Writer, opt, options, prompt_upscaler, record

_LANGUAGES = ("de", "en", "es", "fr", "it", "nl", "pt", "ru", "zh")
_WRITTEN = {"sd-embed": "({}:{})", "compel": "({}){}"}


@record
@options("attention")
class Attention(Upscaling):
    """Arguments of `attention`."""

    min: float = opt(0.1, value=Real(0, 10), help="The smallest weight.")
    max: float = opt(0.9, value=Real(0, 10), help="The largest weight.")
    seed: int | None = opt(None, value=Integer(0), help="Where draws start; elsewhere each time by default.")
    lang: str = opt(
        "en", value=Choice(_LANGUAGES, metavar="LANGUAGE"),
        help="The language, which says what words are; those such as `the` and `of` keep their weight.",
    )  # fmt: skip
    syntax: str = opt(
        "sd-embed", value=Choice(tuple(_WRITTEN), metavar="SYNTAX"), help="The prompt weighter that weights are for."
    )


@prompt_upscaler("attention", Attention)
def attention(said: Any, texts: Sequence[str], writer: Writer) -> list[list[str]]:
    """Give words weights drawn at random, for a prompt weighter to read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import spacy
        except ImportError:
            raise BadValue(
                "this needs the package `spacy`", code="missing-package",
                help='install it: `pip install "dgen-lang[prompts]"`',
            ) from None  # fmt: skip
        reading = spacy.blank(said.lang)
    if said.min > said.max:
        raise BadValue(f"`min` is {said.min}, which is more than `max`, {said.max}")
    draws = random.Random(said.seed)
    return [["".join(_weighed(token, said, draws) for token in reading(text))] for text in texts]


def _weighed(token: Any, said: Any, draws: random.Random) -> str:
    if not token.is_alpha or token.is_stop:
        return str(token.text_with_ws)
    weight = round(draws.uniform(said.min, said.max), 2)
    return _WRITTEN[said.syntax].format(token.text, weight) + str(token.whitespace_)
