"""Renders pictures again from their configs, in memory, and compares; nothing is written."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dgen.diagnostic import Source
from dgen.footage import Footage
from dgen.likeness import psnr_db, ssim
from dgen.media.encode import FORMATS
from dgen.media.ledger import Entry, read_ledger, surroundings
from dgen.media.metadata import read_config
from dgen.media.record import FORMATS as ANIMATIONS
from dgen.media.video import clip_of
from dgen.media.write import Page, WriterPool, Written
from dgen.schema import BadValue
from dgen.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a picture compares with what its config makes now."""

    path: str
    same_bytes: bool
    psnr_db: float  # infinite when the pixels are the same; 0 when the sizes differ
    ssim: float = 1.0
    reasons: tuple[str, ...]  # what is not as it was

    @property
    def same_pixels(self) -> bool:
        """Whether every pixel is the same."""
        return math.isinf(self.psnr_db)


class _Unwritten(WriterPool):
    """Takes pages and keeps them."""

    pages: tuple[Page, ...] = ()

    def write(self, page: Page, files: Written) -> Written:
        """Keep the page, and leave the files unwritten."""
        self.pages = (*self.pages, page)
        return files


class VerifyingSession(Session):
    """Takes configs as a session does, and compares what they make instead of writing it."""

    def make_pool(self) -> WriterPool:
        """Make what writes nothing."""
        self.unwritten = _Unwritten(lambda number, files: None, workers=1)
        return self.unwritten

    def make_footage(self) -> Footage:
        """Make what takes the frames of videos alone: animations are not compared."""
        footage = super().make_footage()
        footage.records = False
        return footage

    def make_folder(self, folder: Path) -> None:
        """Leave the folder as it is."""

    def verify(self, path: Path) -> Verdict:
        """Make a picture again, and compare.

        Raises:
            BadValue: `missing-file`, `bad-file`, `not-replayable`.
            DgenError: its config cannot be replayed, or the job failed.
        """
        config = read_config(path)
        if path.suffix[1:].lower() in ANIMATIONS and clip_of(path) is not None:
            raise BadValue(f"`{path.name}` is an animation, and pictures alone are compared", code="bad-file")
        self.unwritten.pages = ()
        self.replay(Source(str(path), config))
        verdicts = [self._compared(path, config, page) for page in self.unwritten.pages]
        return max(verdicts, key=lambda v: (v.same_bytes, v.psnr_db))  # a batch has several

    def _compared(self, path: Path, config: str, page: Page) -> Verdict:
        from PIL import Image

        made = page.encoded()
        if made == path.read_bytes():
            return Verdict(path=str(path), same_bytes=True, psnr_db=math.inf, reasons=())
        said = page.config() if page.config is not None else ""
        reasons = (*_reasons(config, said), *_other_surroundings(_past(path), self.unwritten.made_on))
        if page.ending not in FORMATS:  # latents are no pixels
            return Verdict(path=str(path), same_bytes=False, psnr_db=0.0, ssim=0.0, reasons=reasons)
        with Image.open(path) as old, Image.open(io.BytesIO(made)) as new:
            before, now = old.convert("RGB"), new.convert("RGB")
        return Verdict(
            path=str(path), same_bytes=False, psnr_db=psnr_db(before, now), ssim=ssim(before, now), reasons=reasons
        )  # fmt: skip


def _past(path: Path) -> Entry | None:
    """Return what the ledger beside a picture says of it."""
    found = [e for e in read_ledger(path.parent) if path.name in e.files and e.is_complete]
    return found[-1] if found else None


def _other_surroundings(before: Entry | None, device: str) -> Iterator[str]:
    """Yield what made the picture then and is another thing now."""
    if before is None:
        return
    now = surroundings()
    for name, version in before.versions.items():
        if name != "dgen" and now.get(name) != version:
            yield f"`{name}` was {version}, is {now.get(name, 'missing')}"
    if before.made_on and before.made_on != device:
        yield f"it was made on `{before.made_on}`, now on `{device}`"


def _reasons(then: str, now: str) -> Iterator[str]:
    """Yield what two configs of one picture say differently about what it was made with and from."""
    old, new = then.splitlines(), now.splitlines()
    if old[:1] != new[:1]:
        yield f"it was made by {old[0].removeprefix('#! ') if old else 'something else'}"
    known = {line.partition(": ")[0]: line for line in new if line.startswith("# ")}
    for line in old:
        name, colon, _ = line.partition(": ")
        if line.startswith("# ") and colon and known.get(name) != line:
            yield f"`{name.removeprefix('# ')}` is another one"
