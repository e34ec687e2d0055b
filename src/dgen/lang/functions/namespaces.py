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


class _Environment(Mapping[str, str]):
    """The environment variables, for those who may see them."""

    def __init__(self, require: Callable[[], None]) -> None:
        self._require = require

    def __getitem__(self, name: str) -> str:
        self._require()
        return os.environ[name]

    def __iter__(self) -> Iterator[str]:
        self._require()
        return iter(os.environ)

    def __len__(self) -> int:
        return len(os.environ)


def namespaces(require: Callable[[], None] = lambda: None) -> dict[str, Namespace]:
    """Return the namespaces by name; `require` refuses the environment where a script may not see it."""

    def expanduser(path: str) -> str:
        require()
        return os.path.expanduser(path)

    paths = {name: getattr(os.path, name) for name in _PATH.split()} | {"expanduser": expanduser}
    return {
        "glob": Namespace("glob", _glob_members()),
        "path": Namespace("path", paths),
        "env": Namespace("environment variables", _Environment(require)),
    }


def _glob_members() -> Mapping[str, Callable[..., Any]]:
    import glob

    def find(pattern: str, recursive: bool = True) -> list[str]:
        return sorted(glob.glob(pattern, recursive=recursive))

    return MappingProxyType({"glob": find, "iglob": find, "escape": glob.escape})
