"""Starts `dgen` as a process of its own without its imports: a fork of one that has imported what a job needs.

The fork has standard streams, a folder, an environment and a session (in a terminal: the terminal) of its own, and
then does what `python -m dgen` does. Tests that ask how it starts say so: `FRESH`.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import termios
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

NOTHING, PIPE = subprocess.DEVNULL, subprocess.PIPE
FRESH = "os.execv(sys.executable, [sys.executable, '-m', 'dgen', *sys.argv[1:]])"
"""Lets it start as any `dgen` does, imports and all."""

# ---- in the test -----------------------------------------------------------------------------------------------


class Fork:
    """A running `dgen`: what it writes into `pipes`, its signals, and in the end its exit code."""

    def __init__(self, ending: int, pipes: Sequence[int]) -> None:
        """`ending` is where its keeper tells its process id, and in the end its exit code."""
        self._told = os.fdopen(ending)
        self.pid = int(self._told.readline())
        self.pipes = [os.fdopen(number) for number in pipes]
        self.returncode: int | None = None

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def wait(self) -> int:
        """Wait for its end; return its exit code, or the number of the signal that ended it, below 0."""
        if self.returncode is None:
            self.returncode = int(self._told.readline())
        return self.returncode

    def __enter__(self) -> Fork:
        return self

    def __exit__(self, *error: object) -> None:
        for stream in self.pipes:
            stream.close()
        with self._told:
            self.wait()


class Forks:
    """A process that has imported everything, started when it is first needed."""

    def __init__(self) -> None:
        self._asked: socket.socket | None = None
        self._server: subprocess.Popen[bytes] | None = None

    def start(
        self, *argv: str, streams: Sequence[int] = (NOTHING, PIPE, PIPE), env: Mapping[str, str] | None = None,
        cwd: Path | None = None, first: str = "",
    ) -> Fork:  # fmt: skip
        """Start `dgen` with arguments; in the current environment and folder, or others.

        `streams` are the file numbers of its standard streams, or as `subprocess` has them. `first` is Python code
        that it runs before everything else, such as `FRESH`.
        """
        said = {"argv": argv, "env": {**(env or os.environ)}, "cwd": str(cwd or Path.cwd()), "first": first}
        theirs: list[int] = []
        ours: list[int] = []
        for stream in (*streams, PIPE):  # the last one tells its end
            read, write = os.pipe() if stream == PIPE else (None, _opened(stream))
            theirs.append(write)
            ours += [read] if read is not None else []
        socket.send_fds(self._connection(), [json.dumps(said).encode()], theirs)
        for number in theirs:
            os.close(number)
        *read_by_us, ending = ours
        return Fork(ending, read_by_us)

    def run(self, *argv: str, text: str = "", first: str = "") -> subprocess.CompletedProcess[str]:
        """Run `dgen` in the current folder, with a `text` to read; return what it wrote and how it ended."""
        theirs, ours = os.pipe()
        with os.fdopen(ours, "w") as pipe:
            pipe.write(text)  # a pipe holds 64 KiB that nobody has read yet
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            with self.start(*argv, streams=(theirs, out.fileno(), err.fileno()), first=first) as fork:
                os.close(theirs)
            written = [os.pread(file.fileno(), 2**24, 0).decode() for file in (out, err)]
        return subprocess.CompletedProcess(argv, fork.wait(), *written)

    def _connection(self) -> socket.socket:
        if self._asked is None:
            self._asked, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            argv, number = [sys.executable, __file__, str(theirs.fileno())], theirs.fileno()
            self._server = subprocess.Popen(argv, pass_fds=[number], stdin=NOTHING, start_new_session=True)
            theirs.close()
        return self._asked

    def close(self) -> None:
        """End the process that has imported everything; its forks go on."""
        if self._asked is not None and self._server is not None:
            self._asked.close()
            self._server.wait()


def _opened(stream: int) -> int:
    return os.open(os.devnull, os.O_RDWR) if stream == NOTHING else os.dup(stream)


# ---- in the process that is forked -----------------------------------------------------------------------------


def serve(asked: socket.socket) -> None:
    """Import what jobs need, and fork for each message until there are no more."""
    for module in ("dgen.cli.commands", "dgen.repl.main"):
        import_module(module)
    from dgen.engine.render import LocalEngine

    LocalEngine().warm_up()
    signal.signal(signal.SIGCHLD, reap)
    while (received := socket.recv_fds(asked, 2**20, 4))[0]:
        message, numbers, _, _ = received
        if os.fork() == 0:
            asked.close()
            keep(json.loads(message), numbers)
        for number in numbers:
            os.close(number)


def reap(*signal_and_frame: object) -> None:
    """Take note of keepers that have ended."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def keep(said: dict[str, Any], numbers: list[int]) -> NoReturn:
    """Fork once more, for somebody has to wait for the end and tell it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *streams, ending = numbers
    child = os.fork()
    if child == 0:
        os.close(ending)
        become(said, streams)
    for number in streams:
        os.close(number)
    os.write(ending, f"{child}\n".encode())
    _, status = os.waitpid(child, 0)
    os.write(ending, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def become(said: dict[str, Any], streams: list[int]) -> NoReturn:
    """Be a `dgen` that has just started."""
    from dgen.cli.main import main

    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    if os.isatty(0):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    sys.stdin = sys.__stdin__ = os.fdopen(0)
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w")
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", buffering=1, errors="backslashreplace")
    os.environ.clear()
    os.environ.update(said["env"])
    os.chdir(said["cwd"])
    sys.argv = ["dgen", *said["argv"]]
    exec(said["first"])
    _CODES.append(int(main()))
    sys.exit()


_CODES: list[int] = []


def leave() -> None:
    """End a fork where an interpreter has nothing left to do but to take its modules apart, for half a second."""
    if _CODES:
        sys.stdout.flush()
        os._exit(_CODES[0])


if __name__ == "__main__":
    atexit.register(leave)  # what is registered first is done last
    serve(socket.socket(fileno=int(sys.argv[1])))
