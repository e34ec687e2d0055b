"""What happens while dgen runs, as typed events that every front end listens to."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from dgen.diagnostic import Diagnostic

_AS_PNG = {"json": "png"}  # a picture, which a line of JSON holds as base64
_UNTOLD = {"json": False}  # what listeners in the process get, and no line of JSON holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementStarted(Event):
    """An invocation was bound and starts."""

    where: str
    model: str
    jobs: int
    verbose: bool = False
    steps: int = 0  # of all jobs
    device: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRead(Event):
    """A weights file was read from the disk."""

    path: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentLoaded(Event):
    """A component was loaded into the store."""

    kind: str
    source: str
    class_name: str
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentReused(Event):
    """A job found a component in the store."""

    kind: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentDropped(Event):
    """A component left the store."""

    kind: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentMoved(Event):
    """A component was brought to a device; `cpu` is the host."""

    kind: str
    source: str
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OffloadChosen(Event):
    """How the weights of the next jobs come to their device: `none`, `model`, `group` or `sequential`, and why."""

    mode: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryShort(Event):
    """Memory ran out; the job is tried once more in another way."""

    failure: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetching(Event):
    """Something is fetched from the network."""

    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStarted(Event):
    """A job starts; `number` counts from 1 within the statement."""

    number: int
    jobs: int
    mode: str
    seed: int
    steps: int
    size: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDone(Event):
    """A denoising step is done; `step` counts from 1. Nobody sees when the first one of a job starts."""

    number: int
    step: int
    steps: int
    seconds: float | None = None
    resident_bytes: int = 0
    device_bytes: int | None = None  # None: the device has no memory of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Previewed(Event):
    """What a picture looks like after a step: a small RGB picture of Pillow, a pixel for each cell of the latents."""

    number: int
    step: int
    image: Any = field(metadata=_AS_PNG)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRendered(Event):
    """A job's pictures are made; they may not be on disk yet."""

    number: int
    seconds: float
    job: Any = field(default=None, metadata=_UNTOLD)  # `plan.resolve.Job`
    images: tuple[Any, ...] = field(default=(), metadata=_UNTOLD)  # of Pillow, as they are written
    resident_bytes: int = 0
    device_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobKept(Event):
    """A job's pictures are there from an earlier run; it is not rendered again."""

    number: int
    steps: int
    paths: tuple[str, ...]
    animations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLost(Event):
    """A file of an earlier run is missing, damaged or unfinished; it is made again."""

    path: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSaved(Event):
    """A file is complete on disk."""

    number: int
    path: str
    kind: str  # image, animation, config, sheet, model
    index: int = 1  # counts the pictures of a job


@dataclass(frozen=True, slots=True, kw_only=True)
class AnimationStarted(Event):
    """The first frame of an animation is made now; `rate` is in frames a second, a fraction when it is one."""

    number: int
    frames: int
    rate: str
    format: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameDone(Event):
    """A frame of an animation is made; `frame` counts from 1, and the others take about `seconds_left`."""

    number: int
    frame: int
    frames: int
    seconds_left: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementFinished(Event):
    """All files of an invocation are on disk."""

    jobs: int
    files: int
    seconds: float
    kept: int = 0  # jobs that an earlier run had done


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted(Event):
    """The user stopped the run."""

    done: int
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed(Event):
    """A script wrote text."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown(Event):
    """A script wants pictures to be seen."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned(Event):
    """Something is odd but does not stop the run."""

    diagnostic: Diagnostic


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(Event):
    """A statement failed."""

    diagnostics: tuple[Diagnostic, ...]


Listener = Callable[[Event], None]


def serial(listener: Listener) -> Listener:
    """Return a listener that is told one event at a time, whichever threads they come from."""
    lock = threading.Lock()

    def listen(event: Event) -> None:
        with lock:
            listener(event)

    return listen


def diagnostic_fields(d: Diagnostic) -> dict[str, Any]:
    """Give a diagnostic as plain JSON values."""
    place = d.span.source.place(d.span.start) if d.span is not None else (None, None)
    return {
        "severity": d.severity,
        "code": d.code,
        "message": d.message,
        "file": d.span.source.name if d.span is not None else None,
        "line": place[0],
        "column": place[1],
        "length": d.span.end - d.span.start if d.span is not None else None,
        "help": d.help,
        "notes": [{"at": str(s) if s is not None else None, "text": t} for s, t in d.notes],
    }


def to_json(event: Event, at: float | None = None) -> str:
    """Write an event as one line of JSON; `event` holds its type, `at` the seconds since the start."""
    head = {"event": type(event).__name__} | ({"at": round(at, 3)} if at is not None else {})
    return json.dumps({**head, **_fields(event)}, ensure_ascii=False)


def _fields(event: Event) -> dict[str, Any]:
    if isinstance(event, Warned):
        return diagnostic_fields(event.diagnostic)
    if isinstance(event, Failed):
        return {"errors": [diagnostic_fields(d) for d in event.diagnostics]}
    told = {f.name: f.metadata.get("json") for f in fields(event)}
    plain = {name: getattr(event, name) for name, how in told.items() if how is None}
    return plain | {how: as_base64(getattr(event, name)) for name, how in told.items() if how}


def as_base64(image: Any) -> str:
    """Write a picture of Pillow as a PNG in base64."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")
