"""Renders pictures again from their configs, in memory, and compares; nothing is written."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dgen.diagnostic import Source
from dgen.media.metadata import read_config
from dgen.media.write import Page, WriterPool, Written
from dgen.session import Session

if TYPE_CHECKING:
    from PIL.Image import Image

_PEAK = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a picture compares with what its config makes now."""

    path: str
    same_bytes: bool
    psnr_db: float  # infinite when the pixels are the same; 0 when the sizes differ
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

    def make_folder(self, folder: Path) -> None:
        """Leave the folder as it is."""

    def verify(self, path: Path) -> Verdict:
        """Make a picture again, and compare.

        Raises:
            BadValue: `missing-file`, `bad-file`, `not-replayable`.
            DgenError: its config cannot be replayed, or the job failed.
        """
        config = read_config(path)
        self.unwritten.pages = ()
        self.replay(Source(str(path), config))
        verdicts = [_compared(path, config, page) for page in self.unwritten.pages]
        return max(verdicts, key=lambda v: (v.same_bytes, v.psnr_db))  # a batch has several


def _compared(path: Path, config: str, page: Page) -> Verdict:
    from PIL import Image

    made = page.encoded()
    same_bytes = made == path.read_bytes()
    with Image.open(path) as old, Image.open(io.BytesIO(made)) as new:
        likeness = _psnr_db(old.convert("RGB"), new.convert("RGB"))
    now = page.config() if page.config is not None else ""
    reasons = () if same_bytes else tuple(_reasons(config, now))
    return Verdict(path=str(path), same_bytes=same_bytes, psnr_db=likeness, reasons=reasons)


def _psnr_db(old: Image, new: Image) -> float:
    """Return the peak signal-to-noise ratio of two RGB pictures in decibels."""
    from PIL import ImageChops, ImageStat

    if old.size != new.size:
        return 0.0
    squares = ImageStat.Stat(ImageChops.difference(old, new)).sum2
    error = sum(squares) / (3 * old.width * old.height)
    return 10 * math.log10(_PEAK**2 / error) if error else math.inf


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
