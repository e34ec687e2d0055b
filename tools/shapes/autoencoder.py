"""Trains the autoencoder: 128x128 pictures to 16x16 latents of 4 channels and back."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional

from . import dataset
from .loop import Plan, Trainer
from .words import PICTURE_PX

PLAN = Plan(name="vae", steps=3000, learning_rate=2e-3, ema=0.995, weight_decay=0.0)
DECODER_PLAN = Plan(name="decoder", steps=1000, learning_rate=1e-3, warmup=50, ema=0.995, weight_decay=0.0)
DECODER_NOISE = 0.02
"""Noise on the latents (whose deviation is one) that the decoder learns to bear: the UNet is never exact."""

SEED = 101
DRAWINGS = 8000
BATCH = 48
CROP_PX = 64
CANDIDATES = 4
KL_WEIGHT = 3e-4


def new_vae() -> AutoencoderKL:
    """Return an untrained autoencoder without attention, so that it takes any size that is a multiple of 8."""
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(12, 16, 48, 96),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=PICTURE_PX,
        mid_block_add_attention=False,
        force_upcast=False,
    )


def differences(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the differences of neighbouring pixels, across and down."""
    return x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]


def picture_loss(made: Tensor, wanted: Tensor) -> Tensor:
    """Weigh colours (L1 and squared) and edges; both (n, 3, h, w) in [-1, 1]."""
    edges = sum(functional.l1_loss(a, b) for a, b in zip(differences(made), differences(wanted), strict=True))
    return functional.l1_loss(made, wanted) + functional.mse_loss(made, wanted) + edges


def crops(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Return BATCH random crops, a third of them in other colours, as floats in [-1, 1]."""
    rows = torch.randint(len(pixels), (BATCH,), generator=generator).tolist()
    return dataset.as_input(torch.stack([crop(pixels[row], row % 3 == 0, generator) for row in rows]))


def crop(picture: Tensor, recolour: bool, generator: torch.Generator) -> Tensor:
    """Return the liveliest of a few random crops, so that most crops show part of a figure: (3, 64, 64) uint8."""
    corners = torch.randint(PICTURE_PX - CROP_PX + 1, (CANDIDATES, 2), generator=generator).tolist()
    found = [picture[:, y : y + CROP_PX, x : x + CROP_PX] for x, y in corners]
    best = max(found, key=lambda c: float(c[:, ::4, ::4].float().var()))
    return best[torch.randperm(3, generator=generator)] if recolour else best


def train(folder: Path, resume: bool) -> None:
    """Train the autoencoder; write `folder`/shapes/vae with its scaling factor set."""
    torch.manual_seed(SEED)
    listed = dataset.drawings(DRAWINGS, SEED)
    pixels = dataset.pixels(listed, folder / "vae-pixels.pt")
    vae = new_vae().to(memory_format=torch.channels_last)
    trainer = Trainer(PLAN, vae, folder)
    if resume:
        trainer.resume()
    generator = torch.Generator().manual_seed(SEED + trainer.step)

    def loss_of(wanted: Tensor, noise: Tensor) -> Tensor:
        spread = vae.encode(wanted).latent_dist
        made = vae.decode(spread.mean + spread.std * noise).sample
        return picture_loss(made, wanted) + KL_WEIGHT * spread.kl().mean() / noise[0].numel()

    def loss(step: int) -> Tensor:
        wanted = crops(pixels, generator)
        cells = CROP_PX // 8
        return loss_of(wanted, torch.randn(BATCH, 4, cells, cells, generator=generator))

    best = trainer.train(loss)
    set_scale(best, pixels[:512])
    print(reconstruction_error(best, pixels[:256]), flush=True)
    best.half().save_pretrained(folder / "shapes" / "vae")


def refine(folder: Path, resume: bool) -> None:
    """Train the decoder alone for longer, while the latents stay what the UNet knows; replace it."""
    torch.manual_seed(SEED)
    pixels = dataset.pixels(dataset.drawings(DRAWINGS, SEED), folder / "vae-pixels.pt")
    vae = AutoencoderKL.from_pretrained(folder / "shapes", subfolder="vae", torch_dtype=torch.float32)
    vae.to(memory_format=torch.channels_last)
    vae.encoder.requires_grad_(False)
    vae.quant_conv.requires_grad_(False)
    trainer = Trainer(DECODER_PLAN, vae, folder)
    if resume:
        trainer.resume()
    generator = torch.Generator().manual_seed(SEED + 1 + trainer.step)

    def loss(step: int) -> Tensor:
        wanted = crops(pixels, generator)
        with torch.no_grad():
            mean = vae.encode(wanted).latent_dist.mean
        spread = DECODER_NOISE / vae.config.scaling_factor
        return picture_loss(vae.decode(mean + spread * torch.randn(mean.shape, generator=generator)).sample, wanted)

    best = trainer.train(loss)
    print(reconstruction_error(best, pixels[:256]), flush=True)
    best.half().save_pretrained(folder / "shapes" / "vae")


@torch.no_grad()
def set_scale(vae: AutoencoderKL, pixels: Tensor) -> None:
    """Set the scaling factor that gives the latents of these pictures a standard deviation of one."""
    mean = vae.encode(dataset.as_input(pixels)).latent_dist.mean
    vae.register_to_config(scaling_factor=round(float(1 / mean.std()), 4))


@torch.no_grad()
def reconstruction_error(vae: AutoencoderKL, pixels: Tensor) -> dict[str, float]:
    """Return the mean absolute error (of 255) and the share of pixels further off than 32 of 255."""
    wanted = dataset.as_input(pixels)
    made = vae.decode(vae.encode(wanted).latent_dist.mean).sample.clamp(-1, 1)
    off = (made - wanted).abs() * 127.5
    return {"mean_abs": float(off.mean()), "share_far_off": float((off.amax(dim=1) > 32).float().mean())}
