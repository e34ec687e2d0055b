"""Tells what a model consists of from its index and the headers of its weights files; loads nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dgen.engine import deltas
from dgen.engine.models import Models, base_of
from dgen.engine.protocol import EngineError, PartFacts
from dgen.engine.sources import Layout, Part, placed_part
from dgen.engine.weights import is_safe_format, weights_of
from dgen.families.checkpoints import DENOISERS, classes_of, parts_in
from dgen.families.indices import Place, is_part
from dgen.families.inspection import ModelFacts, safetensors_header
from dgen.options.request import Request
from dgen.schema import BadValue


def contents(models: Models, request: Request, facts: ModelFacts) -> tuple[PartFacts, ...]:
    """List the parts of a request's model, in the order of its index.

    Raises:
        EngineError: `bad-weights`, `missing-file`, `bad-model`, `offline`, `hub-refused`.
    """
    layout = models.layout(request)
    try:
        if layout.is_file and layout.path is not None:
            return tuple(_in_file(layout.path, facts))
        named = {k: v for k, v in layout.index.items() if is_part(v) and v[0] is not None}
        parts = (_part(kind, entry, layout, request) for kind, entry in named.items())
        return tuple(_in_folder(part, models.hub.index(part.source) / (part.folder or part.kind)) for part in parts)
    except BadValue as error:
        raise EngineError(error.code, error.message, help=error.help) from None


def check_whole(models: Models, request: Request, facts: ModelFacts) -> None:
    """Refuse a file that holds nothing but the UNet or transformer of a model.

    Raises:
        EngineError: `bad-model`, and what `Models.layout` raises.
    """
    layout = models.layout(request)
    if not layout.is_file or layout.path is None or not is_safe_format(layout.path):
        return
    try:
        kinds = set(parts_in(safetensors_header(layout.path), facts.family))
    except BadValue as error:
        raise EngineError(error.code, error.message, help=error.help) from None
    if kinds and kinds <= set(DENOISERS):
        (kind,) = kinds
        name, is_one = layout.path.name, kind in classes_of(facts.family)
        raise EngineError(
            "bad-model", f"`{name}` holds nothing but the {kind if is_one else 'denoiser'} of a model of "
            f"{facts.family.label}",
            help=f"name a model, and the file beside it: `MODEL --{kind} {name}`" if is_one else "name a whole model",
        )  # fmt: skip


def _part(kind: str, entry: Sequence[Any], layout: Layout, request: Request) -> Part:
    owner = replace(request, model=layout.owner_of(kind, request.model))
    return placed_part(kind, (str(entry[0]), str(entry[1])), owner, layout.places.get(kind, Place()))


def _in_folder(part: Part, folder: Path) -> PartFacts:
    files = weights_of(_home(folder, part.source.model), part.source.variant)[0]
    has_weights = bool(files) or (folder / "config.json").is_file()
    told = PartFacts(kind=part.kind, library=part.library, class_name=part.class_name)
    if not files:
        return replace(told, bytes=None if has_weights else 0)
    headers = [safetensors_header(file) for file in files if is_safe_format(file)]
    size = sum(file.stat().st_size for file in files)
    if len(headers) < len(files):
        return replace(told, bytes=size)  # a pickle tells nothing without being opened
    return _counted(told, (t for header in headers for n, t in header.items() if n != "__metadata__"), size)


def _home(folder: Path, model: str) -> Path:
    """Return where the weights of a part lie: a built-in model may hold but a change of another one's."""
    base = base_of(model)
    if base is None or not (folder / deltas.FILE).is_file():
        return folder
    from dgen.engine.hub import here
    from dgen.engine.sources import Source

    place = here(Source(model=base))
    return folder if place is None else place / folder.name


def _in_file(path: Path, facts: ModelFacts) -> Iterator[PartFacts]:
    if not is_safe_format(path):
        yield PartFacts(kind="", library="", class_name="", bytes=path.stat().st_size)
        return
    classes = classes_of(facts.family)
    for kind, tensors in parts_in(safetensors_header(path), facts.family).items():
        told = PartFacts(kind=kind, library="", class_name=classes.get(kind, ""))
        yield _counted(told, tensors, sum(t["data_offsets"][1] - t["data_offsets"][0] for t in tensors))


def _counted(told: PartFacts, tensors: Iterable[dict[str, Any]], size: int) -> PartFacts:
    counts: dict[str, int] = {}
    for tensor in tensors:
        name = str(tensor["dtype"])
        counts[name] = counts.get(name, 0) + math.prod(tensor["shape"])
    dtypes = tuple(DTYPES.get(n, n.lower()) for n in sorted(counts, key=lambda n: -counts[n]))
    return replace(told, bytes=size, parameters=sum(counts.values()), dtypes=dtypes)


DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2", "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8",
    "BOOL": "bool",
}  # fmt: skip
"""What torch calls the types that safetensors' headers name."""
