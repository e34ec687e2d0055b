"""Lays the pictures of an invocation out on a contact sheet, whose axes are the options that were swept."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import shlex
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dgen import config as configs
from dgen.media.decode import decode
from dgen.media.encode import encode
from dgen.media.names import FRAMES_ALONE, format_of
from dgen.media.publish import make_folder, publish, publish_text, trouble
from dgen.media.video import clip_of, frames_of
from dgen.media.write import Written
from dgen.options.request import ROWS, Request
from dgen.plan.expand import Expansion
from dgen.plan.resolve import Job
from dgen.schema import BadValue

if TYPE_CHECKING:
    from PIL.Image import Image

_THUMB = 256
_EVERY_S = 2.0
_GAP, _LINE, _FONT, _LETTER = 8, 18, 13, 8
_LEAST = 160  # of a column, for the label above it

FRAME, PICTURE = "frame", "picture"
"""The axes of animations' frames and of the pictures of a batch."""


@dataclass(frozen=True, slots=True)
class Axis:
    """What was swept, and the values in their order."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """A picture: its file, a small JPEG of it, its value on each axis, and the command that makes it."""

    order: tuple[int, int]
    path: Path
    thumb: bytes
    values: tuple[str, ...]
    command: str
    moves: bool


@dataclass(slots=True)
class ContactSheet:
    """A sheet that is written again and again while its pictures are made."""

    target: Path
    title: str
    axes: tuple[str, ...]  # fields of `Request`, the last one varying fastest
    _jobs: dict[int, Job] = field(default_factory=dict[int, Job])
    _cells: list[Cell] = field(default_factory=list[Cell])
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _drawn: float = 0.0

    def note(self, number: int, job: Job) -> None:
        """Remember which job a number is."""
        self._jobs[number] = job

    def add(self, number: int, files: Written) -> None:
        """Take a picture or an animation that is on disk; this may be on another thread."""
        job = self._jobs.get(number)
        moves = files.kind == "animation"
        if job is None or (job.frames is not None and not moves and format_of(job.request) != FRAMES_ALONE):
            return  # of a video its animation is shown
        values = tuple(_shown(job.request, name) for name in self.axes)
        own = (*values, "all" if moves else _frame(job), str(files.index))
        cell = Cell((number, files.index), files.image, _thumb(files.image), own, _command(job), moves)
        with self._lock:
            self._cells.append(cell)
            if time.monotonic() - self._drawn > _EVERY_S:
                with contextlib.suppress(OSError):  # the last time will tell
                    self._write(is_done=False)

    def finish(self) -> None:
        """Write the sheet with all its pictures.

        Raises:
            OSError: it can't be written.
        """
        with self._lock:
            self._write(is_done=True)

    def _write(self, *, is_done: bool) -> None:
        cells = sorted(self._cells, key=lambda cell: cell.order)
        if cells:
            names = (*(ROWS[name].flag for name in self.axes), FRAME, PICTURE)
            axes = [Axis(n, tuple(dict.fromkeys(c.values[k] for c in cells))) for k, n in enumerate(names)]
            kept = [k for k, axis in enumerate(axes) if len(axis.values) > 1]
            lean = [Cell(c.order, c.path, c.thumb, tuple(c.values[k] for k in kept), c.command, c.moves) for c in cells]
            draw = _page if self.target.suffix.lower() == ".html" else _picture
            draw(self, [axes[k] for k in kept], lean, is_done)
        self._drawn = time.monotonic()


class Desk:
    """Where the contact sheet of a statement lies, when one is wanted."""

    def __init__(self) -> None:
        """Start without one."""
        self._sheet: ContactSheet | None = None

    def open(self, target: str, title: str, expansion: Expansion) -> None:
        """Begin the sheet of a sweep.

        Raises:
            BadValue: `unwritable-output` or `disk-full`.
        """
        path = Path(target).expanduser()
        make_folder(path.parent)
        axes = tuple(name for name in ROWS if len(set(expansion.values(name))) > 1)
        self._sheet = ContactSheet(path, title, axes)

    def note(self, number: int, job: Job) -> None:
        """Remember which job a number is."""
        if self._sheet is not None:
            self._sheet.note(number, job)

    def add(self, number: int, files: Written) -> None:
        """Take what is on disk, from whichever thread."""
        if self._sheet is not None:
            self._sheet.add(number, files)

    def close(self) -> Path | None:
        """Write the sheet with all its pictures; return its file.

        Raises:
            BadValue: `unwritable-output` or `disk-full`.
        """
        sheet, self._sheet = self._sheet, None
        if sheet is None:
            return None
        try:
            sheet.finish()
        except OSError as error:
            raise trouble(error, sheet.target.parent) from None
        return sheet.target


def _shown(request: Request, name: str) -> str:
    value = getattr(request, name)
    row = ROWS[name]
    if value is None or row.value is None:
        return "none" if value is None else str(value).lower()
    return " ".join(row.words(row.map_paths(value, os.path.basename)))


def _frame(job: Job) -> str:
    seed = job.request.image_seed
    return str(seed.frame) if seed is not None and seed.frame is not None else "all"


def _command(job: Job) -> str:
    """Return the command that makes a picture again, from this working directory."""
    return shlex.join(["dgen", *configs.command_words(job, Path.cwd())])


def _thumb(path: Path) -> bytes:
    """Return a small JPEG of a picture, or of the first frame of an animation; nothing for what is no picture."""
    try:
        clip = clip_of(path)
        image = decode(path) if clip is None else next(iter(frames_of(path, clip)))
    except BadValue:
        return b""
    image = image.copy()
    image.thumbnail((_THUMB, _THUMB))
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, format="JPEG", quality=85)
    return buffer.getvalue()


# ---- as a page -----------------------------------------------------------------------------------------------------


def _page(sheet: ContactSheet, axes: Sequence[Axis], cells: Sequence[Cell], is_done: bool) -> None:
    from jinja2 import Environment

    template = Path(__file__).parent / "media" / "contact_sheet.html.jinja"
    page = Environment(autoescape=True).from_string(template.read_text(encoding="utf-8"))
    told = {
        "done": is_done, "axes": [{"name": a.name, "values": a.values} for a in axes],
        "cells": [_told(cell, sheet.target.parent) for cell in cells],
    }  # fmt: skip
    text = page.render(title=sheet.title, sheet=told)
    publish_text(sheet.target, text)


def _told(cell: Cell, folder: Path) -> dict[str, Any]:
    small = f"data:image/jpeg;base64,{base64.b64encode(cell.thumb).decode()}" if cell.thumb else ""
    file = Path(os.path.relpath(cell.path.absolute(), folder.absolute())).as_posix()
    return {"file": file, "thumb": small, "values": cell.values, "command": cell.command, "moves": cell.moves}


# ---- as a picture --------------------------------------------------------------------------------------------------


def _picture(sheet: ContactSheet, axes: Sequence[Axis], cells: Sequence[Cell], is_done: bool) -> None:
    publish(sheet.target, partial(encode, drawn(axes, cells), "png", {}))


def drawn(axes: Sequence[Axis], cells: Sequence[Cell]) -> Image:
    """Return the sheet as a picture: the axis that varies fastest across, all others down, each value written."""
    from PIL import Image as Pictures
    from PIL import ImageDraw, ImageFont

    font = ImageFont.load_default(_FONT)
    across = list(axes[-1].values) if axes else [""]
    rows = list(dict.fromkeys(cell.values[:-1] for cell in cells))
    shown = [(cell, Pictures.open(io.BytesIO(cell.thumb))) for cell in cells if cell.thumb]
    left = 8 * _GAP if len(axes) < 2 else 26 * _GAP
    top = 2 * _GAP + _LINE
    wide = max([_LEAST, *(small.width for _, small in shown)]) + _GAP
    high = max([_LINE, 2 * _LINE * (len(axes) - 1), *(small.height for _, small in shown)]) + _GAP
    image = Pictures.new("RGB", (left + wide * len(across), top + high * len(rows)), "white")
    pen = ImageDraw.Draw(image)
    for k, value in enumerate(across):
        label = f"{axes[-1].name} {value}" if axes else ""
        pen.text((left + wide * k, _GAP), _cut_to(label, wide // _LETTER), fill="black", font=font)
    for k, row in enumerate(rows):
        for n, line in enumerate(_labels(axes, row)):
            pen.text((_GAP, top + high * k + n * _LINE), _cut_to(line, 26), fill="black", font=font)
    for cell, small in shown:
        column = across.index(cell.values[-1]) if axes else 0
        image.paste(small, (left + wide * column, top + high * rows.index(cell.values[:-1])))
    return image


def _labels(axes: Sequence[Axis], row: Sequence[str]) -> Iterator[str]:
    for axis, value in zip(axes[:-1], row, strict=True):
        yield axis.name
        yield f"  {value}"


def _cut_to(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
