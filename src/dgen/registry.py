"""The registries of plugin kinds, and the plugin files that come with dgen."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import util
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, Protocol, TypeVar

from dgen.diagnostic import Note, Source, did_you_mean
from dgen.resources import folder
from dgen.schema import BadValue, Option, rows_of
from dgen.values.uri import OpenUri, Uri

PREFIX = "dgen_plugin_"
"""What the names of plugin modules start with."""


@dataclass(frozen=True, slots=True)
class PluginRow:
    """A plugin: its name, the class of its arguments, and its function, of which the docstring is its help."""

    name: str
    options: type
    call: Callable[..., Any]

    @property
    def arguments(self) -> dict[str, Option]:
        """Its arguments, by the name that is written: its own, then those that every plugin of its kind takes."""
        rows = {n: row for n, row in Uri(self.options).rows().items() if not row.positional}
        shared = {n for base in self.options.__mro__[1:] for n in rows_of(base)}
        return dict(sorted(rows.items(), key=lambda pair: pair[1].name in shared))

    @property
    def help(self) -> str:
        """What it does."""
        return " ".join(str(self.call.__doc__).strip().partition("\n\n")[0].split())

    @property
    def shown(self) -> str:
        """How it may be written; nothing where no example is given."""
        return ""

    @property
    def place(self) -> tuple[Path, int]:
        """The file and the line in which it is written."""
        code = self.call.__code__
        return Path(code.co_filename), code.co_firstlineno


R = TypeVar("R", bound=PluginRow)
C = TypeVar("C", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Chosen(Generic[R]):
    """A plugin with its arguments, as a URI names them."""

    row: R
    said: Any


class Registry(Generic[R]):
    """The plugins of one kind, by name."""

    def __init__(self, noun: str, base: type, takes: int, otherwise: str = "") -> None:
        """`noun` is what a plugin of the kind is called; the arguments of each join the class `base`.

        `takes` is how many arguments its function is called with. `otherwise` is the plugin that a name stands for
        which is not that of any.
        """
        self.noun = noun
        self._otherwise = otherwise
        self._base, self._takes = base, takes
        self._rows: dict[str, R] = {}
        REGISTRIES.append(self)

    def add(self, row: R) -> None:
        """Register a plugin.

        Raises:
            ValueError, TypeError: the row is wrong; the place where it is written is the caller's.
        """
        if row.name in self._rows:
            raise ValueError(f"the {self.noun} `{row.name}` is registered twice")
        whose = f"the {self.noun} `{row.name}`"
        if not rows_of(self._base).keys() <= rows_of(row.options).keys():
            raise TypeError(f"the arguments of {whose} do not join `{self._base.__name__}`")
        if "__dataclass_fields__" not in vars(row.options):  # those of a base class are not enough
            raise TypeError(f"the arguments of {whose} are no `@record`")
        if not row.call.__doc__:
            raise ValueError(f"{whose} has no docstring, which is its help")
        takes = row.call.__code__.co_argcount
        if takes != self._takes:
            raise TypeError(f"the function of {whose} takes {takes} arguments, not {self._takes}")
        unclear = next((n for n, r in row.arguments.items() if r.value is None or not r.help), None)
        if unclear is not None:
            raise TypeError(f"the argument `{unclear}` of {whose} lacks a `value` or a `help`")
        self._rows[row.name] = row

    def registering(self, make: Callable[[C], R]) -> Callable[[C], C]:
        """Return a decorator that registers the row which `make` makes of a function, and gives the function back."""

        def register(call: C) -> C:
            self.add(make(call))
            return call

        return register

    def rows(self) -> Mapping[str, R]:
        """Return all rows by name."""
        load_first_party()
        return MappingProxyType(self._rows)

    def names(self) -> frozenset[str]:
        """Return the names that are registered now."""
        return frozenset(self._rows)

    def forget(self, names: frozenset[str]) -> None:
        """Take names back: the plugin that registered them failed."""
        for name in names:
            del self._rows[name]

    def find(self, name: str, text: str | None = None) -> R:
        """Return the row of a name, which stands in `text`.

        Raises:
            BadValue: `unknown-plugin`.
        """
        row = self.rows().get(name)
        if row is None:
            start = (text or name).find(name)
            broken = "".join(f"; `{f.path.name}` could not be loaded: {f.reason}" for f in load_first_party())
            listed = f"{self.noun}s are " + ", ".join(f"`{n}`" for n in sorted(self.rows())) + broken
            raise BadValue(
                f"no {self.noun} named `{name}`", start, start + len(name), code="unknown-plugin",
                help=did_you_mean(name, self.rows(), listed),
            )  # fmt: skip
        return row

    def read(self, text: str) -> Chosen[R]:
        """Read `NAME;argument=value`.

        Raises:
            BadValue: `unknown-plugin`, `bad-uri`, `bad-value`, at the characters that are wrong.
        """
        name = OpenUri().parse(text).name
        row = self.rows().get(name) or self.rows().get(self._otherwise) or self.find(name, text)
        return Chosen(row, Uri(row.options).parse(text))

    def help(self, names: Sequence[str]) -> Iterator[str]:
        """Yield the lines that describe the plugins of the given names, or all of them in short.

        Raises:
            BadValue: `unknown-plugin`, with the name.
        """
        for row in [self.find(name) for name in names] or self.rows().values():
            yield from described(row, full=bool(names))


def described(row: PluginRow, *, full: bool) -> Iterator[str]:
    """Yield the lines that describe a row, `full` with its arguments."""
    yield row.name
    yield f"    {row.help}"
    for written, argument in row.arguments.items() if full else ():
        metavar = argument.value.metavar if argument.value is not None else ""
        yield f"    {written}={metavar}{_shown_default(argument)}: {argument.help}"
    if full and row.shown:
        yield f"    For example: {row.shown}"


def _shown_default(argument: Option) -> str:
    if argument.default is ...:
        return " (must be given)"
    given = argument.default not in (None, ()) and argument.words(argument.default)[0]
    return f" ({given})" if given else ""


class Shelf(Protocol):
    """The plugins of one kind, as lists of all kinds see them."""

    noun: str

    def rows(self) -> Mapping[str, Any]:
        """Return all rows by name; each has a `name`, a `call` and a `help`."""
        ...

    def names(self) -> frozenset[str]:
        """Return the names that are registered now."""
        ...

    def forget(self, names: frozenset[str]) -> None:
        """Take names back: the plugin that registered them failed."""
        ...


REGISTRIES: list[Shelf] = []


def taken_names() -> dict[Shelf, frozenset[str]]:
    """Return the names of every registry."""
    return {each: each.names() for each in REGISTRIES}


def give_back(before: Mapping[Shelf, frozenset[str]]) -> None:
    """Take back what was registered since `before`."""
    for each in REGISTRIES:
        each.forget(each.names() - before.get(each, frozenset()))


@dataclass(frozen=True, slots=True)
class Failure:
    """A plugin file that could not be loaded, and why."""

    path: Path
    reason: str


@cache
def load_first_party() -> tuple[Failure, ...]:
    """Run the plugin files that come with dgen, once; one that fails takes none of the others with it."""
    failures: list[Failure] = []
    for path in sorted(folder("plugins").glob("*.py")):
        before = taken_names()
        try:
            run_plugin(path)
        except Exception as error:
            give_back(before)
            failures.append(Failure(path, f"{type(error).__name__}: {error}"))
    return tuple(failures)


def run_plugin(path: Path) -> None:
    """Run a plugin file as a module of its own.

    Raises:
        Exception: whatever the file raises; its module is taken back.
    """
    name = f"{PREFIX}{path.stem}"
    spec = util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError("this is no Python file")
    module = sys.modules[name] = util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise


def place_of(error: BaseException, path: Path | None = None) -> tuple[Note, ...]:
    """Return the note that shows the line of a plugin in which an error arose; nothing when it is not in it.

    Without a `path`, the plugin is whatever is neither dgen's nor Python's own.
    """
    if isinstance(error, SyntaxError) and error.filename and path in (None, Path(error.filename)):
        return _line_note(Path(error.filename), error.lineno or 1)
    places: list[tuple[Path, int]] = []
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if (not _is_known(file)) if path is None else file == str(path):
            places.append((Path(file), trace.tb_lineno))
        trace = trace.tb_next
    return _line_note(*places[-1]) if places else ()


def _is_known(file: str) -> bool:
    """Whether a file is dgen's or Python's own."""
    own = (Path(__file__).parent, Path(util.__file__).parent)
    return file.startswith("<") or any(
        Path(file).is_relative_to(each) and "site-packages" not in Path(file).relative_to(each).parts for each in own
    )


def _line_note(path: Path, number: int) -> tuple[Note, ...]:
    try:
        source = Source(path.name, path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return ()
    lines = source.text.split("\n")
    start = sum(len(line) + 1 for line in lines[: number - 1])
    text = lines[number - 1] if number <= len(lines) else ""
    indent = len(text) - len(text.lstrip())
    return ((source.span(start + indent, start + max(indent + 1, len(text.rstrip()))), "it happened here"),)
