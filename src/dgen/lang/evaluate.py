"""Runs a script statement by statement: renders, expands, splits, and hands on to directives and to the host."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dgen.diagnostic import DgenError, Diagnostic, Exit, Source, Span, Word
from dgen.lang.directives import call_directive, find_directive
from dgen.lang.expand import expand_environment, expand_home, variable_names
from dgen.lang.files import script_file
from dgen.lang.functions import bind_functions
from dgen.lang.host import Host
from dgen.lang.journal import Journal
from dgen.lang.line import Line
from dgen.lang.nodes import Block, Comment, Directive, Invocation, Pragma, Script, Statement
from dgen.lang.parse import parse, template_line
from dgen.lang.permissions import Permissions
from dgen.lang.scope import Scope
from dgen.lang.version import pragma_warning
from dgen.lang.words import Operator, split, split_operators, split_plain

if TYPE_CHECKING:
    from dgen.lang.directives.modules import Saved
    from dgen.lang.template import Renderer

_TEMPLATE = re.compile(r"\{[{%#]")


class Exited(Exception):
    r"""A script said `\exit`."""

    def __init__(self, code: int = 0) -> None:
        """Keep the exit code."""
        super().__init__(code)
        self.code = code


class Interpreter:
    """The language of one session."""

    def __init__(self, scope: Scope, host: Host, *, argv: tuple[Word, ...] = (), keep_going: bool = False) -> None:
        """Run in a scope, for a host; `argv` is appended to every invocation."""
        self.scope = scope
        self.host = host
        self.argv = argv
        self.keep_going = keep_going
        self.permissions = Permissions()
        self.files: tuple[Path | None, ...] = ()  # the script that runs, last, and those that include it
        self.folders: list[Path] = []  # where `\\popd` goes back to
        self.journal = Journal()
        self.saved_modules: dict[str, Saved] = {}
        scope.provide("saved_modules", self.saved_modules)

    def run(self, script: Script) -> None:
        r"""Run every statement of a script.

        Raises:
            DgenError: the first statement that failed, unless `keep_going`.
            Exited: the script said `\exit`.
        """
        if not self.files:
            self.files = (script_file(script.source),)
        for statement in script.statements:
            try:
                self._run(statement)
            except DgenError as error:
                self._report(error)

    def within(self, file: Path, scope: Scope | None = None) -> Interpreter:
        """Return an interpreter that runs an included file, in this scope or in one of its own."""
        inner = copy.copy(self)
        inner.files = (*self.files, file)
        if scope is not None:
            inner.scope = scope
            vars(inner).pop("renderer", None)
        return inner

    def run_source(self, source: Source) -> None:
        """Parse a source and run it, as `run` does: a syntax mistake in it is the failure of one statement."""
        try:
            script = parse(source)
        except DgenError as error:
            self._report(error)
        else:
            self.run(script)

    def _report(self, error: DgenError) -> None:
        if not self.keep_going:
            raise error
        self.host.report(error)

    def words(self, statement: Statement) -> tuple[Word, ...]:
        """Render, expand and split a statement, without running it; nothing for what has no words.

        Raises:
            DgenError: whatever is wrong with its templates, quotes and globs.
        """
        if not isinstance(statement, Invocation | Directive):
            return ()
        plain = split_plain(statement.body if isinstance(statement, Directive) else statement.span)
        return plain if plain is not None else split(self._expanded(statement, raw=False), home=self._home)

    def words_and_operators(self, statement: Directive) -> tuple[Word | Operator, ...]:
        """Render, expand and split a statement in which `|`, `<` and `>` mean something outside quotes."""
        return split_operators(self._expanded(statement, raw=False), home=self._home)

    def text(self, statement: Directive) -> Line:
        """Return what follows a directive's name as raw text: rendered, and with its environment variables."""
        return self._expanded(statement, raw=True).strip()

    def render(self, statement: Statement) -> Line:
        """Return the text of a statement on one line, rendered."""
        line = template_line(statement)
        if line is None:
            return Line("", ())
        return self.renderer.render(line) if _TEMPLATE.search(line.text) else line

    def _expanded(self, statement: Statement, *, raw: bool) -> Line:
        line = self.render(statement)
        if not self.permissions.environment:
            for _, start, end in variable_names(line):
                self._require_environment(line.at(start, end))
        return expand_environment(line, raw=raw)

    def _home(self, text: str, span: Span) -> str:
        self._require_environment(span)
        return expand_home(text)

    def _require_environment(self, span: Span | None = None) -> None:
        self.permissions.require("environment", span, "see the environment")

    def forget_functions(self) -> None:
        """Look the functions of templates up anew: a plugin has brought some."""
        for name in ("calls", "renderer"):
            vars(self).pop(name, None)

    @cached_property
    def calls(self) -> Mapping[str, Any]:
        """The functions and namespaces of templates and expressions."""
        return bind_functions(self.host, self._require_environment)

    @cached_property
    def renderer(self) -> Renderer:
        """What renders templates, with the variables of this session."""
        from dgen.lang.template import Renderer

        return Renderer(self.scope, self.calls)

    def evaluate(self, line: Line) -> Any:
        """Evaluate an expression with the variables and functions of this session.

        Raises:
            DgenError: `bad-expression`, `unknown-variable`, `unknown-function`.
        """
        from collections import ChainMap

        from dgen.lang.expression import evaluate_expression

        layers: list[Any] = [self.scope, self.calls]
        return evaluate_expression(line, ChainMap(*layers))

    def invoke(self, words: tuple[Word, ...], span: Span) -> None:
        """Run an invocation, with the words that join each; one that cannot be understood is soon forgotten.

        Raises:
            DgenError: whatever the host raises.
        """
        before, self.journal.last = self.journal.last, words
        try:
            self.host.invoke(words + self.argv, span)
        except DgenError as error:
            if error.exit_code == Exit.USAGE:
                self.journal.last = before
            raise

    def _run(self, statement: Statement) -> None:
        match statement:
            case Invocation():
                words = self.words(statement)
                if words:
                    self.invoke(words, statement.span)
            case Directive():
                call_directive(self, find_directive(statement.name, statement.name_span), statement)
            case Block():
                from dgen.lang.blocks import run_block

                run_block(self, statement)
            case Pragma():
                warning: Diagnostic | None = pragma_warning(statement)
                if warning is not None:
                    self.host.warn(warning)
            case Comment():
                pass
