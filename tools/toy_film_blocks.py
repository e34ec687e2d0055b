"""Makes toy models of the families of videos that diffusers has as blocks alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from toy_blocks import saved
from toy_families import WIDTH as READ
from toy_films import ltx2_parts
from toy_models import seeded
from toy_today import stir
from toy_videos import wan_parts


def make_echo(folder: Path) -> Path:
    """Make an Echo model: the parts of LTX-2, and no scheduler."""
    from diffusers import EchoModularPipeline

    seeded(94)
    return saved(EchoModularPipeline(), folder, **ltx2_parts())


def make_wan_animate(folder: Path, pipeline: str = "WanAnimate2ModularPipeline") -> Path:
    """Make a Wan-Animate 2 model, which needs a CLIP image encoder of the width of the real one."""
    import diffusers
    from transformers import CLIPVisionConfig, CLIPVisionModel

    seeded(95)
    eye = CLIPVisionConfig(
        hidden_size=1280, intermediate_size=32, num_hidden_layers=1, num_attention_heads=20, image_size=224,
        patch_size=28,
    )  # fmt: skip
    transformer = diffusers.WanAnimate2Transformer3DModel(
        dim=32, ffn_dim=32, freq_dim=32, text_dim=READ, num_heads=2, num_layers=1
    )
    stir(transformer)
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=5.0)
    parts = wan_parts() | {"transformer": transformer, "scheduler": scheduler, "image_encoder": CLIPVisionModel(eye)}
    return saved(getattr(diffusers, pipeline)(), folder, **parts)


FILM_BLOCKS: dict[str, Callable[[Path], Path]] = {
    "echo": make_echo,
    "wan-animate-2": make_wan_animate,
    "wan-animate-2-distilled": partial(make_wan_animate, pipeline="WanAnimate2DistilledModularPipeline"),
}
"""How to make each."""
