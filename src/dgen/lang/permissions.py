"""What a script may do beyond making pictures."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from dgen.diagnostic import DgenError, Span, fail
from dgen.values.doors import DOORS, WRITE


@dataclass(frozen=True, slots=True)
class Permissions:
    """Which doors are open; `writes_in` are the folders that may be written, None is all of them."""

    programs: bool = True
    network: bool = True
    plugins: bool = True
    environment: bool = True
    writes_in: tuple[Path, ...] | None = None

    @staticmethod
    def sandbox(folder: Path, allowed: Collection[str] = ()) -> Permissions:
        """Return the permissions of a script that may only make pictures, in a folder, and what else is allowed."""
        doors = {name: door in allowed for door, name in DOORS.items()}
        more = (Path(door.removeprefix(WRITE)).expanduser() for door in allowed if door.startswith(WRITE))
        return Permissions(**doors, writes_in=(folder.resolve(), *(each.resolve() for each in more)))

    @property
    def is_trusting(self) -> bool:
        """Whether there is no sandbox."""
        return self.writes_in is None

    def require(self, name: str, span: Span | None, what: str) -> None:
        """Refuse what a permission is missing for; `what` is what the script asks.

        Raises:
            DgenError: `sandboxed`.
        """
        if not getattr(self, name):
            door = next(door for door, opens in DOORS.items() if opens == name)
            raise _refusal(f"a sandboxed script may not {what}", span, door)

    def require_write(self, path: str | Path, span: Span | None) -> None:
        """Refuse to write outside the folders of the sandbox; links are followed.

        Raises:
            DgenError: `sandboxed`.
        """
        if self.writes_in is None or any(Path(path).resolve().is_relative_to(each) for each in self.writes_in):
            return
        raise _refusal(f"a sandboxed script may not write `{path}`, outside its output folder", span, f"{WRITE}FOLDER")

    def hinted(self, error: DgenError) -> DgenError:
        """Return an error that says what allows the network, where it is the sandbox that forbids it."""
        if self.network:
            return error
        told = (replace(d, help=_way_out("net")) if d.code == "offline" else d for d in error.diagnostics)
        return DgenError(*told, exit_code=error.exit_code)


def _way_out(door: str) -> str:
    return f"`--allow {door}` allows it, if you trust what it comes from"


def _refusal(message: str, span: Span | None, door: str) -> DgenError:
    return fail("sandboxed", message, span, _way_out(door))
