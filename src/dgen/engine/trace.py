"""The engine that loads nothing: it tells, line by line, what the real one would load and run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dgen.diagnostic import did_you_mean
from dgen.engine import quantizers, schedulers
from dgen.engine.adapters.check import check_attached
from dgen.engine.contents import contents
from dgen.engine.files import model_files
from dgen.engine.footprint import Footprint, footprint
from dgen.engine.hub import Hub, cached, here
from dgen.engine.models import Models, default_facts, schedulers_for
from dgen.engine.prompts import check_weighter
from dgen.engine.protocol import (
    CLEARED,
    EngineError,
    Holding,
    Inputs,
    Memory,
    ModelFiles,
    OnStep,
    PartFacts,
    Preview,
    Result,
)
from dgen.engine.replaced import check_left_out
from dgen.engine.second import check_second, shared_parts
from dgen.engine.sources import Layout, Part, Source, adapter_parts, parts_of, source_of, vae_source
from dgen.events import Event, Listener
from dgen.families.inspection import ModelFacts
from dgen.families.rows import SD
from dgen.options.request import ROWS, Request
from dgen.plan.control import STEERING
from dgen.plan.resolve import Job
from dgen.plan.second import second_of
from dgen.processors import Lens, Seer, Unseen
from dgen.schema import Stage
from dgen.upscalers import TextOrder
from dgen.values.uri import OpenUri


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced(Event):
    """A line of a trace: a component that would be loaded or found, or a job that would run."""

    text: str
    loads: Footprint | None = None  # the part, when the line tells of one that would be loaded


class TraceEngine:
    """Answers as the real engine would as far as it can without torch and without the network."""

    draws = False

    def __init__(self, listener: Listener = lambda event: None, device: str = "cpu") -> None:
        """`listener` is told each line as a `Traced` event; `device` is the kind that jobs are planned for."""
        self._listener, self._device = listener, device
        self.names_files = False  # what a picture would be made from: to know whether it is there already
        self._models = Models(Hub(is_offline=True))
        self._held: dict[tuple[Any, ...], Part] = {}
        self._uses: dict[tuple[Any, ...], int] = {}
        self._last: tuple[str, ...] = ()
        self._used: frozenset[str] = frozenset()

    def inspect(self, request: Request) -> ModelFacts:
        """Tell what can be seen of a model on this machine; else what its `--model-type` says, or `sd`.

        Raises:
            EngineError: `missing-file`, `bad-model`, `bad-weights`, `unknown-model-type`.
        """
        if not self.sees(request):
            return default_facts(request, SD)
        return self._models.inspect(request)

    def sees(self, request: Request) -> bool:
        """Whether a request's model, or its index, is on this machine.

        Raises:
            EngineError: `missing-file`, `bad-model`.
        """
        source = source_of(request)
        return _is_seen(source)

    def contents(self, request: Request, facts: ModelFacts) -> tuple[PartFacts, ...]:
        """List the parts of a request's model as far as they are on this machine."""
        return contents(self._models, request, facts) if self.sees(request) else ()

    def device_kind(self, device: str | None) -> str:
        """Return the kind that a device's name says, without looking whether it exists.

        Raises:
            EngineError: `bad-device`: there is no such kind.
        """
        kind = (device or self._device).strip().lower().partition(":")[0]
        if kind not in ("cpu", "cuda", "xpu", "mps"):
            raise EngineError("bad-device", f"there is no kind of device named `{device}`", "device")
        return kind

    def schedulers(self, request: Request) -> tuple[str, ...]:
        """List the schedulers that a request's model can use, its own first."""
        return schedulers_for(self._layout(request))

    def check(self, request: Request, facts: ModelFacts) -> None:
        """Check what can be checked on this machine.

        Raises:
            EngineError: `unknown-scheduler`, `bad-uri`, `missing-file`, `bad-model`, `bad-weights`.
        """
        check_weighter(request, facts.family)
        check_left_out(request, facts.family)
        planned = self.device_kind(request.device) if request.device else ""  # else the fastest there will be
        quantizers.check(request, self._layout(request), lambda: planned)
        schedulers.check(request, facts.family, self.schedulers(request))
        vae = vae_source(request)
        if self.sees(request) and (vae is None or here(vae) is not None or cached(vae) is not None):
            self._models.check(request)
        check_attached(self._models.hub, request, self._layout(request), _is_seen)
        check_second(self._models, request, facts.family, _is_seen)

    def render(self, job: Job, inputs: Inputs, on_step: OnStep, preview: Preview | None = None) -> Result:
        """Tell what a job would load, find and run; no picture is made, and no step is told or shown.

        Raises:
            EngineError: `bad-model`.
        """
        found = parts_of(job, self._layout(job.request))
        parts = [each for p in found if p.kind not in self._used for each in (p.joins, p) if each is not None]
        for part in (*parts, *adapter_parts(job.request), *self._second_parts(job)):
            self._tell_part(part)
        self._last = tuple(p.kind for p in parts) + tuple(sorted(self._used))
        if inputs.pack:
            self._tell(f"{len(inputs.pack)} jobs at once")
        for each in inputs.pack or (job,):
            self._tell(" ".join(("job", each.mode, *_facts(each))))
        return Result(images=())

    def _second_parts(self, job: Job) -> Iterator[Part]:
        """Yield the parts of a job's refiner."""
        handover = second_of(job)
        if handover is not None:
            second, layout = handover.job, self._layout(job.request)
            shared = shared_parts(job, layout, second)
            yield from (shared.get(p.kind, p) for p in parts_of(second, self._layout(second.request)))

    def convert(self, jobs: Sequence[tuple[Job, str | None]], folder: Path) -> None:
        """Tell what would be loaded and written."""
        for job, variant in jobs:
            for part in parts_of(job, self._layout(job.request)):
                self._tell_part(part)
            self._tell(f"write {job.pipeline} {job.request.dtype} {variant or 'plain'}")

    def continue_texts(self, order: TextOrder, device: str | None, *, offline: bool) -> tuple[str, ...]:
        """Tell what would be written on, and leave the texts as they are."""
        self._tell(f"continue {len(order.texts)} texts with {order.model}")
        return order.texts

    def look(self, lens: Lens, device: str | None, *, offline: bool, stays: bool) -> AbstractContextManager[Seer]:
        """Tell what would look at a picture, and refuse to.

        Raises:
            Unseen: always.
        """
        self._tell(f"look with {lens.model}")
        raise Unseen

    def _layout(self, request: Request) -> Layout:
        return self._models.layout(request) if self.sees(request) else Layout(path=None, index={})

    def _seen(self, part: Part) -> str:
        word = "hit" if part.key in self._held else "load"
        self._held[part.key] = part
        self._uses[part.key] = self._uses.get(part.key, 0) + 1
        return word

    def _tell_part(self, part: Part) -> None:
        word = self._seen(part)
        loads = footprint(self._models.hub, part) if word == "load" else None
        self._listener(Traced(text=f"{word} {part.kind} {part.source.name} {part.dtype}", loads=loads))

    def _tell(self, text: str) -> None:
        self._listener(Traced(text=text))

    def memory(self, device: str | None) -> Memory:
        """Count nothing: nothing is loaded."""
        return Memory()

    def model_files(self, request: Request) -> tuple[ModelFiles, ...]:
        """Name nothing, as no picture is made, unless `names_files` says so; nothing of what is not here either."""
        try:
            return tuple(model_files(self._models.hub, request)) if self.names_files else ()
        except EngineError:
            return ()

    def clear(self, kind: str, names: Sequence[str] = ()) -> int:
        """Forget components of a kind, as the real engine would drop them; return how many."""
        every = kind in ("model", "pipeline", "device") or (kind == "object" and not names)
        kinds = names if kind == "object" else CLEARED.get(kind, (kind,))
        gone = [
            k for k, p in self._held.items() if every or any(p.kind == n or p.kind.startswith(f"{n}_") for n in kinds)
        ]
        for key in gone:
            del self._held[key]
        return len(gone)

    def holdings(self) -> tuple[Holding, ...]:
        """List the components that would be loaded."""
        return tuple(
            Holding(
                kind=p.kind, source=p.source.shown, class_name=p.class_name, device=self._device, dtype=p.dtype,
                bytes=0, uses=self._uses[k],
            )
            for k, p in self._held.items()
        )  # fmt: skip

    def save_modules(self, names: Sequence[str]) -> frozenset[str]:
        """Keep the names of modules of the last pipeline.

        Raises:
            EngineError: `unknown-module`.
        """
        if not self._last:
            raise EngineError("unknown-module", "no pipeline has run yet, so there is nothing to save")
        for name in names:
            if name not in self._last:
                listed = "it has " + ", ".join(f"`{k}`" for k in self._last)
                raise EngineError(
                    "unknown-module", f"the last pipeline has no module `{name}`",
                    help=did_you_mean(name, self._last, listed),
                )  # fmt: skip
        return frozenset(names)

    def use_modules(self, saved: frozenset[str] | None) -> None:
        """Use saved modules in the next jobs, until None is given."""
        self._used = saved or frozenset()

    def device_fact(self, name: str, *arguments: Any) -> Any:
        """Answer as on a machine that has only the planned device, with no memory to speak of."""
        if name == "default_device":
            return self._device
        return 0.0 if name == "total_memory" else name == f"have_{self._device}"


def _is_seen(source: Source) -> bool:
    return here(source) is not None or cached(source) is not None


def _facts(job: Job) -> Iterator[str]:
    """Yield what determines a job's pictures, as `name=value`, in the order of the rows."""
    yield job.pipeline
    yield f"size={job.size}"
    for row in ROWS.values():
        value = getattr(job.request, row.name)
        told = row.stage is Stage.CALL or row.name in (*STEERING, "image_encoder")
        if told and row.name != "output_size" and value not in (None, False, ()):
            yield f"{row.name}={_word(row, value)}"
    if job.request.scheduler is not None:
        yield f"scheduler={job.request.scheduler}"


def _word(row: Any, value: Any) -> str:
    if row.value is None:
        return "yes"
    between = " " if isinstance(row.value, OpenUri) else " + "
    text = between.join(row.words(row.map_paths(value, lambda path: Path(path).name)))
    if row.name == "image_seed":
        return text
    return repr(text) if " " in text or not text else text
