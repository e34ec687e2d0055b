"""Runs the ffmpeg program that imageio-ffmpeg brings: in a session of its own, with no way to the network."""

from __future__ import annotations

import importlib
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import IO

from dgen.schema import BadValue

QUIET = ("-nostdin", "-hide_banner", "-v", "error")
EXACT = ("-fflags", "+bitexact", "-flags:v", "+bitexact", "-map_metadata", "-1", "-threads", "2")
"""The same pictures give the same bytes: no dates, no versions, and x264 cuts its work by the number of threads."""


@cache
def program() -> str:
    """Return where ffmpeg is.

    Raises:
        BadValue: `missing-package`.
    """
    try:
        found: str = importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        raise BadValue(
            "videos need ffmpeg", code="missing-package", help='run `pip install "imageio-ffmpeg"`'
        ) from None
    return found


def source(path: Path) -> tuple[str, ...]:
    """Return the words that name an input: a file that can name no other file, list or address.

    What is damaged of it is passed over.
    """
    return ("-protocol_whitelist", "file,pipe", "-fflags", "+discardcorrupt", "-i", f"file:{path}")


def start(words: Sequence[str], errors: IO[bytes] | int, *, takes: bool = False) -> subprocess.Popen[bytes]:
    """Start ffmpeg; its output is a pipe, and with `takes` its input too.

    A Ctrl-C of the terminal does not reach it, and a file that may not grow is an error instead of its end.
    """
    return subprocess.Popen(
        [program(), *QUIET[1 if takes else 0 :], *words], stdin=subprocess.PIPE if takes else subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=errors, start_new_session=True, restore_signals=False,
    )  # fmt: skip


def run(words: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    """Run ffmpeg to its end."""
    return subprocess.run(
        [program(), *QUIET, *words], stdin=subprocess.DEVNULL, capture_output=True, check=False, start_new_session=True,
        restore_signals=False,
    )  # fmt: skip


def first_line(told: bytes) -> str:
    """Return the first line of what ffmpeg told, which is about the cause, without who told it."""
    lines = [line for line in told.decode(errors="replace").splitlines() if line.strip()]
    text = lines[0].strip() if lines else "it gave no reason"
    return (text.partition("] ")[2] if text.startswith("[") else text).rstrip(".")
