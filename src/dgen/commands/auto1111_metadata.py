"""`auto1111-metadata`: writes the `parameters` text that other programs read into a picture of dgen."""

from __future__ import annotations

import io
import shutil
from functools import partial
from pathlib import Path

from dgen.commands import CommandHost
from dgen.config import parameters_text
from dgen.diagnostic import Source, fail
from dgen.events import FileSaved
from dgen.lang.files import read_script
from dgen.lang.replay import replay_words
from dgen.media.embed import with_text
from dgen.media.encode import FORMATS
from dgen.media.metadata import PARAMETERS, read_config
from dgen.media.publish import publish
from dgen.options.request import ROWS, Request
from dgen.plan.bind import Bound, bind, request_table
from dgen.plan.expand import expand
from dgen.schema import BadValue
from dgen.values.scalars import Size, is_url


def run(host: CommandHost, bound: Bound) -> None:
    """Read the config of a picture, and write it into the picture in the words of other programs.

    Raises:
        DgenError: `missing-file`, `bad-file`, `not-replayable`, `file-failed`, and what is wrong with a config.
    """
    host.pictures.offline = "offline_mode" in bound or not host.permissions.network
    span = bound.span_of("image")
    try:
        image = host.pictures.find(bound.value("image"))
        size = host.pictures.size(str(image))
        target = _target(host, bound, image)
        text = parameters_text(*_told(bound, image, size))
        data = with_text(image.read_bytes(), PARAMETERS, text)
    except BadValue as error:
        raise fail(error.code, error.message, span, error.help) from None
    try:
        publish(target, partial(shutil.copyfileobj, io.BytesIO(data)))
    except OSError as error:
        place = bound.span_of("output_path") if "output_path" in bound else span
        raise fail("file-failed", f"`{target}` cannot be written: {error.strerror}", place) from None
    if "verbose" in bound:
        host.write(f"{text}\n")
    host.emit(FileSaved(number=1, path=str(target), kind="image"))


def _target(host: CommandHost, bound: Bound, image: Path) -> Path:
    """Return the file to write: the one that is named, or the picture itself."""
    named = bound.value("output_path")
    if named is None and is_url(bound.value("image")):
        raise fail("bad-arguments", "a picture from the web needs `--output`", bound.span_of("image"))
    target = Path(named).expanduser() if named is not None else image
    host.permissions.require_write(target, bound.span_of("output_path" if named else "image"))
    wanted = FORMATS.get(target.suffix[1:].lower())
    if wanted is not None and wanted != _format(image):
        span = bound.span_of("output_path" if named else "image")
        raise fail("bad-value", f"`{target.name}` is named as {wanted}, but the picture is {_format(image)}", span,
                   "the picture is not converted")  # fmt: skip
    return target


def _format(image: Path) -> str:
    from PIL import Image

    with Image.open(image) as opened:
        return str(opened.format)


def _told(bound: Bound, image: Path, size: Size) -> tuple[Request, Size]:
    """Return what a config says of the one picture that it makes; what it leaves open stays open.

    Raises:
        DgenError: it makes several pictures, or cannot be read.
        BadValue: the picture carries none.
    """
    if "config" in bound:
        source = read_script(bound.value("config"), bound.span_of("config"))
    else:
        source = Source(image.name, read_config(image))
    words = replay_words(source)
    said = bind(words, request_table(), words[0].span)
    expansion = expand(said)
    if len(expansion) > 1:
        what = bound.span_of("config" if "config" in bound else "image")
        raise fail("bad-file", f"the config makes {len(expansion)} pictures; the text tells of one", what)
    values = {name: getattr(request, name) for request in expansion for name in ROWS}
    open_rows = [r for r in ROWS.values() if r.name not in said and r.implied is not None]
    values |= {row.name: row.implied for row in open_rows if values[row.name] is None}
    if "seed" not in said:
        values["seed"] = None
    if values["image_seed"] is None:
        values["strength"] = None
    return Request(**values), size
