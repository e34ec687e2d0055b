"""A second host of the language, which records what it is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dgen.diagnostic import DgenError, Diagnostic, Source, Span, Word, render
from dgen.lang.evaluate import Interpreter
from dgen.lang.parse import parse
from dgen.lang.scope import Scope
from dgen.plan.again import changed_words
from dgen.plan.bind import request_table


class RecordingHost:
    """Runs nothing; keeps invocations, output, warnings, reports and requests."""

    def __init__(self) -> None:
        self.invocations: list[tuple[Word, ...]] = []
        self.written: list[str] = []
        self.warnings: list[Diagnostic] = []
        self.reports: list[DgenError] = []
        self.requests: list[tuple[str, object]] = []

    @property
    def output(self) -> str:
        return "".join(self.written)

    @property
    def lines(self) -> list[list[str]]:
        return [[word.text for word in words] for words in self.invocations]

    def invoke(self, words: tuple[Word, ...], span: Span) -> None:
        self.invocations.append(words)

    def changed(self, words: tuple[Word, ...], changes: tuple[Word, ...]) -> tuple[Word, ...]:
        return changed_words(words, changes, request_table())

    def show(self, paths: tuple[str, ...]) -> None:
        self.requests.append(("show", paths))

    def grid(self, paths: tuple[str, ...], target: Path) -> str:
        self.requests.append(("grid", paths))
        return str(target)

    def write(self, text: str) -> None:
        self.written.append(text)

    def warn(self, diagnostic: Diagnostic) -> None:
        self.warnings.append(diagnostic)

    def report(self, error: DgenError) -> None:
        self.reports.append(error)

    def help(self, topic: str, names: tuple[Word, ...], scope: Scope) -> str:
        return f"{topic}: {' '.join(word.text for word in names)}"

    def clear_cache(self, kind: str, names: tuple[Word, ...]) -> None:
        self.requests.append((kind, [word.text for word in names]))

    def save_modules(self, names: tuple[Word, ...]) -> object:
        return [word.text for word in names]

    def use_modules(self, saved: object, span: Span) -> None:
        self.requests.append(("use", saved))

    def clear_modules(self, saved: object) -> None:
        self.requests.append(("release", saved))

    def device_fact(self, name: str, *args: object) -> object:
        return "cpu" if name == "default_device" else 0

    def model_types(self) -> tuple[str, ...]:
        return ("sd", "sdxl")

    def download(self, url: str, path: str | None, *, overwrite: bool, text: bool) -> str:
        return path or url


class Session:
    """An interpreter and its host; `run` parses and runs a text."""

    def __init__(self, **options: object) -> None:
        self.host = RecordingHost()
        self.scope = Scope()
        self.interpreter = Interpreter(self.scope, self.host, **options)

    def run(self, text: str) -> RecordingHost:
        self.interpreter.run(parse(Source("t.dgen", text)))
        return self.host

    def words(self, text: str) -> tuple[Word, ...]:
        script = parse(Source("t.dgen", text))
        assert len(script.statements) == 1
        return self.interpreter.words(script.statements[0])

    def error(self, text: str) -> str:
        with pytest.raises(DgenError) as caught:
            self.run(text)
        return render(caught.value.diagnostics)


@pytest.fixture
def session() -> Session:
    return Session()


@pytest.fixture
def make_session() -> Callable[..., Session]:
    return Session
