"""Finds the folders of the user's cache."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(name: str) -> Path:
    """Return a folder of the user's cache; `DGEN_CACHE` moves the whole cache."""
    from platformdirs import user_cache_path

    root = os.environ.get("DGEN_CACHE")
    return (Path(root) if root else user_cache_path("dgen", appauthor=False)) / name
