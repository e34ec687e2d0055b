"""Says why a run would render a job: what is another than it was when the nearest picture was made."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dgen.media.ledger import Entry, read_ledger
from dgen.media.metadata import read_config
from dgen.plan.resolve import Job
from dgen.plan.shots import Shot
from dgen.planning import PlanningSession
from dgen.schema import BadValue

_MOST_READ, _LONGEST = 1000, 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A file that a run would have, and why it is rendered; no reason: it is kept."""

    path: Path
    reasons: tuple[str, ...]
    nearest: Path | None = None  # the earlier picture that the reasons compare it with


class ExplainingSession(PlanningSession):
    """Plans a run that renders only what changed, and keeps in mind what that was."""

    def __init__(self) -> None:
        """Start an empty plan."""
        super().__init__()
        self._found: list[tuple[tuple[str, ...], Path | None]] = []  # for each job of the plan
        self._pictures_of = cache(_recorded)
        self.resume(any_name=True)

    def answers(self) -> Iterator[Answer]:
        """Yield what is to be said of each picture of the plan."""
        for planned, (reasons, nearest) in zip(self.plan.jobs, self._found, strict=False):
            for path in planned.files:
                lost = self.plan.lost.get(path)
                told = (f"it is {lost}",) if lost is not None else reasons
                yield Answer(path=path, reasons=told, nearest=nearest if told is reasons else None)

    def _keeps(self, job: Job, shot: Shot) -> bool:
        is_kept = super()._keeps(job, shot)
        self._found.append(((), None) if is_kept else self._explained(job))
        return is_kept

    def _explained(self, job: Job) -> tuple[tuple[str, ...], Path | None]:
        try:
            text = self.paging.config_of(job)
        except BadValue:
            return ("it starts from a picture that is made again",), None
        pictures = self._pictures_of(Path(job.request.output_path).absolute())
        if not pictures:
            return ("nothing was made here yet",), None
        nearest, before = min(pictures.items(), key=lambda item: len(differences(item[1], text)))
        return tuple(differences(before, text)) or ("the same job stands here once more",), nearest


def _recorded(folder: Path) -> dict[Path, str]:
    """Return the configs of the pictures of a folder that its ledger has, the latest first."""
    found: dict[Path, str] = {}
    for entry in reversed(read_ledger(folder)):
        name = next(iter(entry.files))
        if folder / name in found or len(found) == _MOST_READ:
            continue
        with contextlib.suppress(OSError, UnicodeDecodeError, BadValue):
            found[folder / name] = _config_of(folder / name, entry)
    return found


def _config_of(picture: Path, entry: Entry) -> str:
    beside = picture.with_suffix(".dgen")
    return beside.read_text(encoding="utf-8") if beside.name in entry.files else read_config(picture)


def differences(before: str, now: str) -> list[str]:
    """Say what two configs say differently, but for the version of dgen."""
    old, new = _facts(before), _facts(now)
    return [
        f"{name} {_change(old.get(name), new.get(name))}"
        for name in dict.fromkeys((*old, *new)) if old.get(name) != new.get(name)
    ]  # fmt: skip


def _facts(config: str) -> dict[str, str]:
    """Return what a config says, by the option, or by the file or model that a comment names."""
    found: dict[str, str] = {}
    for line in config.splitlines():
        name, colon, digest = line.removeprefix("# ").rpartition(": ")
        if line.startswith("# ") and colon and "sha256 " in digest:
            found[f"the content of `{name}`"] = digest
        elif line.startswith("-"):
            flag, _, value = line.partition(" ")
            found[f"`{flag}`"] = value or "on"
        elif line and not line.startswith("#"):
            found["the model"] = line
    return found


def _change(before: str | None, now: str | None) -> str:
    if before is None or now is None:
        return f"is new: {_short(now)}" if now is not None else f"is gone: {_short(before or '')}"
    if "sha256 " in now:
        return "is another one"
    return f"was {_short(before)}, is {_short(now)}"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
