"""Finds weights files and checks them before anything opens them."""

from __future__ import annotations

import io
import pickletools
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

from dgen.diagnostic import suggest
from dgen.engine.failures import first_line
from dgen.engine.protocol import EngineError
from dgen.engine.sources import Source
from dgen.families.inspection import GGUF_SUFFIX, SAFETENSORS_SUFFIXES, safetensors_header
from dgen.schema import BadValue

_NAME = re.compile(
    r"(?P<base>diffusion_pytorch_model|model|pytorch_model)(?:\.(?P<early>\w+))?"
    r"(?:-(?P<shard>\d{5})-of-\d{5})?(?:\.(?P<late>\w+))?\.(?P<suffix>safetensors|bin)"
)
"""The names that diffusers and transformers give to weights files, whole or in shards."""

_PLAIN = ("torch.", "collections.OrderedDict", "numpy.", "_codecs.encode")
"""What pickles of plain weights name; torch's own `weights_only` judges them once more."""

_OLD_FORMAT_PICKLES = 5  # files from before torch 1.6 are a row of pickles, then bytes


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


def no_weights(kind: str, source: Source, folder: Path) -> EngineError:
    """Make the error for the folder of a part in which no weights are."""
    variants = sorted({v for path in folder.iterdir() if (v := _variant_in(path.name))})
    offered = f"it has the variant `{variants[0]}`: `--variant {variants[0]}`" if variants else None
    near = suggest(source.variant or "", variants)
    return EngineError(
        "bad-model", f"the {kind} of `{source.shown}` has no weights file", source.option,
        help=f"did you mean `--variant {near}`?" if near else offered,
    )  # fmt: skip


def _variant_in(name: str) -> str | None:
    stem, _, rest = name.partition(".")
    variant, _, suffix = rest.rpartition(".")
    is_weights = stem in ("diffusion_pytorch_model", "model", "pytorch_model") and suffix in ("safetensors", "bin")
    return variant or None if is_weights else None


def is_safe_format(path: Path) -> bool:
    """Whether a weights file is in the safetensors format."""
    return path.suffix.lower() in SAFETENSORS_SUFFIXES


def check_header(path: Path, option: str = "model") -> None:
    """Check that a safetensors file is whole, from its header alone.

    Raises:
        EngineError: `bad-weights`.
    """
    try:
        safetensors_header(path)
    except BadValue as error:
        raise EngineError(error.code, error.message, option, error.help) from None


def check_gguf(path: Path, option: str) -> None:
    """Check that a GGUF file is whole and stands where one can be read.

    Raises:
        EngineError: `bad-model`, `missing-package`, `bad-weights`.
    """
    if option not in GGUF_OPTIONS:
        raise EngineError(
            "bad-model", f"`{path.name}` cannot stand here: a `{GGUF_SUFFIX}` file is a UNet or a transformer", option,
            help="name it as `--unet`, `--transformer` or `--second-model-unet`",
        )  # fmt: skip
    try:
        from gguf import GGUFReader
    except ModuleNotFoundError:
        raise EngineError(
            "missing-package", f"`{path.name}` needs the package `gguf`, which is not installed", option,
            help='`pip install "dgen-lang[quant]"` brings it',
        ) from None  # fmt: skip
    try:
        GGUFReader(path)
    except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:  # what it says of damaged files
        raise EngineError(
            "bad-weights",
            f"`{path.name}` is no GGUF file, or it is cut short",
            option,
            help="fetch or copy the file again",
        ) from error


GGUF_OPTIONS = ("unet", "transformer", "second_unet")
"""The options that take GGUF files."""


def check_pickle(path: Path, option: str = "model") -> None:
    """Check that a pickle names nothing but what plain weights need; it is taken apart, never run.

    Raises:
        EngineError: `unsafe-weights`, `bad-weights`.
    """
    try:
        foreign = [n for n in pickled_names(path) if not n.startswith(_PLAIN)]
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, IndexError, StopIteration) as error:
        raise EngineError(
            "bad-weights", f"`{path.name}` is no weights file, or it is cut short", option, help=first_line(error)
        ) from error
    if foreign:
        raise EngineError(
            "unsafe-weights", f"`{path.name}` is a pickle that would run code: it names `{foreign[0]}`", option,
            help="get the model as .safetensors",
        )  # fmt: skip


def pickled_names(path: Path) -> Iterator[str]:
    """Yield the `module.name` of everything that a pickle of torch would import.

    Raises:
        ValueError, EOFError, BadZipFile: it is no pickle, or it is damaged.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            inner = next(n for n in archive.namelist() if n.endswith("data.pkl"))
            yield from _names_in(io.BytesIO(archive.read(inner)))
        return
    with path.open("rb") as file:
        size = path.stat().st_size
        for _ in range(_OLD_FORMAT_PICKLES):
            if file.tell() < size:
                yield from _names_in(file)


def _names_in(file: IO[bytes]) -> Iterator[str]:
    texts: list[str] = []
    memo: dict[int, str] = {}
    for code, argument, _ in pickletools.genops(file):
        if code.name in ("GLOBAL", "INST"):
            yield str(argument).replace(" ", ".")
        elif code.name == "STACK_GLOBAL":
            yield ".".join(texts[-2:])
        elif "UNICODE" in code.name:
            texts.append(str(argument))
        elif code.name == "MEMOIZE":
            memo[len(memo)] = texts[-1] if texts else ""
        elif code.name in ("BINGET", "LONG_BINGET") and argument in memo:
            texts.append(memo[argument])


def check_files(paths: Sequence[Path], option: str = "model") -> None:
    """Check weights files before they are opened.

    Raises:
        EngineError: `bad-weights`, `unsafe-weights`.
    """
    for path in paths:
        if is_safe_format(path):
            check_header(path, option)
        elif path.suffix.lower() == GGUF_SUFFIX:
            check_gguf(path, option)
        else:
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
