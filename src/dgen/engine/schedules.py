"""Makes the noise levels and timesteps that a job asks for in place of its scheduler's own."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from dgen.engine.failures import first_line
from dgen.engine.protocol import EngineError
from dgen.families.rows import FAMILIES, Family, generic
from dgen.families.signatures import parameters
from dgen.options.request import Request
from dgen.plan.resolve import Job
from dgen.values.schedule import AYS, FUNCTIONS, Sigmas, Timesteps

if TYPE_CHECKING:
    import numpy as np

_MOST = 10_000
_WANT_THE_END = ("EulerDiscreteScheduler",)
"""The schedulers to which the 0 after the last sigma is given; the others add it themselves."""

_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow, ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}  # fmt: skip


def check_schedule(request: Request, family: Family, scheduler: str, legal: Sequence[str]) -> None:
    """Check that a scheduler takes the schedule of a request, and that a preset is known for the family.

    Raises:
        EngineError: `unsupported-option`.
    """
    for option in ("sigmas", "timesteps"):
        said = getattr(request, option)
        if said is None:
            continue
        if not scheduler and option == "sigmas":
            _plain(said, family)
        elif option not in _taken(scheduler):
            able = ", ".join(f"`{name}`" for name in legal if option in _taken(name))
            raise EngineError(
                "unsupported-option", f"{scheduler} takes no {option}", option,
                help=f"these schedulers of the model can: {able}" if able else None,
            )  # fmt: skip
        if said.preset:
            _preset(family, option)


def _plain(said: Sigmas, family: Family) -> None:
    """Refuse what has to be computed from the levels of a scheduler where a model has none."""
    if not said.levels:
        message = f"{family.label} has no scheduler from whose sigmas these could come"
        raise EngineError("unsupported-option", message, "sigmas", help="write them out, as in `1,0.5`")


def _preset(family: Family, option: str) -> str:
    if not family.steps_preset:
        known = ", ".join(f.name for f in FAMILIES.values() if f.steps_preset)
        message = f"no `{AYS}` schedule is published for {family.label}"
        raise EngineError("unsupported-option", message, option, help=f"there are some for {known}")
    return family.steps_preset + option.capitalize()


def _taken(scheduler: str) -> set[str]:
    return {p.name for p in parameters(scheduler, "set_timesteps")}


def schedule(scheduler: Any, job: Job) -> dict[str, Any]:
    """Return the keyword of a pipeline call that replaces the schedule of its scheduler; nothing when none is asked.

    Raises:
        EngineError: `bad-value`: the expression fails, or the scheduler refuses the values.
    """
    request, option = job.request, "timesteps"
    if scheduler is None:
        return {} if request.sigmas is None else {"sigmas": [*request.sigmas.levels, 0.0]}
    if request.sigmas is not None:
        option = "sigmas"
        values: Any = _levels(scheduler, request.sigmas, job)
    elif request.timesteps is not None:
        values = _places(request.timesteps, job)
    else:
        return {}
    try:
        scheduler.set_timesteps(**{option: values})
    except Exception as error:
        message = f"{type(scheduler).__name__} refuses these {option}: {first_line(error)}"
        raise EngineError("bad-value", message, option) from error
    return {option: values}


def _places(said: Timesteps, job: Job) -> list[Any]:
    return list(said.places) or _published(job, "timesteps")


def _published(job: Job, option: str) -> list[Any]:
    from diffusers.schedulers.scheduling_utils import AysSchedules

    return list(AysSchedules[_preset(FAMILIES.get(job.family) or generic(job.pipeline), option)])


def _levels(scheduler: Any, said: Sigmas, job: Job) -> np.ndarray:
    import numpy as np

    if said.preset:
        found = log_linear(_published(job, "sigmas")[:-1], job.request.num_inference_steps or 1)
    elif said.expression:
        scheduler.set_timesteps(job.request.num_inference_steps)
        found = evaluate(said.expression, np.asarray(scheduler.sigmas, dtype=np.float64)[:-1])
    else:
        found = np.asarray(said.levels)
    if len(found) > 1 and found[-1] == 0:
        found = found[:-1]
    return np.append(found, 0.0) if type(scheduler).__name__ in _WANT_THE_END else found


def log_linear(levels: list[float], steps: int) -> np.ndarray:
    """Return as many levels as there are steps, straight lines between the logarithms of the given ones."""
    import numpy as np

    places, wanted = np.linspace(0, 1, len(levels)), np.linspace(0, 1, steps)
    return np.asarray(levels) if steps == len(levels) else np.exp(np.interp(wanted, places, np.log(levels)))


def evaluate(expression: str, sigmas: np.ndarray) -> np.ndarray:
    """Compute an expression that `dgen.values.schedule` has read, over a scheduler's own levels.

    Raises:
        EngineError: `bad-value`: it fails, or what it gives is no schedule.
    """
    import numpy as np

    try:
        with np.errstate(all="ignore"):
            made = np.asarray(_value(ast.parse(expression, mode="eval").body, sigmas), dtype=np.float64)
    except (ArithmeticError, TypeError, ValueError, IndexError, MemoryError) as error:
        raise EngineError("bad-value", f"`{expression}` fails: {first_line(error)}", "sigmas") from None
    if made.ndim != 1 or not 1 <= len(made) <= _MOST:
        message = f"`{expression}` gives an array of shape {made.shape}, not a list of sigmas"
        raise EngineError("bad-value", message, "sigmas")
    if not np.isfinite(made).all() or (made < 0).any() or (np.diff(made) >= 0).any():
        shown = ", ".join(f"{n:.4g}" for n in made[:12])
        message = f"sigmas fall and are at least 0, but `{expression}` gives {shown}"
        raise EngineError("bad-value", message, "sigmas")
    return made


def _value(node: ast.AST, sigmas: np.ndarray) -> Any:
    """Compute a part of an expression; no part can grow beyond what a schedule can be."""
    import numpy as np

    made: Any
    match node:
        case ast.Name():
            made = sigmas
        case ast.Constant():
            made = node.value
        case ast.BinOp():
            left, right = _value(node.left, sigmas), _value(node.right, sigmas)
            made = _OPERATORS[type(node.op)](np.asarray(left, np.float64), np.asarray(right, np.float64))
        case ast.UnaryOp():
            made = _OPERATORS[type(node.op)](_value(node.operand, sigmas))
        case ast.List() | ast.Tuple():
            made = [_value(each, sigmas) for each in node.elts]
        case ast.Subscript():
            made = np.asarray(_value(node.value, sigmas))[_place(node.slice, sigmas)]
        case ast.Call():
            made = _called(node, sigmas)
        case _:
            raise TypeError(f"`{ast.unparse(node)}` cannot be computed")
    if not isinstance(made, (int, float, list)) and np.size(made) > _MOST:
        raise ValueError(f"more than {_MOST} numbers")
    return made


def _place(node: ast.AST, sigmas: np.ndarray) -> Any:
    if isinstance(node, ast.Slice):
        parts = (node.lower, node.upper, node.step)
        return slice(*(None if part is None else int(_value(part, sigmas)) for part in parts))
    return int(_value(node, sigmas))


def _called(node: ast.Call, sigmas: np.ndarray) -> Any:
    import numpy as np

    arguments = [_value(each, sigmas) for each in node.args]
    if isinstance(node.func, ast.Name):
        return len(*arguments)
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    if name not in FUNCTIONS:
        raise TypeError(f"`{ast.unparse(node.func)}` cannot be called")
    if name in ("linspace", "geomspace"):
        arguments[2:] = [int(n) for n in arguments[2:3]]
        if len(arguments) < 3 or not 1 <= arguments[2] <= _MOST:
            raise ValueError(f"`np.{name}` takes start, end and a number up to {_MOST}")
    return getattr(np, name)(*arguments)
