"""Directives that describe the language; what belongs to others is asked of the host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dgen.diagnostic import DgenError, Span, Word, did_you_mean, fail
from dgen.lang.directives import Row, directive, directives
from dgen.lang.functions import Function, functions
from dgen.schema import BadValue

if TYPE_CHECKING:
    from dgen.lang.evaluate import Interpreter
    from dgen.registry import Registry


@directive(
    "help",
    shows=True,
    takes="topics",
)
def help_(run: Interpreter, span: Span, *names: Word) -> None:
    """Describe directives, functions and options; without a name, say what help there is."""
    if not names:
        run.host.write(_OVERVIEW)
    for word in names:
        run.host.write(_describe(run, word).rstrip("\n") + "\n")


@directive(
    "directives_help",
    shows=True,
    takes="directives",
)
def directives_help(run: Interpreter, span: Span, *names: Word) -> None:
    """Describe the directives, or those of the given names."""
    rows = {row.name: row for row in directives().values()}
    chosen = [_pick(directives(), word, "directive", "\\") for word in names] or list(rows.values())
    run.host.write(_sheet(chosen, _directive_entry, full=bool(names)))


@directive(
    "functions_help",
    shows=True,
    takes="functions",
)
def functions_help(run: Interpreter, span: Span, *names: Word) -> None:
    """Describe the template functions, or those of the given names."""
    chosen = [_pick(functions(), word, "function", "") for word in names] or list(functions().values())
    run.host.write(_sheet(chosen, _function_entry, full=bool(names)))


@directive(
    "templates_help",
    shows=True,
    takes="variables",
    examples=(("\\set a 1\n\\templates_help a", "a: str = '1'\n"),),
)
def templates_help(run: Interpreter, span: Span, *names: Word) -> None:
    """Show the variables, their types and current values, or those of the given names."""
    for word in names:
        _pick(run.scope, word, "variable", "")
    shown = [word.text for word in names] or run.scope.names()
    run.host.write("".join(f"{name}: {_variable(run.scope[name])}\n" for name in shown))


@directive(
    "prompt_upscaler_help",
    shows=True,
)
def prompt_upscaler_help(run: Interpreter, span: Span, *names: Word) -> None:
    """Describe the prompt upscalers, or those of the given names with their arguments."""
    from dgen.upscalers import UPSCALERS

    _describe_plugins(run, UPSCALERS, names)


@directive(
    "prompt_weighter_help",
    shows=True,
)
def prompt_weighter_help(run: Interpreter, span: Span, *names: Word) -> None:
    """Describe the prompt weighters, or those of the given names with their arguments."""
    from dgen.weighters import WEIGHTERS

    _describe_plugins(run, WEIGHTERS, names)


@directive(
    "latents_processor_help",
    shows=True,
)
def latents_processor_help(run: Interpreter, span: Span, *names: Word) -> None:
    """Describe the latents processors, or those of the given names with their arguments."""
    from dgen.refiners import REFINERS

    _describe_plugins(run, REFINERS, names)


@directive(
    "detector_help",
    shows=True,
)
def detector_help(run: Interpreter, span: Span, *names: Word) -> None:
    """Describe the detectors, or those of the given names with their arguments."""
    from dgen.detectors import DETECTORS

    _describe_plugins(run, DETECTORS, names)


@directive(
    "image_processor_help",
    shows=True,
    aliases=("image_preprocessor_help",),
)
def image_processor_help(run: Interpreter, span: Span, *names: Word) -> None:
    """Describe the image processors, or those of the given names with their arguments."""
    from dgen.processors import PROCESSORS

    _describe_plugins(run, PROCESSORS, names)


@directive(
    "quantizer_help",
    shows=True,
)
def quantizer_help(run: Interpreter, span: Span, *names: Word) -> None:
    """Describe the quantizers, or those of the given names with their arguments."""
    from dgen.options.quantizers import NAMES, QUANTIZERS
    from dgen.registry import PluginRow, described

    chosen: list[str] = []
    for word in names:
        try:
            chosen.append(NAMES.parse(word.text))
        except BadValue as error:
            raise fail(error.code, error.message, word.span, error.help) from None
    rows = [PluginRow(name, QUANTIZERS[name], QUANTIZERS[name]) for name in chosen or QUANTIZERS]
    run.host.write("".join(f"{line}\n" for row in rows for line in described(row, full=bool(names))))


def _describe_plugins(run: Interpreter, registry: Registry[Any], names: tuple[Word, ...]) -> None:
    for word in names:
        try:
            registry.find(word.text)
        except BadValue as error:
            raise fail(error.code, error.message, word.span, error.help) from None
    run.host.write("".join(f"{line}\n" for line in registry.help([w.text for w in names])))


_OVERVIEW = """\
\\help NAME…          describe directives, functions or options
\\directives_help     the directives
\\functions_help      the template functions
\\templates_help      the variables and their values
\\image_processor_help the image processors
\\detector_help       the detectors
\\latents_processor_help the latents processors
\\prompt_weighter_help the prompt weighters
\\prompt_upscaler_help the prompt upscalers
\\quantizer_help      the quantizers
"""


def _describe(run: Interpreter, word: Word) -> str:
    name = word.text.removeprefix("\\")
    if name in directives():
        return _directive_entry(directives()[name], full=True)
    if name in functions():
        return _function_entry(functions()[name], full=True)
    try:
        return run.host.help("options", (word,), run.scope)
    except DgenError:
        near = did_you_mean(name, [*directives(), *functions()])
        if near is None:
            raise
        raise fail("unknown-topic", f"nothing is named `{word.text}`", word.span, near) from None


def _pick(rows: Mapping[str, Any], word: Word, noun: str, prefix: str) -> Any:
    name = word.text.removeprefix("\\") if prefix else word.text
    if name not in rows:
        code = {"directive": "unknown-directive", "function": "unknown-function"}.get(noun, "unknown-variable")
        raise fail(code, f"no {noun} named `{prefix}{name}`", word.span, did_you_mean(name, rows))
    return rows[name]


def _sheet(rows: list[Any], entry: Callable[..., str], *, full: bool) -> str:
    return ("\n" if full else "").join(entry(row, full=full) for row in rows)


def _directive_entry(row: Row, *, full: bool) -> str:
    examples = [f"    {line}\n" for script, _ in row.examples for line in script.splitlines()]
    aliases = "".join(f"    also \\{alias}\n" for alias in row.aliases)
    return f"{row.usage}\n    {row.help}\n{aliases}{''.join(examples) if full else ''}"


def _function_entry(row: Function, *, full: bool) -> str:
    examples = [f"    {template}  gives  {result}\n" for template, result in row.examples]
    return f"{row.usage}\n    {row.help}\n{''.join(examples) if full else ''}"


def _variable(value: object) -> str:
    text = repr(value)
    return f"{type(value).__name__} = {text if len(text) <= 200 else text[:199] + '…'}"
