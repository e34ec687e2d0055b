"""Renders the templates of a line in Jinja2's sandbox and keeps track of where each character came from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any

from jinja2 import Template, TemplateError, TemplateSyntaxError, nodes
from jinja2.utils import Cycler, Joiner, Namespace

from dgen.diagnostic import CODES, DgenError, Diagnostic, Span, did_you_mean
from dgen.lang.functions import functions
from dgen.lang.line import Line, LineBuilder
from dgen.lang.marks import CLOSE, OPEN, QUOTE_CLOSE, QUOTE_OPEN
from dgen.lang.meter import Meter
from dgen.lang.sandbox import MissingName, TemplateEnvironment, make_environment, table

_PIECE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.S)
_MARK = re.compile(
    f"{OPEN}(?:(?P<start>\\d+):(?P<end>\\d+)(?P<exact>:?)|(?P<round>!)|){CLOSE}|[{QUOTE_OPEN}{QUOTE_CLOSE}]"
)


class Names(Mapping[str, Any]):
    """What names mean in a template: variables, then functions, then Jinja's own."""

    def __init__(self, *layers: Mapping[str, Any]) -> None:
        """Look names up in the layers, in this order, each time anew."""
        self._layers = layers

    def __getitem__(self, name: str) -> Any:
        for layer in self._layers:
            if name in layer:
                return layer[name]
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(chain.from_iterable(self._layers)))

    def __len__(self) -> int:
        return len(list(iter(self)))


@dataclass(slots=True)
class _Place:
    """The piece of the template that output comes from now."""

    start: int = 0
    end: int = 0
    exact: bool = False
    known: bool = False


class Renderer:
    """Renders lines with the variables and functions of a session."""

    def __init__(
        self, scope: Mapping[str, Any], calls: Mapping[str, Any], environment: TemplateEnvironment | None = None
    ) -> None:
        """Render with live variables of `scope`, and with the functions `calls`."""
        own = {"cycler": Cycler, "joiner": Joiner, "namespace": Namespace}
        self.names = Names(scope, calls, own)
        self._environment = environment or make_environment(calls)
        self._compiled: dict[str, Template] = {}

    def render(self, line: Line) -> Line:
        """Render a line.

        Raises:
            DgenError: `bad-template`, `unknown-variable`, `unknown-function`.
        """
        built = LineBuilder()
        for part in self.stream(line):
            if part is not None:
                built.copy(part, 0, len(part.text))
        result = built.line()
        return Line(result.text, result.pieces or line.pieces[:1], result.verbatim, result.text)

    def stream(self, line: Line) -> Iterator[Line | None]:
        """Yield the output of a line as it is rendered; None where a round of a loop ends.

        Raises:
            DgenError: as for `render`.
        """
        template = self._compile(line)
        place = _Place()
        try:
            context = template.new_context(self.names, shared=True)  # pyright: ignore[reportArgumentType]
            for chunk in self._metered(template.root_render_func(context), len(line.text)):
                yield from _decode(line, chunk, place)
        except DgenError as error:
            raise _placed(error, line, place) from error
        except Exception as error:
            raise DgenError(self._failure(line, template, place, error)) from error

    def _metered(self, chunks: Iterator[str], template_bytes: int) -> Iterator[str]:
        """Yield output, each piece counted by the meter of this rendering, whatever is rendered between."""
        meter = Meter(template_bytes)
        while True:
            before, self._environment.meter = self._environment.meter, meter
            try:
                chunk = next(chunks, None)
            finally:
                self._environment.meter = before
            if chunk is None:
                return
            yield chunk

    def _compile(self, line: Line) -> Template:
        self._environment.meter = Meter()
        template = self._compiled.get(line.text)
        if template is not None:
            return template
        try:
            template = self._environment.from_string(line.text)
        except Exception as error:
            raise DgenError(_syntax_diagnostic(self._environment, line, error)) from error
        if len(self._compiled) >= 256:
            self._compiled.clear()
        self._compiled[line.text] = template
        return template

    def _failure(self, line: Line, template: Template, place: _Place, error: Exception) -> Diagnostic:
        start, end = _failing_stretch(line, template, place, error)
        if not isinstance(error, MissingName):
            code = str(getattr(error, "code", ""))
            known, help = (code if code in CODES else "bad-template"), getattr(error, "help", None)
            return Diagnostic(code=known, message=_explain(error), span=line.at(start, end), help=help)
        span = _name_span(line, start, end, error.name)
        if error.has_owner:
            kind = type(error.owner).__name__
            message = f"a value of type {kind} has no attribute `{error.name}`"
            return Diagnostic(code="unknown-variable", message=message, span=span)
        called = error.called or span.source.text[span.end :].lstrip(" ").startswith("(")
        code, noun = ("unknown-function", "function") if called else ("unknown-variable", "variable")
        legal = [name for name, value in self.names.items() if callable(value) or not called]
        help = did_you_mean(error.name, legal)
        return Diagnostic(code=code, message=f"no {noun} named `{error.name}`", span=span, help=help)


def _placed(error: DgenError, line: Line, place: _Place) -> DgenError:
    """Return the error of a function that knows no place, with the piece of the template that called it."""
    return error.placed(line.at(place.start, place.end) if place.known else line.at(0, len(line.text)))


def _decode(line: Line, chunk: str, place: _Place) -> Iterator[Line | None]:
    """Turn output with marks into a line; `place` is carried from chunk to chunk."""
    built = LineBuilder()
    quoted, before = -1, 0
    for match in chain(_MARK.finditer(chunk), (None,)):
        _append(built, line, place, chunk[before : match.start() if match else len(chunk)])
        if match is None:
            break
        before = match.end()
        if match[0] == QUOTE_OPEN:
            quoted = built.length
        elif match[0] == QUOTE_CLOSE:
            built.verbatim.append((max(quoted, 0), built.length))
        elif match["round"]:
            yield built.line()
            yield None
            built = LineBuilder()
        else:
            _move(place, match)
    yield built.line()


def _move(place: _Place, match: re.Match[str]) -> None:
    place.known = match["start"] is not None
    if place.known:
        place.start, place.end, place.exact = int(match["start"]), int(match["end"]), bool(match["exact"])


def _append(built: LineBuilder, line: Line, place: _Place, text: str) -> None:
    if not text:
        return
    stop = place.start + len(text)
    if place.known and place.exact and line.text[place.start : stop] == text:
        built.copy(line, place.start, stop)
        place.start = stop
    else:
        built.put(text, line.at(place.start, place.end))


def _failing_stretch(line: Line, template: Template, place: _Place, error: Exception) -> tuple[int, int]:
    """Return the `{{ … }}` that was being rendered, or else the template line that Python's traceback names."""
    missing = re.escape(error.name) if isinstance(error, MissingName) else ""
    if place.known and not place.exact and re.search(missing, line.text[place.start : place.end]):
        return place.start, place.end
    number, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals.get("__jinja_template__") is template:
            number = template.get_corresponding_lineno(trace.tb_lineno)
        trace = trace.tb_next
    start, end = _line_bounds(line.text, number)
    pieces = [m for m in _PIECE.finditer(line.text) if m.start() < end and m.end() > start]
    later = [m for m in pieces if m.start() >= place.start] or pieces
    name = error.name if isinstance(error, MissingName) else None
    named = [m for m in later if name and re.search(rf"\b{re.escape(name)}\b", m[0])]
    chosen = (named or later)[:1]
    return (chosen[0].start(), chosen[0].end()) if chosen else (start, end)


def _line_bounds(text: str, number: int) -> tuple[int, int]:
    start = 0
    for _ in range(number - 1):
        start = text.find("\n", start) + 1 or start
    end = text.find("\n", start)
    return start, end if end >= 0 else len(text)


def _name_span(line: Line, start: int, end: int, name: str) -> Span:
    """Return the span of a name inside a piece of a template, or of the piece."""
    match = re.compile(rf"(?<![\w'\"]){re.escape(name)}\b").search(line.text, start, end)
    return line.at(match.start(), match.end()) if match else line.at(start, end)


_TOKENS = {
    "'end of print statement'": "`}}`",
    "'end of statement block'": "`%}`",
    "expected token ": "expected ",
    ", got ": ", found ",
}


def _explain(error: Exception) -> str:
    text = str(error).strip().rstrip(".")
    for jinja, ours in _TOKENS.items() if isinstance(error, TemplateSyntaxError) else ():
        text = text.replace(jinja, ours)
    if isinstance(error, RecursionError):
        return "the template calls itself too deeply"
    if isinstance(error, TemplateError | ValueError) and text:
        return text[0].lower() + text[1:] if text[1:2].islower() else text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@cache
def _checker() -> TemplateEnvironment:
    from dgen.lang.functions.namespaces import namespaces

    return make_environment({**{row.name: row.call for row in functions().values()}, **namespaces()})


def check_syntax(line: Line, *, all_known: bool = True) -> list[Diagnostic]:
    """Return what is wrong with the templates of a line, without rendering them: `bad-template`, `unknown-function`.

    `all_known`: no filter can come from a plugin that is not loaded yet.
    """
    environment = _checker()
    environment.meter = Meter()
    try:
        tree = environment.parse(line.text)
        used = [*tree.find_all(nodes.Filter), *tree.find_all(nodes.Test)]
        unknown = [node for node in used if not _is_known(environment, node)]
        if unknown and not all_known:
            return []
        if not unknown:
            environment.compile(line.text, raw=True)
    except Exception as error:
        return [_syntax_diagnostic(environment, line, error)]
    return [_unknown_filter(environment, line, node) for node in unknown]


def _is_known(environment: TemplateEnvironment, node: nodes.Filter | nodes.Test) -> bool:
    return node.name in _legal(environment, node)


def _legal(environment: TemplateEnvironment, node: nodes.Filter | nodes.Test) -> Mapping[str, Any]:
    return table(environment, "filters" if isinstance(node, nodes.Filter) else "tests")


def _unknown_filter(environment: TemplateEnvironment, line: Line, node: nodes.Filter | nodes.Test) -> Diagnostic:
    kind = "filter" if isinstance(node, nodes.Filter) else "test"
    span = _name_span(line, _line_bounds(line.text, node.lineno)[0], len(line.text), node.name)
    message = f"no {kind} named `{node.name}`"
    return Diagnostic(
        code="unknown-function", message=message, span=span, help=did_you_mean(node.name, _legal(environment, node))
    )


def _syntax_diagnostic(environment: TemplateEnvironment, line: Line, error: Exception) -> Diagnostic:
    number = error.lineno if isinstance(error, TemplateSyntaxError) else 1
    start, end = _broken_piece(environment, line.text, number, str(error))
    return Diagnostic(code="bad-template", message=_explain(error), span=line.at(start, end))


def _broken_piece(environment: TemplateEnvironment, text: str, number: int, message: str) -> tuple[int, int]:
    """Return the piece on a line that is wrong by itself, or else the first piece on it."""
    start, end = _line_bounds(text, number)
    pieces = [m for m in _PIECE.finditer(text) if m.start() < max(end, start + 1) and m.end() > start]
    for piece in pieces:
        try:
            environment.compile(piece[0], raw=True)
        except Exception as error:
            if str(error) == message:
                return piece.start(), piece.end()
    return (pieces[0].start(), pieces[0].end()) if pieces else (start, end)
