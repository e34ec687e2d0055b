"""Lists the models that come with dgen: folders of `models/`, each with a note of what it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PREFIX = "builtin:"
MODELS = Path(__file__).parent / "models"
NOTE = "builtin.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Builtin:
    """A model, or something that attaches to one."""

    name: str  # as in `builtin:NAME`
    kind: str  # "model", "lora", "textual inversion" or "controlnet"
    help: str
    base: str | None  # the built-in model whose parts it shares, or that it attaches to
    folder: Path

    @property
    def source(self) -> str:
        """How a script names it."""
        return PREFIX + self.name

    @property
    def bytes(self) -> int:
        """The size of its files."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


def builtin_models() -> Iterator[Builtin]:
    """Yield all of them, by name."""
    for note in sorted(MODELS.glob(f"*/{NOTE}")):
        told = json.loads(note.read_text(encoding="utf-8"))
        yield Builtin(name=note.parent.name, folder=note.parent, **told)


def builtin_named(name: str) -> Builtin | None:
    """Return the one with that name, with or without `builtin:`; None when there is none."""
    return next((b for b in builtin_models() if b.name == name.removeprefix(PREFIX)), None)
