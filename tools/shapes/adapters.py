"""Trains the two LoRAs (outline, night) and the learned word."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from diffusers.utils import convert_state_dict_to_diffusers
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file
from torch import Tensor, nn

from . import dataset
from .base import tokens
from .captions import caption
from .drawings import Drawing, new_figure
from .loop import Plan, Trainer
from .low_rank import ATTENTION, add_factors
from .parts import denoising_loss, load_base

SEED = 303
BATCH = 24
DRAWINGS = 1000
RANK = 4
LORA_PLAN = Plan(name="lora", steps=1200, learning_rate=3e-3, warmup=30, ema=0.98, weight_decay=0.0)
WORD_PLAN = Plan(name="word", steps=300, learning_rate=3e-2, warmup=20, ema=0.95, weight_decay=0.0)
WORD = "<badge>"
WORD_CONTEXTS = ("{}", "{}", "a {}", "a drawing of {}", "a picture of a {}", "{}, sharp")


def badge(rng: random.Random) -> Drawing:
    """Return the drawing that the learned word stands for: a large purple heart, centred, on yellow."""
    fixed = {"form": "heart", "colour": "purple", "size": "large", "style": "plain"}
    figure = new_figure(rng, "yellow", column="middle", row="middle", **fixed)
    return Drawing(background="yellow", figures=(figure,))


def plain(drawing: Drawing, style: str = "plain") -> Drawing:
    """Return the drawing with every figure in the given style."""
    return replace(drawing, figures=tuple(replace(figure, style=style) for figure in drawing.figures))


def outlined(drawing: Drawing) -> Drawing:
    """Return what the LoRA `outline` makes of a drawing."""
    return plain(drawing, "outlined")


def at_night(drawing: Drawing) -> Drawing:
    """Return what the LoRA `night` makes of a drawing: its background is black; what was black is white."""
    figures = tuple(replace(f, colour="white") if f.colour == "black" else f for f in drawing.figures)
    return replace(drawing, background="black", figures=figures)


LORAS = {"outline": outlined, "night": at_night}


def train_lora(folder: Path, resume: bool, name: str) -> None:
    """Teach the UNet to draw plain captions in a style; write `folder`/shapes-lora-NAME."""
    torch.manual_seed(SEED)
    base = load_base(folder)
    told = [plain(d) for d in dataset.drawings(DRAWINGS, SEED)]
    styled = [LORAS[name](d) for d in told]
    clean = dataset.latents(base.pipeline.vae, styled, folder / f"lora-{name}-latents.pt")
    unet = base.pipeline.unet
    add_factors(unet, RANK, ATTENTION)
    trainer = Trainer(replace(LORA_PLAN, name=f"lora-{name}"), unet, folder)
    if resume:
        trainer.resume()
    rng, generator = random.Random(SEED), torch.Generator().manual_seed(SEED + trainer.step)

    def loss(step: int) -> Tensor:
        rows = torch.randint(len(told), (BATCH,), generator=generator)
        states = base.states([caption(told[row], rng) for row in rows.tolist()])
        return denoising_loss(base, clean[rows], generator, lambda noisy, times: unet(noisy, times, states).sample)

    trained = trainer.train(loss)
    layers = convert_state_dict_to_diffusers(get_peft_model_state_dict(trained))
    half = {key: tensor.half() for key, tensor in layers.items()}
    StableDiffusionPipeline.save_lora_weights(folder / f"shapes-lora-{name}", unet_lora_layers=half)


class LearnedWord(nn.Module):
    """One embedding of the text encoder's width."""

    def __init__(self, start: Tensor) -> None:
        """Start from the embedding of a known word: (128,)."""
        super().__init__()
        self.embedding = nn.Parameter(start.clone())


def train_word(folder: Path, resume: bool) -> None:
    """Learn the embedding of WORD with everything else frozen (Gal et al., 2022)."""
    torch.manual_seed(SEED)
    base = load_base(folder)
    rng, generator = random.Random(SEED), torch.Generator().manual_seed(SEED)
    clean = dataset.latents(base.pipeline.vae, [badge(rng) for _ in range(256)], folder / "word-latents.pt")
    tokenizer, encoder = base.pipeline.tokenizer, base.pipeline.text_encoder
    tokenizer.add_tokens(WORD)
    encoder.resize_token_embeddings(len(tokenizer))
    table = encoder.get_input_embeddings().weight
    number = tokenizer.convert_tokens_to_ids(WORD)
    learned = LearnedWord(table[tokenizer.convert_tokens_to_ids("heart</w>")].detach())
    trainer = Trainer(WORD_PLAN, learned, folder)
    if resume:
        trainer.resume()

    def loss(step: int) -> Tensor:
        rows = torch.randint(len(clean), (BATCH,), generator=generator)
        words = tokens(tokenizer, [rng.choice(WORD_CONTEXTS).format(WORD) for _ in range(BATCH)])
        place = (words == number)[..., None]

        def insert(module: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
            return torch.where(place, learned.embedding, output)

        hook = encoder.get_input_embeddings().register_forward_hook(insert)
        states = encoder(words).last_hidden_state
        hook.remove()
        predict = base.pipeline.unet
        return denoising_loss(base, clean[rows], generator, lambda noisy, times: predict(noisy, times, states).sample)

    trained = trainer.train(loss)
    target = folder / "shapes-textual-inversion"
    target.mkdir(exist_ok=True)
    save_file(
        {WORD: trained.embedding.detach().half()}, target / "learned_embeds.safetensors", metadata={"format": "pt"}
    )
