"""Reads `--scheduler NAME;argument=value` by the signatures of diffusers, and makes schedulers."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any
from weakref import WeakKeyDictionary

from dgen.diagnostic import did_you_mean
from dgen.engine.failures import first_line
from dgen.engine.protocol import EngineError
from dgen.engine.schedules import check_schedule
from dgen.families.definitions import Parameter
from dgen.families.rows import Family
from dgen.families.samplers import SAMPLERS, Sampler, sampler_named
from dgen.families.signatures import package_of, parameters, scheduler_names
from dgen.options.request import Request
from dgen.schema import BadValue
from dgen.values.scalars import Flag, Integer, Real
from dgen.values.uri import NamedUri

OPTION = "scheduler"
CLONE = "clone_config"
"""The argument that says whether what is not said comes from the model's own scheduler, or is the class's default."""


def check(request: Request, family: Family, legal: Sequence[str]) -> None:
    """Check the scheduler of a request, and that it takes the schedule that is asked for.

    Raises:
        EngineError: `unknown-scheduler`, `bad-uri`, `missing-package`, `unsupported-option`.
    """
    name, arguments = next(iter(legal), ""), dict[str, Any]()
    if request.scheduler is not None and legal:  # a model without any cannot use the option, which is told elsewhere
        name, arguments = read(request.scheduler, legal)
    package = "scipy" if arguments.get("use_beta_sigmas") else package_of(name)
    if package and importlib.util.find_spec(package) is None:
        raise missing(name, package)
    check_schedule(request, family, name, legal)


def missing(scheduler: str, package: str) -> EngineError:
    """Make the error for a package that a scheduler needs and that is not installed."""
    return EngineError(
        "missing-package", f"{scheduler} needs the package `{package}`", OPTION,
        help='install it: `pip install "dgen-lang[schedulers]"`',
    )  # fmt: skip


def read(uri: NamedUri, legal: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Return the class and the arguments that a URI names; `legal` are the classes that the model can use.

    Raises:
        EngineError: `unknown-scheduler`, `bad-uri`.
    """
    sampler = sampler_named(uri.name)
    name = class_named(sampler.scheduler if sampler else uri.name, legal)
    known = {p.name: p for p in parameters(name, "__init__")}
    found = _meant(sampler, known) if sampler else {}
    known[CLONE] = Parameter(CLONE, "bool", "True")
    for argument, text in uri.arguments:
        if argument not in known:
            listed = "its arguments are " + ", ".join(f"`{_dashed(n)}`" for n in known)
            near = did_you_mean(_dashed(argument), [_dashed(n) for n in known], listed)
            raise EngineError("bad-uri", f"{name} has no argument named `{_dashed(argument)}`", OPTION, help=near)
        found[argument] = _value(name, known[argument], text)
    return name, found


def _meant(sampler: Sampler, known: Mapping[str, Parameter]) -> dict[str, Any]:
    """Return the arguments that another program's name for a sampler stands for."""
    if any(argument not in known for argument in sampler.arguments):
        message = f"`{sampler.name}` has no spacing named `{sampler.spacing}`: {sampler.scheduler} cannot do it"
        raise EngineError("unknown-scheduler", message, OPTION, help=f"use `{sampler.name}`")
    return dict(sampler.arguments)


def class_named(name: str, legal: Sequence[str]) -> str:
    """Return the class that a name means: exact, without `Scheduler`, or a beginning that only one class has.

    Raises:
        EngineError: `unknown-scheduler`.
    """
    for candidates in (_matches(name, legal), _matches(name, scheduler_names())):
        if len(candidates) == 1 and candidates[0] in legal:
            return candidates[0]
        if len(candidates) > 1:
            listed = ", ".join(f"`{c}`" for c in candidates)
            raise EngineError("unknown-scheduler", f"`{name}` may be {listed}", OPTION)
    every = "this model can use " + ", ".join(f"`{n}`" for n in legal)
    unfit = _matches(name, scheduler_names())
    if unfit:
        raise EngineError("unknown-scheduler", f"this model cannot use {unfit[0]}", OPTION, help=every)
    near = did_you_mean(name, (*legal, *(n.removesuffix("Scheduler") for n in legal), *SAMPLERS), every)
    raise EngineError("unknown-scheduler", f"no scheduler named `{name}`", OPTION, help=near)


def _matches(name: str, names: Sequence[str]) -> list[str]:
    wanted = name.strip().casefold()
    for exact in (wanted, f"{wanted}scheduler"):
        for candidate in names:
            if candidate.casefold() == exact:
                return [candidate]
    return [n for n in names if wanted and n.casefold().startswith(wanted)]


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _value(scheduler: str, parameter: Parameter, text: str) -> Any:
    try:
        return typed(parameter, text)
    except BadValue as error:
        message = f"`{_dashed(parameter.name)}` of {scheduler}: {error.message}"
        raise EngineError("bad-uri", message, OPTION, help=error.help) from None


def typed(parameter: Parameter, text: str) -> Any:
    """Read a word as the annotation of a parameter says.

    Raises:
        BadValue: the word is no such value.
    """
    annotation, word = parameter.annotation, text.strip()
    may_lack = "None" in annotation or "Optional" in annotation or parameter.default == "None"
    if may_lack and word.lower() == "none":
        return None
    if "Literal[" in annotation:
        return _choice(annotation, word)
    if "list" in annotation.lower() or "ndarray" in annotation:
        return _numbers(word, "int" in annotation)
    for name, kind in (("bool", Flag()), ("int", Integer()), ("float", Real())):
        if name in annotation:
            return kind.parse(word)
    if "Callable" in annotation:
        raise BadValue("it cannot be said in a script")
    return word


def _choice(annotation: str, word: str) -> str:
    start = annotation.index("Literal[") + len("Literal")
    names = ast.literal_eval(annotation[start : annotation.index("]", start) + 1])
    if word not in names:
        listed = ", ".join(f"`{n}`" for n in names)
        raise BadValue(f"expected one of {listed}, found `{word}`", help=did_you_mean(word, names))
    return word


def _numbers(word: str, whole: bool) -> list[float]:
    kind = Integer() if whole else Real()
    return [kind.parse(n) for n in word.strip("[]").split(",")]


_FRESH: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def _fresh(base: Any) -> Any:
    """Return a scheduler of a model's own configuration that no job has used; reading one takes longer than a copy."""
    if base not in _FRESH:
        _FRESH[base] = type(base).from_config(base.config)
    return _FRESH[base]


def make(base: Any, uri: NamedUri | None, legal: Sequence[str]) -> Any:
    """Make a scheduler of its own for one job, from the configuration of the model's.

    Raises:
        EngineError: `unknown-scheduler`, `bad-uri`.
    """
    if uri is None:
        fresh = _fresh(base)
        tables = {id(held): held for held in vars(fresh).values() if hasattr(held, "dtype")}
        return deepcopy(fresh, tables)  # no scheduler writes into its tables; it puts others in their place
    import diffusers

    name, arguments = read(uri, legal)
    cls = getattr(diffusers, name)
    try:
        return cls.from_config(base.config, **arguments) if arguments.pop(CLONE, True) else cls(**arguments)
    except ImportError as error:
        message = f"{name} needs a package that is not installed: {first_line(error)}"
        raise EngineError("unknown-scheduler", message, OPTION) from error
    except Exception as error:
        raise EngineError("bad-uri", f"{name} refuses its arguments: {first_line(error)}", OPTION) from error
