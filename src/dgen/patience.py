"""Tries again what failed because the network was out of reach, after a while."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from dgen.diagnostic import DgenError, Diagnostic
from dgen.engine.protocol import EngineError
from dgen.schema import BadValue

Made = TypeVar("Made")

FIRST_S, LONGEST_S = 2.0, 60.0
"""The first pause, and the longest: each is twice the one before."""

_TRANSIENT = "offline"


class Patience:
    """Knows how often to try."""

    def __init__(self, tell: Callable[[Diagnostic], None], wait: Callable[[float], None]) -> None:
        """`tell` is given a warning before each pause, `wait` makes it and may raise to end the run."""
        self._tell, self._wait = tell, wait
        self.retries = 0

    def work(self, do: Callable[[], Made], *, offline: bool = False) -> Made:
        """Do something; try again while it fails for want of the network, unless that is forbidden."""
        for attempt in range(0 if offline else self.retries):
            try:
                return do()
            except (DgenError, EngineError, BadValue) as error:
                message = _passing(error)
                if message is None:
                    raise
                pause = min(FIRST_S * 2**attempt, LONGEST_S)
                told = f"{message}; trying again in {pause:g} s"
                self._tell(Diagnostic(code=_TRANSIENT, severity="warning", message=told))
            self._wait(pause)
        return do()


def _passing(error: DgenError | EngineError | BadValue) -> str | None:
    """Return what an error says when it may pass by itself; None when it will not."""
    if not isinstance(error, DgenError):
        return error.message if error.code == _TRANSIENT else None
    lasting = [d for d in error.diagnostics if d.code != _TRANSIENT]
    return error.diagnostics[0].message if not lasting else None
