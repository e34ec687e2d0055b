"""The names of templates that hold functions or values of their own: `glob`, `path` and `env`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any


class Namespace(Mapping[str, Any]):
    """Members by name, as attributes and as items."""

    __slots__ = ("_members", "_title")

    def __init__(self, title: str, members: Mapping[str, Any]) -> None:
        """Name the namespace, for its description, and hold its members."""
        self._title = title
        self._members = members

    def __getitem__(self, name: str) -> Any:
        return self._members[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __repr__(self) -> str:
        return f"<{self._title}>"


_PATH = """
    abspath basename commonpath commonprefix dirname exists expanduser getatime getctime getmtime getsize isabs
    isdir isfile islink join lexists normcase normpath realpath relpath samefile split splitdrive splitext
"""


def namespaces() -> dict[str, Namespace]:
    """Return the namespaces by name."""
    return {
        "glob": Namespace("glob", _glob_members()),
        "path": Namespace("path", {name: getattr(os.path, name) for name in _PATH.split()}),
        "env": Namespace("environment variables", os.environ),
    }


def _glob_members() -> Mapping[str, Callable[..., Any]]:
    import glob

    def find(pattern: str, recursive: bool = True) -> list[str]:
        return sorted(glob.glob(pattern, recursive=recursive))

    return MappingProxyType({"glob": find, "iglob": find, "escape": glob.escape})
