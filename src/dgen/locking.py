"""Writes down what a script depends on, each with its size and digest, and tells what is another thing now."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from dgen.config import digest_of, input_paths
from dgen.diagnostic import Diagnostic
from dgen.engine.files import model_files
from dgen.engine.hub import Hub
from dgen.engine.protocol import ModelFiles
from dgen.media.ledger import versions
from dgen.plan.resolve import Job
from dgen.plan.shots import Shot
from dgen.planning import PlanningSession

Fact = Mapping[str, str | int]


@dataclass(slots=True)
class Lock:
    """What a script depends on: versions by library, and files by what they are called, with size and sha256."""

    versions: Mapping[str, str]
    files: dict[str, Fact] = field(default_factory=dict[str, Fact])

    def as_text(self) -> str:
        """Write it as JSON, the same for the same files."""
        told = {"versions": dict(self.versions), "files": dict(sorted(self.files.items()))}
        return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


def read_lock(text: str) -> Lock | None:
    """Read a lock; None when it is none."""
    try:
        told = json.loads(text)
        known = {str(name): str(version) for name, version in told["versions"].items()}
        files = {str(name): cast("Fact", dict(fact)) for name, fact in told["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return Lock(known, files)


class LockingSession(PlanningSession):
    """Plans a script, and looks at every file that its jobs are made from."""

    def __init__(self, folder: Path) -> None:
        """`folder` is that of the script: inputs are named from there."""
        super().__init__()
        self._folder = folder
        self._hub = Hub(is_offline=True)
        self.lock = Lock(versions())

    def _keeps(self, job: Job, shot: Shot) -> bool:
        for model in model_files(self._hub, job.request):
            self.lock.files |= dict(_facts_of(model))
        for path in input_paths(job):
            if Path(path).absolute() not in self.planned.planned:  # the script makes it itself
                found = self.pictures.find(path)
                self.lock.files[f"input {self._called(path)}"] = _fact(found)
        return super()._keeps(job, shot)

    def _called(self, path: str) -> str:
        return Path(os.path.relpath(path, self._folder)).as_posix() if os.path.isabs(path) else path


def _facts_of(model: ModelFiles) -> Iterator[tuple[str, Fact]]:
    root = Path(os.path.commonpath(model.files)) if len(model.files) > 1 else None
    for file in model.files:
        name = file.relative_to(root).as_posix() if root is not None else file.name
        revision = {"revision": model.commit} if model.commit else {}
        yield f"model {model.name}: {name}", {**revision, **_fact(file)}


def _fact(file: Path) -> dict[str, str | int]:
    return {"bytes": file.stat().st_size, "sha256": digest_of(file)}


def drift(before: Lock, now: Lock, name: str) -> Iterator[Diagnostic]:
    """Yield what is not as a lock says; `name` is that of its file."""
    for library, version in before.versions.items():
        if now.versions.get(library) != version:
            yield _drifted(f"`{library}` was {version}, is {now.versions.get(library, 'missing')}", name)
    for what in dict.fromkeys((*before.files, *now.files)):
        then, found = before.files.get(what), now.files.get(what)
        if then is None:
            yield _drifted(f"the {what} is not in the lock", name)
        elif found is None:
            yield _drifted(f"the {what} is not used any more", name)
        elif dict(then) != dict(found):
            yield _drifted(f"the {what} is another one: {_difference(then, found)}", name)


def _difference(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    key = next(k for k in ("revision", "bytes", "sha256") if then.get(k) != now.get(k))
    return f"its {'size' if key == 'bytes' else key} was {str(then.get(key))[:12]}, is {str(now.get(key))[:12]}"


def _drifted(message: str, name: str) -> Diagnostic:
    return Diagnostic(
        code="drifted", message=message,
        help=f"nothing was started; `dgen lock` writes `{name}` anew, if this is meant",
    )  # fmt: skip
