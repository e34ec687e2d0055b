"""Brings in, while the user types the first statement, what that statement will need."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dgen.repl.runner import Runner

_NAME = "dgen-preparation"
_TURN_S = 0.001  # how long an import may hold the interpreter before a key is handled


class Preparation:
    """A thread that imports the language, then makes the session, then imports the libraries of models."""

    def __init__(self, runner: Runner | None) -> None:
        """With a `runner` the session is there already."""
        self.told: Callable[[], None] = lambda: None  # called when a part is there
        self._language = threading.Event()
        self._runner: Future[Runner] = Future()
        self._given = runner
        self._started = False

    def start_after(self, _: object) -> None:
        """Start the thread, once something is on the screen."""
        self.start()

    def start(self) -> None:
        """Start the thread, once."""
        if not self._started:
            self._started = True
            threading.Thread(target=self._work, name=_NAME, daemon=True).start()

    def _work(self) -> None:
        turn = sys.getswitchinterval()
        sys.setswitchinterval(_TURN_S)
        try:
            self._bring_language()
            self.told()
            self._bring_session().engine.warm_up()
        except Exception as error:  # whoever waits is told; what the libraries lack, the first job tells
            self._language.set()
            if not self._runner.done():
                self._runner.set_exception(error)
        finally:
            sys.setswitchinterval(turn)

    def _bring_language(self) -> None:
        from dgen.complete import complete
        from dgen.lang import completeness, highlight

        highlight.highlight("\\print x")  # builds the parser
        complete.complete("\\")
        completeness.continuation("\\print x")
        self._language.set()

    def _bring_session(self) -> Runner:
        from dgen.cli.fronts import make_front
        from dgen.repl.runner import Runner

        made = self._given or Runner(make_front(quiet=False, json=False, verbose=False), takes_drafts=True)
        self._runner.set_result(made)
        return made

    @property
    def has_language(self) -> bool:
        """Whether colours and completion are there without waiting."""
        return self._language.is_set()

    def wait_for_language(self) -> None:
        """Wait until colours and completion are there."""
        self.start()
        self._language.wait()

    @property
    def has_session(self) -> bool:
        """Whether statements can run without waiting."""
        return self._runner.done()

    def runner(self) -> Runner:
        """Return the session, as soon as it is there."""
        self.start()
        return self._runner.result()


def is_busy() -> bool:
    """Whether the thread is at work."""
    return any(thread.name == _NAME and thread.is_alive() for thread in threading.enumerate())
