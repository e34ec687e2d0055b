"""The host of a script that is followed: answers like a session, but runs nothing and writes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from dgen.check.files import MadeFiles
from dgen.check.invocations import Invocations
from dgen.check.scope import FollowedScope
from dgen.check.unknown import MARK, Oracle
from dgen.commands import check_command
from dgen.diagnostic import DgenError, Diagnostic, Source, Span, Word, did_you_mean, fail
from dgen.engine.protocol import MODULES
from dgen.families.rows import FAMILIES
from dgen.lang.blocks import PRODUCED
from dgen.lang.scope import Scope
from dgen.plan.again import changed_words
from dgen.plan.bind import request_table
from dgen.plan.remember import last_variables
from dgen.preflight import option_help

_UNKNOWN = "…"
_FROM_COMMAND_LINE = ("injected_args", "injected_device", "injected_verbose", "injected_plugin_modules")


class FollowingHost:
    """Collects what is wrong; whatever only a run can tell is unknown."""

    def __init__(self, oracle: Oracle, scope: FollowedScope, made: MadeFiles) -> None:
        """Set in `scope` what a session sets."""
        self.found: list[Diagnostic] = []
        self._told: set[tuple[object, ...]] = set()
        self._oracle, self._scope, self._made = oracle, scope, made
        self._invocations = Invocations(oracle, made)
        nothing: list[str] = []
        for name, value in {**last_variables(None, None), "last_images": nothing, "last_animations": nothing}.items():
            scope.provide(name, value)
        for name in _FROM_COMMAND_LINE:
            scope.provide(name, oracle.unknown())

    def tell(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Keep diagnostics, each once: a statement may be followed along several paths and in many rounds."""
        for each in diagnostics:
            place = (each.code, each.message, *_place(each.span))
            if place not in self._told:
                self._told.add(place)
                self.found.append(_without_marks(each))

    def invoke(self, words: tuple[Word, ...], span: Span) -> None:
        """Check an invocation; afterwards nobody knows which pictures it made."""
        self.tell(self._invocations.check(words, span))
        for name, value in self._invocations.last.items():
            self._scope.provide(name, self._oracle.seen(value))
        self.lose_pictures()

    def lose_pictures(self) -> None:
        """Let the pictures of the last statement be unknown."""
        self._scope.provide("last_images", self._oracle.unknown())
        self._scope.provide("last_animations", self._oracle.unknown())

    def changed(self, words: tuple[Word, ...], changes: tuple[Word, ...]) -> tuple[Word, ...]:
        """Return the words of an invocation with options replaced."""
        return changed_words(words, changes, request_table())

    def show(self, paths: tuple[str, ...]) -> None:
        """Show nothing."""

    def grid(self, paths: tuple[str, ...], target: Path) -> str:
        """Write nothing."""
        return str(target)

    def write(self, text: str) -> None:
        """Write nothing."""

    def warn(self, diagnostic: Diagnostic) -> None:
        """Keep a warning."""
        self.tell([diagnostic])

    def report(self, error: DgenError) -> None:
        """Keep an error."""
        self.tell(error.diagnostics)

    def help(self, topic: str, names: tuple[Word, ...], scope: Scope) -> str:
        """Return help on options, so that a topic that does not exist is told."""
        return option_help(names) if topic == "options" else ""

    def clear_cache(self, kind: str, names: tuple[Word, ...]) -> None:
        """Drop nothing."""

    def save_modules(self, names: tuple[Word, ...]) -> object:
        """Keep nothing; refuse names that no pipeline's module has.

        Raises:
            DgenError: `unknown-module`.
        """
        for word in names:
            if word.text not in MODULES and MARK not in word.text:
                near = did_you_mean(word.text, MODULES, "modules are " + ", ".join(MODULES))
                raise fail("unknown-module", f"no pipeline has a module `{word.text}`", word.span, near)
        return self._oracle.unknown()

    def use_modules(self, saved: object, span: Span) -> None:
        """Use nothing."""

    def clear_modules(self, saved: object) -> None:
        """Let nothing go."""

    def device_fact(self, name: str, *args: object) -> object:
        """Leave the machine that the script will run on open."""
        return self._oracle.unknown()

    def command(self, name: str, words: tuple[Word, ...], span: Span) -> None:
        """Check the words of a command that is a directive too, when all are known; run nothing.

        Raises:
            DgenError: whatever is wrong with them.
        """
        self._made.note(w.text for w in words)
        if name == "image-process":
            self.lose_pictures()
        if not any(MARK in w.text for w in words):
            try:
                check_command(name, words, span)
            except DgenError as error:
                known = [d for d in error.diagnostics if not (d.code == "unknown-plugin" and self._made.anything)]
                self.tell(known)

    def model_types(self) -> tuple[str, ...]:
        """List the model families."""
        return tuple(FAMILIES)

    def download(self, url: str, path: str | None, *, overwrite: bool, text: bool) -> str:
        """Fetch nothing; where a file will lie is unknown."""
        return str(self._oracle.unknown())


def _place(span: Span | None) -> tuple[object, ...]:
    """Return what tells places apart: of a line that a template produced, where the template stands."""
    while span is not None and span.source.origin is not None and span.source.origin.how == PRODUCED:
        span = span.source.origin.of(span)
    return (span.source.name, span.start, span.end) if span is not None else ()


def _without_marks(d: Diagnostic) -> Diagnostic:
    """Let an ellipsis stand for what is unknown, in the lines that are shown."""
    notes = tuple((_shown(span), text.replace(MARK, _UNKNOWN)) for span, text in d.notes)
    return replace(d, span=_shown(d.span), notes=notes)


def _shown(span: Span | None) -> Span | None:
    if span is None or MARK not in span.source.text:
        return span
    source = span.source
    return Span(Source(source.name, source.text.replace(MARK, _UNKNOWN), source.origin), span.start, span.end)
