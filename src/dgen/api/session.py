"""A session as a Python program sees it: runs scripts and invocations, in its own thread when wanted."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from dgen import session as inner
from dgen.api.pictures import Collector, Pictures
from dgen.api.scripts import Invocation, WordLine, as_source
from dgen.engine.render import LocalEngine
from dgen.events import Event, Listener, serial
from dgen.lang.evaluate import Exited
from dgen.lang.modules import load_installed
from dgen.lang.permissions import Permissions
from dgen.studio import Cancelled


class Run:
    """A run that goes on in a thread of its own. Iterating yields its events as they happen, until it is over.

    The end of the iteration raises what made the run fail, as `wait` does.
    """

    def __init__(self, work: Callable[[], int], cancel: Callable[[], None]) -> None:
        """Get ready to do `work`, which returns an exit code."""
        self._work, self._cancel = work, cancel
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._collector = Collector()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="dgen-run")
        self._told = False  # whether someone heard of the error
        self.was_cancelled = False
        self.exit_code = 0

    def listen(self, event: Event) -> None:
        """Keep an event for whoever iterates."""
        self._collector.listen(event)
        self._events.put(event)

    def start(self) -> Run:
        """Start the thread."""
        self._thread.start()
        return self

    def _run(self) -> None:
        try:
            self.exit_code = self._work()
        except Cancelled:
            self.was_cancelled = True
        except BaseException as error:  # raised again in the thread that waits
            self._error = error
        finally:
            self._events.put(None)

    def cancel(self) -> None:
        """Stop at the next step, statement or part that is loaded. What is rendered by then is kept."""
        if not self.is_over:
            self._cancel()

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return not self._thread.is_alive()

    @property
    def pictures(self) -> Pictures:
        """What was made so far."""
        return self._collector.pictures()

    def wait(self, timeout_s: float | None = None) -> Pictures:
        """Wait for the end, and return the pictures; those that were made before it, when the run was cancelled.

        Raises:
            DgenError: the script is wrong, or a job failed.
            TimeoutError: the run is not over after `timeout_s` seconds.
        """
        try:
            self._thread.join(timeout_s)
        except KeyboardInterrupt:
            self.cancel()
            self._thread.join()
            raise
        if not self.is_over:
            raise TimeoutError(f"the run is not over after {timeout_s} seconds")
        self.blame()
        return self.pictures

    def finish(self) -> None:
        """Wait for the end without blaming anyone."""
        self._thread.join()

    def blame(self, *, again: bool = True) -> None:
        """Raise what made the run fail, unless it was raised before and is not to be raised `again`."""
        if self._error is not None and (again or not self._told):
            self._told = True
            raise self._error

    @property
    def is_here(self) -> bool:
        """Whether the caller is the run's own thread."""
        return threading.current_thread() is self._thread

    def __iter__(self) -> Iterator[Event]:
        while (event := self._events.get()) is not None:
            yield event
        self._events.put(None)  # for whoever iterates again
        self.wait()


class Session:
    """Runs scripts and invocations; keeps variables and loaded models from one to the next.

    Any number of sessions may live in one process. They share its working directory and its environment, which
    `\\cd` and `\\env` change for all of them.
    """

    def __init__(self, *, listener: Listener | None = None, sandbox: bool = False, **options: Any) -> None:
        """`options` join every invocation, as those of the command line do: `Session(output_path="here")`.

        `listener` is told every event, one at a time, in the threads in which they happen. In a sandbox, scripts
        run no programs, no Python and no network, and write nowhere but in the output folder.
        """
        self._options = options
        self._listener = serial(self._told)
        self._listeners = [listener] if listener is not None else []
        self._engine = LocalEngine(self._loading)
        self._inner = inner.Session(self._engine, self._listener)
        self._inner.inject(self._words({}))
        self._run: Run | None = None
        if sandbox:
            self._inner.permissions = Permissions.sandbox(Path(options.get("output_path", "output")))
        for wrong in load_installed() if not sandbox else ():
            self._inner.warn(wrong)

    def _told(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)
        if self._run is not None:
            self._run.listen(event)

    def _loading(self, event: Event) -> None:
        """Hear what the engine loads; between two parts a run may be cancelled."""
        self._listener(event)
        if self._run is not None and self._run.is_here:
            self._inner.heed()

    def _words(self, options: dict[str, Any]) -> Any:
        line = WordLine("Python")
        line.add_options({**self._options, **options})
        return line.words()

    # ---- running -----------------------------------------------------------------------------------------------

    def start(self, script: str | Path | Invocation, *, keep_going: bool = False, **options: Any) -> Run:
        """Start a script (a `Path` is a file, a text is itself) or an invocation; `options` join every invocation.

        With `keep_going` the rest of a script runs after a statement failed; the exit code of the run is 1 then.

        Raises:
            DgenError: the file cannot be read.
            RuntimeError: the session is running already.
        """
        if self._run is not None and not self._run.is_over:
            raise RuntimeError("this session is running; wait for its run, or use another session")
        words = self._words(options)
        self._inner.forget_cancel()
        source = script if isinstance(script, Invocation) else as_source(script)
        self._run = Run(lambda: self._work(source, words, keep_going), self._inner.cancel)
        return self._run.start()

    def _work(self, source: Any, words: Any, keep_going: bool) -> int:
        session = self._inner
        session.failed = False
        session.inject(words)
        try:
            if isinstance(source, Invocation):
                own, span = source.words()
                session.invoke((*own, *words), span)
            else:
                session.run(source, keep_going=keep_going)
        except Exited as stop:
            return stop.code
        return int(session.failed)

    def run(self, script: str | Path | Invocation, *, keep_going: bool = False, **options: Any) -> Pictures:
        """Run a script or an invocation, as `start` does, and wait for its pictures.

        Raises:
            DgenError: the script is wrong, or a job failed; what was made before it is on disk.
        """
        return self.start(script, keep_going=keep_going, **options).wait()

    def invoke(self, model: str | Path, **options: Any) -> Pictures:
        """Run one invocation: `session.invoke("builtin:shapes", prompts="a red circle", seeds=[1, 2])`.

        Raises:
            DgenError: it is wrong, or a job failed.
        """
        return self.run(Invocation(model, **options))

    def cancel(self) -> None:
        """Cancel what runs; may be called from any thread."""
        if self._run is not None:
            self._run.cancel()

    # ---- what lives on -----------------------------------------------------------------------------------------

    def set(self, name: str, value: object) -> None:
        """Set a variable of scripts.

        Raises:
            DgenError: `bad-name`, `read-only-variable`.
        """
        self._inner.scope.set(name, value, None)

    @property
    def variables(self) -> dict[str, Any]:
        """The variables that scripts can read, those that dgen sets included."""
        return dict(self._inner.scope)

    def clear(self) -> int:
        """Drop every loaded model; return how many parts they had."""
        return self._engine.clear("model")

    def close(self) -> None:
        """Wait for what runs, and end the session's threads.

        Raises:
            DgenError: a run failed, and nobody waited for it.
        """
        self._end()
        if self._run is not None:
            self._run.blame(again=False)

    def _end(self) -> None:
        if self._run is not None:
            self._run.finish()
        self._inner.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the session; after an error, cancel what still runs."""
        if error is None:
            self.close()
        else:
            self.cancel()
            self._end()
