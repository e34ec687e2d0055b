"""Chroma's pipeline for masks, which diffusers 0.42 has, and which asks the transformer what only FLUX.1's know."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from diffusers.pipelines.chroma.pipeline_chroma_inpainting import ChromaInpaintPipeline


@contextmanager
def _answering(transformer: Any) -> Generator[None]:
    """Let a transformer say, as long as the block lasts, that nobody tells it how much guidance is wanted."""
    before = transformer._internal_dict
    transformer.register_to_config(guidance_embeds=False)
    try:
        yield
    finally:
        transformer._internal_dict = before


def _answered(call: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(call)
    def answered(self: Any, **named: Any) -> Any:
        with _answering(self.transformer):
            return call(self, **named)

    return answered


class ChromaInpaintingPipeline(ChromaInpaintPipeline):
    """Repaints what is white in a mask; at each step the rest is what the picture is at that noise."""

    __call__ = _answered(ChromaInpaintPipeline.__call__)
