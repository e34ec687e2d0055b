"""Loads one component, with the loader of its own class."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dgen.engine import deltas, denoiser_files, text_files, weights
from dgen.engine.adapters import files as adapters
from dgen.engine.adapters import lora
from dgen.engine.failures import first_line, is_short_of_memory
from dgen.engine.hub import Hub
from dgen.engine.libraries import class_named, quiet, silence, torch_dtype
from dgen.engine.models import base_of, part_folder
from dgen.engine.processors import is_hindered, load_reader
from dgen.engine.protocol import EngineError
from dgen.engine.quantizers import configuration
from dgen.engine.sources import Part, Source
from dgen.events import FileRead, Listener
from dgen.families.checkpoints import DENOISERS
from dgen.families.definitions import read_from_files


@dataclass(frozen=True, slots=True)
class Loader:
    """Loads parts of models from folders."""

    hub: Hub
    emit: Listener

    def load(self, part: Part) -> Any:
        """Load a part from the folder of its model.

        Raises:
            EngineError: `bad-model`, `bad-weights`, `unsafe-weights`, and what `Hub` raises.
        """
        if part.settings is not None:
            return _class_of(part)(**dict(part.settings))
        folder = part.folder or part.kind
        return self._from_folder(part, self.hub.folders(part.source, [folder]) / folder)

    def load_from(self, part: Part, folder: Path) -> Any:
        """Load a part from its own folder.

        Raises:
            EngineError: as `load`.
        """
        return self._from_folder(part, folder)

    def load_other(self, part: Part, base: Source) -> Any:
        """Load a part that comes from elsewhere than the model, or a file whose shape a part of the model describes.

        Raises:
            EngineError: as `load`.
        """
        place = self.hub.folders(part.source, [""])
        if place.is_file():
            return self._from_file(part, place, base)
        folder = part_folder(place, part.kind)
        if folder is not None and folder != place:
            folder = self.hub.folders(part.source, [part.kind]) / part.kind
        return self._from_folder(part, folder or place)

    def load_adapter(self, part: Part) -> Any:
        """Read the file of an adapter.

        Raises:
            EngineError: `bad-model`, `bad-weights`, `unsafe-weights`, and what `Hub` raises.
        """
        path = adapters.adapter_file(self.hub, part.source)
        self.read([path], part.source.option)
        held = adapters.read(path, part.source.option)
        return lora.read_peft(held, path.parent) if part.kind == "lora" else held

    def read(self, paths: Sequence[Path], option: str) -> None:
        """Check weights files and tell that they are read.

        Raises:
            EngineError: `bad-weights`, `unsafe-weights`.
        """
        weights.check_files(paths, option)
        for path in paths:
            self.emit(FileRead(path=str(path), bytes=path.stat().st_size))

    def _from_folder(self, part: Part, folder: Path) -> Any:
        cls = _class_of(part)
        if not folder.is_dir():
            raise EngineError(
                "bad-model", f"`{part.source.shown}` has no folder `{folder.name}`, which its index names",
                part.source.option,
            )  # fmt: skip
        if not _is_module(cls):
            return _plainly(cls, folder, part)
        if (folder / deltas.FILE).is_file():
            return self._changed(part, cls, folder)
        files, variant = weights.weights_of(folder, part.source.variant)
        if not files:
            raise weights.no_weights(part.kind, part.source, folder)
        self.read(files, part.source.option)
        return _module(cls, folder, files, (part, variant))

    def _changed(self, part: Part, cls: Any, folder: Path) -> Any:
        """Load a part of a built-in model that is stored as a change of its base's."""
        base = replace(part.source, model=base_of(part.source.model) or part.source.model)
        files, _ = weights.weights_of(self.hub.folders(base, [part.kind]) / part.kind, None)
        self.read([*files, folder / deltas.FILE], part.source.option)
        return deltas.load_changed(cls, folder, files).to(torch_dtype(part.dtype)).eval()

    def _from_file(self, part: Part, path: Path, base: Source) -> Any:
        cls = _class_of(part)
        self.read([path], part.source.option)
        if part.library == "transformers":
            try:
                return text_files.load(part, cls, path, self.hub.index(base) / part.kind, _quantization(part, cls))
            except Exception as error:
                raise bad_weights(part, [path], error) from error
        described = _description(self.hub.index(base), part)
        try:
            if described and part.kind in DENOISERS and part.class_name not in read_from_files():
                return _as_folder(part, cls, path, described)
            if part.kind == "transformer":
                return denoiser_files.load(part, cls, path, described, _quantization(part, cls))
            with quiet():
                return cls.from_single_file(
                    str(path), torch_dtype=torch_dtype(part.dtype), local_files_only=part.source.offline,
                    **described, **_quantization(part, cls),
                ).eval()  # fmt: skip
        except Exception as error:
            raise bad_weights(part, [path], error) from error


def _as_folder(part: Part, cls: Any, path: Path, described: dict[str, Any]) -> Any:
    return denoiser_files.as_folder(
        path, Path(described["config"]) / described["subfolder"],
        lambda folder, file: _module(cls, folder, [file], (part, None)),
    )  # fmt: skip


def _class_of(part: Part) -> Any:
    cls = class_named(part.library, part.class_name)
    if not is_hindered(cls) and not hasattr(cls, "from_pretrained"):
        named = f"{part.library}.{part.class_name}"
        raise EngineError(
            "bad-model", f"`{part.source.shown}` wants `{named}` for its {part.kind}, which no installed library has",
            part.source.option, help="code that comes with a model is never run",
        )  # fmt: skip
    return cls


def _is_module(cls: Any) -> bool:
    import torch

    return isinstance(cls, type) and issubclass(cls, torch.nn.Module)


def _plainly(cls: Any, folder: Path, part: Part) -> Any:
    own = {"trust_remote_code": False} if part.class_name.startswith("Auto") else {}
    try:
        with quiet():
            if is_hindered(cls):
                return load_reader(cls, folder)
            return cls.from_pretrained(str(folder), local_files_only=True, **own)
    except Exception as error:
        raise EngineError(
            "bad-model", f"the {part.kind} of `{part.source.shown}` cannot be loaded: {first_line(error)}",
            part.source.option,
        ) from error  # fmt: skip


def _module(cls: Any, folder: Path, files: Sequence[Path], how: tuple[Part, str | None]) -> Any:
    part, variant = how
    silence()
    keyword = "torch_dtype" if part.library != "transformers" and hasattr(cls, "load_config") else "dtype"
    try:
        with quiet():
            module, report = cls.from_pretrained(
                str(folder), variant=variant, use_safetensors=weights.is_safe_format(files[0]), local_files_only=True,
                output_loading_info=True, **{keyword: torch_dtype(part.dtype)}, **_quantization(part, cls),
            )  # fmt: skip
    except Exception as error:
        raise bad_weights(part, files, error, _misfit(cls, folder, files)) from error
    missing = sorted(report.get("missing_keys", ()))
    if missing:
        raise EngineError(
            "bad-weights",
            f"`{files[0].name}` of the {part.kind} lacks {len(missing)} tensors of {cls.__name__}: `{missing[0]}` …",
            part.source.option,
        )
    return module.eval()


def _quantization(part: Part, cls: Any) -> dict[str, Any]:
    """Return the keyword that makes the loader of a class quantize a part, when it is to be quantized.

    Some text encoders of transformers stand in a package of diffusers: their base class tells who loads them.
    """
    if part.quantizer is None:
        return {}
    library = "transformers" if any(c.__module__.startswith("transformers.") for c in cls.__mro__) else "diffusers"
    return {"quantization_config": configuration(part.quantizer, library, torch_dtype(part.dtype))}


def _misfit(cls: Any, folder: Path, files: Sequence[Path]) -> str | None:
    """Name the first tensor whose shape is not what its configuration says; None when it cannot be told."""
    import torch

    try:
        with torch.device("meta"), quiet():
            if hasattr(cls, "load_config"):
                empty = cls.from_config(cls.load_config(str(folder)))
            else:
                empty = cls(cls.config_class.from_pretrained(str(folder)))
        expected = {k: tuple(v.shape) for k, v in empty.state_dict().items()}
        found = weights.shapes(files)
    except Exception:
        return None
    for name, shape in found.items():
        own = next((n for n in (name, name.partition(".")[2]) if n in expected), None)
        if own is not None and expected[own] != shape:
            return f"`{name}` is {list(shape)}, expected {list(expected[own])}"
    return None


def bad_weights(part: Part, files: Sequence[Path], error: Exception, detail: str | None = None) -> EngineError:
    """Make the error for weights that a class cannot take."""
    if isinstance(error, EngineError):
        return error
    if is_short_of_memory(error):
        return EngineError(
            "out-of-memory", f"memory ran out while `{part.source.shown}` was loaded", part.source.option
        )
    reason = detail or first_line(error)
    named = f"`{files[0].name}` of the {part.kind}" if part.kind else f"`{files[0].name}`"
    fit = f"do not fit {part.class_name}" if part.class_name else "cannot be loaded"
    code = "unsafe-weights" if "weights_only" in str(error) or "Weights only" in str(error) else "bad-weights"
    return EngineError(code, f"the weights in {named} {fit}: {reason}", part.source.option)


_DESCRIBED_BY = {"vae": "vae", "unet": "unet", "transformer": "transformer", "controlnet": "unet"}
"""The part of a model whose configuration describes a part that comes as a file: a ControlNet copies half the UNet."""


def _description(model: Path, part: Part) -> dict[str, Any]:
    """Return the keywords that name the configuration that describes a part, when the model has one that does."""
    folder = _DESCRIBED_BY[part.kind]
    try:
        own = json.loads((model / folder / "config.json").read_text(encoding="utf-8")).get("_class_name")
    except (OSError, ValueError):
        return {}
    return {"config": str(model), "subfolder": folder} if own == part.class_name or folder == "unet" else {}
