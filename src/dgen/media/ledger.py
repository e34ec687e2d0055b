"""Keeps the ledger of an output folder: what was made there, from what, and whether it is whole."""

from __future__ import annotations

import contextlib
import errno
import importlib
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, cast

from dgen import __version__

LEDGER = ".dgen-ledger.jsonl"
"""The name of the ledger in its folder: lines of JSON, to which lines are only ever added."""

PART_PREFIX, PART_SUFFIX = ".dgen-", ".part"
"""How files are called that are not complete yet."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""How the system says that a disk is full."""

_ATTENTION = "DIFFUSERS_ATTN_BACKEND"  # by which diffusers chooses the kernels of attention
_LIBRARIES = ("torch", "diffusers", "transformers", "pillow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A picture of a job and its config: their names, and the sha256 of each once it is complete."""

    job: str  # the key of the job
    index: int  # counts the pictures of a job from 1
    files: Mapping[str, str | None]
    versions: Mapping[str, str] = field(default_factory=dict[str, str], compare=False)  # of what made it
    made_on: str = field(default="", compare=False)  # the kind of device

    @property
    def is_complete(self) -> bool:
        """Whether all files were complete when it was written."""
        return None not in self.files.values()


class Ledger:
    """The ledger of a folder, open for more lines; several processes may add to it at once.

    While one has it open it holds a shared lock on it, so that another can tell whether somebody still writes here.
    """

    def __init__(self, folder: Path) -> None:
        """Open the ledger of a folder, which is there; raises OSError."""
        self._file = os.open(folder / LEDGER, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        self._adding = threading.Lock()
        _lock(self._file, "LOCK_SH")

    def add(self, entry: Entry) -> None:
        """Add a line, in one write; raises OSError.

        The line break stands before it: a line that a kill cut short spoils none but itself.
        """
        at = datetime.now(UTC).isoformat(timespec="seconds")
        told: dict[str, Any] = {"job": entry.job, "index": entry.index, "files": dict(entry.files), "at": at}
        if entry.is_complete:
            told |= {"versions": surroundings(), "device": entry.made_on}
        with self._adding:
            os.write(self._file, f"\n{json.dumps(told, ensure_ascii=False)}".encode())

    def close(self) -> None:
        """Close the file, and give the lock back."""
        os.close(self._file)


def read_ledger(folder: Path) -> list[Entry]:
    """Return the entries of a folder's ledger, oldest first; a line that cannot be read is passed over."""
    try:
        lines = (folder / LEDGER).read_bytes().split(b"\n")
    except OSError:
        return []
    return [entry for line in lines if (entry := _entry(line)) is not None]


def _entry(line: bytes) -> Entry | None:
    try:
        told = json.loads(line)
        job, index, files = told["job"], told["index"], told["files"]
        is_sound = all(Path(name).name == name and isinstance(digest, str | None) for name, digest in files.items())
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if not is_sound or not files or not isinstance(job, str):
        return None
    device = told.get("device")
    return Entry(
        job=job, index=index, files=files, made_on=device if isinstance(device, str) else "",
        versions=_texts(told.get("versions")),
    )  # fmt: skip


def _texts(told: Any) -> dict[str, str]:
    pairs = cast("dict[Any, Any]", told).items() if isinstance(told, dict) else ()
    return {str(name): str(text) for name, text in pairs}


def sweep(folder: Path) -> None:
    """Remove what killed processes left unfinished in a folder, unless another process writes there now."""
    parts = [*folder.glob(f"{PART_PREFIX}*{PART_SUFFIX}")]
    if not parts:
        return
    try:
        file = os.open(folder / LEDGER, os.O_RDWR | os.O_CREAT, 0o666)  # the kill may have come before any entry
    except OSError:  # we may not write here
        return
    try:
        if _lock(file, "LOCK_EX", "LOCK_NB"):
            for part in parts:
                part.unlink(missing_ok=True)
    finally:
        os.close(file)


def locked(file: int) -> bool:
    """Lock an open file for this process alone, until it is closed; False when another one has it."""
    try:
        importlib.import_module("fcntl")
    except ImportError:  # no locks here: nobody else has it
        return True
    return _lock(file, "LOCK_EX", "LOCK_NB")


def _lock(file: int, *how: str) -> bool:
    """Lock an open file as `flock` does, until it is closed; False when it is locked, or where there are no locks."""
    with contextlib.suppress(ImportError, OSError):
        fcntl = importlib.import_module("fcntl")  # Windows has none
        fcntl.flock(file, sum(getattr(fcntl, flag) for flag in how))
        return True
    return False


@cache
def versions() -> dict[str, str]:
    """Return the versions of what makes pictures; nothing is imported for it."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"dgen": __version__}
    for name in _LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def surroundings() -> dict[str, str]:
    """Return the versions, and the kernels by which attention is computed."""
    return versions() | {"attention": os.environ.get(_ATTENTION, "native")}
