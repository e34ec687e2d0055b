"""`translate`: translates prompts."""

from collections.abc import Sequence
from typing import Any

from dgen.plugins import (
    Choice,
    Flag,
    Integer,
    ModelSource,
    Text,
    TextOrder,
    Upscaling,
    Writer,
    opt,
    options,
    prompt_upscaler,
    record,
)


@record
@options("translate")
class Translate(Upscaling):
    """Arguments of `translate`."""

    input: str = opt(..., value=Text(metavar="LANGUAGE"), help="The language of the prompts, as in `de`.")
    output: str = opt("en", value=Text(metavar="LANGUAGE"), help="The language they are translated to.")
    provider: str = opt(
        "mariana", value=Choice(("mariana",), {"marian": "mariana"}),
        help="Who translates: the Marian models of the University of Helsinki, one for each pair of languages.",
    )  # fmt: skip
    model: str | None = opt(
        None,
        value=ModelSource(),
        help="Another model for the pair: a hub repository, or a folder as transformers writes.",
    )
    dtype: str = opt("float32", value=Choice(("bfloat16", "float16", "float32"), metavar="TYPE"), help="Its precision.")
    batch: bool = opt(True, value=Flag(), help="Let the model translate several texts at once.")
    max_batch: int = opt(50, value=Integer(1), help="How many at most.")


@prompt_upscaler("translate", Translate)
def translate(said: Any, texts: Sequence[str], writer: Writer) -> list[list[str]]:
    """Translate each prompt, by default into English."""
    model = said.model or f"Helsinki-NLP/opus-mt-{said.input}-{said.output}"
    size = said.max_batch if said.batch else 1
    made: list[str] = []
    for start in range(0, len(texts), size):
        order = TextOrder(texts=tuple(texts[start : start + size]), model=model, seed=0, dtype=said.dtype, answers=True)
        made += writer.continue_texts(order)
    return [[text.strip()] for text in made]
