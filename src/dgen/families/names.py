"""Finds in the names of models the words that tell one from another with the same tensors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

_SAYING = ("modelspec.architecture", "modelspec.title", "ss_base_model_version")
"""What names a model in the metadata of a safetensors file: the ModelSpec standard, and what kohya's trainers write."""

_OF_A_PART = re.compile(r"(diffusion_pytorch_model|pytorch_model|model)([.-].*)?")
"""How diffusers calls the weights of every part of every model."""


def as_words(text: str) -> str:
    """Return the words of a text in lower case, joined by `-`."""
    return "-".join(re.findall(r"[a-z0-9]+", text.lower()))


def word_in(words: Iterable[str], text: str) -> str | None:
    """Return the longest of some words, or rows of words joined by `-`, that stands in a text; None for none."""
    held = f"-{as_words(text)}-"
    return max((word for word in words if f"-{word}-" in held), key=len, default=None)


def names_of_file(source: str, path: Path, header: Mapping[str, Any]) -> dict[str, str]:
    """Return what names the model in a file, the most trusted first: where it stands, and the text.

    `source` is what the user called it. A file that is called as diffusers calls every part has the name of its model.
    """
    found = header.get("__metadata__")
    told = cast("dict[str, object]", found) if isinstance(found, dict) else {}
    said = {f"the `{key}` of its metadata": str(told[key]) for key in _SAYING if key in told}
    places = (source.partition("?")[0].rstrip("/") or str(path)).split("/")
    name = places[-1] if "." in places[-1] else path.name
    return {**said, "its name": _model_of(places) if _OF_A_PART.fullmatch(Path(name).stem) else name}


def names_of_folder(source: str, folder: Path, index: Mapping[str, Any]) -> dict[str, str]:
    """Return what names the model in a folder, as `names_of_file` does."""
    said = index.get("_name_or_path")
    known = {"the `_name_or_path` of its index": said.rstrip("/").rpartition("/")[2]} if isinstance(said, str) else {}
    places = source.rstrip("/").split("/")
    return {**known, "its name": places[-1] if "." not in places else folder.resolve().name}


def _model_of(places: list[str]) -> str:
    """Return the name of the model whose part a file is, in the hub's cache, in a link to the hub, or in a folder."""
    before = next((places.index(mark) for mark in ("snapshots", "blob", "resolve") if mark in places), 0)
    return places[before - 1] if before else " ".join(places[-3:-1])
