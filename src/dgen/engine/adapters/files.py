"""Finds and reads the files of LoRAs and learned words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dgen.diagnostic import did_you_mean
from dgen.engine.failures import first_line
from dgen.engine.hub import Hub
from dgen.engine.protocol import EngineError
from dgen.engine.sources import Source
from dgen.engine.weights import is_safe_format
from dgen.families.indices import INDICES
from dgen.families.inspection import PICKLE_SUFFIXES, SAFETENSORS_SUFFIXES, safetensors_header

USUAL_NAMES: Mapping[str, tuple[str, ...]] = {
    "loras": (
        "pytorch_lora_weights.safetensors", "pytorch_lora_weights.bin", "adapter_model.safetensors",
        "adapter_model.bin",
    ),
    "textual_inversions": ("learned_embeds.safetensors", "learned_embeds.bin"),
    "ip_adapters": (),
}  # fmt: skip
"""How the libraries name the files of an option's adapters, the best first."""

_NOUNS = {"loras": "a LoRA", "textual_inversions": "a textual inversion", "ip_adapters": "an IP-adapter"}

PEFT_CONFIG = "adapter_config.json"


@dataclass(frozen=True, slots=True)
class AdapterWeights:
    """What the file of an adapter holds."""

    stem: str  # the file's name without its suffix
    tensors: Any  # by name, or one alone; some files have numbers and texts beside them
    metadata: Mapping[str, Any] | None = None  # how a LoRA was made, when the file or its folder says so

    @property
    def nbytes(self) -> int:
        """The bytes of its tensors."""
        return _bytes_in(self.tensors)


def _bytes_in(value: Any) -> int:
    if isinstance(value, Mapping):
        return sum(map(_bytes_in, value.values()))
    return int(getattr(value, "nbytes", 0))


def adapter_file(hub: Hub, source: Source) -> Path:
    """Return the file of an adapter, fetching it when it is not here.

    Raises:
        EngineError: `missing-file`, `bad-model`, `offline`, `hub-refused` …
    """
    return hub.file(source, lambda names: chosen(names, source), PEFT_CONFIG)


def chosen(names: Iterable[str], source: Source) -> str:
    """Pick the file of an adapter among the names of a folder.

    Raises:
        EngineError: `bad-model`: there is none, or it cannot be told which.
    """
    names = list(names)
    if any(index in names for index in INDICES):
        noun = _NOUNS[source.option]
        raise EngineError(
            "bad-model", f"`{source.shown}` is a whole model, not {noun}", source.option,
            help="a model stands first in a statement, or after `dgen`",
        )  # fmt: skip
    present = sorted(n for n in names if n.lower().endswith((*SAFETENSORS_SUFFIXES, *PICKLE_SUFFIXES)))
    if source.file is not None:
        if source.file in present:
            return source.file
        listed = "it has " + ", ".join(f"`{n}`" for n in present) if present else None
        raise EngineError(
            "bad-model", f"`{source.shown}` has no weights file `{source.file}`", source.option,
            help=did_you_mean(source.file, present, listed or ""),
        )  # fmt: skip
    usual = next((n for n in USUAL_NAMES[source.option] if n in present), None)
    safe = [n for n in present if n.lower().endswith(SAFETENSORS_SUFFIXES)] or present
    if usual is None and len(safe) != 1:
        found = f"has {len(safe)} weights files" if safe else "has no weights file"
        listed = ", ".join(f"`{n}`" for n in safe)
        raise EngineError(
            "bad-model", f"`{source.shown}` {found}", source.option,
            help=f"choose one with `weight-name=…`: {listed}" if safe else None,
        )  # fmt: skip
    return usual or safe[0]


def read(path: Path, option: str) -> AdapterWeights:
    """Read an adapter's file, which was checked before.

    Raises:
        EngineError: `bad-weights`, `unsafe-weights`.
    """
    import torch
    from safetensors.torch import load_file

    if is_safe_format(path):
        return AdapterWeights(path.stem, load_file(path), _own_metadata(path))
    try:
        return AdapterWeights(path.stem, torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:
        code = "unsafe-weights" if "weights_only" in str(error) else "bad-weights"
        raise EngineError(code, f"`{path.name}` cannot be read: {first_line(error)}", option) from error


def _own_metadata(path: Path) -> Mapping[str, Any] | None:
    """Return what diffusers wrote into a file about how its LoRA was made."""
    told = safetensors_header(path).get("__metadata__", {}).get("lora_adapter_metadata")
    try:
        found = json.loads(told) if told else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
