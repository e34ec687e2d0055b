"""Ctrl-C is heeded whenever it comes."""

from __future__ import annotations

import io
import signal
import threading

from dgen.cli.interrupts import AFTER_PICTURE, Interrupts
from dgen.engine.render import LocalEngine
from dgen.events import JobStarted
from dgen.session import Session


class Terminal(io.RawIOBase):
    """A terminal on which Ctrl-C is pressed while the first line is written."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.is_told = threading.Event()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.shown.append(bytes(data).decode())  # type: ignore[call-overload]
        if len(self.shown) == 1:
            signal.raise_signal(signal.SIGINT)
        else:
            self.is_told.set()
        return len(self.shown[-1].encode())


def test_ctrl_c_in_the_midst_of_a_line_is_told_after_it() -> None:
    screen = Terminal()
    stream = io.BufferedWriter(screen)

    def say(text: str) -> None:
        stream.write(f"{text}\n".encode())
        stream.flush()

    interrupts = Interrupts(lambda event: None, say)
    session = Session(LocalEngine())
    with interrupts.heeded(session):
        interrupts.listen(JobStarted(number=1, jobs=1, mode="txt2img", seed=1, steps=1, size="64x64"))
        say("saved a.png")
    session.close()
    assert screen.is_told.wait(30)
    assert screen.shown == ["saved a.png\n", f"{AFTER_PICTURE}\n"]
