"""The directives, as rows: one decorated function each, in the module of its topic."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack

from dgen.diagnostic import DgenError, Span, Word, did_you_mean, fail
from dgen.lang.line import Line
from dgen.lang.nodes import Directive

if TYPE_CHECKING:
    from dgen.lang.evaluate import Interpreter

_TOPICS = (
    "variables", "printing", "environment", "flow", "help", "caches", "modules", "files", "folders", "programs", "web",
    "plugins", "commands", "session", "pictures",
)  # fmt: skip
_ROWS: dict[str, Row] = {}
F = TypeVar("F", bound=Callable[..., None])


@dataclass(frozen=True)
class Parameter:
    """One argument of a directive, read from the signature of its function."""

    name: str
    required: bool
    many: bool
    raw: bool

    @property
    def shown(self) -> str:
        """The argument as the usage line shows it."""
        text = self.name.upper().rstrip("_")
        if self.many:
            return f"[{text}…]"
        return text if self.required else f"[{text}]"


@dataclass(frozen=True)
class Row:
    r"""A directive. Its function takes the interpreter, the `\name` as a span, and what the user wrote.

    Arguments annotated `Word` take one word, `*names: Word` the rest of the words, and `Line` the rest of the
    line as raw text. `examples` are (script, what it writes).
    """

    name: str
    call: Callable[..., None]
    help: str
    examples: tuple[tuple[str, str], ...] = ()
    aliases: tuple[str, ...] = ()
    operators: bool = False  # `|`, `<` and `>` are words of their own
    arguments: str = ""  # how the usage line shows them, when the signature cannot say it
    shows: bool = False  # it only tells the user something: a session that is saved as a script leaves it out
    takes: str = ""  # what its words name, for completion, when the names of its arguments cannot say it

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The arguments."""
        import inspect

        found: list[Parameter] = []
        for each in list(inspect.signature(self.call).parameters.values())[2:]:
            many = each.kind is inspect.Parameter.VAR_POSITIONAL
            required = not many and each.default is inspect.Parameter.empty
            found.append(Parameter(each.name, required, many, str(each.annotation) in ("Line", str(Line))))
        return tuple(found)

    @property
    def raw(self) -> bool:
        """Whether the directive takes the rest of the line as raw text."""
        return any(parameter.raw for parameter in self.parameters)

    @property
    def usage(self) -> str:
        """The statement as a user writes it."""
        shown = [self.arguments] if self.arguments else [parameter.shown for parameter in self.parameters]
        return " ".join([f"\\{self.name}", *shown])


class RowFields(TypedDict, total=False):
    """What `directive()` takes beside the name; `Row` says what each means."""

    examples: tuple[tuple[str, str], ...]
    aliases: tuple[str, ...]
    operators: bool
    arguments: str
    shows: bool
    takes: str


def directive(name: str, *, help: str = "", **row_fields: Unpack[RowFields]) -> Callable[[F], F]:
    """Register a function as the directive of a name and its aliases; its docstring, or `help`, describes it."""

    def register(call: F) -> F:
        row = Row(name, call, help or call.__doc__ or "", **row_fields)
        _refuse_wrong(row)
        taken = [each for each in (name, *row.aliases) if each in _ROWS]
        if taken:
            raise ValueError(f"the directive \\{taken[0]} is registered twice")
        _ROWS.update(dict.fromkeys((name, *row.aliases), row))
        return call

    return register


def _refuse_wrong(row: Row) -> None:
    wrong = next((each for each in (row.name, *row.aliases) if not re.fullmatch(r"[A-Za-z_]\w*", each)), None)
    if wrong is not None:
        raise ValueError(f"the name of a directive is letters, digits and `_`, not `{wrong}`")
    if not row.help:
        raise ValueError(f"the directive \\{row.name} has no docstring, which is its help")
    code = getattr(row.call, "__code__", None)
    if code is not None and code.co_argcount < 2:
        raise TypeError(f"the function of the directive \\{row.name} does not take the interpreter and a span")


def directives() -> Mapping[str, Row]:
    """Return all rows by name and alias."""
    for topic in _TOPICS:
        import_module(f"{__name__}.{topic}")
    return MappingProxyType(_ROWS)


def registered_directives() -> frozenset[str]:
    """Return the names that are registered now."""
    return frozenset(directives())


def forget_directives(names: frozenset[str]) -> None:
    """Take names back: the plugin that registered them failed."""
    for name in names:
        del _ROWS[name]


def find_directive(name: str, span: Span) -> Row:
    """Return the row of a name.

    Raises:
        DgenError: `unknown-directive`.
    """
    row = directives().get(name)
    if row is None:
        help = did_you_mean(name, directives(), "\\directives_help lists them")
        near = help.replace("`", "`\\", 1) if help and help.startswith("did") else help
        raise fail("unknown-directive", f"no directive named `\\{name}`", span, near)
    return row


def call_directive(run: Interpreter, row: Row, statement: Directive) -> None:
    """Give a directive its words, or its raw text, and run it.

    Raises:
        DgenError: `bad-arguments`, and whatever the directive raises.
    """
    if row.raw:
        row.call(run, statement.name_span, *_raw_arguments(run, row, statement))
        return
    words = run.words_and_operators(statement) if row.operators else run.words(statement)
    required = sum(1 for parameter in row.parameters if parameter.required)
    most = None if any(parameter.many for parameter in row.parameters) else len(row.parameters)
    if len(words) < required:
        missing = [p.shown for p in row.parameters if p.required][len(words) :]
        raise bad_arguments(row.name, f"lacks {' and '.join(missing)}", statement.name_span)
    if most is not None and len(words) > most:
        message = f"takes {_count(most)}, got {len(words)}"
        raise bad_arguments(row.name, message, words[most].span)
    row.call(run, statement.name_span, *words)


def _raw_arguments(run: Interpreter, row: Row, statement: Directive) -> list[Any]:
    """Cut the leading words off a raw text, up to the argument that takes the rest."""
    rest = run.text(statement)
    arguments: list[Any] = []
    for parameter in row.parameters:
        if parameter.raw:
            if parameter.required and not rest.text:
                raise bad_arguments(row.name, f"lacks {parameter.shown}", statement.name_span)
            arguments.append(rest)
            break
        if not rest.text:
            raise bad_arguments(row.name, f"lacks {parameter.shown}", statement.name_span)
        length = len(rest.text.split(None, 1)[0])
        arguments.append(Word(rest.text[:length], rest.at(0, length)))
        rest = rest.cut(length, len(rest.text)).strip()
    return arguments


def bad_arguments(name: str, message: str, span: Span) -> DgenError:
    """Make the error of a directive that got words which it does not take; its usage is the help."""
    return fail("bad-arguments", f"`\\{name}` {message}", span, f"usage: {_ROWS[name].usage}")


def _count(number: int) -> str:
    return "no words" if number == 0 else "1 word" if number == 1 else f"{number} words"
