"""Noise schedules: `14.6,3.8,0`, `expr: sigmas * 0.9`, `999,850,24`, `AYS`."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from dgen.schema import BadValue, Kind

AYS = "AYS"
"""The schedules of "Align Your Steps" (Sabour et al. 2024)."""

AYS_STEPS = 10
"""How many steps their published timesteps have."""

PREFIX = "expr:"
FUNCTIONS = (
    "abs", "clip", "concatenate", "cos", "exp", "flip", "geomspace", "interp", "linspace", "log", "maximum", "minimum",
    "power", "sin", "sort", "sqrt", "tanh",
)  # fmt: skip
"""What an expression can call, as `np.NAME(…)`."""

_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.UAdd, ast.USub)
_SHAPES = (ast.BinOp, ast.UnaryOp, ast.List, ast.Tuple, ast.Subscript, ast.Slice, ast.Load, *_OPERATORS)
_LONGEST = 1000


@dataclass(frozen=True, slots=True)
class Sigmas:
    """Noise levels: one of a list, an expression over the scheduler's own, or a preset."""

    levels: tuple[float, ...] = ()  # falling, without the 0 at the end
    expression: str = ""
    preset: str = ""

    @property
    def steps(self) -> int | None:
        """How many steps they make; None: as many as are asked for."""
        return len(self.levels) or None


@dataclass(frozen=True, slots=True)
class Timesteps:
    """The timesteps of a model at which it is asked: a list, or a preset."""

    places: tuple[int, ...] = ()
    preset: str = ""

    @property
    def steps(self) -> int:
        """How many steps they make."""
        return len(self.places) or AYS_STEPS


class SigmasText(Kind):
    """Noise levels in one word."""

    metavar: str = '"X,X,…"'

    def parse(self, text: str) -> Sigmas:
        """Read falling numbers, `expr: EXPRESSION` or `AYS`."""
        plain = text.strip()
        if plain.upper() == AYS:
            return Sigmas(preset=AYS)
        if plain.startswith(PREFIX):
            start = text.index(PREFIX) + len(PREFIX)
            start += len(text[start:]) - len(text[start:].lstrip())
            check_expression(text, start)
            return Sigmas(expression=text[start:].strip())
        numbers = _numbers(text, float, "sigmas are falling numbers, `expr: …` or `AYS`")
        levels = tuple(n for n in numbers if n > 0)  # the 0 at the end is understood
        if not levels:
            raise BadValue(f"expected numbers above 0, found `{plain}`")
        return Sigmas(levels=levels)

    def format(self, value: Sigmas) -> str:
        """Write noise levels."""
        if value.expression:
            return f"{PREFIX} {value.expression}"
        return value.preset or ",".join(repr(float(n)) for n in value.levels)


class TimestepsText(Kind):
    """Timesteps in one word."""

    metavar: str = '"N,N,…"'

    def parse(self, text: str) -> Timesteps:
        """Read falling whole numbers, or `AYS`."""
        if text.strip().upper() == AYS:
            return Timesteps(preset=AYS)
        return Timesteps(tuple(map(int, _numbers(text, int, "timesteps are falling whole numbers, or `AYS`"))))

    def format(self, value: Timesteps) -> str:
        """Write timesteps."""
        return value.preset or ",".join(map(str, value.places))


def _numbers(text: str, kind: type[float] | type[int], help: str) -> list[float]:
    """Read numbers of at least 0 with commas between them, each smaller than the one before."""
    found: list[float] = []
    inner = text.strip()
    inner = inner[1:-1] if inner[:1] == "[" and inner[-1:] == "]" else inner
    place = text.find(inner)
    for part in inner.split(","):
        end = place + len(part)
        try:
            number = kind(part)
        except ValueError:
            raise BadValue(f"expected a number, found `{part.strip()}`", place, end, help=help) from None
        if not 0 <= number < 1e6:
            raise BadValue(f"expected a number from 0 to 1000000, found `{part.strip()}`", place, end)
        if found and number >= found[-1]:
            raise BadValue(f"expected a number below {found[-1]:g}, found `{part.strip()}`", place, end, help=help)
        found.append(number)
        place = end + 1
    return found


def check_expression(text: str, start: int) -> None:
    """Check that `text` from `start` on is an expression over `sigmas` that can be computed.

    Raises:
        BadValue: at the part that cannot.
    """
    said = text[start:]
    if len(said) > _LONGEST or not said.isascii():
        raise BadValue(f"expected an expression of at most {_LONGEST} plain characters", start)
    try:
        tree = ast.parse(said.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise BadValue(f"expected an expression such as `sigmas * 0.9`, found `{said.strip()}`", start) from None
    _check(tree.body, start)


def _check(node: ast.expr, start: int) -> None:
    held: list[ast.AST]
    if isinstance(node, ast.Call):
        _check_call(node, start)
        held = list(node.args)
    elif isinstance(node, ast.Name):
        if node.id != "sigmas":
            raise _refused(node, start, "is unknown", "an expression knows `sigmas`, `np` and `len`")
        held = []
    elif isinstance(node, ast.Constant):
        if type(node.value) not in (int, float) or abs(node.value) > 1e6:  # type: ignore[arg-type,operator]
            raise _refused(node, start, "is no number up to 1000000")
        held = []
    elif isinstance(node, _SHAPES):
        held = list(ast.iter_child_nodes(node))
    else:
        raise _refused(node, start, "cannot stand in an expression over sigmas")
    for child in held:
        if isinstance(child, ast.expr):
            _check(child, start)
        elif not isinstance(child, _SHAPES):
            raise _refused(node, start, "cannot stand in an expression over sigmas")


def _check_call(node: ast.Call, start: int) -> None:
    called = node.func
    is_known = isinstance(called, ast.Name) and called.id == "len"
    if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id == "np":
        is_known = called.attr in FUNCTIONS
    if not is_known or node.keywords or not node.args:
        listed = ", ".join(f"`np.{name}`" for name in FUNCTIONS)
        raise _refused(called, start, "cannot be called", f"what can be called are `len`, {listed}")


def _refused(node: ast.expr, start: int, why: str, help: str | None = None) -> BadValue:
    end = node.end_col_offset if node.end_col_offset is not None else node.col_offset + 1
    return BadValue(f"`{ast.unparse(node)}` {why}", start + node.col_offset, start + end, help=help)
