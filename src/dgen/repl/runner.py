"""Runs the statements of a session one by one: an error or an interrupt ends a statement, never the session."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager

from dgen.cli.fronts import Front
from dgen.cli.main import explain
from dgen.diagnostic import DgenError, Source, Span
from dgen.engine.render import LocalEngine
from dgen.events import ComponentLoaded, Event, Interrupted, JobStarted, StatementFinished, serial
from dgen.lang.directives import directives
from dgen.lang.evaluate import Exited
from dgen.lang.journal import Journal
from dgen.lang.nodes import Comment, Directive, Script, Statement
from dgen.lang.parse import parse
from dgen.session import Session
from dgen.studio import Cancelled

_STOPPING = "stopping after this step; Ctrl-C again stops at once"


class Runner:
    """A session and what is said in it."""

    def __init__(self, front: Front, *, takes_drafts: bool, settle: Callable[[Session], None] | None = None) -> None:
        """Show what happens on `front`; `settle` prepares the session as the command line says."""
        self._front = front
        self._is_rendering = self._was_told = False
        self._count = 0
        listen = serial(self._listen)
        self.engine = LocalEngine(listen)
        self.session = Session(self.engine, listen)
        self.journal = Journal(is_session=True, takes_drafts=takes_drafts)
        self.failed = False
        if settle is not None:
            settle(self.session)
        self._interpreter = self.session.make_interpreter()
        self._interpreter.journal = self.journal
        self._interpreter.files = (None,)  # what is typed lies in no file

    def close(self) -> None:
        """End the session's threads."""
        self.session.close()

    @property
    def standing(self) -> str:
        """The model that ran last, its device, memory and speed on a line; empty before any did."""
        return self._front.status.line()

    def run(self, text: str) -> None:
        r"""Run what was typed; whatever goes wrong is shown.

        Raises:
            Exited: it said `\exit`.
        """
        if not text.strip():
            return
        self._count += 1
        source = Source(f"input {self._count}", text)
        try:
            statements = parse(source).statements
        except DgenError as error:
            self._explain(error)
            self.journal.note(source.span(0, len(text)), succeeded=False)
            return
        before: Span | None = None
        for statement in statements:
            if isinstance(statement, Comment):
                self.journal.note_comment(statement.span, before)
                continue
            before = statement.span
            succeeded = self._run(Script(source, (statement,)))
            self.journal.note(statement.span, succeeded=succeeded, is_shown_only=_shows(statement))
            if not succeeded:
                return

    def _run(self, script: Script) -> bool:
        """Run one statement; say whether it succeeded."""
        self.session.forget_cancel()
        self._interpreter.argv, self._interpreter.permissions = self.session.injected, self.session.permissions
        try:
            with self._heeding_interrupts():
                self._interpreter.run(script)
        except Cancelled:
            return False
        except KeyboardInterrupt:
            self._say("" if self._was_told else "interrupted")
            return False
        except Exited:
            raise
        except Exception as error:
            self._explain(error)
            return False
        return True

    def _explain(self, error: Exception) -> None:
        self.failed = True
        if isinstance(error, DgenError):
            self.session.report(error)
        else:
            explain(error)

    # ---- interrupts ----------------------------------------------------------------------------------------------

    @contextmanager
    def _heeding_interrupts(self) -> Generator[None]:
        """Let Ctrl-C stop a job at its next step, anything else at once."""
        self._is_rendering = self._was_told = False
        before = signal.signal(signal.SIGINT, self._interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _interrupt(self, *_: object) -> None:
        if not self._is_rendering:
            raise KeyboardInterrupt
        self._is_rendering = False  # the next one stops at once
        self.session.cancel()
        self._say(_STOPPING)

    def _say(self, text: str) -> None:
        if text:
            self._front.show(text)

    def _listen(self, event: Event) -> None:
        match event:
            case JobStarted():
                self._is_rendering = True
            case StatementFinished() | Interrupted():
                self._is_rendering, self._was_told = False, True
            case _:
                pass
        self._front.listen(event)
        if isinstance(event, ComponentLoaded):
            self.session.heed()


def _shows(statement: Statement) -> bool:
    row = directives().get(statement.name) if isinstance(statement, Directive) else None
    return row is not None and row.shows
