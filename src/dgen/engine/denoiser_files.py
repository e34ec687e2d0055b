"""Denoisers in single files: in the names of diffusers, or in those that their authors gave, where it converts."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dgen.engine.libraries import quiet, torch_dtype
from dgen.engine.protocol import EngineError
from dgen.engine.sources import Part
from dgen.families.definitions import read_from_files
from dgen.families.family import Family
from dgen.families.inspection import safetensors_header
from dgen.families.recognition import PREFIX, is_like, is_own, recognise

_WEIGHTS = "diffusion_pytorch_model.safetensors"


def check(part: Part, path: Path, own: str, family: Family) -> None:
    """Refuse a safetensors file that the denoiser of a model, of the class `own`, cannot be read from.

    Raises:
        EngineError: `bad-weights`: it is another family's; `unsupported-option`: diffusers cannot convert it.
    """
    header = safetensors_header(path)
    found = recognise(header, {}).family
    if part.kind == "transformer" and found is not None and not is_like(family, header):
        raise EngineError(
            "bad-weights", f"`{path.name}` holds a transformer of {found.label}, not of {family.label}",
            part.source.option, help="it was made for another family",
        )  # fmt: skip
    if own not in read_from_files() and not is_own(family, header):
        raise EngineError(
            "unsupported-option", f"diffusers converts no files of a {own}, and `{path.name}` has names of its own",
            part.source.option, help="name the folder that has its `config.json`, or a file in the names of diffusers",
        )  # fmt: skip


def load(part: Part, cls: Any, path: Path, described: Mapping[str, Any], quantization: Mapping[str, Any]) -> Any:
    """Load a transformer of a class that diffusers converts from a file; names may begin as in a whole checkpoint.

    `described` are the keywords that name its configuration.

    Raises:
        EngineError: `bad-weights`: tensors are missing; what diffusers raises stands for itself.
    """
    from diffusers.loaders.single_file_utils import load_single_file_checkpoint

    with quiet():
        held: Any = load_single_file_checkpoint(str(path))
        own = {name.removeprefix(PREFIX): t for name, t in held.items() if name.startswith(PREFIX)} or held
        module = cls.from_single_file(
            own, torch_dtype=torch_dtype(part.dtype), local_files_only=part.source.offline, **described, **quantization
        )
    missing = [name for name, value in module.named_parameters() if value.is_meta]
    if missing:
        raise EngineError(
            "bad-weights", f"`{path.name}` lacks {len(missing)} tensors of {cls.__name__}: `{missing[0]}` …",
            part.source.option,
        )  # fmt: skip
    return module.eval()


def as_folder(path: Path, config: Path, load: Callable[[Path, Path], Any]) -> Any:
    """Load a part from a file in the names of diffusers, as from a folder that holds it beside a `config.json`.

    `load` gets that folder, and the file in it.
    """
    with TemporaryDirectory() as place:
        folder = Path(place)
        shutil.copyfile(config / "config.json", folder / "config.json")
        (folder / _WEIGHTS).symlink_to(path.resolve())
        return load(folder, folder / _WEIGHTS)
