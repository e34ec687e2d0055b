"""A terminal to test in: a real pseudo-terminal, and a screen that understands what is written on it."""

from __future__ import annotations

import os
import pty
import re
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pexpect
import pyte
from forks import Forks
from pexpect.fdpexpect import fdspawn

PATIENCE_S = 300
KEYS = {
    "enter": "\r", "tab": "\t", "up": "\x1b[A", "down": "\x1b[B", "alt-enter": "\x1b\r", "ctrl-c": "\x03",
    "ctrl-d": "\x04", "ctrl-r": "\x12", "ctrl-x": "\x18", "ctrl-e": "\x05", "ctrl-a": "\x01", "ctrl-u": "\x15",
}  # fmt: skip


class Screen(pyte.Screen):
    """A screen that says what it can: `attributes`."""

    attributes = "?6c"

    def report_device_attributes(self, mode: int = 0, **more: bool) -> None:
        """Answer what the terminal is; pyte's own answer is that of an old one."""
        if not mode and not more:
            self.write_process_input(f"\x1b[{self.attributes}")


class Terminal:
    """A program on a terminal of 100 columns; waits for what is to be seen, never for a time."""

    def __init__(
        self, forks: Forks, folder: Path, *argv: str, rows: int = 40, first: str = "", **environment: str
    ) -> None:
        """Start `dgen` with arguments in a folder, with a state folder of the test's own."""
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (rows, 100))
        kept = {k: v for k, v in os.environ.items() if k not in ("TMUX", "TERM_PROGRAM", "VISUAL", "EDITOR")}
        home = {"XDG_STATE_HOME": str(folder / ".state"), "DGEN_CACHE": str(folder / ".cache")}
        terminal = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "OMP_NUM_THREADS": "1"}
        self.screen = Screen(100, rows)
        self._stream = pyte.ByteStream(self.screen)
        self._fork = forks.start(
            *argv, streams=(theirs,) * 3, cwd=folder, first=first, env={**kept, **home, **terminal, **environment}
        )
        os.close(theirs)
        self.child = fdspawn(ours, timeout=PATIENCE_S)
        self.child.delaybeforesend = None
        self.screen.write_process_input = self.child.send  # answers where the cursor is, as terminals do
        self.raw = b""

    def type(self, text: str) -> Terminal:
        """Type characters."""
        self.child.send(text)
        return self

    def press(self, *keys: str) -> Terminal:
        """Press keys by name."""
        for key in keys:
            self.child.send(KEYS[key])
        return self

    def enter(self, text: str) -> Terminal:
        """Type a line once a prompt waits for it, and press Enter when it stands there."""
        self.wait_for_prompt()
        self.type(text)
        self.wait(lambda: text.splitlines()[-1].strip()[-60:] in " ".join(self.shown.split("\n")), f"typed: {text}")
        return self.press("enter")

    def wait_for_prompt(self) -> Terminal:
        """Wait until an empty prompt is the last thing above the toolbar."""
        return self.wait(lambda: re.search(r"dgen>$", self._last_line()) is not None, "an empty prompt")

    def _last_line(self) -> str:
        return self.screen.display[self.screen.cursor.y].rstrip()

    def wait_for(self, text: str) -> Terminal:
        """Wait until a text is on the screen."""
        return self.wait(lambda: text in self.shown, text)

    def wait(self, condition: Callable[[], bool], what: str) -> Terminal:
        """Wait until a condition holds."""
        end = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"waited in vain for {what!r}; on the screen:\n{self.shown}")
            try:
                self._read(self.child.read_nonblocking(65536, timeout=1))
            except pexpect.TIMEOUT:
                continue
            except pexpect.EOF:
                if not condition():
                    raise AssertionError(f"ended before {what!r} was seen; on the screen:\n{self.shown}") from None
        return self

    def _read(self, data: bytes) -> None:
        self.raw += data
        # pyte takes a few private modes and the strings of graphics for text
        self._stream.feed(re.sub(rb"\x1b\[>[\d;]*[a-z]|\x1b_[^\x1b]*\x1b\\", b"", data))

    def ends(self) -> int:
        """Wait for the end; return the exit code."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            try:
                self._read(self.child.read_nonblocking(65536, timeout=1))
            except pexpect.TIMEOUT:
                continue
            except pexpect.EOF:
                return self._fork.wait()
        raise AssertionError(f"it goes on; on the screen:\n{self.shown}")

    @property
    def shown(self) -> str:
        """What is on the screen."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    def colour_of(self, text: str) -> str:
        """Return the colour of a text on the screen, where it stands last."""
        row, line = max((y, line) for y, line in enumerate(self.screen.display) if text in line)
        return self.screen.buffer[row][line.rindex(text)].fg

    def close(self) -> None:
        """End the program whatever it does."""
        with self._fork:
            self._fork.kill()
        self.child.close()
