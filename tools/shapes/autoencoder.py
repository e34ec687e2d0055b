"""Trains the autoencoder: 64x64 pictures to 8x8 latents of 4 channels and back."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional

from . import dataset
from .drawings import Drawing
from .loop import Plan, Trainer, together, worker
from .words import PICTURE_PX

PLAN = Plan(name="vae", steps=4750, learning_rate=2e-3, ema=0.997, weight_decay=0.0)
DECODER_PLAN = Plan(name="decoder", steps=2000, learning_rate=1e-3, warmup=50, ema=0.997, weight_decay=0.0)
DECODER_NOISE = 0.03
"""Noise on the scaled latents that the decoder learns to bear: the UNet is never exact."""

SEED = 101
DRAWINGS = 24_000
BATCH = 24
KL_WEIGHT = 2e-4
FIGURE_WEIGHT = 6.0


def new_vae() -> AutoencoderKL:
    """Return an untrained autoencoder without attention, so that it takes any size that is a multiple of 8."""
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(16, 32, 64, 96),
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


def figure_pixels(wanted: Tensor) -> Tensor:
    """Return how much each pixel counts, one on average: (n, 1, h, w); those of figures FIGURE_WEIGHT times the rest.

    Figures fill a tenth of a picture, and their colours would be learned last.
    """
    ground = wanted[:, :, :2].flatten(2).median(dim=2).values[..., None, None]
    weight = 1 + (FIGURE_WEIGHT - 1) * ((wanted - ground).abs().amax(dim=1, keepdim=True) > 0.1).float()
    return weight / weight.mean()


def picture_loss(made: Tensor, wanted: Tensor) -> Tensor:
    """Weigh colours (L1 and squared) and edges; both (n, 3, h, w) in [-1, 1]."""
    edges = sum(functional.l1_loss(a, b) for a, b in zip(differences(made), differences(wanted), strict=True))
    off = (made - wanted).abs()
    return ((off + off**2) * figure_pixels(wanted)).mean() + edges


def batch(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Return BATCH pictures, a third of them in other colours, as floats in [-1, 1]."""
    rows = torch.randint(len(pixels), (BATCH,), generator=generator)
    chosen = pixels[rows]
    chosen[::3] = chosen[::3][:, torch.randperm(3, generator=generator)]
    return dataset.as_input(chosen)


def train(folder: Path, resume: bool) -> None:
    """Train the autoencoder; write `folder`/shapes/vae with its scaling factor set."""
    dataset.pixels(dataset.drawings(DRAWINGS, SEED), folder / "vae-pixels.pt")
    together(train_one, folder, resume)


def train_one(folder: Path, resume: bool) -> None:
    """Train in one of the processes; number 0 exports."""
    torch.manual_seed(SEED)
    pixels = torch.load(folder / "vae-pixels.pt", weights_only=True, mmap=True)
    vae = new_vae().to(memory_format=torch.channels_last)
    trainer = Trainer(PLAN, vae, folder)
    if resume:
        trainer.resume()
    generator = torch.Generator().manual_seed(SEED + trainer.step + 100_000 * worker())

    def loss(step: int) -> Tensor:
        wanted = batch(pixels, generator)
        spread = vae.encode(wanted).latent_dist
        noise = torch.randn(spread.mean.shape, generator=generator)
        made = vae.decode(spread.mean + spread.std * noise).sample
        return picture_loss(made, wanted) + KL_WEIGHT * spread.kl().mean() / noise[0].numel()

    trainer.train(loss, lambda step: export(trainer.average.module, pixels, folder))


def refine(folder: Path, resume: bool) -> None:
    """Train the decoder alone, while the latents stay what the UNet knows; replace it."""
    dataset.pixels(dataset.drawings(DRAWINGS, SEED), folder / "vae-pixels.pt")
    together(refine_one, folder, resume)


def refine_one(folder: Path, resume: bool) -> None:
    """Train the decoder in one of the processes; number 0 exports."""
    torch.manual_seed(SEED)
    pixels = torch.load(folder / "vae-pixels.pt", weights_only=True, mmap=True)
    chances = torch.tensor([difficulty(drawing) for drawing in dataset.drawings(DRAWINGS, SEED)])
    vae = AutoencoderKL.from_pretrained(folder / "shapes", subfolder="vae", torch_dtype=torch.float32)
    vae.to(memory_format=torch.channels_last).requires_grad_(False)
    vae.decoder.requires_grad_(True)
    trainer = Trainer(DECODER_PLAN, vae, folder)
    if resume:
        trainer.resume()
    generator = torch.Generator().manual_seed(SEED + 1 + trainer.step + 100_000 * worker())

    def loss(step: int) -> Tensor:
        rows = torch.multinomial(chances, BATCH, replacement=True, generator=generator)
        wanted = dataset.as_input(pixels[rows])
        with torch.no_grad():
            mean = vae.encode(wanted).latent_dist.mean
        spread = DECODER_NOISE / vae.config.scaling_factor
        return picture_loss(vae.decode(mean + spread * torch.randn(mean.shape, generator=generator)).sample, wanted)

    trainer.train(loss, lambda step: export(trainer.average.module, pixels, folder, vae.config.scaling_factor))


def difficulty(drawing: Drawing) -> float:
    """Return how often the decoder sees a drawing: fine ones more often."""
    return max((3.0 if f.size == "small" else 1.0) * (2.0 if f.form == "star" else 1.0) for f in drawing.figures)


def export(vae: AutoencoderKL, pixels: Tensor, folder: Path, scale: float | None = None) -> None:
    """Write the autoencoder as float16, with the scale its latents need, and print how well it gives pictures back."""
    kept = new_vae()
    kept.load_state_dict(vae.state_dict())
    set_scale(kept, pixels[:512])
    if scale is not None:
        kept.register_to_config(scaling_factor=scale)
    print(reconstruction_error(kept, pixels[:256]), kept.config.scaling_factor, flush=True)
    kept.half().save_pretrained(folder / "shapes" / "vae")


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
