"""Trains the base model: text encoder and UNet together, on the latents of the drawings."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from torch import Tensor, nn

from . import dataset
from .captions import caption
from .drawings import Drawing
from .loop import Plan, Trainer, together, worker
from .reader import WIDTH, new_text_encoder
from .tokenizer import LENGTH, new_tokenizer
from .tokenizer import save as save_tokenizer
from .words import PICTURE_PX

PLAN = Plan(name="base", steps=9000, learning_rate=1e-3, warmup=200, ema=0.999)
SEED = 202
DRAWINGS = 60_000
BATCH = 32
SNR_LIMIT = 5.0
FIGURE_EMPHASIS, FIGURE_FROM = 2.0, 0.55
DECIDING = (500, 1000)
"""Steps of noise in which a caption decides form and place; below them the picture itself shows them."""
DECIDING_SHARE = 0.6


def new_scheduler() -> DDIMScheduler:
    """Return the noise schedule: v-prediction, and almost nothing left of the picture at the last step.

    A flat background would otherwise show through the strongest noise and tell the model its colour
    (Lin et al., 2023). The larger `beta_end` has the effect of their rescaling with every scheduler.
    """
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.025,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,
    )


def new_unet() -> UNet2DConditionModel:
    """Return an untrained UNet for 8x8 latents; both of its levels attend to the caption."""
    return UNet2DConditionModel(
        sample_size=PICTURE_PX // 8,
        in_channels=4,
        out_channels=4,
        block_out_channels=(48, 96),
        down_block_types=("CrossAttnDownBlock2D",) * 2,
        up_block_types=("CrossAttnUpBlock2D",) * 2,
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )


class Painter(nn.Module):
    """Text encoder and UNet as one module, so that they are trained, averaged and stored together."""

    def __init__(self) -> None:
        """Start from random weights."""
        super().__init__()
        self.text_encoder = new_text_encoder()
        self.unet = new_unet()

    def forward(self, noisy: Tensor, times: Tensor, words: Tensor) -> Tensor:
        """Predict v: noisy (n, 4, h, w) float32, times (n,) int64, words (n, LENGTH) int64."""
        states = self.text_encoder(words).last_hidden_state
        return self.unet(noisy, times, states).sample


class Noise:
    """The forward process of a scheduler: noisy latents, v targets and weights."""

    def __init__(self, scheduler: DDIMScheduler) -> None:
        """Keep the table of cumulated alphas."""
        self.kept = scheduler.alphas_cumprod.sqrt()
        self.added = (1 - scheduler.alphas_cumprod).sqrt()

    def add(self, clean: Tensor, noise: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
        """Return noisy latents and the v target (Salimans & Ho, 2022): both shaped as `clean`."""
        kept, added = self.kept[times][:, None, None, None], self.added[times][:, None, None, None]
        return kept * clean + added * noise, kept * noise - added * clean

    def weight(self, times: Tensor) -> Tensor:
        """Return the weights: (n,). As min-SNR (Hang et al., 2023) they spare the steps where only detail is left,

        but steps of strong noise, which decide form and place by the caption alone, count in full.
        """
        snr = (self.kept / self.added)[times] ** 2
        return SNR_LIMIT / (snr + SNR_LIMIT)

    def loss(self, made: Tensor, target: Tensor, times: Tensor, cells: Tensor | float = 1.0) -> Tensor:
        """Return the weighted squared error of predicted v; `cells`: (n, 1, h, w) weights of latent cells."""
        return ((made.float() - target) ** 2 * cells).mean(dim=(1, 2, 3)).mul(self.weight(times)).mean()


def figure_cells(clean: Tensor, emphasis: float) -> Tensor:
    """Return `emphasis` where latents differ from those of the frame, 1 elsewhere: (n, 1, h, w).

    Backgrounds are learned first and fill most of a picture; figures are what the words are about.
    """
    frame = torch.cat([clean[:, :, 0], clean[:, :, -1], clean[:, :, 1:-1, 0], clean[:, :, 1:-1, -1]], dim=2)
    ground = frame.median(dim=2).values[..., None, None]
    differs = (clean - ground).abs().mean(dim=1, keepdim=True) > FIGURE_FROM
    return 1 + (emphasis - 1) * differs.float()


def emphasis_at(done: float) -> float:
    """Return the weight of figure cells: FIGURE_EMPHASIS at first, then down to 1, which alone is unbiased."""
    return 1 + (FIGURE_EMPHASIS - 1) * min(1.0, max(0.0, (0.85 - done) / 0.3))


def row_weights(listed: list[Drawing]) -> Tensor:
    """Return how often each drawing is taken: single plain figures most."""
    return torch.tensor([row_weight(drawing) for drawing in listed])


def row_weight(drawing: Drawing) -> float:
    """Return how often one drawing is taken, relative to a single, plain, sharp figure."""
    style = 1.0 if drawing.figures[0].style == "plain" else 0.6
    return style * (1.0 if len(drawing.figures) == 1 else 0.6) * (0.3 if drawing.blurry else 1.0)


def random_times(count: int, generator: torch.Generator) -> Tensor:
    """Return (count,) int64 steps of noise, most of them from where form and place are decided."""
    times = torch.randint(1000, (count,), generator=generator)
    chosen = torch.randint(*DECIDING, (count,), generator=generator)
    return torch.where(torch.rand(count, generator=generator) < DECIDING_SHARE, chosen, times)


def train(folder: Path, resume: bool) -> None:
    """Make the latents with the autoencoder in `folder`/shapes/vae, then train in several processes."""
    vae = AutoencoderKL.from_pretrained(folder / "shapes", subfolder="vae", torch_dtype=torch.float32)
    dataset.latents(vae, dataset.drawings(DRAWINGS, SEED), folder / "base-latents.pt")
    together(train_one, folder, resume)


def train_one(folder: Path, resume: bool) -> None:
    """Train in one of the processes, from the text encoder that stage `reader` made; number 0 exports."""
    torch.manual_seed(SEED)
    listed = dataset.drawings(DRAWINGS, SEED)
    clean = torch.load(folder / "base-latents.pt", weights_only=True, mmap=True)
    painter, tokenizer = Painter(), new_tokenizer()
    painter.text_encoder.load_state_dict(torch.load(folder / "reader-text-encoder.pt", weights_only=True))
    trainer = Trainer(PLAN, painter, folder)
    if resume:
        trainer.resume()
    seed = SEED + trainer.step + 100_000 * worker()
    rng, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    noise, chances = Noise(new_scheduler()), row_weights(listed)

    def loss(step: int) -> Tensor:
        rows = torch.multinomial(chances, BATCH, replacement=True, generator=generator)
        texts = [caption(listed[row], rng) for row in rows.tolist()]
        words = tokens(tokenizer, texts)
        times = random_times(BATCH, generator)
        start = clean[rows].float()
        noisy, target = noise.add(start, torch.randn(start.shape, generator=generator), times)
        made = painter(noisy, times, words)
        cells = figure_cells(start, emphasis_at(step / PLAN.steps))
        return noise.loss(made, target, times, cells)

    trainer.train(loss, lambda step: export(trainer.average.module, folder / "shapes"))


def tokens(tokenizer: nn.Module, texts: list[str]) -> Tensor:
    """Return the padded tokens as the pipelines make them: (n, LENGTH) int64."""
    return tokenizer(texts, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt").input_ids


def export(painter: Painter, folder: Path) -> None:
    """Write text encoder and UNet as float16 into a pipeline folder that has the autoencoder already."""
    vae = AutoencoderKL.from_pretrained(folder, subfolder="vae", torch_dtype=torch.float16)
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=_half(painter.text_encoder, new_text_encoder()),
        tokenizer=new_tokenizer(),
        unet=_half(painter.unet, new_unet()),
        scheduler=new_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder, safe_serialization=True)
    save_tokenizer(folder / "tokenizer")


def _half(trained: nn.Module, empty: nn.Module) -> nn.Module:
    empty.load_state_dict(trained.state_dict())
    return empty.half()
