"""Teaches text encoders learned words (textual inversion, Gal et al., 2022) for the time of a job."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from typing import Any

from dgen.engine.adapters.files import USUAL_NAMES, AdapterWeights
from dgen.engine.adapters.layers import as_it_was
from dgen.engine.protocol import EngineError
from dgen.engine.sources import Source
from dgen.options.attachments import TextualInversionUri

_ENCODER_OF = {"clip_l": "text_encoder", "clip_g": "text_encoder_2"}
"""How files with vectors for several text encoders name them."""


@dataclass(frozen=True, slots=True)
class Learned:
    """One learned word of a job."""

    uri: TextualInversionUri
    source: Source
    held: AdapterWeights

    @property
    def token(self) -> str:
        """The word as prompts write it: said, or named in the file, or the file's name."""
        held = self.held.tensors
        if self.uri.token is not None:
            return self.uri.token
        if isinstance(held, Mapping) and isinstance(held.get("name"), str):
            return str(held["name"])
        names = [n for n in held if n not in (*_ENCODER_OF, "emb_params")] if isinstance(held, Mapping) else []
        if len(names) == 1 and "string_to_param" not in names:
            return str(names[0])
        usual = {name.partition(".")[0] for name in USUAL_NAMES["textual_inversions"]}
        return self.source.model.rpartition("/")[2] if self.held.stem in usual else self.held.stem

    def vectors(self) -> dict[str, Any]:
        """Return the vectors, (n, width) each, by the kind of the text encoder, or by "" when the file leaves it open.

        Raises:
            EngineError: `bad-weights`: the file holds something else.
        """
        held = self.held.tensors
        if isinstance(held, Mapping) and isinstance(held.get("string_to_param"), Mapping):
            held = held["string_to_param"]
        found = dict(held) if isinstance(held, Mapping) else {"": held}
        if len(found) == 1:
            found = {_ENCODER_OF.get(name, ""): tensor for name, tensor in found.items()}
        else:
            found = {_ENCODER_OF[name]: tensor for name, tensor in found.items() if name in _ENCODER_OF}
        if not found or not all(hasattr(t, "ndim") and t.ndim in (1, 2) for t in found.values()):
            raise no_word(self.source.name, list(held) if isinstance(held, Mapping) else [])
        return {kind: tensor.reshape(-1, tensor.shape[-1]) for kind, tensor in found.items()}


def is_word(names: Sequence[str]) -> bool:
    """Whether tensors of these names are those of a learned word."""
    return len(names) == 1 or set(names) == set(_ENCODER_OF)


def no_word(file: str, names: Sequence[str]) -> EngineError:
    """Make the error for a file that is something else."""
    other = f": it holds {len(names):,} tensors, such as `{names[0]}`" if names else ""
    return EngineError("bad-weights", f"`{file}` is no textual inversion{other}", "textual_inversions")


def add_words(stack: ExitStack, values: Mapping[str, Any], words: Sequence[Learned]) -> dict[str, Any]:
    """Teach the text encoders words until the stack closes; return the tokenizers that know them.

    `values` are the parts of a pipeline by kind.

    Raises:
        EngineError: `bad-weights`: a word fits no text encoder, or there is one of that name already.
    """
    kinds = [kind for kind in values if kind.startswith("text_encoder") and _tokenizer_of(kind) in values]
    widths = {kind: values[kind].get_input_embeddings().weight.shape[-1] for kind in kinds}
    if words and not kinds:
        raise EngineError("bad-weights", "the model has no text encoder that could learn words", "textual_inversions")
    taught: dict[str, list[tuple[str, Any]]] = {}
    tokenizers = {kind: copy.deepcopy(values[_tokenizer_of(kind)]) for kind in kinds} if words else {}
    for word in words:
        try:
            for kind, vectors in _fitting(word, widths).items():
                taught.setdefault(kind, []).extend(_named(word, vectors, tokenizers[kind]))
        except EngineError as error:
            raise error.at(word.source.index) from None
    for kind, pairs in taught.items():
        stack.enter_context(as_it_was(values[kind]))
        _extend(values[kind], len(values[_tokenizer_of(kind)]), [vector for _, vector in pairs])
    return {_tokenizer_of(kind): tokenizer for kind, tokenizer in tokenizers.items() if kind in taught}


def _tokenizer_of(kind: str) -> str:
    return kind.replace("text_encoder", "tokenizer")


def check_widths(name: str, found: Mapping[str, int], widths: Mapping[str, int]) -> None:
    """Refuse vectors, by what the file calls them, of a width that no text encoder, or not the one meant, takes.

    Raises:
        EngineError: `bad-weights`.
    """
    for called, width in found.items() if widths else ():
        kind = _ENCODER_OF.get(called, called if called in _ENCODER_OF.values() else "")
        if (widths.get(kind) if kind else width if width in widths.values() else None) != width:
            taken = " and ".join(f"{k} takes {w}" for k, w in widths.items())
            meant = f" for {kind}" if kind else ""
            raise EngineError(
                "bad-weights", f"`{name}` has vectors of {width} numbers{meant}, the model's {taken}",
                "textual_inversions", help="it was made for another model, or for another family",
            )  # fmt: skip


def _fitting(word: Learned, widths: Mapping[str, int]) -> dict[str, Any]:
    """Return the vectors of a word by the text encoder that they are for."""
    own = word.vectors()
    check_widths(word.source.name, {kind: vectors.shape[-1] for kind, vectors in own.items()}, widths)
    by_width = {width: kind for kind, width in reversed(list(widths.items()))}
    return {kind or by_width[vectors.shape[-1]]: vectors for kind, vectors in own.items()}


def _named(word: Learned, vectors: Any, tokenizer: Any) -> list[tuple[str, Any]]:
    """Add the names of a word's vectors to a tokenizer: the word, then `WORD_1` and so on; return both together."""
    names = [word.token, *(f"{word.token}_{n}" for n in range(1, len(vectors)))]
    known = tokenizer.get_vocab()
    taken = next((name for name in names if name in known), None)
    if taken is not None:
        raise EngineError(
            "bad-weights", f"the model knows a word `{taken}` already", "textual_inversions",
            help="call it something else with `token=…`",
        )  # fmt: skip
    tokenizer.add_tokens(names)
    return list(zip(names, vectors, strict=True))


def _extend(encoder: Any, known: int, vectors: Sequence[Any]) -> None:
    """Let an encoder look up words from number `known` on in `vectors`; its own table stays as it is."""
    import torch

    table = encoder.get_input_embeddings()
    extra = torch.stack([v.to(device=table.weight.device, dtype=table.weight.dtype) for v in vectors])
    encoder.set_input_embeddings(_longer_table()(table, known, extra))


@cache
def _longer_table() -> Any:
    import torch

    class LongerTable(torch.nn.Module):
        """A table of word vectors, and more of them after its first `known`."""

        extra: Any

        def __init__(self, table: Any, known: int, extra: Any) -> None:
            super().__init__()
            self.table, self.known = table, known
            self.register_buffer("extra", extra, persistent=False)

        @property
        def weight(self) -> Any:
            return self.table.weight

        def forward(self, numbers: Any) -> Any:
            is_new = (numbers >= self.known)[..., None]
            new = self.extra[(numbers - self.known).clamp(min=0)]
            return torch.where(is_new, new, self.table(numbers.clamp(max=self.known - 1)))

    return LongerTable
