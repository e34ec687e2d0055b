"""Teaches the text encoder what captions say, before it meets the UNet.

A text encoder that learns through a UNet alone learns colours first and binds them to their nouns last. Here
small heads read every fact of the drawing off the caption's last state; the heads are thrown away.
"""

from __future__ import annotations

import random
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel

from . import dataset
from .captions import caption
from .drawings import Drawing
from .loop import Plan, Trainer
from .tokenizer import LENGTH, new_tokenizer
from .words import BACKGROUND_COLOURS, COLUMNS, FIGURE_COLOURS, FORMS, ROWS, SIZES, STYLES

PLAN = Plan(name="reader", steps=1250, learning_rate=1e-3, warmup=200, ema=0.998)
SEED = 151
DRAWINGS = 60_000
BATCH = 192
WIDTH = 128
FIGURES = 2
NOTHING = -100
"""The class index that cross entropy leaves out: the drawing has no second figure."""

FACTS: dict[str, tuple[str, ...]] = {
    "form": FORMS,
    "colour": FIGURE_COLOURS,
    "size": tuple(SIZES),
    "column": COLUMNS,
    "row": ROWS,
    "style": STYLES,
}
"""What is read about each figure, and the values it can have."""


def new_text_encoder() -> CLIPTextModel:
    """Return an untrained text encoder for the word list."""
    tokenizer = new_tokenizer()
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=384,
        projection_dim=WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
        hidden_act="gelu",
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config)


class Reader(nn.Module):
    """The text encoder and one linear head for all facts."""

    def __init__(self) -> None:
        """Start from random weights."""
        super().__init__()
        self.text_encoder = new_text_encoder()
        self.head = nn.Linear(WIDTH, sum(sizes()))

    def forward(self, words: Tensor) -> Tensor:
        """Return logits (n, sum of `sizes()`) for words (n, length) int64, whose last one is an end."""
        return self.head(self.text_encoder(words).last_hidden_state[:, -1])


def sizes() -> list[int]:
    """Return how many values each fact has: background, number of figures, sharpness, then those of the figures."""
    return [len(BACKGROUND_COLOURS), 3, 2, *([len(values) for values in FACTS.values()] * FIGURES)]


def facts(drawing: Drawing) -> list[int]:
    """Return the class index of every fact, in the order of `sizes()`."""
    found = [BACKGROUND_COLOURS.index(drawing.background), len(drawing.figures) - 1, int(drawing.blurry)]
    for number in range(FIGURES):
        if number < len(drawing.figures):
            figure = drawing.figures[number]
            found += [values.index(getattr(figure, name)) for name, values in FACTS.items()]
        else:
            found += [NOTHING] * len(FACTS)
    return found


def reading_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean cross entropy over facts: logits (n, sum of `sizes()`), wanted (n, facts) int64."""
    parts = logits.split(sizes(), dim=1)
    return torch.stack([functional.cross_entropy(p, w) for p, w in zip(parts, wanted.unbind(1), strict=True)]).mean()


def train(folder: Path, resume: bool) -> None:
    """Train on captions alone; write `folder`/reader-text-encoder.pt."""
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    listed = dataset.drawings(DRAWINGS, SEED)
    wanted = torch.tensor([facts(drawing) for drawing in listed])
    reader, tokenizer = Reader(), new_tokenizer()
    trainer = Trainer(PLAN, reader, folder)
    if resume:
        trainer.resume()
    rng, generator = random.Random(SEED + trainer.step), torch.Generator().manual_seed(SEED + trainer.step)

    def loss(step: int) -> Tensor:
        rows = torch.randint(DRAWINGS, (BATCH,), generator=generator)
        texts = [caption(listed[row], rng) for row in rows.tolist()]
        words = tokenizer(texts, padding=True, max_length=LENGTH, truncation=True, return_tensors="pt").input_ids
        return reading_loss(reader(words), wanted[rows])

    trained = trainer.train(loss)
    torch.save(trained.text_encoder.state_dict(), folder / "reader-text-encoder.pt")
