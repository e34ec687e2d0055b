"""Says what is wrong and where: sources, spans, words, errors, their rendering and suggestions."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

TAB_WIDTH = 4

CODES: dict[str, str] = {
    "bad-syntax": "The text is not a statement of the language: a quote or a template tag is left open, say.",
    "bad-version": "A `#! dgenerate X.Y.Z` or `#! dgen X.Y.Z` pragma names a version that is not understood.",
    "bad-template": "Jinja2 could not read a template, or a template failed while it was rendered.",
    "unknown-variable": "A template or an expression uses a name that nothing has set.",
    "read-only-variable": "A script sets a name that dgen sets itself.",
    "bad-name": "A variable's name is not a name.",
    "bad-expression": "An expression of `\\setp` is malformed, uses what is not allowed, or failed.",
    "unknown-function": "A template or an expression calls a function that does not exist.",
    "unknown-directive": "No directive has that name.",
    "bad-arguments": "A directive or command got words that it does not take.",
    "unknown-option": "No option has that name.",
    "unknown-topic": "`--help` was asked about something that is no topic and no option.",
    "missing-value": "An option was given fewer values than it takes.",
    "too-many-values": "An option was given more values than it takes.",
    "repeated-option": "An option stands twice in one invocation.",
    "bad-value": "A value is malformed or out of range.",
    "unexpected-word": "A word stands where only options may follow.",
    "missing-model": "An invocation names no model.",
    "contradictory-options": "Two options exclude one another.",
    "missing-option": "An option needs another one that was not given.",
    "unknown-model-type": "No model family has that name.",
    "removed-feature": "The script uses what the libraries underneath no longer have, such as Flax.",
    "unsupported-option": "The model's family cannot use an option that was given.",
    "unsupported-mode": "The model's family has no pipeline for what the image seeds ask for.",
    "bad-uri": "A `CONCEPT;name=value` value is malformed, or has an unknown, repeated or missing argument.",
    "unknown-scheduler": "No scheduler has that name, or the model's pipeline cannot use it.",
    "bad-image-seed": "An image seed is malformed.",
    "control-images": "An image seed has another number of control images than there are ControlNets or T2I adapters.",
    "adapter-images": "An image seed has another number of groups of pictures than there are IP-adapters.",
    "missing-file": "A file that was named does not exist, or a glob matches nothing.",
    "bad-file": "A file exists but is not what it should be: not an image, damaged, too large, of the wrong type.",
    "size-mismatch": "Two images that belong together differ in size.",
    "bad-model": "A folder, file or hub repository is not a model that can be loaded.",
    "bad-weights": "A weights file is damaged, truncated, or does not fit its model.",
    "unsafe-weights": "A weights file is a pickle of more than plain weights; it is never opened.",
    "offline": "Something has to be fetched from the network, but `--offline-mode` forbids it or it is out of reach.",
    "inner-address": "What is not trusted, or a public server, may not reach this machine or its network.",
    "hub-refused": "The model hub has no such repository or revision, or wants a token for it.",
    "bad-device": "A device does not exist on this machine.",
    "out-of-memory": "The device's memory is too small for the job, after everything was tried.",
    "unwritable-output": "The output folder cannot be written.",
    "disk-full": "The disk that holds the output folder is full.",
    "over-limit": "A run would make more, or take longer, than `--max-images`, `--max-gb` or `--max-minutes` allows.",
    "drifted": "A file or a version is another one than the lock of a script says; nothing was started.",
    "not-replayable": "A file carries no dgen config, so it cannot be replayed.",
    "unknown-module": "A module name is not one of a pipeline's, or the pipeline has no such module.",
    "sandboxed": "A permission is missing for what the script asks.",
    "include-circle": "A script includes itself, at once or by way of others.",
    "not-in-script": "A directive that needs the history or the prompt of a session stands in a script.",
    "nothing-yet": "A directive asks for the last invocation or its pictures before there was one.",
    "limit-exceeded": "A script is too long or includes too deep, or a template takes too many steps or too much room.",
    "program-failed": "A program that `\\exec` started ended with an exit code other than 0, or was killed.",
    "file-failed": "The system refused what a directive asks of files: no permission, not empty, there already.",
    "unknown-plugin": "No plugin of that kind has that name.",
    "processor-place": "An image processor stands where it cannot work.",
    "processor-chains": "There are more chains of image processors than pictures that they could be for.",
    "missing-package": "A plugin, or something of the libraries, needs a Python package that is not installed.",
    "bad-plugin": "A plugin module cannot be imported, or registers what is there already.",
    "unused-variable": "A script sets a variable that nothing reads.",
    "unset-environment": "A script uses an environment variable that is not set; it becomes nothing.",
    "old-spelling": "A name is written as an older version called it; it still works.",
    "unfinished-animation": "A run ended in the middle of an animation; the frames that were made are kept.",
    "nothing-found": "A detector found nothing in a picture, which therefore stays as it is.",
    "empty-mask": "A mask marks nothing: none of it is white.",
    "blacked-out": "A model's safety checker found a picture indecent, and made it black.",
    "no-transparency": "A model makes pictures with transparency, and the format of its animations holds none.",
    "no-sound": "A model makes sound, and the format of its animations holds none.",
    "cut-short": "An animation ends before its last frame; the frames that are good are used.",
    "render-failed": "The model failed while it rendered a job.",
}

SECRET_FLAGS = ("--auth-token", "-atk", "--token")
"""The options of which no message repeats the value."""


class Exit(IntEnum):
    """The exit codes of every command."""

    OK = 0
    JOB_FAILED = 1
    USAGE = 2
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a source came from: the span that made it, and how (`included here`, `produced by …`).

    `at` maps offsets of the source to the very place that made them, when it is known.
    """

    span: Span
    how: str
    at: Callable[[int, int], Span] | None = None

    def of(self, span: Span) -> Span:
        """Return the place that made a span of the source."""
        return self.at(span.start, span.end) if self.at is not None else self.span


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A text with a name: a script file, the command line, a line of the REPL, the output of a template."""

    name: str
    text: str
    origin: Origin | None = None

    def span(self, start: int, end: int) -> Span:
        """Return the span of `text[start:end]`."""
        return Span(self, start, end)

    def place(self, offset: int) -> tuple[int, int]:
        """Return line and column of an offset, both counted from 1, in characters."""
        before = self.text.rfind("\n", 0, offset) + 1
        return self.text.count("\n", 0, offset) + 1, offset - before + 1

    def line(self, number: int) -> str:
        """Return one line of the text, counted from 1, without its newline."""
        lines = self.text.split("\n")
        return lines[number - 1].rstrip("\r") if number <= len(lines) else ""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch `start <= offset < end` of a source, in characters."""

    source: Source
    start: int
    end: int

    @property
    def text(self) -> str:
        """The characters of the span."""
        return self.source.text[self.start : self.end]

    def part(self, start: int, end: int) -> Span:
        """Return a span inside this one, by offsets from its start, never leaving it."""
        low = min(self.start + start, self.end)
        return Span(self.source, low, max(low, min(self.start + end, self.end)))

    def to(self, other: Span) -> Span:
        """Return the span from the start of this one to the end of another in the same source."""
        return Span(self.source, self.start, max(self.end, other.end)) if other.source is self.source else self

    def __str__(self) -> str:
        """Give `name:line:column`."""
        line, column = self.source.place(self.start)
        return f"{self.source.name}:{line}:{column}"


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch `start <= offset < end` of a word and the span it came from; `exact`: character by character."""

    start: int
    end: int
    span: Span
    exact: bool


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a statement: its final text, and the span of what the user wrote.

    `pieces` maps the text back to the source; without pieces the text stands in the span as it is, or as it
    is between quotes. `became` is the whole line after rendering, when rendering changed it.
    """

    text: str
    span: Span
    pieces: tuple[Piece, ...] = ()
    became: str | None = None

    def at(self, start: int, end: int) -> Span:
        """Return the span in the source of `text[start:end]`."""
        if not self.pieces:
            lead = len(self.span.text) - len(self.text)
            if lead == 0:
                return self.span.part(start, end)
            return self.span.part(start + 1, end + 1) if lead == 2 else self.span
        touched = [p for p in self.pieces if p.start < max(end, start + 1) and p.end > start]
        if not touched:
            return self.span
        first, last = touched[0], touched[-1]
        low = first.span.start + (max(0, start - first.start) if first.exact else 0)
        high = last.span.start + (min(end, last.end) - last.start) if last.exact else last.span.end
        return Span(first.span.source, low, max(low, high)) if first.span.source is last.span.source else first.span


Note = tuple[Span | None, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One thing that is wrong, as data: a stable code, what happened, where, and what to type instead.

    `fix` may stand in the place of the span, when that surely means the same.
    """

    code: str
    message: str
    span: Span | None = None
    help: str | None = None
    notes: tuple[Note, ...] = ()
    severity: str = "error"
    fix: str | None = None

    def __post_init__(self) -> None:
        """Refuse a code that is not in the documented table."""
        if self.code not in CODES:
            raise KeyError(f"undocumented diagnostic code: {self.code}")


class DgenError(Exception):
    """One or more mistakes that the user can mend; anything else that is raised is a bug of dgen."""

    def __init__(self, diagnostic: Diagnostic, *more: Diagnostic, exit_code: Exit = Exit.USAGE) -> None:
        """Keep every diagnostic; `exit_code` is what a command ends with."""
        super().__init__(diagnostic.message)
        self.diagnostics: tuple[Diagnostic, ...] = (diagnostic, *more)
        self.exit_code = exit_code

    def __str__(self) -> str:
        """Give the plain rendering."""
        return render(self.diagnostics)

    def placed(self, span: Span) -> DgenError:
        """Return this error at a place, where it knows none of its own."""
        found = (d if d.span is not None else replace(d, span=span) for d in self.diagnostics)
        return DgenError(*found, exit_code=self.exit_code)


def fail(
    code: str, message: str, span: Span | None = None, help: str | None = None, notes: Iterable[Note] = ()
) -> DgenError:
    """Make an error of one diagnostic, to be raised: `raise fail("missing-file", …)`."""
    return DgenError(Diagnostic(code=code, message=message, span=span, help=help, notes=tuple(notes)))


def job_failure(code: str, message: str, span: Span | None = None, help: str | None = None) -> DgenError:
    """Make an error that belongs to running, not to the script: its exit code is `JOB_FAILED`."""
    return DgenError(Diagnostic(code=code, message=message, span=span, help=help), exit_code=Exit.JOB_FAILED)


def suggest(name: str, legal: Iterable[str]) -> str | None:
    """Return the one legal name near to `name`, or None."""
    import difflib

    near = difflib.get_close_matches(name, list(legal), n=1, cutoff=0.7)
    return near[0] if near else None


def did_you_mean(name: str, legal: Iterable[str], otherwise: str | None = None) -> str | None:
    """Return the help line that offers the nearest legal name, or `otherwise`."""
    near = suggest(name, legal)
    return f"did you mean `{near}`?" if near else otherwise


# ---- rendering -------------------------------------------------------------------------------------------------

_COLOURS = {"error": "\x1b[1;31m", "warning": "\x1b[1;33m", "note": "\x1b[1;36m", "edge": "\x1b[1;34m"}


@dataclass(frozen=True, slots=True)
class _Ink:
    """Paints text when colour is on."""

    on: bool

    def __call__(self, role: str, text: str) -> str:
        return f"{_COLOURS[role]}{text}\x1b[0m" if self.on else text


def render(diagnostics: Sequence[Diagnostic], *, color: bool = False) -> str:
    """Draw diagnostics as a user sees them, without secrets, a blank line between two; no newline at the end."""
    ink = _Ink(color)
    return _without_secrets("\n\n".join("\n".join(_draw(d, ink)) for d in diagnostics))


_SECRET = rf"""(?<!\S)((?:{"|".join(SECRET_FLAGS)})[= ]+)("[^"\n]*"|'[^'\n]*'|[^\s`]+)"""
_IN_ADDRESS = r"""([?&](?:[\w-]*token|key)=)([^&\s"'`;]+)"""


def _without_secrets(text: str) -> str:
    """Let stars stand for what follows an option that takes a secret, and for tokens in addresses."""
    return re.sub(rf"{_SECRET}|{_IN_ADDRESS}", lambda m: (m[1] or m[3]) + "*" * len(m[2] or m[4]), text)


def has_secret(text: str) -> bool:
    """Whether an option in a statement takes a secret."""
    return re.search(_SECRET, text) is not None


def cut_secrets(text: str) -> str:
    """Leave the options that take a secret out of a statement."""
    return re.sub(rf"(?:\s|\\\n)*{_SECRET}", "", text)


def wants_color(stream: object = None) -> bool:
    """Say whether a stream (standard error by default) is a terminal that wants colour."""
    import os

    target = sys.stderr if stream is None else stream
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return bool(os.environ.get("FORCE_COLOR")) or bool(getattr(target, "isatty", lambda: False)())


def _draw(d: Diagnostic, ink: _Ink) -> Iterator[str]:
    yield f"{ink(d.severity, f'{d.severity}[{d.code}]')}: {d.message}"
    spans = [d.span, *(span for span, _ in d.notes)]
    gutter = max((_gutter(s) for s in spans if s is not None), default=1)
    if d.span is not None:
        yield from _snippet(d.span, gutter, ink)
    edge = " " * (gutter + 1)
    if d.help:
        yield f"{edge}{ink('edge', '=')} help: {d.help}"
    for span, text in d.notes:
        if span is None:
            yield f"{edge}{ink('edge', '=')} note: {text}"
        else:
            yield f"{ink('note', 'note')}: {text}"
            yield from _snippet(span, gutter, ink)
    yield from _draw_origins(d.span, gutter, ink)


def _draw_origins(span: Span | None, gutter: int, ink: _Ink) -> Iterator[str]:
    while span is not None and (origin := span.source.origin) is not None:
        span = origin.of(span)
        yield f"{ink('note', 'note')}: {origin.how}"
        yield from _snippet(span, gutter, ink)


def _gutter(span: Span) -> int:
    return len(str(span.source.place(span.start)[0]))


def _snippet(span: Span, gutter: int, ink: _Ink) -> Iterator[str]:
    number, column = span.source.place(span.start)
    text = span.source.line(number)
    length = max(1, min(span.end - span.start, len(text) - column + 1))
    before, under, line = _cells(text[: column - 1]), text[column - 1 : column - 1 + length], text
    if len(line) > 240:
        first = max(0, column - 80)
        line = text[first : first + 240]
        before = _cells(text[first : column - 1])
        under = under[: max(1, 240 - (column - first))]
    edge = ink("edge", "|")
    yield f" {ink('edge', '-->')} {span}"
    yield f"{' ' * (gutter + 1)}{edge}"
    yield f"{number:>{gutter}} {edge} {line.expandtabs(TAB_WIDTH)}".rstrip()
    yield f"{' ' * (gutter + 1)}{edge} {' ' * before}{ink('error', '^' * max(1, _cells(under, before)))}"


def _cells(text: str, start: int = 0) -> int:
    """Count the terminal cells of a text that starts at cell `start`: tabs to the next stop, wide characters two."""
    cell = start
    for char in text:
        if char == "\t":
            cell += TAB_WIDTH - cell % TAB_WIDTH
        elif unicodedata.east_asian_width(char) in "WF":
            cell += 2
        elif not unicodedata.combining(char):
            cell += 1
    return cell - start
