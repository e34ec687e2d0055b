"""Declares options as rows: one dataclass field says everything that the rest of dgen derives from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum, auto
from functools import cached_property
from typing import Any, Protocol, TypedDict, TypeVar, Unpack, dataclass_transform, runtime_checkable


class Stage(Enum):
    """When an option matters."""

    LOAD = auto()  # decides which components are loaded; part of their keys
    CALL = auto()  # is passed to the pipeline, or decides what is
    OUTPUT = auto()  # concerns the files that are written
    APP = auto()  # concerns the run; never recorded


class Sweep(IntEnum):
    """The loops of an invocation, the outermost first (LANGUAGE.md section 8)."""

    IMAGE_SEED = auto()
    PROMPT = auto()
    SCHEDULER = auto()
    SECOND_SCHEDULER = auto()
    FURTHER_PROMPT = auto()
    SEED = auto()
    CLIP_SKIP = auto()
    ADAPTER_FACTOR = auto()
    STRENGTH = auto()
    GUIDANCE = auto()
    ACCELERATOR = auto()
    PAG = auto()
    IMAGE_GUIDANCE = auto()
    RESCALE = auto()
    SIGMAS = auto()
    STEPS = auto()
    HIGH_NOISE = auto()
    SECOND_MODEL = auto()
    UPSCALER_NOISE = auto()
    EXTRA = auto()
    CONDITIONING = auto()
    DETAILER = auto()
    CROP = auto()


class BadValue(ValueError):
    """A value that cannot be read: what was expected, and which of its characters are wrong."""

    def __init__(self, message: str, start: int = 0, end: int | None = None, **more: str | None) -> None:
        """Keep offsets into the value; `end=None` is its end. `code` and `help` may follow."""
        super().__init__(message)
        self.message, self.start, self.end = message, start, end
        self.code = more.get("code") or "bad-value"
        self.help = more.get("help")


@runtime_checkable
class Value(Protocol):
    """A kind of value: reads a word, and writes it back so that `parse(format(x)) == x`."""

    @property
    def metavar(self) -> str:
        """What help shows for the value."""
        ...

    def parse(self, text: str) -> Any:
        """Read one word.

        Raises:
            BadValue: the word is no such value.
        """
        ...

    def format(self, value: Any) -> str:
        """Write a value as one word."""
        ...


@dataclass_transform(frozen_default=True)
class Kind:
    """A kind of value with settings: its annotated class attributes are their names, in order, and their defaults.

    A dataclass in all but the making, which would cost every start of the program half a millisecond a kind.
    """

    def __init__(self, *positional: Any, **named: Any) -> None:
        """Take settings by place or by name."""
        self.__dict__.update(zip(type(self).__annotations__, positional, strict=False), **named)


@runtime_checkable
class NamesPaths(Protocol):
    """A kind of value in which paths can stand."""

    def map_paths(self, value: Any, change: Callable[[str], str]) -> Any:
        """Return the value with every path in it changed; what is no path (a URL) stays."""
        ...


@runtime_checkable
class Combines(Protocol):
    """A kind of value several of which belong to one job."""

    def combined(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """Return what each job of a sweep gets."""
        ...


@runtime_checkable
class RecordsLess(Protocol):
    """A kind of value of which a config says only a part."""

    def recorded(self, value: Any) -> Any:
        """Return the part that a config says."""
        ...


class Row(TypedDict, total=False):
    """What `opt()` takes; every key has a default in `Option`."""

    flag: str
    short: str
    aliases: tuple[str, ...]
    value: Value | None
    help: str
    stage: Stage
    sweep: Sweep | None
    many: bool
    positional: bool
    tag: str
    keyword: str | None
    parts: tuple[str, ...]
    needs: str
    capability: str
    replaces: bool
    implied: Any
    excludes: tuple[str, ...]
    requires: tuple[str, ...]
    last: tuple[str, ...]
    recorded: bool
    repeats: bool
    optional_value: bool
    topic: str
    name: str


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Option:
    """One row: an option of an invocation, a command, a URI or a plugin."""

    default: Any
    name: str = ""  # the field, named as diffusers names the keyword
    topic: str = ""  # the dataclass it stands in, as help names it
    flag: str = ""
    short: str = ""
    aliases: tuple[str, ...] = ()  # old and singular spellings
    value: Value | None = None  # None: a flag that takes no value
    help: str = ""
    stage: Stage = Stage.APP
    sweep: Sweep | None = None  # several values multiply
    many: bool = False  # several values are used together
    positional: bool = False
    optional_value: bool = False  # the option may stand without a value
    repeats: bool = False  # standing again adds to what it said before
    tag: str = ""  # in file names, in the order of the rows
    keyword: str | None = None  # of the pipeline call; None: the engine passes it in its own way
    parts: tuple[str, ...] = ()  # LOAD: the component kinds it decides; () is all of them
    needs: str = ""  # how a base class of the pipelines that can use it ends
    capability: str = ""  # what a family has to have for it
    replaces: bool = False  # LOAD: a value makes its parts come from elsewhere than the model
    implied: Any = None  # what the job gets when the pipeline takes the option and nobody gave it
    excludes: tuple[str, ...] = ()  # fields that cannot be given beside it
    requires: tuple[str, ...] = ()  # fields one of which must be given with it
    last: tuple[str, ...] = ()  # further names of its `last_*` variable
    recorded: bool = True  # written into configs (APP rows never are)

    @property
    def takes_value(self) -> bool:
        """Whether words follow the flag."""
        return self.value is not None

    @property
    def takes_many(self) -> bool:
        """Whether more than one word may follow the flag."""
        return self.many or self.sweep is not None

    @cached_property
    def names_paths(self) -> bool:
        """Whether paths can stand in its value."""
        return isinstance(self.value, NamesPaths)

    @cached_property
    def records_less(self) -> bool:
        """Whether a config says only a part of its value."""
        return isinstance(self.value, RecordsLess)

    @property
    def spellings(self) -> tuple[str, ...]:
        """Every way to write the flag, the canonical one first."""
        return tuple(s for s in (self.flag, self.short, *self.aliases) if s)

    @property
    def variable(self) -> str:
        """The name of its `last_*` variable."""
        return "last_" + (self.flag or self.name).removeprefix("--").replace("-", "_")

    @property
    def is_recorded(self) -> bool:
        """Whether a config file repeats it."""
        return self.recorded and self.stage is not Stage.APP

    def parse(self, text: str) -> Any:
        """Read one word of its value.

        Raises:
            BadValue: the word is no such value.
        """
        if self.value is None:
            raise BadValue("takes no value")
        return self.value.parse(text)

    def pool(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """Return what the jobs of a sweep get, from the values that were said."""
        return self.value.combined(values) if isinstance(self.value, Combines) else tuple(values)

    def map_paths(self, value: Any, change: Callable[[str], str]) -> Any:
        """Change the paths in a field's value; one of another kind stays as it is."""
        kind: Any = self.value
        if not self.names_paths:
            return value
        return tuple(kind.map_paths(v, change) for v in value) if self.many else kind.map_paths(value, change)

    def as_recorded(self, value: Any) -> Any:
        """Return what a config says of a field's value."""
        kind: Any = self.value
        if not self.records_less:
            return value
        return tuple(kind.recorded(v) for v in value) if self.many else kind.recorded(value)

    def words(self, value: Any) -> tuple[str, ...]:
        """Write a field's value as the words that follow the flag."""
        if self.value is None:
            return ()
        values = value if self.many else (value,)
        return tuple(self.value.format(v) for v in values)


T = TypeVar("T")


def opt(default: Any, **row: Unpack[Row]) -> Any:
    """Declare a field of an `@options` class as an option; a default of `...` means that it must be given."""
    return Option(default=default, **row)


def same_as(cls: type, name: str, /, **row: Unpack[Row]) -> Any:
    """Declare a field as the option that another class has, but for what is said anew."""
    return replace(rows_of(cls)[name], **row)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(opt,))
def options(topic: str) -> Callable[[type[T]], type[T]]:
    """Make the `opt()` fields of a class rows that can be listed; `topic` is their name in help.

    The class itself stays a list of rows, which costs nothing at start-up; `@record` makes one that has instances.
    """

    def decorate(cls: type[T]) -> type[T]:
        own = {n: o for n, o in vars(cls).items() if isinstance(o, Option)}
        cls.__rows__ = {n: replace(o, name=n, topic=topic) for n, o in own.items()}  # type: ignore[attr-defined]
        return cls

    return decorate


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(opt,))
def record(cls: type[T]) -> type[T]:
    """Make a class a frozen dataclass of its own rows and of those of the classes it joins."""
    rows = rows_of(cls)
    required = object()
    defaults = {n: required if r.default is ... else r.default for n, r in rows.items()}
    for name, default in defaults.items():
        setattr(cls, name, field() if default is required else default)
    cls.__annotations__ = dict.fromkeys(rows, "Any")
    return dataclass(frozen=True, kw_only=True)(cls)


def rows_of(cls: type) -> dict[str, Option]:
    """List the rows of an `@options` class and of those it joins, by field name, in the order of declaration."""
    found: dict[str, Option] = {}
    for part in cls.__bases__:
        found.update(rows_of(part))
    found.update(cls.__dict__.get("__rows__", {}))
    return found
