"""Finds weights files and checks them before anything opens them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from dgen.engine.protocol import EngineError
from dgen.families.inspection import SAFETENSORS_SUFFIXES, safetensors_header
from dgen.schema import BadValue

_NAME = re.compile(
    r"(?P<base>diffusion_pytorch_model|model|pytorch_model)(?:\.(?P<early>\w+))?"
    r"(?:-(?P<shard>\d{5})-of-\d{5})?(?:\.(?P<late>\w+))?\.(?P<suffix>safetensors|bin)"
)
"""The names that diffusers and transformers give to weights files, whole or in shards."""


def choose(names: Iterable[str], variant: str | None) -> tuple[list[str], str | None]:
    """Pick the weights files among the names of a folder; also return the variant they belong to.

    The variant that is asked for comes before the plain files, safetensors before pickles, whole files before
    shards. ([], None) when there are none.
    """
    groups: dict[tuple[bool, bool, bool], list[str]] = {}
    for name in sorted(names):
        found = _NAME.fullmatch(name)
        own = (found["early"] or found["late"]) if found else None
        if found and own in (variant, None):
            rank = (own != variant, found["suffix"] != "safetensors", found["shard"] is not None)
            groups.setdefault(rank, []).append(name)
    if not groups:
        return [], None
    best = min(groups)
    return groups[best], None if best[0] else variant


def weights_of(folder: Path, variant: str | None) -> tuple[list[Path], str | None]:
    """Pick the weights files of a part's folder, and the variant they belong to."""
    names, found = choose((p.name for p in folder.iterdir()), variant) if folder.is_dir() else ([], None)
    return [folder / n for n in names], found


def is_safe_format(path: Path) -> bool:
    """Whether a weights file is in the safetensors format."""
    return path.suffix.lower() in SAFETENSORS_SUFFIXES


def check_headers(paths: Sequence[Path], option: str = "model") -> None:
    """Check that safetensors files are whole, from their headers alone.

    Raises:
        EngineError: `bad-weights`.
    """
    for path in paths:
        if is_safe_format(path):
            try:
                safetensors_header(path)
            except BadValue as error:
                raise EngineError(error.code, error.message, option, error.help) from None


def check_pickle(path: Path, option: str = "model") -> None:
    """Check that a pickle holds nothing but plain weights; it is taken apart, not run.

    Raises:
        EngineError: `unsafe-weights`, `bad-weights`.
    """
    import torch

    try:
        found = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except Exception as error:
        raise _unreadable(path, option, error) from error
    if found:
        raise EngineError(
            "unsafe-weights", f"`{path.name}` is a pickle that would run code: it names `{found[0]}`", option,
            help="get the model as .safetensors",
        )  # fmt: skip


def _unreadable(path: Path, option: str, error: Exception) -> EngineError:
    with path.open("rb") as file:
        head = file.read(4)
    if head[:1] == b"\x80":
        return EngineError(
            "unsafe-weights", f"`{path.name}` is a pickle of an old kind that cannot be checked", option,
            help="get the model as .safetensors",
        )  # fmt: skip
    return EngineError(
        "bad-weights", f"`{path.name}` is no weights file, or it is cut short", option, help=_first_line(error)
    )


def check_files(paths: Sequence[Path], option: str = "model") -> None:
    """Check weights files before they are opened.

    Raises:
        EngineError: `bad-weights`, `unsafe-weights`.
    """
    check_headers(paths, option)
    for path in paths:
        if not is_safe_format(path):
            check_pickle(path, option)


def shapes(paths: Sequence[Path]) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor in weights files."""
    found: dict[str, tuple[int, ...]] = {}
    for path in paths:
        if is_safe_format(path):
            found |= {k: tuple(v["shape"]) for k, v in safetensors_header(path).items() if k != "__metadata__"}
        else:
            found |= _pickled_shapes(path)
    return found


def _pickled_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    import torch

    held = torch.load(path, map_location="meta", weights_only=True)
    held = held.get("state_dict", held)
    return {k: tuple(v.shape) for k, v in held.items() if hasattr(v, "shape")}


def _first_line(error: Exception) -> str | None:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else None
