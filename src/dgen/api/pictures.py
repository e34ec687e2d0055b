"""Pictures with the jobs that made them, as notebooks show them."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from dgen.events import Event, FileSaved, JobRendered, StatementStarted
from dgen.plan.resolve import Job

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that a job made; `path` is its file, None as long as none is written."""

    image: Image
    job: Job
    path: Path | None = None

    @property
    def caption(self) -> str:
        """What tells the picture from the others: the prompt and the seed."""
        request: Any = self.job.request
        return f"{request.prompt.positive}, seed {request.seed}" if request.prompt else f"seed {request.seed}"

    def _repr_png_(self) -> bytes:
        return _png(self.image)


class Pictures(Sequence[Picture]):
    """The pictures of a run, in the order of its jobs."""

    def __init__(self, pictures: Sequence[Picture] = ()) -> None:
        """Keep pictures."""
        self._held = tuple(pictures)

    @property
    def images(self) -> list[Image]:
        """The pictures as Pillow has them."""
        return [p.image for p in self._held]

    @property
    def paths(self) -> list[Path]:
        """The files that are written."""
        return [p.path for p in self._held if p.path is not None]

    @overload
    def __getitem__(self, index: int) -> Picture: ...
    @overload
    def __getitem__(self, index: slice) -> Pictures: ...
    def __getitem__(self, index: int | slice) -> Picture | Pictures:
        return Pictures(self._held[index]) if isinstance(index, slice) else self._held[index]

    def __len__(self) -> int:
        return len(self._held)

    def __repr__(self) -> str:
        return f"<{len(self)} {'picture' if len(self) == 1 else 'pictures'}>"

    def _repr_html_(self) -> str:
        return '<div style="display:flex;flex-wrap:wrap;gap:8px">' + "".join(map(_figure, self._held)) + "</div>"


def _figure(picture: Picture) -> str:
    encoded = base64.b64encode(_png(picture.image)).decode("ascii")
    caption = html.escape(picture.caption)
    return (
        f'<figure style="margin:0"><img alt="{caption}" src="data:image/png;base64,{encoded}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _png(image: Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


@dataclass(slots=True)
class Collector:
    """Gathers pictures and their files from the events of a session."""

    _made: dict[tuple[int, int, int], Picture] = field(default_factory=dict[tuple[int, int, int], Picture])
    _statement: int = 0

    def listen(self, event: Event) -> None:
        """Take what an event brings; the events of a session come one at a time."""
        match event:
            case StatementStarted():
                self._statement += 1
            case JobRendered():
                for index, image in enumerate(event.images, 1):
                    self._made[self._statement, event.number, index] = Picture(image, event.job)
            case FileSaved(kind="image"):
                key = (self._statement, event.number, event.index)
                made = self._made[key]
                self._made[key] = Picture(made.image, made.job, Path(event.path))
            case _:
                pass

    def pictures(self) -> Pictures:
        """Return what was made so far."""
        return Pictures([self._made[key] for key in sorted(self._made)])
