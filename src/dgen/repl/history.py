"""The history of a project: what was typed in its folder, from one session to the next."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

from prompt_toolkit.history import FileHistory

from dgen.diagnostic import has_secret


class ProjectHistory(FileHistory):
    """A file of statements; one that holds a token is never written."""

    @staticmethod
    def here() -> ProjectHistory:
        """Return the history of the project that the working folder belongs to."""
        return ProjectHistory(str(history_file(Path.cwd())))

    def load_history_strings(self) -> Iterable[str]:
        """Return what is in the file, the newest first; nothing when it cannot be read."""
        try:
            return list(super().load_history_strings())
        except OSError:
            return []

    def store_string(self, string: str) -> None:
        """Append a statement; a history that cannot be written is no reason to fail."""
        if has_secret(string):
            return
        with contextlib.suppress(OSError):
            Path(str(self.filename)).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self.filename, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
            super().store_string(string)


def history_file(folder: Path) -> Path:
    """Return the file that holds the history of a folder's project."""
    from platformdirs import user_state_path

    root = project_of(folder)
    name = re.sub(r"[^\w.-]+", "-", root.name) or "root"
    mark = hashlib.sha256(str(root).encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return user_state_path("dgen", appauthor=False) / "history" / f"{name}-{mark}"


def project_of(folder: Path) -> Path:
    """Return the nearest folder with a `.git` at or above a folder, or else the folder itself."""
    whole = folder.resolve()
    return next((each for each in (whole, *whole.parents) if (each / ".git").exists()), whole)
