"""Lets Ctrl-C end a run gently: after the picture that is made, then after a step, then at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

from dgen.events import ComponentLoaded, Event, Interrupted, JobStarted, Listener, StatementFinished
from dgen.session import Session

AFTER_PICTURE = "stopping after this picture; Ctrl-C again stops after this step"
AFTER_STEP = "stopping after this step; Ctrl-C again stops at once"


class Interrupts:
    """Knows whether a picture is being made, and what Ctrl-C does now."""

    def __init__(self, listener: Listener, say: Callable[[str], None]) -> None:
        """Hear events on their way to `listener`; `say` shows what a Ctrl-C did."""
        self._listener, self._say = listener, say
        self._session: Session | None = None
        self._is_rendering = False
        self._presses = 0

    def listen(self, event: Event) -> None:
        """Take an event, and hand it on; between two parts that are loaded, a run can be stopped."""
        match event:
            case JobStarted():
                self._is_rendering = True
            case StatementFinished() | Interrupted():
                self._is_rendering = False
            case _:
                pass
        self._listener(event)
        if isinstance(event, ComponentLoaded) and self._session is not None:
            self._session.heed()

    @contextmanager
    def heeded(self, session: Session) -> Generator[None]:
        """Heed Ctrl-C while a session runs; outside the main thread nobody can."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._session = session
        before = signal.signal(signal.SIGINT, self._press)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _press(self, *_: object) -> None:
        self._presses += 1
        if self._session is None or not self._is_rendering or self._presses > 2:
            raise KeyboardInterrupt
        if self._presses == 1:
            self._session.stop_after_picture()
            self._tell(AFTER_PICTURE)
        else:
            self._session.cancel()
            self._tell(AFTER_STEP)

    def _tell(self, text: str) -> None:
        """Say something from a thread of its own: the signal may have come in the midst of a line being written."""
        threading.Thread(target=self._say, args=(text,)).start()
