"""The engine that renders: loads components, assembles pipelines, runs jobs."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from dgen.diagnostic import did_you_mean
from dgen.engine import devices, quantizers, schedulers
from dgen.engine.adapters.attach import State, attach_ip, attach_loras, attach_steering, attach_words
from dgen.engine.adapters.check import check_attached
from dgen.engine.adapters.guidance import change_denoiser
from dgen.engine.adapters.ip import IpAdapters
from dgen.engine.adapters.layers import forget
from dgen.engine.adapters.motion import with_motion
from dgen.engine.batching import in_parts, in_turns, is_plain
from dgen.engine.components import Component, Need, Store
from dgen.engine.contents import check_whole, contents
from dgen.engine.convert import every_part, write
from dgen.engine.failures import at_value, memory_errors
from dgen.engine.files import model_files
from dgen.engine.footprint import footprint
from dgen.engine.hub import Hub
from dgen.engine.ladder import Hands, climb, joined
from dgen.engine.libraries import class_named, collecting_nothing, open_torch_aside, quiet, silence
from dgen.engine.loading import Loader
from dgen.engine.memo import Memo
from dgen.engine.memory import HOST, budgets, resident_bytes
from dgen.engine.models import Models, schedulers_for
from dgen.engine.offloading import Offload, choose
from dgen.engine.offloading import attach as attach_offload
from dgen.engine.pipelines import as_its_own_text_model, assemble, call, converting, keeping_precision, place, vae_modes
from dgen.engine.precision import are_mixed, taking_any
from dgen.engine.preview import Previews, Showing, Watched
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
from dgen.engine.remembering import with_attention_remembered
from dgen.engine.replaced import check_left_out
from dgen.engine.second import Leg, check_second, draw
from dgen.engine.sights import looking
from dgen.engine.single_file import SingleFile
from dgen.engine.sources import ADAPTERS, Layout, Part, adapter_parts, parts_of, source_of
from dgen.engine.texts import continue_texts
from dgen.events import Fetching, Listener, OffloadChosen
from dgen.families.family import MIXING
from dgen.families.inspection import ModelFacts
from dgen.families.rows import SD
from dgen.options.request import Request
from dgen.plan.resolve import Job, family_of
from dgen.processors import Lens, Seer
from dgen.upscalers import TextOrder

ENCODERS = ("text_encoder", "text_encoder_2", "text_encoder_3", "image_encoder")

_IN_TURNS = threading.RLock()
"""Held while an engine loads and draws: transformers and accelerate patch torch for the whole process while they
load, and torch's own random generator is one for the process."""


class LocalEngine:
    """Runs jobs on this machine."""

    draws = True

    def __init__(self, listener: Listener = lambda event: None) -> None:
        """`listener` is told of every file that is read and every component that is loaded, reused or dropped."""
        hub = Hub(lambda what: listener(Fetching(what=what)))
        self.models = Models(hub)
        self.loader = Loader(hub, listener)
        self.store = Store(listener)
        self.memo = Memo()  # of texts
        self.seen = Memo(limit=32)  # of pictures: the frames of a film never come back
        self.previews = Previews()
        self.ip_adapters = IpAdapters()
        self._last: dict[str, Callable[[], Component | None]] = {}
        self._used: dict[str, Component] = {}
        self._offload: Offload | None = None
        self._told: set[Offload] = set()

    def warm_up(self) -> None:
        """Import, before there is a job, what most jobs need: the libraries, and the pipelines of the first family."""
        open_torch_aside()
        with collecting_nothing():
            for pipeline in SD.pipelines.values():
                class_named("diffusers", pipeline)
            if not self.store.bytes:
                gc.freeze()  # a collection would walk through all of it, and hold up whoever is typing

    def inspect(self, request: Request) -> ModelFacts:
        """Look into a request's model without loading weights.

        Raises:
            EngineError: as `Models.inspect`.
        """
        return self.models.inspect(request)

    def contents(self, request: Request, facts: ModelFacts) -> tuple[PartFacts, ...]:
        """List the parts of a request's model; reads no weights.

        Raises:
            EngineError: as `contents`.
        """
        return contents(self.models, request, facts)

    def device_kind(self, device: str | None) -> str:
        """Return the kind of a device, of the fastest one for None.

        Raises:
            EngineError: `bad-device`.
        """
        return devices.kind_of(devices.device_named(device))

    def schedulers(self, request: Request) -> tuple[str, ...]:
        """List the schedulers that a request's model can use, its own first.

        Raises:
            EngineError: as `Models.layout`.
        """
        return self.models.schedulers(request)

    def check(self, request: Request, facts: ModelFacts) -> None:
        """Check a request before anything is loaded.

        Raises:
            EngineError: `unknown-scheduler`, `bad-uri`, `missing-file`, `bad-model`, `bad-weights`.
        """
        check_weighter(request, facts.family)
        check_left_out(request, facts.family)
        quantizers.check(request, self.models.layout(request), lambda: self.device_kind(request.device))
        schedulers.check(request, facts.family, self.models.schedulers(request))
        self.models.check(request)
        check_whole(self.models, request, facts)
        check_attached(self.models.hub, request, self.models.layout(request), lambda source: True)
        check_second(self.models, request, facts.family, lambda source: True)

    def render(self, job: Job, inputs: Inputs, on_step: OnStep, preview: Preview | None = None) -> Result:
        """Run a job; what it needs is loaded, or found in the store. A preview never changes the result.

        Raises:
            EngineError: `bad-weights`, `unsafe-weights`, `bad-model`, `bad-device`, `out-of-memory`, `render-failed`.
        """
        device = devices.device_named(job.request.device)
        silence()
        start = self.store.clock

        def hands(own: Inputs) -> Hands:
            return Hands(
                draw=lambda each: self._draw(each, own, on_step, preview),
                free=lambda: self._free(device, start),
                can_tile=self._can_tile,
                offload=lambda: None if device == HOST or self._offload is None else self._offload.mode,
                emit=self.store.emit,
            )

        with _IN_TURNS, quiet():
            self.store.budgets = budgets(device, (job.request.device_memory, job.request.host_memory))
            if inputs.pack:
                draw = partial(self._draw, on_step=on_step, preview=None)
                return in_parts(inputs.pack, inputs, hands(inputs), draw)
            made = [climb(each, hands(own), can_split=is_plain(own)) for each, own in in_turns(job, inputs)]
            return joined(made)

    def _draw(self, job: Job, inputs: Inputs, on_step: OnStep, preview: Preview | None) -> Result:
        once = partial(self._leg, preview=preview)
        return draw(job, inputs, on_step, once, self.models.layout(job.request))

    def _leg(self, job: Job, inputs: Inputs, on_step: OnStep, leg: Leg, preview: Preview | None) -> Result:
        device = devices.device_named(job.request.device)
        with ExitStack() as stack:
            layout = self.models.layout(job.request)
            wanted = (leg.parts.get(part.kind, part) for part in parts_of(job, layout))
            components = self._components(job, layout, stack, wanted, {} if leg.is_second else self._used)
            adapters = self._adapters(job.request, stack)
            values = {k: c.value for k, c in components.items()}
            if "scheduler" in values:
                chosen = job.request.scheduler, schedulers_for(layout)
                values["scheduler"] = schedulers.make(values["scheduler"], *chosen)
            offload = self._place(job.request, components, device)
            attach_steering(stack, job, values)
            states = attach_words(stack, job.request, values, adapters["textual_inversion"])
            pipeline = assemble(job, layout, values)
            changes = attach_loras(stack, job.request, pipeline, adapters["lora"])
            attach_ip(stack, job.request, pipeline, adapters["ip_adapter"], self.ip_adapters)
            change_denoiser(stack, job, pipeline)
            states = {k: (*states.get(k, ()), *changes.get(k, ())) for k in components}
            if not leg.is_second:
                self._remember(components, values.get("scheduler"))
            if preview is not None:
                on_step = self._showing(stack, (components.get("vae"), values.get("scheduler")), preview, on_step)
            if offload.is_on:
                attach_offload(stack, pipeline, offload.mode, device)
            else:
                place(pipeline, device)
            self._prepare(stack, components, job, states)
            hooked = offload.is_on or job.request.step_cache is not None
            return call(pipeline, job, inputs, on_step, replace(leg, may_move=hooked))

    def _place(self, request: Request, components: dict[str, Component], device: str) -> Offload:
        """Bring the components of a job to where they belong: its device, or the host as far as it is too small."""
        room = self.store.budgets(device).room(self.store.held_bytes(device))
        modules = {name: c.value for name, c in components.items() if c.bytes}
        offload = choose(request, modules, device, room)
        if offload not in self._told and (offload.is_on or device != HOST):
            self._told.add(offload)
            self.store.emit(OffloadChosen(mode=offload.mode, reason=offload.reason))
        self._offload = offload
        with memory_errors(f"the model was brought to {device}"):
            for component in components.values():
                self.store.bring(component, HOST if offload.is_on else device)
        return offload

    def _can_tile(self) -> bool:
        vae = self._last["vae"]() if "vae" in self._last else None
        return vae is not None and hasattr(vae.value, "use_tiling") and hasattr(vae.value, "use_slicing")

    def _free(self, device: str, since: int) -> int:
        """Empty the caches, and let what no job has used since a time of the store's clock leave a device."""
        self._forget()
        left = self.store.vacate(device, since)
        gc.collect()
        devices.release()
        return left

    def _forget(self) -> None:
        """Forget what can be computed again."""
        self.memo.clear()
        self.seen.clear()
        self.ip_adapters.forget()
        for component in self.store:
            forget(component.value)

    def _showing(
        self, stack: ExitStack, parts: tuple[Component | None, Any], preview: Preview, on_step: OnStep
    ) -> OnStep:
        """Return what shows pictures beside telling the steps; `parts` are the VAE and the scheduler of the job."""
        vae, scheduler = parts
        colours = self.previews.colours(vae)
        if colours is None or scheduler is None:
            return on_step
        watched = Watched(scheduler)
        stack.enter_context(watched.steps())
        return Showing(watched, colours, preview).after(on_step)

    def _components(
        self, job: Job, layout: Layout, stack: ExitStack, wanted: Iterable[Part], used: Mapping[str, Component]
    ) -> dict[str, Component]:
        """Load or find components of a job, and pin them until the stack closes; those `used` are there already."""
        parts = list(wanted)
        held = {p.kind: c.value for p in parts if (c := self.store.find(p.key)) is not None}
        single = SingleFile(self.loader, job, layout.path, held.get) if layout.is_file and layout.path else None
        named: dict[str, Part] = {}
        for part in parts:
            same = sum(name == part.kind or name.startswith(f"{part.kind}#") for name in named)
            named[f"{part.kind}#{same + 1}" if same else part.kind] = part  # the second ControlNet is `controlnet#2`
        needs = {n: self._need(part, job, single) for n, part in named.items() if n not in used}
        found = dict(zip(needs, self.store.gather(stack, list(needs.values())), strict=True))
        return {name: found[name] if name in found else used[name] for name in named}

    def _adapters(self, request: Request, stack: ExitStack) -> dict[str, list[Any]]:
        """Read or find the files of a job's adapters, by kind, and pin them until the stack closes."""
        found: dict[str, list[Any]] = {kind: [] for kind in ADAPTERS.values()}
        for part in adapter_parts(request):
            need = self._needing(part, partial(self.loader.load_adapter, part))
            with at_value(part.source.index):
                found[part.kind].append(stack.enter_context(self.store.use(need)).value)
        return found

    def _need(self, part: Part, job: Job, single: SingleFile | None) -> Need:
        if part.source.option != "model" and not part.folder:
            load = partial(self.loader.load_other, part, source_of(job.request))
        elif single is not None and part.source.model == job.request.model:  # a refiner has parts of its model
            load = partial(single.part, part)
        else:
            load = partial(self.loader.load, part)
        if part.joins is not None:
            inner = partial(self.loader.load if part.joins.source.option == "model" else self._load_other, part.joins)
            load = partial(with_motion, load, inner, part)
        return self._needing(part, load)

    def _load_other(self, part: Part) -> Any:
        return self.loader.load_other(part, part.source)

    def _needing(self, part: Part, load: Callable[[], Any]) -> Need:
        held = self.store.find(part.key)
        size = held.bytes if held is not None else footprint(self.models.hub, part).bytes or 0

        def loaded() -> Any:
            return with_attention_remembered(load())

        return Need(key=part.key, kind=part.kind, source=part.source.shown, load=loaded, bytes=size)

    def _prepare(self, stack: ExitStack, components: dict[str, Component], job: Job, states: State) -> None:
        """Set the components up for one call; the stack puts them back. `states` tells what adapters changed."""
        r = job.request
        modules = {k: c.value for k, c in components.items()}
        denoiser = modules.get("unet", modules.get("transformer"))
        vae = modules.get("vae")
        stack.enter_context(keeping_precision(vae))
        family = family_of(job)
        modes = {"vae_tiling": r.vae_tiling or family.tiles, "vae_slicing": r.vae_slicing}
        stack.enter_context(vae_modes(vae, modes))
        if are_mixed(modules.values()) or MIXING in family.capabilities:
            stack.enter_context(converting(vae, getattr(denoiser, "dtype", None)))
            for network in filter(None, (denoiser, modules.get("controlnet"))):
                stack.enter_context(taking_any(network))
        for kind in ENCODERS:
            if kind in components:
                stack.enter_context(as_its_own_text_model(modules[kind]))
                stack.enter_context(self.memo.watch(modules[kind], "forward", (*components[kind].key, *states[kind])))
        if hasattr(vae, "encode"):
            key = (*components["vae"].key, r.vae_tiling, r.vae_slicing)
            stack.enter_context(self.seen.watch(vae, "encode", key))

    def convert(self, jobs: Sequence[tuple[Job, str | None]], folder: Path) -> None:
        """Write the whole model of jobs, that differ in precision alone, into a folder, each as its own variant.

        Raises:
            EngineError: `bad-weights`, `unsafe-weights`, `bad-model`, `out-of-memory`.
            OSError: the folder cannot be written.
        """
        silence()
        for job, variant in jobs:
            with _IN_TURNS, ExitStack() as stack, quiet():
                layout = self.models.layout(job.request)
                components = self._components(job, layout, stack, every_part(job, layout), self._used)
                write(assemble(job, layout, {k: c.value for k, c in components.items()}), folder, variant)

    def memory(self, device: str | None) -> Memory:
        """Measure what this process uses, on a device that a job has used."""
        return Memory(resident_bytes(), devices.used_bytes(devices.device_named(device)))

    def continue_texts(self, order: TextOrder, device: str | None, *, offline: bool) -> tuple[str, ...]:
        """Return texts with what a language model wrote after each.

        Raises:
            EngineError: as `texts.continue_texts`, and `bad-device`.
        """
        place = devices.device_named(device)
        silence()
        with _IN_TURNS:
            return continue_texts(order, self.store, self.loader, (place, offline))

    @contextmanager
    def look(self, lens: Lens, device: str | None, *, offline: bool, stays: bool) -> Generator[Seer]:
        """Give a model of an image processor for as long as a block lasts; then it `stays` on its device.

        Raises:
            EngineError: as `sights.looking`, and `bad-device`.
        """
        place = devices.device_named(device)
        silence()
        with _IN_TURNS, looking(lens, (self.store, self.loader), (place, offline, stays)) as seer:
            yield seer

    def model_files(self, request: Request) -> tuple[ModelFiles, ...]:
        """Name the weights files that a rendered job was made from."""
        return tuple(model_files(self.models.hub, request))

    # ---- what is held ------------------------------------------------------------------------------------------

    def clear(self, kind: str, names: Sequence[str] = ()) -> int:
        """Drop cached components of a kind of `CACHE_KINDS`; return how many.

        `model`, `pipeline` and `object` mean every kind; `device` those on the devices of `names`; `text_encoder`
        all text encoders. Names of `object` are kinds of components.
        """
        self._forget()
        dropped = self._drop(kind, set(names))
        devices.release()
        return dropped

    def _drop(self, kind: str, wanted: set[str]) -> int:
        if kind == "device":
            return self.store.clear(lambda c: not wanted or c.device in wanted)
        if kind in ("model", "pipeline") or (kind == "object" and not wanted):
            return self.store.clear()
        kinds = wanted if kind == "object" else CLEARED.get(kind, (kind,))
        return self.store.clear(lambda c: any(c.kind == k or c.kind.startswith(f"{k}_") for k in kinds))

    def holdings(self) -> tuple[Holding, ...]:
        """List the components that are loaded."""
        return tuple(
            Holding(
                kind=c.kind, source=c.source, class_name=type(c.value).__name__, device=c.device,
                dtype=str(getattr(c.value, "dtype", "")).removeprefix("torch."), bytes=c.bytes, uses=c.uses,
            )
            for c in self.store
        )  # fmt: skip

    def _remember(self, components: dict[str, Component], scheduler: Any) -> None:
        """Keep in mind what the last pipeline consisted of, without keeping it alive."""
        self._last = {k: weakref.ref(c) for k, c in components.items()}
        if scheduler is not None:
            own = Component(kind="scheduler", source="", value=scheduler, bytes=0)
            self._last["scheduler"] = lambda: own

    def save_modules(self, names: Sequence[str]) -> dict[str, Component]:
        """Keep modules of the last pipeline.

        Raises:
            EngineError: `unknown-module`: nothing ran yet, or the pipeline has no such module.
        """
        if not self._last:
            raise EngineError("unknown-module", "no pipeline has run yet, so there is nothing to save")
        saved: dict[str, Component] = {}
        for name in names:
            found = self._last[name]() if name in self._last else None
            if found is None:
                listed = "it has " + ", ".join(f"`{k}`" for k, held in self._last.items() if held() is not None)
                raise EngineError(
                    "unknown-module", f"the last pipeline has no module `{name}`",
                    help=did_you_mean(name, self._last, listed),
                )  # fmt: skip
            saved[name] = found
        return saved

    def use_modules(self, saved: dict[str, Component] | None) -> None:
        """Use modules that `save_modules` kept in the next jobs, until None is given."""
        self._used = saved or {}

    def device_fact(self, name: str, *arguments: Any) -> Any:
        """Answer `have_cuda`, `have_xpu`, `have_mps`, `default_device` and `total_memory` (device, unit)."""
        return devices.fact(name, *arguments)
