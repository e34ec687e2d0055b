"""Looks into a model without loading it: its family, its size, its parts."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from dgen.families.defaults import Told, as_folder_says, as_tensors_say
from dgen.families.indices import INDEX, is_part, read_index, read_json
from dgen.families.names import names_of_file, names_of_folder
from dgen.families.recognition import recognise
from dgen.families.rows import FAMILIES, Family, family_of_class, family_of_model
from dgen.schema import BadValue
from dgen.values.scalars import Size

_HEADER_LIMIT = 100_000_000
SAFETENSORS_SUFFIXES = (".safetensors", ".sft")
PICKLE_SUFFIXES = (".ckpt", ".pt", ".pth", ".bin")
GGUF_SUFFIX = ".gguf"
_SAID = "`--model-type`"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What a look into a model tells."""

    family: Family
    pipeline: str  # the class that the model itself names
    default_size: Size  # pixels
    parts: tuple[str, ...] = ()  # component kinds the model brings; () when unknown
    denoiser_channels: int | None = None  # of its UNet's or transformer's input; None when unknown
    ends: bool | None = None  # whether it must, or cannot, be told the last frame of a video
    default_frames: int | None = None  # of its videos; None: as the family says
    targets: int = 1  # how many pictures it takes each one apart into
    skips: int | None = None  # how many skip connections its UNet has; None when unknown
    told_by: str = ""  # what decided about the family; "" when nobody looked
    distilled_by: str = ""  # what tells that it was distilled; "" when nothing does
    config: str = ""  # the repository with the configuration of a checkpoint file; "" for what its tensors tell

    def has_mode(self, mode: str) -> bool:
        """Whether the model's denoiser can run a mode of its family."""
        fitting = self.family.denoiser_channels.get(mode)
        return fitting is None or self.denoiser_channels is None or self.denoiser_channels in fitting


def inspect_folder(folder: Path, wanted: Family | None = None, source: str = "") -> ModelFacts:
    """Read a folder in diffusers layout; `wanted` is the family that the user named, `source` what they called it.

    Raises:
        BadValue: `bad-model`: it is no such folder.
    """
    found = read_index(folder)
    if found is None:
        raise BadValue(
            f"`{folder}` is no model: it has no `{INDEX}`", code="bad-model",
            help="name a folder in diffusers layout, a checkpoint file or a hub repository",
        )  # fmt: skip
    index = found.entries
    pipeline = index.get("_class_name")
    if not isinstance(pipeline, str):
        raise BadValue(f"`{folder / INDEX}` names no pipeline class", code="bad-model")
    own = family_of_model(pipeline, _denoiser(folder, family_of_class(pipeline))[1])
    told = as_folder_says(wanted or own, folder, names_of_folder(source or str(folder), folder, index))
    family = told.family
    by_index = "its index" if pipeline in own.classes else "the channels of its denoiser"
    parts = tuple(k for k, v in index.items() if is_part(v) and v[0] is not None and not k.startswith("_"))
    size, channels = _denoiser(folder, family)
    if isinstance(side := index.get("default_sample_size"), int):
        size = Size(side, side)  # PRX says it in pixels
    return ModelFacts(
        family=family, pipeline=pipeline, default_size=size, parts=parts, denoiser_channels=channels,
        targets=_targets(index), default_frames=_frames(folder), ends=_ends(folder, family),
        skips=_skips(read_json(folder / "unet" / "config.json") or {}),
        told_by=_SAID if wanted else by_index, distilled_by=told.why,
    )  # fmt: skip


def inspect_file(path: Path, wanted: Family | None = None, source: str = "") -> ModelFacts:
    """Read the header of a checkpoint file; `wanted` is the family that the user named, `source` what they called it.

    Raises:
        BadValue: `bad-model` or `bad-weights`: its family cannot be told, or it is damaged.
    """
    if path.suffix.lower() == GGUF_SUFFIX:
        raise BadValue(
            f"`{path.name}` holds one part of a model: a `{GGUF_SUFFIX}` file is never a whole one", code="bad-model",
            help="name a model, and the file beside it: `MODEL --unet FILE.gguf`, or `--transformer FILE.gguf`",
        )  # fmt: skip
    is_safe = path.suffix.lower() in SAFETENSORS_SUFFIXES
    header = safetensors_header(path) if is_safe else {}
    names = names_of_file(source or str(path), path, header)
    found = recognise(header, names)
    family, channels = wanted or found.family, found.channels
    if family is None:
        raise BadValue(
            f"the family of `{path.name}` cannot be told from the file", code="bad-model",
            help="say it with `--model-type`: " + ", ".join(f"`{n}`" for n in FAMILIES),
        )  # fmt: skip
    told = as_tensors_say(family, header, names) if is_safe else Told(family)
    family = told.family
    fitting = {mode for mode, fit in family.denoiser_channels.items() if channels in fit}
    pipeline = next((p for mode, p in family.pipelines.items() if mode in fitting), family.pipeline)
    return ModelFacts(
        family=family, pipeline=pipeline, default_size=Size(*family.usual_size),
        denoiser_channels=channels if fitting else None, told_by=_SAID if wanted else found.told_by,
        distilled_by=told.why, config=told.config,
    )  # fmt: skip


def refiner_index(path: Path) -> dict[str, Any]:
    """Return what the index of an SDXL refiner says when a checkpoint file is one; {} when it is not, or unknown.

    Raises:
        BadValue: `bad-weights`: the file is damaged.
    """
    is_safe = path.suffix.lower() in SAFETENSORS_SUFFIXES
    is_refiner = is_safe and any(key.startswith(_REFINER_KEY) for key in safetensors_header(path))
    return dict(_REFINER_INDEX) if is_refiner else {}


_REFINER_KEY = "conditioner.embedders.0.model."
"""How the text encoder of a refiner is called in its file, where that of a model is its second."""

_REFINER_INDEX: dict[str, Any] = {
    "_class_name": "StableDiffusionXLImg2ImgPipeline", "requires_aesthetics_score": True,
    "force_zeros_for_empty_prompt": False, "scheduler": ["diffusers", "EulerDiscreteScheduler"],
    "text_encoder": [None, None], "tokenizer": [None, None], "unet": ["diffusers", "UNet2DConditionModel"],
    "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"], "tokenizer_2": ["transformers", "CLIPTokenizer"],
    "vae": ["diffusers", "AutoencoderKL"],
}  # fmt: skip


def safetensors_header(path: Path) -> dict[str, Any]:
    """Read the header of a safetensors file: tensor names with dtype, shape and offsets.

    Raises:
        BadValue: `bad-weights`: it is damaged or truncated.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        if not 2 <= length <= min(_HEADER_LIMIT, size - 8):
            raise BadValue(f"`{path.name}` is no safetensors file, or it is cut short", code="bad-weights")
        try:
            header: dict[str, Any] = json.loads(file.read(length))
            ends = [v["data_offsets"][1] for k, v in header.items() if k != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            raise BadValue(f"`{path.name}` has a damaged safetensors header", code="bad-weights") from None
    expected = 8 + length + max(ends, default=0)
    if size < expected:
        raise BadValue(
            f"`{path.name}` is cut short: it has {size:,} bytes of {expected:,}", code="bad-weights",
            help="fetch or copy the file again",
        )  # fmt: skip
    return header


def _denoiser(folder: Path, family: Family) -> tuple[Size, int | None]:
    """Return the size the model was made for (latent cells times the VAE's factor) and its input channels."""
    size = Size(*family.usual_size)
    for part in ("unet", "transformer"):
        config = read_json(folder / part / "config.json")
        if config is not None:
            sample, channels = config.get("sample_size"), config.get("in_channels")
            if not family.has_own_cells and (sides := _sides(config, sample)):
                size = Size(*(side * _vae_factor(folder) for side in sides))
            return size, channels if isinstance(channels, int) else None
    return size, None


def _sides(config: dict[str, Any], sample: object) -> tuple[int, int] | None:
    """Return the width and the height in latent cells that a denoiser was made for."""
    both = cast("list[object]", sample) if isinstance(sample, list) else [sample, sample]
    if len(both) != 2:
        return None
    found = (config.get("sample_width", both[1]), config.get("sample_height", both[0]))
    return found if all(isinstance(side, int) and side > 0 for side in found) else None


def _ends(folder: Path, family: Family) -> bool | None:
    """Return whether a model must, or cannot, be told a last frame; None when it may."""
    schedule = read_json(folder / "scheduler" / "scheduler_config.json") or {}
    if family.untold and schedule.get(family.untold):
        return False
    config = read_json(folder / "transformer" / "config.json") or {}
    if family.ends_seen is None or config.get(family.ends_seen[0]) is None:
        return None
    return config.get(family.ends_seen[1]) is not None


def _frames(folder: Path) -> int | None:
    """Return how many frames the videos have that a model was made for."""
    for part, name in (("unet", "num_frames"), ("transformer", "sample_frames")):
        found = (read_json(folder / part / "config.json") or {}).get(name)
        if isinstance(found, int):
            return found
    return None


def _targets(index: Mapping[str, Any]) -> int:
    """Count what Marigold decomposes a picture into."""
    told = cast("dict[str, list[str]]", index.get("target_properties") or {})
    return len(told.get("target_names") or [""])


def _skips(unet: dict[str, Any]) -> int | None:
    """Count the skip connections of a UNet: one of the input, one a layer, one between two blocks."""
    blocks, layers = unet.get("down_block_types"), unet.get("layers_per_block")
    if not isinstance(blocks, list):
        return None
    count = len(cast("list[object]", blocks))
    if isinstance(layers, list):
        return sum(cast("list[int]", layers)) + count
    return layers * count + count if isinstance(layers, int) else None


def _vae_factor(folder: Path) -> int:
    """Return how many pixels wide a cell of what the denoiser sees is: 1 where no VAE stands behind it."""
    vaes = [read_json(folder / part / "config.json") for part in ("vae", "vqvae", "movq")]
    found = read_index(folder)
    index = found.entries if found is not None else {}
    if not any(vaes) and index and not any("vae" in part for part in index):
        return 1
    channels = next((v.get("block_out_channels", v.get("encoder_block_out_channels")) for v in vaes if v), None)
    return 2 ** (len(cast("list[object]", channels)) - 1) if isinstance(channels, list) else 8
