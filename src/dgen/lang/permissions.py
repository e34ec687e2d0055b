"""What a script may do beyond making pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dgen.diagnostic import DgenError, Span, fail

_WAY_OUT = "run it without `--sandbox`, if you trust it"


@dataclass(frozen=True, slots=True)
class Permissions:
    """Which doors are open; `writes_in` is the one folder that may be written, None is all of them."""

    programs: bool = True
    network: bool = True
    plugins: bool = True
    writes_in: Path | None = None

    @staticmethod
    def sandbox(folder: Path) -> Permissions:
        """Return the permissions of a script that may only make pictures, in a folder."""
        return Permissions(programs=False, network=False, plugins=False, writes_in=folder.resolve())

    def require(self, name: str, span: Span | None, what: str) -> None:
        """Refuse what a permission is missing for; `what` is what the script asks.

        Raises:
            DgenError: `sandboxed`.
        """
        if not getattr(self, name):
            raise _refusal(f"a sandboxed script may not {what}", span)

    def require_write(self, path: str | Path, span: Span | None) -> None:
        """Refuse to write outside the folder of the sandbox; links are followed.

        Raises:
            DgenError: `sandboxed`.
        """
        if self.writes_in is not None and not Path(path).resolve().is_relative_to(self.writes_in):
            raise _refusal(f"a sandboxed script may not write `{path}`, outside its output folder", span)


def _refusal(message: str, span: Span | None) -> DgenError:
    return fail("sandboxed", message, span, _WAY_OUT)
