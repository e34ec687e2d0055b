"""Finds what earlier runs made, so that a run can go on where another one stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from dgen.media.ledger import Entry, read_ledger, sweep
from dgen.media.write import Written


@dataclass(frozen=True, slots=True)
class Find:
    """What the ledger says about one picture of a job: the name its files have, and what is wrong with them."""

    folder: Path
    stem: str
    entry: Entry
    wrong: tuple[tuple[str, str], ...]  # name, and "missing", "damaged" or "unfinished"

    @property
    def is_whole(self) -> bool:
        """Whether all its files are there as they were written."""
        return not self.wrong

    @property
    def written(self) -> Written:
        """The files of the picture."""
        names = [self.folder / name for name in self.entry.files]
        return Written(names[0], names[1] if len(names) > 1 else None, self.entry.index)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A picture of a job: the key of the job, which picture of it, and what its files are to be called."""

    job: str
    index: int
    stem: str
    has_config: bool
    any_name: bool = False  # a picture that is whole serves under whatever name it has

    def is_named(self, entry: Entry) -> bool:
        """Whether the files of an entry have the name, or the one of a duplicate."""
        found = Path(next(iter(entry.files))).stem
        return found == self.stem or found.startswith(f"{self.stem}_duplicate_")


@dataclass(slots=True)
class Resumption:
    """Hands the pictures of earlier runs out, each once, to the jobs that would make them again."""

    any_name: bool = False  # what has another name than it would get now serves too, when it is whole
    sweeps: bool = True  # what killed processes left unfinished is removed
    _folders: dict[Path, _Folder] = field(default_factory=dict[Path, "_Folder"])

    def find(self, folder: Path, wanted: Wanted) -> Find | None:
        """Return what is known of a picture; until it is taken, who asks again gets the same."""
        found = self._book(folder).find(wanted)
        return replace(found, folder=folder) if found is not None else None

    def take(self, find: Find) -> None:
        """Never hand this out again: the same job may stand twice in a script."""
        self._book(find.folder).take(find.entry)

    def _book(self, folder: Path) -> _Folder:
        place = folder.absolute()
        if place not in self._folders:
            if self.sweeps:
                sweep(place)
            self._folders[place] = _Folder(place)  # the working directory may change
        return self._folders[place]


class _Folder:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._owners: dict[str, tuple[str, int]] = {}  # the last job that a file of a name was made for
        self._entries: dict[tuple[str, int], list[Entry]] = {}
        for entry in read_ledger(folder):
            self._note(entry)

    def _note(self, entry: Entry) -> None:
        """Take an entry; one of the same files replaces another, but beginning anew makes nothing incomplete."""
        key = (entry.job, entry.index)
        self._owners |= dict.fromkeys(entry.files, key)
        known = self._entries.setdefault(key, [])
        place = next((n for n, old in enumerate(known) if next(iter(old.files)) == next(iter(entry.files))), None)
        if place is None:
            known.append(entry)
        elif entry.is_complete or not known[place].is_complete:
            known[place] = entry

    def find(self, wanted: Wanted) -> Find | None:
        known = self._entries.get((wanted.job, wanted.index), [])
        found = self._named(wanted, [e for e in known if wanted.is_named(e)])
        if not wanted.any_name or (found is not None and found.is_whole):
            return found
        others = (self._named(wanted, [e]) for e in known if not wanted.is_named(e))
        return next((f for f in others if f is not None and f.is_whole), found)

    def _named(self, wanted: Wanted, entries: Iterable[Entry]) -> Find | None:
        key = (wanted.job, wanted.index)
        for entry in entries:
            name = next(iter(entry.files))
            wrong = [*self._faults(entry)]
            if wanted.has_config and len(entry.files) < 2:
                wrong.append((f"{Path(name).stem}.dgen", "missing"))
            if not wrong or self._owners[name] == key or not (self.folder / name).exists():
                return Find(self.folder, Path(name).stem, entry, tuple(wrong))
        return None

    def take(self, entry: Entry) -> None:
        self._entries[(entry.job, entry.index)].remove(entry)

    def _faults(self, entry: Entry) -> list[tuple[str, str]]:
        return [(name, fault) for name, digest in entry.files.items() if (fault := self._fault(name, digest))]

    def _fault(self, name: str, digest: str | None) -> str:
        try:
            with (self.folder / name).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return "missing" if digest is not None else "unfinished"
        if digest is None:
            return "unfinished"
        return "" if found == digest else "damaged"
