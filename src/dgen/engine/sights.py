"""Gives image processors the models that they look through: of transformers, of diffusers, or of one weights file."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from dgen.diagnostic import DgenError, did_you_mean
from dgen.engine.adapters import files as adapters
from dgen.engine.components import Need, Store
from dgen.engine.failures import first_line, is_short_of_memory
from dgen.engine.footprint import footprint
from dgen.engine.libraries import class_named, load_torch, quiet, torch_dtype
from dgen.engine.loading import Loader
from dgen.engine.memory import HOST
from dgen.engine.protocol import EngineError
from dgen.engine.sources import Part, Source
from dgen.engine.texts import named_class
from dgen.engine.weights import weights_of
from dgen.families.inspection import PICKLE_SUFFIXES, SAFETENSORS_SUFFIXES
from dgen.processors import Lens, Seer
from dgen.schema import BadValue

_PREPARING, _MODEL = "sight_processor", "sight_model"


@contextmanager
def looking(lens: Lens, tools: tuple[Store, Loader], where: tuple[str, bool, bool]) -> Generator[Seer]:
    """Give a model for as long as a block lasts; what fails in the block is told as its failure.

    `where` is the device, whether offline, and whether the model stays on the device afterwards.

    Raises:
        EngineError: `bad-model`, `bad-weights`, `missing-file`, `offline`, `out-of-memory`, `render-failed` …
    """
    (store, loader), (device, offline, stays) = tools, where
    source = Source(
        model=lens.model, revision=lens.revision, offline=offline, subfolder=lens.subfolder, file=lens.file or None
    )
    with ExitStack() as stack, quiet():
        model, *preparing = store.gather(stack, list(_needs(lens, source, loader)))
        if hasattr(model.value, "to"):  # others find their device by themselves
            store.bring(model, device)
        stack.enter_context(load_torch().inference_mode())
        try:
            yield Seer(model.value, preparing[0].value if preparing else None, device)
        except (BadValue, DgenError, EngineError):
            raise
        except Exception as error:
            raise _failed(lens, source, error) from error
        finally:
            if not stays and hasattr(model.value, "to"):
                store.bring(model, HOST)


def _failed(lens: Lens, source: Source, error: Exception) -> EngineError:
    if is_short_of_memory(error):
        message = f"memory ran out while the {lens.noun} `{source.shown}` looked at a picture"
        return EngineError("out-of-memory", message, help="try a smaller `detect-resolution`")
    return EngineError("render-failed", f"`{source.shown}` cannot see: {first_line(error)}")


def _needs(lens: Lens, source: Source, loader: Loader) -> Iterator[Need]:
    if not lens.classes:
        yield _file_need(lens, source, loader)
        return
    folder = loader.hub.index(source)
    if (folder / "model_index.json").is_file():
        yield _pipeline_need(lens, source, loader)
        return
    yield from _model_needs(lens, source, loader)


def _key(lens: Lens, source: Source, *more: str) -> tuple[Any, ...]:
    return (_MODEL, lens.noun, source, lens.dtype, *more)


# ---- models of transformers -----------------------------------------------------------------------------------------


def _model_needs(lens: Lens, source: Source, loader: Loader) -> Iterator[Need]:
    folder = loader.hub.folders(source, [""])
    class_name = _fitting(lens, source, named_class(folder, source, lens.noun))
    part = Part(kind=_MODEL, key=_key(lens, source, class_name), source=source, dtype=lens.dtype,
                library="transformers", class_name=class_name)  # fmt: skip
    yield _need(part, partial(loader.load_from, part, folder), footprint(loader.hub, part).bytes or 0)
    if lens.preparing:
        key = (_PREPARING, source, lens.preparing)
        part = Part(kind=_PREPARING, key=key, source=source, dtype=lens.dtype, library="transformers",
                    class_name=lens.preparing)  # fmt: skip
        yield _need(part, partial(loader.load_from, part, folder))


def _fitting(lens: Lens, source: Source, class_name: str) -> str:
    if not class_name.endswith(lens.classes):
        raise EngineError("bad-model", f"`{source.shown}` is no {lens.noun} but a `{class_name}`")
    return dict(lens.instead).get(class_name, class_name)


def _need(part: Part, load: Any, size: int = 0) -> Need:
    return Need(key=part.key, kind=part.kind, source=part.source.shown, load=load, bytes=size)


# ---- pipelines of diffusers -----------------------------------------------------------------------------------------


class Whole:
    """A pipeline, that the store counts and moves as one."""

    def __init__(self, pipeline: Any, nbytes: int) -> None:
        """`nbytes`: those of its weights."""
        self.pipeline, self.nbytes = pipeline, nbytes

    def to(self, device: str) -> None:
        """Move its parts to a device."""
        self.pipeline.to(device)


def _pipeline_need(lens: Lens, source: Source, loader: Loader) -> Need:
    index: Any = json.loads((loader.hub.index(source) / "model_index.json").read_text(encoding="utf-8"))
    class_name = _fitting(lens, source, str(index.get("_class_name")))
    kinds = [kind for kind, entry in index.items() if isinstance(entry, list) and entry[0] is not None]
    folder = loader.hub.folders(source, kinds)
    files = [file for kind in kinds for file in weights_of(folder / kind, None)[0]]

    def load() -> Whole:
        loader.read(files, source.option)
        try:
            pipeline = class_named("diffusers", class_name).from_pretrained(
                str(folder), torch_dtype=torch_dtype(lens.dtype), local_files_only=True
            )
        except Exception as error:
            message = f"the {lens.noun} `{source.shown}` cannot be loaded: {first_line(error)}"
            raise EngineError("bad-model", message) from error
        pipeline.set_progress_bar_config(disable=True)
        modules = [m for m in pipeline.components.values() if hasattr(m, "parameters")]
        return Whole(pipeline, sum(p.numel() * p.element_size() for m in modules for p in m.parameters()))

    return Need(
        key=_key(lens, source, class_name), kind=_MODEL, source=source.shown, load=load,
        bytes=sum(file.stat().st_size for file in files),
    )  # fmt: skip


# ---- models of one file ---------------------------------------------------------------------------------------------


class Tensors(Mapping[str, Any]):
    """The tensors of a weights file by name, as float32; one that is asked for and missing is told."""

    def __init__(self, held: Mapping[str, Any], what: str) -> None:
        """`what` they should be, as a message says it."""
        self._held = {_plain(k): v.float() for k, v in held.items() if hasattr(v, "is_floating_point")}
        self._what = what

    @property
    def nbytes(self) -> int:
        """The bytes of all of them."""
        return sum(int(t.nbytes) for t in self._held.values())

    def to(self, device: str) -> None:
        """Move them to a device."""
        self._held = {k: t.to(device) for k, t in self._held.items()}

    def __getitem__(self, name: str) -> Any:
        """Return a tensor.

        Raises:
            EngineError: `bad-model`: there is none of the name.
        """
        if name not in self._held:
            raise EngineError("bad-model", f"{self._what}: it has no tensor `{name}`")
        return self._held[name]

    def get(self, name: str, default: Any = None) -> Any:
        """Return a tensor, or something else where there is none of the name."""
        return self._held.get(name, default)

    def __contains__(self, name: object) -> bool:
        return name in self._held

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)


def _plain(name: str) -> str:
    """Return a tensor's name without what training on several devices puts before it."""
    return name.removeprefix("module.")


def _file_need(lens: Lens, source: Source, loader: Loader) -> Need:
    path = loader.hub.file(source, lambda names: _chosen(names, lens, source))

    def load() -> Any:
        if lens.open is not None:
            return _made(lens, source, lens.open, path)
        loader.read([path], source.option)
        held = adapters.read(path, source.option).tensors
        for outer in ("state_dict", "model"):
            held = held[outer] if isinstance(held, Mapping) and isinstance(held.get(outer), Mapping) else held
        if not isinstance(held, Mapping):
            raise EngineError("bad-model", f"`{path.name}` is no {lens.noun}: it has no tensors by name")
        if lens.make is not None:
            return _made(lens, source, lens.make, held)
        return Tensors(held, f"`{path.name}` is no {lens.noun}")

    return Need(
        key=_key(lens, source, str(path.resolve())), kind=_MODEL, source=source.shown, load=load,
        bytes=path.stat().st_size,
    )  # fmt: skip


def _made(lens: Lens, source: Source, make: Any, given: Any) -> Any:
    try:
        return make(given)
    except (BadValue, DgenError, EngineError):
        raise
    except Exception as error:
        message = f"`{source.shown}` is no {lens.noun} that can be loaded: {first_line(error)}"
        raise EngineError("bad-model", message) from error


def _chosen(names: Iterable[str], lens: Lens, source: Source) -> str:
    """Pick the file of a model among the names of a folder: the one it is known by, or the only one."""
    names = sorted(names)
    stem = lens.file.rpartition(".")[0]
    same = next((n for n in (f"{stem}{SAFETENSORS_SUFFIXES[0]}", lens.file) if n in names), None)
    suffixes = (*SAFETENSORS_SUFFIXES, *PICKLE_SUFFIXES) if lens.open is None else (Path(lens.file).suffix,)
    present = [n for n in names if n.lower().endswith(suffixes)]
    if same is None and len(present) != 1 and not lens.file:
        found = ", ".join(f"`{n}`" for n in present)
        raise EngineError(
            "bad-model", f"`{source.shown}` is no weights file, and has {len(present)} of them",
            help=f"name one of {found}" if present else None,
        )  # fmt: skip
    if same is None and len(present) != 1:
        listed = "it has " + ", ".join(f"`{n}`" for n in present) if present else ""
        raise EngineError(
            "bad-model", f"`{source.shown}` has no file `{lens.file}`, where a {lens.noun} is",
            help=did_you_mean(lens.file, present, listed or "name the file itself with `model`"),
        )  # fmt: skip
    return same or present[0]
