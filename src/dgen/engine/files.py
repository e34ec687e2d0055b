"""Names the weights files that a job's model consists of, so that a picture can say what it was made from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dgen.engine.hub import Hub
from dgen.engine.protocol import ModelFiles
from dgen.engine.sources import Source, source_of, vae_source
from dgen.engine.weights import weights_of
from dgen.options.request import Request
from dgen.values.scalars import is_local


def model_files(hub: Hub, request: Request) -> Iterator[ModelFiles]:
    """Yield the files of a request's model and of its VAE, as far as they are on this machine."""
    for source in (source_of(request), vae_source(request)):
        if source is not None:
            place = hub.index(source)
            yield ModelFiles(_name(source), _commit(place), tuple(_files(place, source.variant)))


def _name(source: Source) -> str:
    """Return a source's name without the folders of this machine."""
    return Path(source.model).name if is_local(source.model) else source.shown


def _commit(place: Path) -> str | None:
    """Return the commit of a hub snapshot, which lies in `snapshots/COMMIT`; None for anything else."""
    parts = place.parts
    return parts[parts.index("snapshots") + 1] if "snapshots" in parts[:-1] else None


def _files(place: Path, variant: str | None) -> Iterator[Path]:
    if place.is_file():
        yield place
        return
    for folder in (place, *sorted(p for p in place.iterdir() if p.is_dir())):
        yield from weights_of(folder, variant)[0]
