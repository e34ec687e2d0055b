"""Trains the built-in model from nothing: `python tools/train_shapes.py`, or one stage with `--stage`."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from shapes import adapters, autoencoder, base, controlnet, editing, export, reader

Stage = Callable[[Path, bool], None]
STAGES: dict[str, Stage] = {
    "vae": autoencoder.train,
    "reader": reader.train,
    "base": base.train,
    "lora-outline": partial(adapters.train_lora, name="outline"),
    "lora-night": partial(adapters.train_lora, name="night"),
    "word": adapters.train_word,
    "controlnet": controlnet.train,
    "inpaint": editing.train_inpaint,
    "pix2pix": editing.train_pix2pix,
    "decoder": autoencoder.refine,
    "export": export.publish,
}


def main() -> None:
    """Run the stages in their order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stage", choices=STAGES, action="append", help="only this stage (may be repeated)")
    parser.add_argument("--resume", action="store_true", help="continue from each stage's last checkpoint")
    work = Path(tempfile.gettempdir()) / "shapes"
    parser.add_argument("--work", type=Path, default=work, help="folder for checkpoints and sets")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.work.mkdir(parents=True, exist_ok=True)
    for name in arguments.stage or STAGES:
        STAGES[name](arguments.work, arguments.resume)


if __name__ == "__main__":
    main()
