"""Text encoders of a job as prompt weighters see them."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any


class Reader:
    """What the readers of all kinds of text encoders have in common."""

    def __init__(self, pipeline: Any, encoder: Any, tokenizer: Any) -> None:
        self.pipeline, self.tokenizer = pipeline, tokenizer
        self.device, self.dtype, self.config = pipeline._execution_device, encoder.dtype, encoder.config
        self._encoder = encoder

    def spelled(self, text: str) -> str:
        """Return a text with the learned words of several vectors spelled out."""
        spell = getattr(self.pipeline, "maybe_convert_prompt", None)
        return text if spell is None else spell(text, self.tokenizer)

    def tokens(self, text: str) -> list[int]:
        """Return the tokens of a text of any length, without the marks at its start and end."""
        return list(self.tokenizer(text, add_special_tokens=False, truncation=False).input_ids)


class WholeReader(Reader):
    """A T5 text encoder, which reads a text of any length at once, and pads a short one."""

    reads_whole = True

    def __init__(self, pipeline: Any, encoder: Any, tokenizer: Any, length: int) -> None:
        """`length`: to how many tokens, with the mark at the end, a shorter text is padded."""
        super().__init__(pipeline, encoder, tokenizer)
        self.encoder, self.length = encoder, length

    @property
    def room(self) -> int:
        """How many tokens of a text are padded, at most."""
        return self.length - 1

    def states(self, tokens: Sequence[int]) -> Any:
        """Encode a text: (1, at least `length`, width), in the encoder's own precision."""
        import torch

        ids = [*tokens, self.tokenizer.eos_token_id]
        ids += [self.tokenizer.pad_token_id] * (self.length - len(ids))
        return self._encoder(torch.tensor([ids], device=self.device))[0]


class EncoderReader(Reader):
    """A CLIP text encoder: it answers with the states of one layer."""

    reads_whole = False

    def __init__(
        self, pipeline: Any, encoder: Any, tokenizer: Any, layer: int, *, is_normed: bool, is_masked: bool = False
    ) -> None:
        """`layer` counts from the last one, 0; `is_normed`: the encoder's last norm follows whichever it is.

        `is_masked`: the encoder is told what of a text is padding.
        """
        super().__init__(pipeline, encoder, tokenizer)
        self.encoder, self._layer, self._is_normed, self._is_masked = self, layer, is_normed, is_masked

    @property
    def room(self) -> int:
        """How many tokens it reads at once, without the marks at their start and end."""
        return self.tokenizer.model_max_length - 2

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
        piece = self._piece(self.tokens(text)[: self.room])
        made = self._encoder(piece, attention_mask=self._mask(piece))
        return made.text_embeds if hasattr(made, "text_embeds") else made.pooler_output

    def _mask(self, ids: Any) -> Any:
        """Return 1 for the tokens, (n, length), of texts and their marks, 0 for padding; None when nobody is told."""
        if not self._is_masked:
            return None
        ends = (ids == self.tokenizer.eos_token_id).long()
        return (ends.cumsum(dim=1) - ends == 0).long()

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
        attention_mask = self._mask(ids) if self._is_masked else attention_mask
        if self._layer == 0 and self._is_normed:
            made = self._encoder(ids, attention_mask=attention_mask)
            return SimpleNamespace(last_hidden_state=made[0])
        made = self._encoder(ids, attention_mask=attention_mask, output_hidden_states=True)
        states = made.hidden_states[-(self._layer + 1)]
        return SimpleNamespace(
            last_hidden_state=self._encoder.text_model.final_layer_norm(states) if self._is_normed else states
        )
