"""Leaves out what can be foreseen: SADA, stability-guided adaptive diffusion acceleration (Jiang et al. 2025).

arXiv 2507.17135, section 3. With the gradients `y = dz/du` of the last three steps, in the straight coordinates of
`straight.py`, and `d0`, `d1` their differences: the step to come is estimated as `z + h (y + d0 / 2 - 2 (d0 - d1) / 3)`
(the paper's `5/6, 5/6, -2/3`, which it is for steps of one length), and the sampling is stable while the step that the
solver makes differs from it against the second difference: `mean((z' - estimate) (d0 - d1)) < 0`.

After a stable step the next one is not computed: its noise is the noise of this one, and its picture what the estimate
holds beside it. After one that is not, tokens of self-attention are left out: those that are stable by the same
measure, cell by cell (`Regions`). Late steps are computed at regular intervals; the pictures of the others are
extrapolated from the last ones by the polynomial of Lagrange.

The paper gives the solvers of three schedulers; here the scheduler's own step follows with the picture that was
foreseen, whichever it is. Our reading: steps count from 0 in the whole schedule, of which img2img takes the end; one
step after `max_interval` others is whole, and so is the last one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from dgen.engine.adapters.layers import as_it_was, standing_in
from dgen.engine.adapters.straight import data_in, kind_of, noise_in, output_for, scale_at
from dgen.engine.adapters.tokens import Regions, prune_tokens
from dgen.values.sada import Sada


class Point(NamedTuple):
    """A step in straight coordinates."""

    u: float
    z: Any
    noise: Any
    gradient: Any


class Foresight:
    """Decides after each step of a scheduler which parts of the next one are computed."""

    def __init__(self, said: Sada, scheduler: Any, regions: Regions) -> None:
        self.said, self.scheduler, self.regions = said, scheduler, regions
        self.kind = kind_of(scheduler)
        self.turn = 0  # of all steps that were taken
        self.place = -1  # of the step in the schedule
        self.in_part = 0  # how many steps in a row were not computed, or not wholly
        self.data: Any = None  # the picture of the next step, when it is not computed
        self.points: deque[Point] = deque(maxlen=3)
        self.nodes: deque[tuple[int, Any]] = deque(maxlen=said.lagrange_term or 1)

    def step(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return what answers for the `step` of the scheduler."""

        def step(model_output: Any, timestep: Any, sample: Any, *rest: Any, **named: Any) -> Any:
            self._begin(timestep)
            scale = scale_at(self.scheduler, self.place)
            data = self.data
            if data is None:
                data = data_in(self.kind, model_output, sample, scale)
            else:
                model_output = output_for(self.kind, data, sample, scale).to(model_output.dtype)
            made = original(model_output, timestep, sample, *rest, **named)
            self._end(data, sample, made[0], scale)
            return made

        return step

    def _begin(self, timestep: Any) -> None:
        """Find the place of a step; one that does not follow the last one begins another schedule."""
        times = self.scheduler.timesteps.tolist()
        told = float(timestep)
        self.turn += 1
        self.place += 1
        if not (0 < self.place < len(times) and times[self.place] == told):
            self.place = min(range(len(times)), key=lambda place: abs(times[place] - told))
            self.points.clear()
            self.nodes.clear()
            self.in_part, self.data, self.regions.cells = 0, None, None

    def _end(self, data: Any, sample: Any, made: Any, scale: tuple[float, float]) -> None:
        """Decide about the next step; `made` is what it gets."""
        noise, size = noise_in(data, sample, scale), sum(scale)
        self.points.append(Point(scale[1] / size, sample.float() / size, noise, noise - data))
        said, place = self.said, self.place
        if place % said.lagrange_int == 1 % said.lagrange_int:
            self.nodes.append((place, data))
        self.data, self.regions.cells = None, None
        is_open = said.acc_range[0] <= place < min(said.acc_range[1], len(self.scheduler.timesteps) - 2)
        if not is_open or self.in_part >= said.max_interval:
            self.in_part = 0
            return
        is_late = said.lagrange_term and place >= said.lagrange_step
        self.in_part += self._foresee_late() if is_late else self._foresee(made)
        if self.data is None and self.regions.cells is None:
            self.in_part = 0

    def _foresee_late(self) -> bool:
        """Extrapolate the picture of the next step, unless it is one of those that are computed."""
        if self.place % self.said.lagrange_int == 0 or len(self.nodes) < 2:
            return False
        self.data = _extrapolated(self.nodes, self.place + 1)
        return True

    def _foresee(self, made: Any) -> bool:
        """Foresee the picture of the next step, or find the cells that have to be computed for it."""
        scale = scale_at(self.scheduler, self.place + 1)
        size = sum(scale)
        u = scale[1] / size
        found = _estimate(list(self.points), u)
        if found is None:
            return False
        estimate, second = found
        measure = (made.float() / size - estimate) * second
        if float(measure.mean()) < 0 and u < 1:
            self.data = (estimate - u * self.points[-1].noise) / (1 - u)
        else:
            self.regions.find(measure)
        return True


def _estimate(points: Sequence[Point], u: float) -> tuple[Any, Any] | None:
    """Return the next point on a path, and the second difference of its gradients; None where three are not known."""
    if len(points) < 3 or points[0].u == points[1].u or points[1].u == points[2].u:
        return None
    oldest, older, last = points
    h = u - last.u
    first = (last.gradient - older.gradient) * (h / (last.u - older.u))
    second = first - (older.gradient - oldest.gradient) * (h / (older.u - oldest.u))
    return last.z + h * (last.gradient + first / 2 - second * 2 / 3), second


def _extrapolated(nodes: Sequence[tuple[int, Any]], place: int) -> Any:
    """Return the value at a place of the polynomial of Lagrange through nodes."""
    total: Any = 0
    for own, value in nodes:
        weight = 1.0
        for other, _ in nodes:
            weight *= (place - other) / (own - other) if other != own else 1.0
        total = total + value * weight
    return total


@dataclass(slots=True)
class _Repeated:
    """Stands in for the `forward` of a network: repeats its answers in steps that are not computed."""

    forward: Callable[..., Any]
    foresight: Foresight
    turn: int = -1
    count: int = 0  # of the calls in a step: some guidance takes two
    answers: list[Any] = field(default_factory=list[Any])

    def __call__(self, *args: Any, **named: Any) -> Any:
        """Answer a call of the network."""
        if self.turn != self.foresight.turn:
            self.turn, self.count = self.foresight.turn, 0
        self.count += 1
        if self.foresight.data is not None and self.count <= len(self.answers):
            return self.answers[self.count - 1]
        del self.answers[self.count - 1 :]
        self.answers.append(self.forward(*args, **named))
        return self.answers[-1]


def skip_what_is_foreseen(stack: ExitStack, pipeline: Any, denoiser: Any, said: Sada) -> None:
    """Let a pipeline leave out what can be foreseen, until the stack closes; its ControlNets rest in the same steps.

    The caller restores the attributes and hooks of the denoiser and of every module in it.
    """
    regions = Regions(said)
    foresight = Foresight(said, pipeline.scheduler, regions)
    steering = pipeline.components.get("controlnet")
    if steering is not None:
        stack.enter_context(as_it_was(steering))
    if said.max_downsample:
        prune_tokens(denoiser, regions)
    for network in filter(None, (denoiser, steering)):
        vars(network)["forward"] = _Repeated(network.forward, foresight)
    stack.enter_context(standing_in(pipeline.scheduler, "step", foresight.step))
