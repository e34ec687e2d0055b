"""Names the files that a job's model consists of, so that a picture can say what it was made from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from dgen.engine.adapters.files import adapter_file
from dgen.engine.hub import Hub
from dgen.engine.protocol import ModelFiles
from dgen.engine.sources import (
    ADAPTERS,
    Layout,
    Source,
    attached_sources,
    encoder_part,
    replaced_parts,
    source_of,
    vae_source,
)
from dgen.engine.weights import weights_of
from dgen.families.indices import read_index
from dgen.options.request import Request
from dgen.plan.second import prior_request, refiner_request

_SETTINGS = ("config.json", "model_index.json", "tokenizer.json", "vocab.json", "merges.txt", ".model", "_map.json")
"""How files end that say what to do with the weights: classes, schedules, words."""


def model_files(hub: Hub, request: Request) -> Iterator[ModelFiles]:
    """Yield the files of a request's model and of all that replaces its parts or attaches to it."""
    parts = (p for option in ("control_nets", "t2i_adapters") for p in attached_sources(request, option))
    replaced = [part.source for part in replaced_parts(request)]
    encoder = encoder_part(request, Layout(path=None, index={})) if request.image_encoder is not None else None
    replaced += [] if encoder is None else [encoder.source]
    refiner = refiner_request(request)
    second = [] if refiner is None else [source_of(refiner), *(part.source for part in replaced_parts(refiner))]
    prior = prior_request(request)
    second += [] if prior is None else [source_of(prior)]
    for source in (source_of(request), *_placed(hub, request), vae_source(request), *replaced, *parts, *second):
        if source is not None:
            place = hub.index(source)
            yield ModelFiles(source.name, _commit(place), tuple(_files(place, source.variant)))
    for option in ADAPTERS:
        for source in attached_sources(request, option):
            file = adapter_file(hub, source)
            yield ModelFiles(source.name, _commit(file), (file,))


def _placed(hub: Hub, request: Request) -> Iterator[Source]:
    """Yield where the parts lie that the index of a model places in other models."""
    folder = hub.index(source_of(request))
    index = read_index(folder) if folder.is_dir() else None
    for place in index.places.values() if index is not None else ():
        if place.model is not None:
            inner = place.folder if place.folder != "." else None
            yield replace(source_of(request), model=place.model, revision=place.revision, subfolder=inner)


def _commit(place: Path) -> str | None:
    """Return the commit of a hub snapshot, which lies in `snapshots/COMMIT`; None for anything else."""
    parts = place.parts
    return parts[parts.index("snapshots") + 1] if "snapshots" in parts[:-1] else None


def _files(place: Path, variant: str | None) -> Iterator[Path]:
    if place.is_file():
        yield place
        return
    for folder in (place, *sorted(p for p in place.iterdir() if p.is_dir())):
        yield from (file for file in sorted(folder.iterdir()) if file.name.endswith(_SETTINGS))
        yield from weights_of(folder, variant)[0]
