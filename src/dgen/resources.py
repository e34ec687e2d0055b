"""Finds the grammar and plugin folders, in a wheel and in an editable install."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """Return the folder `grammar` or `plugins`: inside the package in a wheel, beside `src` in a checkout.

    Raises:
        FileNotFoundError: the installation is damaged.
    """
    for candidate in (_PACKAGE / name, _PACKAGE.parent.parent / name):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"the folder {name}/ is missing from this installation of dgen")


def grammar(name: str) -> str:
    """Return the text of a file of the grammar folder."""
    return (folder("grammar") / name).read_text(encoding="utf-8")
