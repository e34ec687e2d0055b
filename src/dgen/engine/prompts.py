"""Encodes prompts through a prompt weighter, in place of the pipeline's own encoding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from dgen.engine.failures import first_line, is_short_of_memory
from dgen.engine.protocol import EngineError
from dgen.families.rows import FAMILIES, Family, some_of
from dgen.options.request import Request
from dgen.plan.resolve import Job
from dgen.registry import Chosen
from dgen.schema import BadValue
from dgen.values.prompt import Prompt
from dgen.weighters import WEIGHTERS, Encoded, Row

OPTION = "prompt_weighter"
REPLACED = ("prompt", "prompt_2", "negative_prompt", "negative_prompt_2", "clip_skip")
"""The keywords of a call that encoded prompts stand for."""


def check_weighter(request: Request, family: Family) -> None:
    """Check that the prompts of a family can be weighed.

    Raises:
        EngineError: `unsupported-option`.
    """
    if request.prompt_weighter is not None and not family.text_layers:
        able = some_of([f.name for f in FAMILIES.values() if f.text_layers])
        raise EngineError(
            "unsupported-option", f"the prompts of {family.label} cannot be weighed", OPTION,
            help=f"these families can: {able}",
        )  # fmt: skip


def weighted(pipeline: Any, job: Job, named: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the keywords of a call with the prompts in them encoded by the weighter of a job, when it has one.

    Raises:
        EngineError: the weighter cannot read a prompt, or fails.
    """
    if job.request.prompt_weighter is None:
        return named
    said: Any = named.get("prompt")
    count = len(said) if isinstance(said, list) else 1  # a prompt for each image of `images:`
    encoded = {k: v.repeat(count, *(1,) * (v.ndim - 1)) for k, v in _encoded(pipeline, job).items()}
    return {k: v for k, v in named.items() if k not in REPLACED} | encoded


def _encoded(pipeline: Any, job: Job) -> dict[str, Any]:
    chosen = WEIGHTERS.read(str(job.request.prompt_weighter))
    positive, negative = _sides(job.request)
    made = {"": _read(pipeline, job, chosen, positive)}
    zeroed = not any(negative) and getattr(pipeline.config, "force_zeros_for_empty_prompt", False)
    if not zeroed:
        made["negative_"] = _read(pipeline, job, chosen, negative, is_negative=True)
    length = max(states.shape[1] for side in made.values() for states in side.states)
    found: dict[str, Any] = {}
    for name, side in made.items():
        found |= side.keywords(name, length)
    if zeroed:
        found |= {f"negative_{name}": value.new_zeros(value.shape) for name, value in found.items()}
    return found


def _sides(request: Request) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return what the first and the second text encoder read, of the positive and of the negative part."""
    first, second = request.prompt, request.prompt_2 or Prompt()
    positive = first.positive, second.positive or first.positive
    return positive, (first.negative, second.negative or first.negative)


@dataclass(slots=True)
class _Side:
    """A part of the prompts, encoded."""

    readers: list[EncoderReader]
    states: list[Any]  # (1, n, width) for each encoder
    pooled: Any = None  # (1, width)

    def keywords(self, name: str, length: int) -> dict[str, Any]:
        """Return the keywords, all encoders brought to `length` with the empty prompt."""
        import torch

        pairs = zip(self.readers, self.states, strict=True)
        found = {f"{name}prompt_embeds": torch.cat([reader.lengthened(s, length) for reader, s in pairs], dim=-1)}
        return found if self.pooled is None else found | {f"{name}pooled_prompt_embeds": self.pooled}


def _read(pipeline: Any, job: Job, chosen: Chosen[Row], texts: tuple[str, str], *, is_negative: bool = False) -> _Side:
    skip = 0 if is_negative else job.request.clip_skip or 0  # as the pipelines themselves do
    side = _Side(list(_readers(pipeline, job, skip)), [])
    last = len(side.readers) - 1
    for index, reader in enumerate(side.readers):
        text = reader.spelled(texts[index])
        made = _weigh(chosen, text, reader)
        side.states.append(made.states)
        if index == last and reader.is_second:
            side.pooled = reader.pooled(made.plain)
    return side


def _weigh(chosen: Chosen[Row], text: str, reader: EncoderReader) -> Encoded:
    name = chosen.row.name
    try:
        return chosen.row.call(chosen.said, text, reader)
    except BadValue as error:
        raise EngineError(error.code, f"`{name}`: {error.message}", OPTION, error.help) from error
    except Exception as error:
        if is_short_of_memory(error):
            raise
        path, line = chosen.row.place
        message = f"the prompt weighter `{name}` failed: {type(error).__name__}: {first_line(error)}"
        raise EngineError("bad-plugin", message, OPTION, f"it is written in `{path.name}`, line {line}") from error


def _readers(pipeline: Any, job: Job, skip: int) -> Iterator[EncoderReader]:
    for kind, layer in FAMILIES[job.family].text_layers.items():
        encoder = getattr(pipeline, kind, None)
        if encoder is not None:
            tokenizer = getattr(pipeline, kind.replace("text_encoder", "tokenizer"))
            yield EncoderReader(pipeline, encoder, tokenizer, layer + skip, is_normed=layer == 0)


class EncoderReader:
    """A CLIP text encoder as prompt weighters see it: it answers with the states of one layer."""

    def __init__(self, pipeline: Any, encoder: Any, tokenizer: Any, layer: int, *, is_normed: bool) -> None:
        """`layer` counts from the last one, 0; `is_normed`: the encoder's last norm follows whichever it is."""
        self.pipeline, self.tokenizer, self.encoder = pipeline, tokenizer, self
        self.device, self.dtype, self.config = pipeline._execution_device, encoder.dtype, encoder.config
        self.is_second = encoder is getattr(pipeline, "text_encoder_2", None)
        self._encoder, self._layer, self._is_normed = encoder, layer, is_normed

    @property
    def room(self) -> int:
        """How many tokens it reads at once, without the marks at their start and end."""
        return self.tokenizer.model_max_length - 2

    def spelled(self, text: str) -> str:
        """Return a text with the learned words of several vectors spelled out."""
        spell = getattr(self.pipeline, "maybe_convert_prompt", None)
        return text if spell is None else spell(text, self.tokenizer)

    def tokens(self, text: str) -> list[int]:
        """Return the tokens of a text of any length, without those marks."""
        return list(self.tokenizer(text, add_special_tokens=False, truncation=False).input_ids)

    def states(self, tokens: Sequence[int]) -> Any:
        """Encode at most `room` tokens: (1, room + 2, width), in the encoder's own precision."""
        return self(self._piece(tokens)).last_hidden_state

    def _piece(self, tokens: Sequence[int]) -> Any:
        import torch

        own = self.tokenizer
        ids = [own.bos_token_id, *tokens, own.eos_token_id]
        ids += [own.pad_token_id] * (self.room + 2 - len(ids))
        return torch.tensor([ids], device=self.device)

    def pooled(self, text: str) -> Any:
        """Return what the encoder makes of a whole text, cut where it is too long: (1, width)."""
        return self._encoder(self._piece(self.tokens(text)[: self.room]))[0]

    def lengthened(self, states: Any, length: int) -> Any:
        """Return states, (1, n, width), followed by those of the empty prompt up to a length."""
        import torch

        while states.shape[1] < length:
            states = torch.cat([states, self.states(())], dim=1)
        return states[:, :length]

    def __call__(self, ids: Any, attention_mask: Any = None, **unused: Any) -> SimpleNamespace:
        """Answer as a text encoder of transformers does, with the wanted layer as the last one."""
        if attention_mask is not None and bool(attention_mask.bool().all()):
            attention_mask = None  # as in a plain encoding, to the last bit
        if self._layer == 0:
            made = self._encoder(ids, attention_mask=attention_mask)
            return SimpleNamespace(last_hidden_state=made[0])
        made = self._encoder(ids, attention_mask=attention_mask, output_hidden_states=True)
        states = made.hidden_states[-(self._layer + 1)]
        return SimpleNamespace(
            last_hidden_state=self._encoder.text_model.final_layer_norm(states) if self._is_normed else states
        )
