"""Puts files in place so that each is whole or absent."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import tempfile
import threading
from collections.abc import Callable, Generator
from functools import cache, partial
from pathlib import Path
from typing import BinaryIO

from dgen.media.ledger import FULL, PART_PREFIX, PART_SUFFIX
from dgen.schema import BadValue


def make_folder(folder: Path) -> None:
    """Make an output folder and prove that it can be written.

    Raises:
        BadValue: `unwritable-output` or `disk-full`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (
            contextlib.suppress(FileNotFoundError),  # swept by another process before it was removed here
            tempfile.TemporaryFile(dir=folder, prefix=PART_PREFIX, suffix=PART_SUFFIX),
        ):
            pass
    except OSError as error:
        raise trouble(error, folder) from None


def trouble(error: OSError, folder: Path) -> BadValue:
    """Return the error for an output folder of which the system says that."""
    if error.errno in FULL:
        return BadValue(f"the disk of `{folder}` is full", code="disk-full")
    return BadValue(f"the folder `{folder}` cannot be written: {error.strerror or error}", code="unwritable-output")


def publish(path: Path, fill: Callable[[BinaryIO], None], *, replaces: bool = True) -> str:
    """Write a file under a temporary name in its folder and rename it, so that it is whole or absent.

    Return its sha256. Without `replaces` a FileExistsError is raised when another one is there, whoever wrote it.
    """
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=PART_PREFIX, suffix=PART_SUFFIX)
    try:
        with os.fdopen(handle, "w+b") as file:
            fill(file)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        give_name(part, path, replaces=replaces)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    return digest


def give_name(part: str, path: Path, *, replaces: bool) -> None:
    """Give a file that is complete its name and the permissions of new files; `replaces`: in the place of another.

    Raises:
        FileExistsError: the name is taken, and it must not be replaced.
    """
    os.chmod(part, 0o666 & ~_umask())
    os.replace(part, path) if replaces else _move_beside(part, path)


def new_part(folder: Path) -> Path:
    """Make an empty file in a folder, for something that has its name once it is complete."""
    handle, part = tempfile.mkstemp(dir=folder, prefix=PART_PREFIX, suffix=PART_SUFFIX)
    os.close(handle)
    return Path(part)


def publish_text(path: Path, text: str) -> str:
    """Write a text as `publish` writes a file, in the place of another; return its sha256."""
    return publish(path, partial(_put, text))


def _move_beside(part: str, path: Path) -> None:
    """Give a file its name unless another file has it, which two processes cannot both find out by looking."""
    if os.name == "nt":
        os.rename(part, path)
        return
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        os.replace(part, path)
    else:
        os.unlink(part)


@contextlib.contextmanager
def whole_folder(folder: Path) -> Generator[Path]:
    """Give a folder to fill that takes the place of `folder` once the block is over; it is whole or absent.

    Raises:
        BadValue: `unwritable-output` or `disk-full`.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".dgen-") as room:
            part, old = Path(room) / "new", Path(room) / "old"
            part.mkdir()
            yield part
            if folder.exists():
                folder.rename(old)
            part.rename(folder)
    except OSError as error:
        raise trouble(error, folder.parent) from None


_ASKING = threading.Lock()  # two threads that ask at once would leave the process without a mask


@cache
def _umask() -> int:
    with _ASKING:
        mask = os.umask(0)
        os.umask(mask)
        return mask


def _put(text: str, file: BinaryIO) -> None:
    file.write(text.encode())
