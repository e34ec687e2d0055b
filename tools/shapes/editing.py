"""Trains the UNets that edit pictures: inpainting (9 channels) and instruct-pix2pix (8 channels)."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor
from torch.nn import functional

from dgen.engine.deltas import FILE

from . import dataset
from .captions import caption
from .drawings import Drawing, Figure, place, render
from .loop import Plan, Trainer
from .low_rank import add_factors, save_delta, widened
from .parts import Base, base_set, denoising_loss, load_base
from .words import BACKGROUND_COLOURS, FIGURE_COLOURS, FORMS, PICTURE_PX

SEED = 505
BATCH = 24
RANK = 10
DRAWINGS = 6000
INPAINT_PLAN = Plan(name="inpaint", steps=4500, learning_rate=1.5e-3, warmup=50, ema=0.99, weight_decay=0.0)
PIX2PIX_PLAN = replace(INPAINT_PLAN, name="pix2pix", steps=900)
TEXT_DROPPED, IMAGE_DROPPED = 0.05, 0.1
KEPT_WEIGHT = 5.0


def random_mask(drawing: Drawing, rng: random.Random) -> Tensor:
    """Return what is to be painted anew: (1, PICTURE_PX, PICTURE_PX) float32, one inside a box."""
    mask = torch.zeros(1, PICTURE_PX, PICTURE_PX)
    chance = rng.random()
    if chance < 0.55 and drawing.figures:
        figure = rng.choice(drawing.figures)
        reach = figure.radius * 1.1
        edges = [figure.x - reach, figure.y - reach, figure.x + reach, figure.y + reach]
        margins = [-rng.uniform(1, 12), -rng.uniform(1, 12), rng.uniform(1, 12), rng.uniform(1, 12)]
        left, top, right, bottom = (round(e + m) for e, m in zip(edges, margins, strict=True))
    elif chance < 0.9:
        left, top = rng.randint(0, 40), rng.randint(0, 40)
        right, bottom = left + rng.randint(12, 50), top + rng.randint(12, 50)
    else:
        left, top, right, bottom = 0, 0, PICTURE_PX, PICTURE_PX
    mask[:, max(0, top) : bottom, max(0, left) : right] = 1
    return mask


@torch.no_grad()
def masked_latents(base: Base, listed: list[Drawing]) -> Tensor:
    """Return masks and latents of the masked pictures, joined: (n, 1 + 4, 8, 8) float16."""
    rng, found, size = random.Random(SEED), [], PICTURE_PX // 8
    for start in range(0, len(listed), dataset.BATCH):
        some = listed[start : start + dataset.BATCH]
        masks = torch.stack([random_mask(d, rng) for d in some])
        pictures = torch.stack([dataset.as_tensor(render(d)) for d in some])
        hidden = dataset.as_input(pictures) * (masks < 0.5)
        latents = base.pipeline.vae.encode(hidden).latent_dist.mean * base.pipeline.vae.config.scaling_factor
        found.append(torch.cat([functional.interpolate(masks, (size, size)), latents], dim=1).half())
    return torch.cat(found)


def train_inpaint(folder: Path, resume: bool) -> None:
    """Train on boxes hidden from drawings; write `folder`/shapes-inpaint."""
    base = load_base(folder)
    known, latents = base_set(folder)
    several = [i for i, d in enumerate(known) if len(d.figures) > 1][: DRAWINGS * 2 // 3]
    single = [i for i, d in enumerate(known) if len(d.figures) == 1][: DRAWINGS - len(several)]
    chosen = [*several, *single]
    listed, clean = [known[i] for i in chosen], latents[chosen]
    extra = dataset.cached(folder / "inpaint-masked.pt", lambda: masked_latents(base, listed))

    def batch(rows: Tensor, rng: random.Random) -> tuple[list[str], Tensor, Tensor]:
        return [caption(partly(listed[row], rng), rng) for row in rows.tolist()], clean[rows], extra[rows].float()

    train_wide(base, INPAINT_PLAN, folder, resume, batch)


def partly(drawing: Drawing, rng: random.Random) -> Drawing:
    """Return the drawing or one figure of it: who paints a part anew tells that part, and what is seen stays."""
    return with_figure(drawing, rng.choice(drawing.figures)) if rng.random() < 0.6 else drawing


def changed(drawing: Drawing, rng: random.Random) -> tuple[Drawing, str]:
    """Return the drawing after one change and the instruction that asks for it; it has one figure."""
    figure = drawing.figures[0]
    kind = rng.choices(("colour", "background", "form", "size"), (55, 20, 15, 10))[0]
    if kind == "colour":
        colour = rng.choice([c for c in FIGURE_COLOURS if c not in (figure.colour, drawing.background)])
        return with_figure(drawing, replace(figure, colour=colour)), colour_words(figure.form, colour, rng)
    if kind == "background":
        colour = rng.choice([c for c in BACKGROUND_COLOURS if c not in (figure.colour, drawing.background)])
        words = rng.choice(("make the background {}", "change the background to {}", "on a {} background"))
        return replace(drawing, background=colour), words.format(colour)
    if kind == "form":
        form = rng.choice([f for f in FORMS if f != figure.form])
        words = rng.choice(("make it a {}", "turn it into a {}", "turn the {0} into a {}", "change it to a {}"))
        words = words.replace("{0}", figure.form)
        return with_figure(drawing, replace(figure, form=form)), words.format(form)
    size = rng.choice([s for s in ("small", "large") if s != figure.size])
    words = rng.choice(("make it {}", "make the {0} {}")).replace("{0}", figure.form)
    return with_figure(drawing, place(replace(figure, size=size), rng)), words.format(size)


def colour_words(form: str, colour: str, rng: random.Random) -> str:
    """Return an instruction to recolour the figure."""
    words = ("make it {}", "make it {}", "make the {0} {}", "turn it {}", "turn the {0} {}", "change the color to {}",
             "make the figure {}", "{}")  # fmt: skip
    return rng.choice(words).replace("{0}", form).format(colour)


def with_figure(drawing: Drawing, figure: Figure) -> Drawing:
    """Return the drawing with its figure replaced."""
    return replace(drawing, figures=(figure,))


def train_pix2pix(folder: Path, resume: bool) -> None:
    """Train on drawings before and after a change (Brooks et al., 2023); write `folder`/shapes-pix2pix."""
    base, rng = load_base(folder), random.Random(SEED)
    listed, known = base_set(folder)
    chosen = [i for i, d in enumerate(listed) if len(d.figures) == 1 and not d.blurry][:DRAWINGS]
    pairs = [changed(listed[i], rng) for i in chosen]
    vae, start = base.pipeline.vae, known[chosen]
    clean = dataset.latents(vae, [d for d, _ in pairs], folder / "pix2pix-after.pt")

    def batch(rows: Tensor, rng: random.Random) -> tuple[list[str], Tensor, Tensor]:
        # The pipeline gives the picture's latents unscaled, and zeros where it leaves the picture out.
        extra = start[rows].float() / vae.config.scaling_factor
        texts = [pairs[row][1] for row in rows.tolist()]
        for i in range(len(texts)):
            chance = rng.random()
            if chance < TEXT_DROPPED + TEXT_DROPPED:
                texts[i] = ""
            if TEXT_DROPPED < chance < TEXT_DROPPED + IMAGE_DROPPED:
                extra[i] = 0
        return texts, clean[rows], extra

    train_wide(base, PIX2PIX_PLAN, folder, resume, batch)


def kept_cells(extra: Tensor) -> Tensor:
    """Return the weight of latent cells, (n, 1, h, w): what is not masked must come out as it went in."""
    return 1 + (KEPT_WEIGHT - 1) * (extra[:, :1] < 0.5).float()


Batch = Callable[[Tensor, random.Random], tuple[list[str], Tensor, Tensor]]


def train_wide(base: Base, plan: Plan, folder: Path, resume: bool, batch: Batch) -> None:
    """Train a UNet that sees more channels, as a low-rank change of the base; write it as a delta."""
    torch.manual_seed(SEED)
    count = {"inpaint": 9, "pix2pix": 8}[plan.name]
    unet = widened(base.pipeline.unet, count)
    add_factors(unet, RANK)
    unet.conv_in.requires_grad_(True)
    trainer = Trainer(plan, unet, folder)
    if resume:
        trainer.resume()
    rng, generator = random.Random(SEED + trainer.step), torch.Generator().manual_seed(SEED + trainer.step)

    def loss(step: int) -> Tensor:
        texts, clean, extra = batch(torch.randint(DRAWINGS, (BATCH,), generator=generator), rng)
        states = base.states(texts)

        def predict(noisy: Tensor, times: Tensor) -> Tensor:
            return unet(torch.cat([noisy, extra], dim=1), times, states).sample

        return denoising_loss(base, clean, generator, predict, kept_cells(extra) if count == 9 else 1.0)

    write_wide(trainer.train(loss), plan.name, folder / f"shapes-{plan.name}")


PIPELINES = {"inpaint": "StableDiffusionInpaintPipeline", "pix2pix": "StableDiffusionInstructPix2PixPipeline"}


def write_wide(unet: UNet2DConditionModel, name: str, target: Path) -> None:
    """Write the index, whose other parts are the base's, unet/config.json and unet/delta.safetensors."""
    save_delta(unet, target / "unet" / FILE)
    config = {k: v for k, v in unet.config.items() if not k.startswith("_")}
    write_json(target / "unet" / "config.json", {"_class_name": "UNet2DConditionModel", **config})
    index = json.loads((target.parent / "shapes" / "model_index.json").read_text(encoding="utf-8"))
    write_json(target / "model_index.json", {**index, "_class_name": PIPELINES[name]})


def write_json(path: Path, value: dict[str, object]) -> None:
    """Write a value as indented JSON."""
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
