"""Makes toy models of the families of videos that diffusers has as blocks alone."""

from __future__ import annotations

from pathlib import Path

from toy_blocks import saved
from toy_films import ltx2_parts
from toy_models import seeded


def make_echo(folder: Path) -> Path:
    """Make an Echo model: the parts of LTX-2, and no scheduler."""
    from diffusers import EchoModularPipeline

    seeded(94)
    return saved(EchoModularPipeline(), folder, **ltx2_parts())


FILM_BLOCKS = {
    "echo": make_echo,
}
"""How to make each."""
