"""The Jinja2 sandbox of templates: which attributes are open, and what an operation may cost."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from jinja2 import StrictUndefined, Undefined, UndefinedError, nodes, pass_environment
from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import SandboxedEnvironment, SandboxedFormatter
from jinja2.utils import missing

from dgen.lang.functions import Quoted, functions
from dgen.lang.limits import add, check_filter, check_format, joined, modulo, multiply, power, rounded, total
from dgen.lang.marks import CLOSE, OPEN, QUOTE_CLOSE, QUOTE_OPEN, MarkExtension
from dgen.lang.meter import Meter
from dgen.lang.watch import WatchExtension

_BINARY: dict[str, Callable[[Any, Any], Any]] = {"*": multiply, "**": power, "%": modulo, "+": add}
_CLOSED_TYPES = (type, types.FunctionType, types.MethodType, types.BuiltinFunctionType, types.ModuleType)
_CLOSED_PACKAGES = ("torch", "diffusers", "transformers", "accelerate")


class MissingName(UndefinedError):
    """A template uses a name, or an attribute, that does not exist."""

    def __init__(self, name: str, *, owner: object, has_owner: bool, called: bool) -> None:
        """Keep the name; `owner` is the object that lacks it, when it is an attribute."""
        super().__init__(name)
        self.name, self.owner, self.has_owner, self.called = name, owner, has_owner, called


class _Missing(StrictUndefined):
    """An undefined value: it may be tested and given a default, anything else raises MissingName."""

    __slots__ = ()

    def _refuse(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        self._raise(called=False)

    def _raise(self, *, called: bool) -> NoReturn:
        has_owner = self._undefined_obj is not missing
        raise MissingName(str(self._undefined_name), owner=self._undefined_obj, has_owner=has_owner, called=called)

    def __call__(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        self._raise(called=True)

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        self._raise(called=False)

    __iter__ = __str__ = __repr__ = __len__ = __eq__ = __ne__ = __bool__ = __hash__ = __contains__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _refuse
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __int__ = __float__ = __neg__ = __pos__ = __getitem__ = _refuse


class _BoundedFormatter(SandboxedFormatter):
    """Formats like `str.format`, with attributes as the sandbox has them and fields of reasonable width."""

    def __init__(self, environment: TemplateEnvironment) -> None:
        super().__init__(environment)
        self._meter = environment.meter

    def format_field(self, value: Any, format_spec: str) -> Any:
        return self._meter.keep(super().format_field(self._meter.weigh(value), check_format(format_spec)))

    def convert_field(self, value: Any, conversion: Any) -> Any:
        return super().convert_field(self._meter.weigh(value), conversion)


class TemplateEnvironment(SandboxedEnvironment):
    """The sandbox: no attribute that starts with `_`, bounded operations, names looked up when they are used."""

    intercepted_binops = frozenset(_BINARY)

    @property
    def meter(self) -> Meter:
        """What counts the rendering that goes on now."""
        return WatchExtension.of(self).meter

    @meter.setter
    def meter(self, meter: Meter) -> None:
        WatchExtension.of(self).meter = meter

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Allow public attributes of values, but none of classes, functions and models."""
        if attr.startswith("_") or isinstance(obj, _CLOSED_TYPES):
            return False
        if type(obj).__module__.partition(".")[0] in _CLOSED_PACKAGES:
            return False
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """Return a bounded `str.format` or `str.format_map` in place of Python's own."""
        if not isinstance(value, types.MethodType | types.BuiltinMethodType):
            return None
        owner: Any = value.__self__
        if value.__name__ not in ("format", "format_map") or not isinstance(owner, str):
            return None
        formatter, by_map = _BoundedFormatter(self), value.__name__ == "format_map"

        def formatted(*args: Any, **kwargs: Any) -> str:
            check_format(owner)
            return formatter.vformat(owner, () if by_map else args, args[0] if by_map else kwargs)

        return formatted

    def call(self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Call what a template calls, unless the result would be huge."""
        meter = self.meter
        if isinstance(__obj, Macro):
            meter.charge(meter.template_bytes)
        if isinstance(__obj, LoopContext):
            args = tuple(meter.counted(iter(a)) for a in args)

        def call(*given: Any, **named: Any) -> Any:
            return super(TemplateEnvironment, self).call(__context, __obj, *given, **named)

        call.__name__ = str(getattr(__obj, "__name__", ""))
        owner = getattr(__obj, "__self__", None)
        if owner is not None:  # not its truth: an array has none
            call.__self__ = owner  # pyright: ignore[reportFunctionMemberAccess]
        return meter.run(call, args, kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Apply an operator that can make large values."""
        return self.meter.keep(_BINARY[operator](self.meter.weigh(left), self.meter.weigh(right)))

    def _generate(
        self, source: nodes.Template, name: str | None, filename: str | None, defer_init: bool = False
    ) -> str:
        return super()._generate(WatchExtension.of(self).rewrite(source), name, filename, defer_init)


def make_environment(
    calls: Mapping[str, Any], kind: type[TemplateEnvironment] = TemplateEnvironment
) -> TemplateEnvironment:
    """Make an environment whose filters are Jinja's and the given functions."""
    environment = kind(
        extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols", MarkExtension, WatchExtension],
        undefined=_Missing,
        finalize=_finalize,
        autoescape=False,
        keep_trailing_newline=True,
        cache_size=0,
    )
    filters = table(environment, "filters")
    table(environment, "globals").clear()
    chosen = {name: call for name, call in calls.items() if callable(call) and (_is_ours(name) or name not in filters)}
    chosen |= {"format": _format_filter, "center": _center_filter, "join": _join_filter, "sum": _sum_filter}
    chosen |= {"round": _round_filter}
    filters.pop("urlize")
    filters.update(chosen)
    for name, call in filters.items():
        filters[name] = _metered(environment, name, call)
    return environment


def table(environment: TemplateEnvironment, name: str) -> dict[str, Any]:
    """Return `filters`, `tests` or `globals` of an environment, which Jinja leaves untyped."""
    return getattr(environment, name)


def _metered(environment: TemplateEnvironment, name: str, call: Any) -> Any:
    """Return a filter whose arguments and result are bounded; its signature for Jinja stays what it is."""

    @functools.wraps(call, assigned=("__doc__",))
    def metered(*args: Any, **kwargs: Any) -> Any:
        values = [
            a for a in args if not isinstance(a, Context | TemplateEnvironment) and type(a) is not nodes.EvalContext
        ]
        if name not in ("default", "d") and values:
            check_filter(values[0], (*values[1:], *kwargs.values()))
        return environment.meter.run(named, args, kwargs)

    def named(*args: Any, **kwargs: Any) -> Any:
        return call(*args, **kwargs)

    named.__name__ = name
    return metered


def _is_ours(name: str) -> bool:
    """Say whether a function is dgen's own: Jinja's `map` and `list` stay as filters what they were."""
    row = functions().get(name)
    return row is not None and not row.is_builtin


def _format_filter(value: Any, *args: Any, **kwargs: Any) -> Any:
    return modulo(str(value), kwargs or args)


def _center_filter(value: Any, width: int = 80) -> str:
    return str(value).center(width)


@pass_environment
def _join_filter(environment: TemplateEnvironment, value: Any, d: str = "", attribute: str | None = None) -> str:
    return joined(str(d), (str(_part(environment, item, attribute)) for item in value))


@pass_environment
def _sum_filter(environment: TemplateEnvironment, value: Any, attribute: str | None = None, start: Any = 0) -> Any:
    return total((_part(environment, item, attribute) for item in value), start)


def _part(environment: TemplateEnvironment, item: Any, attribute: str | None) -> Any:
    for name in str(attribute).split(".") if attribute is not None else ():
        item = environment.getitem(item, int(name) if name.isdecimal() else name)
    return environment.meter.weigh(item)


def _round_filter(value: Any, precision: int = 0, method: str = "common") -> float:
    import math

    if method not in ("common", "ceil", "floor"):
        raise ValueError("method must be common, ceil or floor")
    if method == "common":
        return rounded(float(value), precision)
    rounded(0.0, precision)
    return getattr(math, method)(value * (10.0**precision)) / (10.0**precision)


@pass_environment
def _finalize(environment: TemplateEnvironment, value: Any) -> Any:
    """Return the text of a value: nothing for None, marked when `quote()` made it."""
    if value is None:
        return ""
    if isinstance(value, Undefined):
        return value
    text = str(environment.meter.weigh(value)).replace(OPEN, "\ufffd").replace(CLOSE, "\ufffd")
    environment.meter.charge(len(text))
    return f"{QUOTE_OPEN}{text}{QUOTE_CLOSE}" if isinstance(value, Quoted) else text
