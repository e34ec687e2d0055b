"""Which files a script may have made by the time a statement reads them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from dgen.check.unknown import MARK


class MadeFiles:
    """What earlier statements may have made: files and folders by name, or anything at all."""

    def __init__(self) -> None:
        """Start with nothing made."""
        self.anything = False
        self._places: set[str] = set()

    def note(self, paths: Iterable[str]) -> None:
        """Remember paths that may exist from now on, with all that lies in them."""
        for path in paths:
            if MARK in path:
                self.anything = True
            else:
                self._places.add(_absolute(path))

    def may_hold(self, path: str) -> bool:
        """Say whether a file that does not exist now may exist by then."""
        if self.anything or MARK in path:
            return True
        place: str = _absolute(path)
        if any(made.startswith(place + os.sep) for made in self._places):
            return True
        while place not in self._places:
            parent: str = os.path.dirname(place)
            if parent == place:
                return False
            place = parent
        return True

    def may_match(self, pattern: str) -> bool:
        """Say whether a glob that matches nothing now may match by then."""
        wanted = Path(_absolute(pattern)).parts
        return self.anything or MARK in pattern or any(_agree(Path(p).parts, wanted) for p in self._places)


def _agree(place: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Say whether a pattern may match a path or something in it."""
    for part, wanted in zip(place, pattern, strict=False):
        if wanted == "**":
            return True
        if not fnmatchcase(part, wanted):
            return False
    return len(place) <= len(pattern)


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path))
