"""Tells how much memory the parts of a job will take, from the headers of their weights files; loads nothing."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dgen.engine.adapters.files import adapter_file
from dgen.engine.hub import Hub
from dgen.engine.models import part_folder
from dgen.engine.protocol import EngineError
from dgen.engine.quantizers import bits_of
from dgen.engine.sources import ADAPTERS, Part
from dgen.engine.weights import is_safe_format, weights_of
from dgen.families.inspection import GGUF_SUFFIX, safetensors_header
from dgen.schema import BadValue

_WIDTHS = {"float32": 4, "float16": 2, "bfloat16": 2}
_FLOATS = {"F64", "F32", "F16", "BF16"}

_IN_CHECKPOINTS = {
    "unet": ("model.diffusion_model.",),
    "vae": ("first_stage_model.",),
    "text_encoder": ("cond_stage_model.", "conditioner.embedders.0."),
    "text_encoder_2": ("conditioner.embedders.1.", "conditioner.embedders.0.model."),  # the latter in a refiner
}
"""How the tensors of a part are called in a checkpoint file of Stable Diffusion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """A part of a model that a run would load. `bytes`: in memory; None when that cannot be seen on this machine."""

    kind: str
    source: str
    dtype: str
    bytes: int | None
    download_bytes: int | None = 0  # that are not on this machine yet; None when nobody knows how many


def footprint(hub: Hub, part: Part) -> Footprint:
    """Measure a part, whose source a hub can find without the network."""
    try:
        size = _measured(hub, part)
    except BadValue:  # a damaged file: loading it tells what is wrong
        size = None
    return Footprint(
        kind=part.kind, source=part.source.name, dtype=part.dtype, bytes=size,
        download_bytes=0 if size is not None else _announced(hub, part),
    )  # fmt: skip


def _announced(hub: Hub, part: Part) -> int | None:
    """Return what the index of sharded weights says of their size; the hub's cache may have it without the weights."""
    try:
        folder = hub.index(part.source) / (part.folder or part.kind)
    except EngineError:
        return None
    middle = f".{part.source.variant}" if part.source.variant else ""
    for file in sorted(folder.glob(f"*.safetensors.index{middle}.json")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return int(json.loads(file.read_text(encoding="utf-8"))["metadata"]["total_size"])
    return None


def _measured(hub: Hub, part: Part) -> int | None:
    if part.kind in ADAPTERS.values():
        return _adapter_bytes(hub, part)
    try:
        place = hub.index(part.source)
    except EngineError:
        return None
    if place.suffix.lower() == GGUF_SUFFIX:
        return place.stat().st_size
    if place.is_file():
        prefixes = _IN_CHECKPOINTS.get(part.kind, ("",) if part.source.option != "model" else ())
        return _bytes_in(place, part.dtype, prefixes) if prefixes and is_safe_format(place) else None
    name = part.folder or part.kind
    folder = place if (place / name / "config.json").is_file() else part_folder(place, name)
    if folder is None:
        return 0  # tokenizers and schedulers
    own = folder / name if (folder / name).is_dir() else folder
    files = weights_of(own, part.source.variant)[0]
    bits = bits_of(part.quantizer)
    return sum(_bytes_in(file, part.dtype, ("",), bits) for file in files) if files else None


def _adapter_bytes(hub: Hub, part: Part) -> int | None:
    try:
        file = adapter_file(hub, part.source)
    except EngineError:
        return None
    return sum(_stored(t) for t in _tensors(file, ("",))) if is_safe_format(file) else file.stat().st_size


def _bytes_in(file: Path, dtype: str, prefixes: tuple[str, ...], bits: int | None = None) -> int:
    """Count the bytes of tensors once they are in a precision; those of a pickle as they lie on the disk.

    With `bits`, matrices are quantized to so many.
    """
    if not is_safe_format(file):
        return file.stat().st_size
    return sum(_held(tensor, dtype, bits) for tensor in _tensors(file, prefixes))


def _tensors(file: Path, prefixes: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    header = safetensors_header(file)
    return (header[name] for name in header if name != "__metadata__" and name.startswith(prefixes))


def _held(tensor: dict[str, Any], dtype: str, bits: int | None) -> int:
    width = _WIDTHS.get(dtype)
    if bits is not None and len(tensor["shape"]) == 2:
        return math.prod(tensor["shape"]) * bits // 8
    if width is None or tensor["dtype"] not in _FLOATS:
        return _stored(tensor)
    return math.prod(tensor["shape"]) * width


def _stored(tensor: dict[str, Any]) -> int:
    start, end = tensor["data_offsets"]
    return end - start
