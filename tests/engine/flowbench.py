"""Toy models of the transformers SD3 and FLUX.1, what attaches to them, and plain calls of their pipelines."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from toybench import picture

from dgen.values.scalars import Size

PIPELINES = {"sd3": "StableDiffusion3Pipeline", "flux": "FluxPipeline"}
GUIDANCE = {"sd3": 5.0, "flux": 3.5, "flux-kontext": 3.5}
SAID: dict[str, Any] = {"num_inference_steps": 6, "output_size": Size(64, 64)}
NAMES = ("sd3", "flux", "flux-fill", "flux-kontext")
EDGES, DEPTHS = picture().rotate(90), picture().rotate(180)


def make_all(made: Path) -> None:
    """Make a toy model of SD3 and of each FLUX.1, and what attaches to them."""
    import toy_adapters
    import toy_families

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in NAMES:
            toy_families.FAMILY_TOYS[name](made / name)
        toy_families.make_sd3(made / "sd3.5", dual_attention_layers=(0,), qk_norm="rms_norm")
        toy_families.make_flux_net(made / "flux-net", made / "flux")
        toy_families.make_flux_net(made / "flux-union", made / "flux", modes=7)
        toy_families.make_flux_ip_adapter(made / "ip.safetensors")
        toy_families.make_flux_ip_adapter(made / "first-ip.safetensors", is_first=True)
        toy_adapters.make_image_encoder(made / "image_encoder")
        for name in ("flux-fill", "flux-kontext"):
            toy_families.make_transformer_lora(made / f"{name}-lora", made / name)
        toy_adapters.make_old_word(made / "word.pt", "zork", 2)
        toy_families.make_sd3_net(made / "sd3-net")
        toy_families.make_sd3_net(made / "sd3-inpaint-net", sees_mask=True)


def plain(
    folder: Path, toy: str, prepare: Callable[[Any], None], *, pipeline: str = "", parts: Any = None, **named: Any
) -> list[bytes]:
    """Call a pipeline of diffusers as its documentation says."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import diffusers
        import torch

        pipe = getattr(diffusers, pipeline or PIPELINES[toy]).from_pretrained(folder / toy, **parts or {})
        pipe.set_progress_bar_config(disable=True)
        prepare(pipe)
        call = {"prompt": "a red circle", "negative_prompt": "blurry", "guidance_scale": GUIDANCE.get(toy), "width": 64}
        call |= {"height": 64, "num_inference_steps": 6, **named}
        call = {name: value for name, value in call.items() if value is not None}
        made = pipe(**call, generator=torch.Generator("cpu").manual_seed(7))
    return [image.convert("RGB").tobytes() for image in made.images]
