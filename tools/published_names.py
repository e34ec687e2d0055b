"""Writes a toy's transformer as one file under published names: the inverse of the converters of diffusers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import published_further as further
import published_tables as tables
from published_tables import Published

Tensors = dict[str, Any]

ADDED = ".diffusion_model."
"""What stands before each name in files for other programs, after `model`."""

PUBLISHED: dict[str, Published] = {
    "sd3": tables.SD3, "auraflow": tables.AURAFLOW, "hidream": Published(), "ltx": tables.LTX,
    "qwen-image": Published(), "sana": tables.SANA, "wan": tables.WAN, "wan-image": tables.WAN,
    "wan-vace": tables.WAN, "z-image": tables.Z_IMAGE,
}  # fmt: skip
"""Toys whose transformers diffusers reads from single files at any size."""

FURTHER: dict[str, Published] = {
    "flux2": further.FLUX2, "flux2-klein": further.FLUX2, "flux3": further.FLUX3, "flux3-distilled": further.FLUX3,
    "ltx2": further.LTX2, "krea2": further.KREA2, "ernie-image": Published(), "qwen-image-21": further.QWEN_IMAGE_21,
    "anima": further.COSMOS, "skyreels-v2": tables.WAN, "chronoedit": tables.WAN,
    "echo": further.LTX2, "wan-animate-2": further.WAN_ANIMATE_2,
}  # fmt: skip
"""The same of toys that stand apart."""

FIXED: dict[str, tuple[Published, dict[str, Any]]] = {
    "mochi": (further.MOCHI, {"num_layers": 48}),
    "hunyuan-video": (further.HUNYUAN_VIDEO, {"num_single_layers": 0}),
    "lumina2": (
        further.LUMINA2,
        {
            "hidden_size": 2304, "num_attention_heads": 24, "num_kv_heads": 8, "axes_dim_rope": (32, 32, 32),
            "ffn_dim_multiplier": 0.01,
        },
    ),
}  # fmt: skip
"""Toys that diffusers reads with the depth or the width of the published model alone: what they then have."""


def published_tensors(found: Tensors, how: Published) -> Tensors:
    """Return the tensors of a transformer, of numpy, as its authors would publish them."""
    import numpy as np

    made: Tensors = {}
    for name, values in found.items():
        if any(re.search(pattern, name) for pattern in how.swapped):
            values = np.concatenate(np.split(values, 2)[::-1])
        if how.flattened and re.search(how.flattened, name):
            values = values.reshape(-1)
        for pattern, replacement in how.names.items():
            name = re.sub(pattern, replacement, name)
        made[name] = values
    for end, parts in how.joined.items():
        for first in [name for name in made if parts[0] in name]:
            pieces = [made.pop(first.replace(parts[0], part)) for part in parts]
            made[first.replace(parts[0], end)] = np.concatenate(pieces)
    made |= {name: np.zeros(shape, np.float32) for name, shape in how.added.items()}
    return {how.before + name: values for name, values in made.items()}


def write_published(folder: Path, how: Published, file: Path, *, is_prefixed: bool = False) -> Path:
    """Write the transformer of a toy as one file; prefixed names are those of files for other programs."""
    from safetensors.numpy import load_file, save_file

    before = f"model{ADDED}" if is_prefixed else ""
    found = load_file(folder / "transformer" / "diffusion_pytorch_model.safetensors")
    save_file({before + n: v for n, v in published_tensors(found, how).items()}, file)
    return file


def remade(folder: Path, made: Path, changes: dict[str, Any]) -> Path:
    """Make a model of the parts of a toy's folder, and of a transformer with some other settings."""
    import diffusers
    from toy_models import seeded
    from toy_today import stir

    made.mkdir()
    for entry in folder.iterdir():
        if entry.name != "transformer":
            (made / entry.name).symlink_to(entry)
    index = diffusers.DiffusionPipeline.load_config(folder)
    cls = getattr(diffusers, index["transformer"][1])
    seeded(95)
    transformer = cls.from_config({**cls.load_config(folder / "transformer"), **changes})
    stir(transformer)
    transformer.save_pretrained(made / "transformer")
    return made
