"""How soon a session prompts, how long a key waits while libraries load, and how soon a second invocation starts."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import pexpect

ROUNDS = 9
SCRIPT = str(Path(sys.executable).parent / "dgen")
CURSOR_QUESTION, CURSOR_ANSWER = b"\x1b[6n", "\x1b[1;1R"


class Typist:
    """A session on a pseudo-terminal, and who sits at it."""

    def __init__(self, folder: str) -> None:
        """Start a session in an empty folder."""
        home = {"XDG_STATE_HOME": folder, "TERM": "xterm-256color"}
        self.start = time.perf_counter()
        self.child = pexpect.spawn(SCRIPT, cwd=folder, env={**os.environ, **home}, timeout=60, dimensions=(40, 100))
        self.child.delaybeforesend = None

    def until(self, wanted: bytes) -> float:
        """Read until a text is written; return the seconds that it took."""
        begun, seen = time.perf_counter(), b""
        while wanted not in seen:
            try:
                data = self.child.read_nonblocking(65536, timeout=60)
            except pexpect.EOF:
                break
            if CURSOR_QUESTION in data:
                self.child.send(CURSOR_ANSWER)
            seen += data
        return time.perf_counter() - begun

    def press(self, key: str) -> float:
        """Press a key; return the seconds until it is seen."""
        self.child.send(key)
        return self.until(key.encode())


def first_prompt() -> float:
    """Return the seconds from the start of the program to its first prompt."""
    with tempfile.TemporaryDirectory() as folder:
        typist = Typist(folder)
        typist.until(b"dgen>")
        took = time.perf_counter() - typist.start
        typist.child.close(force=True)
    return took


def keys_while_loading() -> list[float]:
    """Return the seconds that keys waited, pressed one after the other from the first prompt on."""
    with tempfile.TemporaryDirectory() as folder:
        typist = Typist(folder)
        typist.until(b"dgen>")
        waits: list[float] = []
        for number in range(100):
            waits.append(typist.press("QWZV"[number % 4]))
            time.sleep(0.05)
        typist.child.close(force=True)
    return waits


def second_invocation() -> float:
    """Return the seconds from a second invocation, of another prompt and seed, to the start of its first step."""
    from dgen.events import Event, StepDone
    from dgen.repl.runner import Runner

    class Clock:
        """Notes when steps are done."""

        def __init__(self) -> None:
            self.steps: list[float] = []

        def listen(self, event: Event) -> None:
            if isinstance(event, StepDone):
                self.steps.append(time.perf_counter())

        def show(self, text: str) -> None:
            pass

        def __enter__(self) -> Clock:
            return self

        def __exit__(self, *trouble: object) -> None:
            pass

    clock = Clock()
    runner = Runner(clock, takes_drafts=False)
    waits: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(ROUNDS + 1):
            clock.steps.clear()
            begun = time.perf_counter()
            runner.run(
                f'builtin:shapes --prompts "a red circle {number}" --seeds {number} --inference-steps 8 -o {folder}'
            )
            step = statistics.median(b - a for a, b in zip(clock.steps, clock.steps[1:], strict=False))
            waits.append(clock.steps[0] - step - begun)
    runner.close()
    return statistics.median(waits[1:])


def main() -> None:
    """Print the figures."""
    first_prompt()
    prompts = [first_prompt() for _ in range(ROUNDS)]
    print(f"first prompt                    {statistics.median(prompts):.3f} s")
    waits = keys_while_loading()
    print(
        f"a key while libraries load      {statistics.median(waits) * 1000:.0f} ms, at most {max(waits) * 1000:.0f} ms"
    )
    print(f"second invocation's first step  {second_invocation():.3f} s")


if __name__ == "__main__":
    main()
