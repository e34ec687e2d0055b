"""Trains the ControlNet that follows the edges of a drawing."""

from __future__ import annotations

import random
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from diffusers import ControlNetModel
from torch import Tensor

from . import dataset
from .captions import caption
from .drawings import Drawing, render
from .edges import edges
from .loop import Plan, Trainer
from .parts import base_set, denoising_loss, load_base

SEED = 404
BATCH = 24
DRAWINGS = 8000
PLAN = Plan(name="controlnet", steps=4700, learning_rate=1.5e-3, warmup=50, ema=0.99)


def new_controlnet(base: torch.nn.Module) -> ControlNetModel:
    """Return a ControlNet that fits the base's UNet: residual blocks only, no attention, so that it stays small."""
    config = base.config
    return ControlNetModel(
        in_channels=4,
        conditioning_channels=3,
        block_out_channels=config.block_out_channels,
        down_block_types=("DownBlock2D",) * len(config.block_out_channels),
        mid_block_type="UNetMidBlock2D",
        layers_per_block=config.layers_per_block,
        cross_attention_dim=config.cross_attention_dim,
        attention_head_dim=config.attention_head_dim,
        norm_num_groups=config.norm_num_groups,
        conditioning_embedding_out_channels=(8, 8, 12, 16),
    )


def edge_array(drawing: Drawing) -> np.ndarray:
    """Return the edges of a drawing as (PICTURE_PX, PICTURE_PX) bool, packed."""
    return np.packbits(np.asarray(edges(render(drawing)))[..., 0] > 127, axis=-1)


def all_edges(listed: list[Drawing], path: Path) -> Tensor:
    """Return the edges of every drawing: (n, h, w / 8) uint8, eight pixels in a byte."""

    def make() -> Tensor:
        with ProcessPoolExecutor(2) as pool:
            return torch.from_numpy(np.stack(list(pool.map(edge_array, listed, chunksize=64))))

    return dataset.cached(path, make)


def as_condition(packed: Tensor) -> Tensor:
    """Unpack edges into (n, 3, h, w) float32 in [0, 1]."""
    lines = torch.from_numpy(np.unpackbits(packed.numpy(), axis=-1)).float()
    return lines[:, None].repeat(1, 3, 1, 1).contiguous(memory_format=torch.channels_last)


def train(folder: Path, resume: bool) -> None:
    """Train on drawings and their edges; write `folder`/shapes-controlnet-edges."""
    torch.manual_seed(SEED)
    base = load_base(folder)
    listed, clean = base_set(folder)
    lines = all_edges(listed[:DRAWINGS], folder / "controlnet-edges.pt")
    unet = base.pipeline.unet
    controlnet = new_controlnet(unet)
    trainer = Trainer(PLAN, controlnet, folder)
    if resume:
        trainer.resume()
    rng, generator = random.Random(SEED + trainer.step), torch.Generator().manual_seed(SEED + trainer.step)

    def loss(step: int) -> Tensor:
        rows = torch.randint(DRAWINGS, (BATCH,), generator=generator)
        states = base.states([caption(listed[row], rng) for row in rows.tolist()])
        condition = as_condition(lines[rows])

        def predict(noisy: Tensor, times: Tensor) -> Tensor:
            down, middle = controlnet(noisy, times, states, condition, return_dict=False)
            return unet(
                noisy, times, states, down_block_additional_residuals=down, mid_block_additional_residual=middle
            ).sample

        return denoising_loss(base, clean[rows], generator, predict)

    trained = trainer.train(loss)
    trained.half().save_pretrained(folder / "shapes-controlnet-edges")
