"""Follows a script statement by statement as the interpreter runs it, but without effects."""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, update_wrapper
from pathlib import Path
from typing import Any

from dgen.check.calls import SeenEnvironment, lifted_calls
from dgen.check.files import MadeFiles
from dgen.check.host import FollowingHost
from dgen.check.invocations import old_spelling
from dgen.check.scope import FollowedScope, State, Uses
from dgen.check.templates import FollowingRenderer
from dgen.check.unknown import MARK, Oracle
from dgen.diagnostic import DgenError, Diagnostic, Source, Span, Word
from dgen.lang.directives import Row, call_directive, find_directive
from dgen.lang.evaluate import Exited, Interpreter
from dgen.lang.expand import variable_names
from dgen.lang.files import script_file
from dgen.lang.line import Line, LineBuilder
from dgen.lang.nodes import Directive, Invocation, Script, Statement
from dgen.lang.parse import parse_with_mistakes, template_line
from dgen.lang.template import check_syntax
from dgen.lang.words import split
from dgen.options.request import ROWS

# Topics whose directives change nothing but the session and the working directory: they are called as they are.
_FOLLOWED = (
    "variables", "printing", "environment", "flow", "help", "caches", "modules", "folders", "session", "commands",
)  # fmt: skip
# Directives whose variable is another one each time.
_DRAWING = ("gen_seeds",)
# Topics whose directives make no file but those that their words name.
_NAMING = ("files", "pictures")
# Codes that tell of a mistake whatever an unknown value turns out to be.
_CERTAIN = ("unknown-variable", "unknown-function", "unknown-directive", "bad-syntax", "read-only-variable")
# Codes for names that a plugin may bring.
_FROM_PLUGINS = ("unknown-function", "unknown-directive", "unknown-plugin")
_MOST_STATEMENTS = 20_000
_MOST_NAMES = 50
_OLD_VARIABLES = {old: row.variable for row in ROWS.values() for old in row.last}
_NAME = re.compile(r"[A-Za-z_]\w*")


def check_source(source: Source, before: tuple[Source, ...] = ()) -> list[Diagnostic]:
    """Return everything that is wrong or odd in a script; `before` are scripts of one line that come first."""
    uses = Uses()
    follower = Follower(uses)
    with surroundings_kept():
        for each in before:
            follower.run_source(each)
        uses.set_at.clear()
        follower.run_source(source)
    follower.host.tell(uses.unused())
    return sorted(follower.host.found, key=lambda d: _place(d.span, source))


def _place(span: Span | None, source: Source) -> int:
    """Return where in the script a diagnostic belongs: what templates and included files made, where they stand."""
    while span is not None and span.source is not source and span.source.origin is not None:
        span = span.source.origin.of(span)
    return span.start if span is not None else -1


@contextmanager
def surroundings_kept() -> Generator[None]:
    r"""Undo what `\env` and `\cd` do to the process."""
    folder, environment = os.getcwd(), dict(os.environ)
    try:
        yield
    finally:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)


class _Enough(Exception):
    """More statements were followed than anyone wants to wait for."""


class Follower(Interpreter):
    """An interpreter that looks at every path and has no effects."""

    host: FollowingHost
    scope: FollowedScope

    def __init__(self, uses: Uses) -> None:
        """Tell `uses` which variables are set and read."""
        self.oracle, self.made = Oracle(), MadeFiles()
        scope = FollowedScope(self.oracle, uses)
        super().__init__(scope, FollowingHost(self.oracle, scope, self.made), keep_going=True)
        self._left = [_MOST_STATEMENTS]
        self._brings_names = [False]  # a plugin may have brought directives and functions

    # ---- statements ----------------------------------------------------------------------------------------------

    def run(self, script: Script) -> None:
        """Follow every statement of a script; nothing is raised."""
        is_first = not self.files
        if is_first:
            self.files = (script_file(script.source),)
        for statement in script.statements:
            try:
                self._follow(statement)
            except _Enough:
                self.scope.uses.all_read = True
                if not is_first:
                    raise

    def run_source(self, source: Source) -> None:
        """Parse a source and follow the statements in which no syntax mistake is."""
        try:
            script, mistakes = parse_with_mistakes(source)
        except DgenError as error:
            self.scope.uses.all_read = True
            self.host.report(error)
            return
        self.host.tell(mistakes)
        spans = [d.span for d in mistakes if d.span is not None]
        broken = [s for s in script.statements if any(s.span.start <= m.start <= s.span.end for m in spans)]
        for statement in broken:
            self._give_up(statement)
        try:
            self.run(Script(source, tuple(s for s in script.statements if s not in broken)))
        except _Enough:
            if source.origin is not None:
                raise

    def _follow(self, statement: Statement) -> None:
        """Follow a statement along every path through what is unknown in it, and join what the paths leave."""
        self._left[0] -= 1
        if self._left[0] < 0:
            raise _Enough
        if isinstance(statement, Invocation | Directive) and "{" not in statement.span.text:
            self._attempt(statement)
            if not isinstance(statement, Directive) or statement.name != "setp":
                return
        before = self.scope.state()
        ends: list[State] = []
        looped, self.oracle.has_looped = self.oracle.has_looped, False
        for is_first in self.oracle.paths():
            if not is_first:
                self.scope.restore(before)
            self._attempt(statement)
            ends.append(self.scope.state())
        if self.oracle.has_looped:
            ends.append(before)
        if len(ends) > 1:
            self.scope.join(ends)
        self.oracle.has_looped = looped

    def _attempt(self, statement: Statement) -> None:
        """Run a statement; where it uses a name that nothing has set, tell so and go on as if something had."""
        supposed: list[str] = []
        for _ in range(_MOST_NAMES):
            touched, read = self.oracle.touched, set(self.scope.uses.read)
            try:
                self._run_telling_old_variables(statement)
            except Exited:
                break
            except DgenError as error:
                self.scope.uses.read = read
                error = _explained(error, statement)
                name = _missing_name(error)
                error = _without_hint(error, supposed)
                is_open = self.oracle.touched > touched or MARK in statement.span.text
                self._tell(error, is_open)
                if name is None or self.scope.is_set(name):
                    self._give_up(statement)
                    break
                self.scope.suppose(name)
                supposed.append(name)
            else:
                break
        self.scope.forget(supposed)

    def _run_telling_old_variables(self, statement: Statement) -> None:
        """Run a statement; tell of the variables it read by the names that an older version gave them."""
        read = self.scope.uses.read
        before = read & _OLD_VARIABLES.keys()
        read -= before
        try:
            self._run(statement)
        finally:
            for name in sorted(read & _OLD_VARIABLES.keys()):
                for match in re.finditer(rf"(?<![\w.'\"]){name}\b", statement.span.text):
                    span = statement.span.part(*match.span())
                    self.host.tell([old_spelling(name, _OLD_VARIABLES[name], span)])
            read |= before

    def _tell(self, error: DgenError, is_open: bool) -> None:
        """Keep what is surely wrong; `is_open`: something unknown had a part in it."""
        for each in error.diagnostics:
            is_certain = each.code in _CERTAIN and not _has_owner(error)
            by_plugin = self._brings_names[0] and each.code in _FROM_PLUGINS
            pending = each.code in ("missing-file", "file-failed") and self._may_exist(each.span)
            if MARK not in each.message and not by_plugin and not pending and (is_certain or not is_open):
                self.host.tell([each])

    def _may_exist(self, span: Span | None) -> bool:
        path = span.text.strip("\"'") if span is not None else MARK
        return self.made.may_hold(path) or self.made.may_match(path)

    def _give_up(self, statement: Statement) -> None:
        """Let what a failed statement would have set be unknown, and what it would have read be read."""
        self.scope.uses.note(statement.span.text)
        if isinstance(statement, Directive) and any(p.name == "name" for p in _parameters(statement)):
            names = _NAME.findall(statement.body.text)[:1]
            self.scope.suppose(*names)
        if isinstance(statement, Directive) and statement.name in ("cd", "pushd", "popd", "include"):
            self.made.anything = self.scope.uses.all_read = True
        if isinstance(statement, Directive) and statement.name == "pushd":
            self.folders.append(Path.cwd())

    def _run(self, statement: Statement) -> None:
        if not isinstance(statement, Directive):
            super()._run(statement)
            return
        row = find_directive(statement.name, statement.name_span)
        if row.name != statement.name:
            self.host.tell([old_spelling(f"\\{statement.name}", f"\\{row.name}", statement.name_span)])
        call_directive(self, row if _topic(row) in _FOLLOWED else _silenced(row), statement)
        if row.name in _DRAWING:
            name = _NAME.findall(statement.body.text)[0]
            self.scope.set(name, [self.oracle.unknown() for _ in self.scope[name]], None)

    def assume_effects(self, row: Row, texts: list[str]) -> None:
        """Take the files that a directive names for made, and the variables for set."""
        self.made.note(texts)
        if _topic(row) in _NAMING:
            return
        self.made.anything = True
        self.host.lose_pictures()
        self.scope.suppose(*(t.partition(".")[0] for t in texts if t.partition(".")[0].isidentifier()))
        self._brings_names[0] = self._brings_names[0] or _topic(row) == "plugins"

    # ---- templates and words -------------------------------------------------------------------------------------

    @cached_property
    def calls(self) -> Mapping[str, Any]:
        """The functions and namespaces of templates, for unknown values."""
        return lifted_calls(super().calls, self.oracle, self.made)

    @cached_property
    def renderer(self) -> FollowingRenderer:
        """What renders templates, with unknown values among the variables."""
        return FollowingRenderer(self.scope, self.calls, self.oracle)

    def words(self, statement: Statement) -> tuple[Word, ...]:
        """Return the words of a statement; those of a glob that nothing matches yet are unknown."""
        try:
            return super().words(statement)
        except DgenError as error:
            first = error.diagnostics[0]
            if first.code != "missing-file":
                raise
            self._tell(error, MARK in first.message)
            words = split(self.render(statement), expand=False)
            return tuple(Word(MARK, w.span) if w.span == first.span or "*" in w.text else w for w in words)

    def render(self, statement: Statement) -> Line:
        """Return the text of a statement on one line; environment variables that are not set are unknown in it."""
        try:
            line = super().render(statement)
        finally:
            self._tell_unset(statement, self.calls["env"])
        return self._without_unset(line) if "$" in line.text or "%" in line.text else line

    def _tell_unset(self, statement: Statement, environment: SeenEnvironment) -> None:
        for name in environment.unset:
            match = re.search(rf"\benv\s*[.\[]\s*['\"]?({re.escape(name)})\b", statement.span.text)
            span = statement.span.part(*match.span(1)) if match else statement.span
            self.host.tell([_unset(name, span)])
        environment.unset.clear()

    def _without_unset(self, line: Line) -> Line:
        built = LineBuilder(line.became)
        place = 0
        for name, start, end in variable_names(line):
            if name not in os.environ:
                self.host.tell([_unset(name, line.at(start, end))])
                built.copy(line, place, start)
                built.put(MARK, line.at(start, end))
                place = end
        built.copy(line, place, len(line.text))
        return built.line()


def _unset(name: str, span: Span) -> Diagnostic:
    return Diagnostic(
        code="unset-environment", message=f"the environment variable `{name}` is not set", span=span,
        severity="warning", help=f"it becomes nothing; set it before the run, or with `\\env {name}=…`",
    )  # fmt: skip


def _silenced(row: Row) -> Row:
    """Return a row whose directive only leaves behind what it may have done."""

    def note(run: Follower, span: Span, *arguments: Word | Line) -> None:
        run.assume_effects(row, [a.text for a in arguments if isinstance(a, Word)])

    return replace(row, call=update_wrapper(note, row.call))


def _topic(row: Row) -> str:
    return row.call.__module__.removeprefix("dgen.lang.directives.")


def _parameters(statement: Directive) -> tuple[Any, ...]:
    try:
        return find_directive(statement.name, statement.name_span).parameters
    except DgenError:
        return ()


def _explained(error: DgenError, statement: Statement) -> DgenError:
    """Say what is wrong with a template that does not compile, which may be the name of a filter."""
    line = template_line(statement)
    if error.diagnostics[0].code != "bad-template" or line is None:
        return error
    mistakes = check_syntax(line)
    return DgenError(*mistakes) if mistakes else error


def _without_hint(error: DgenError, names: list[str]) -> DgenError:
    """Take away a suggestion of a name that is only supposed to be set."""
    if not any(d.help and any(f"`{name}`" in d.help for name in names) for d in error.diagnostics):
        return error
    plain = DgenError(*(replace(d, help=None) for d in error.diagnostics))
    plain.__cause__ = error.__cause__
    return plain


def _has_owner(error: DgenError) -> bool:
    return bool(getattr(error.__cause__, "has_owner", False))


def _missing_name(error: DgenError) -> str | None:
    """Return the name that nothing has set, when that is what is wrong."""
    first = error.diagnostics[0]
    if first.code not in ("unknown-variable", "unknown-function") or _has_owner(error):
        return None
    name = getattr(error.__cause__, "name", None)
    text = name if isinstance(name, str) else first.span.text if first.span is not None else ""
    return text if text.isidentifier() else None
