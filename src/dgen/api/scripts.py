"""What a program hands to dgen: scripts, invocations with Python values; and what it asks about them."""

from __future__ import annotations

import hashlib
import io
import shlex
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from dgen.cache import cache_folder
from dgen.check.follow import check_source
from dgen.diagnostic import Diagnostic, Source, Span, Word
from dgen.forecast import Plan
from dgen.lang.files import read_script
from dgen.media.publish import publish
from dgen.plan.bind import Table, request_table
from dgen.planning import plan_invocation, plan_script
from dgen.schema import Option
from dgen.values.image_seed import ImageSeed
from dgen.values.scalars import Point, PointText, Size, SizeText

if TYPE_CHECKING:
    from PIL.Image import Image


class Invocation:
    """One invocation, with Python values: `Invocation("builtin:shapes", prompts="a red circle", seeds=[1, 2])`.

    Options are named as on the command line, `--inference-steps` as `inference_steps`, or as diffusers names them,
    `num_inference_steps`. Several values stand in a list; True switches a flag on; None and False say nothing.
    Values are taken as they are: no variable, template or glob is looked for in them.
    """

    def __init__(self, model: str | Path, **options: Any) -> None:
        """Say which model makes pictures, and how."""
        self.model, self.options = str(model), options

    def words(self) -> tuple[tuple[Word, ...], Span]:
        """Return the words of the invocation, and the span of all of them."""
        line = WordLine("Python")
        line.add(self.model, is_value=True)
        line.add_options(self.options)
        return line.words(), line.span()


class WordLine:
    """Puts words on a line that error messages can show."""

    def __init__(self, name: str) -> None:
        """Start an empty line; `name` is what messages call it."""
        self._name = name
        self._parts: list[tuple[str, str]] = []  # text, as it is shown

    def add(self, text: str, *, is_value: bool) -> None:
        """Add a word; a value is never taken for a flag."""
        shown = shlex.quote(text)
        self._parts.append((text, f"'{text}'" if is_value and shown == text and text[:1] == "-" else shown))

    def add_options(self, options: Mapping[str, Any]) -> None:
        """Add options with Python values."""
        for name, value in options.items():
            row = _row_named(name, request_table())
            if value is None or value is False:
                continue
            self.add(row.flag if row is not None else "--" + name.replace("_", "-"), is_value=False)
            for text in _texts(row, value):
                self.add(text, is_value=True)

    def _source(self) -> Source:
        return Source(self._name, " ".join(shown for _, shown in self._parts))

    def span(self) -> Span:
        """Return the span of the whole line."""
        source = self._source()
        return source.span(0, len(source.text))

    def words(self) -> tuple[Word, ...]:
        """Return the words with their spans."""
        source, position, found = self._source(), 0, list[Word]()
        for text, shown in self._parts:
            found.append(Word(text, source.span(position, position + len(shown))))
            position += len(shown) + 1
        return tuple(found)


def _row_named(name: str, table: Table) -> Option | None:
    return table.rows.get(name) or table.flags.get("--" + name.replace("_", "-"))


_PAIRS: dict[type, Callable[..., object]] = {SizeText: Size, PointText: Point}
"""The kinds of values that a program may give as a tuple."""


def _texts(row: Option | None, value: Any) -> Iterator[str]:
    """Yield the words of a Python value."""
    if value is True:
        return
    pair = _PAIRS.get(type(row.value)) if row is not None else None
    if pair is not None and type(value) is tuple:
        yield str(pair(*value))
    elif isinstance(value, (list, range)) or type(value) is tuple:
        for each in cast("Iterable[Any]", value):
            yield from _texts(row, each)
    elif hasattr(value, "save") and hasattr(value, "tobytes"):
        yield str(ImageSeed(kept(value)))
    else:
        yield str(value)


def image_seed(image: str | Path | Image, mask: str | Path | Image | None = None, **parts: Any) -> str:
    """Return the word for an image to start from, given as a path or as a picture of Pillow.

    `parts` are those of image seeds: `resize`, `aspect`, `align`, and `control` with one or several control images.
    Pictures are kept in the cache, by content, so that a job that used them can be made again.
    """
    control = parts.pop("control", ())
    controls = cast("Sequence[Any]", control if isinstance(control, (list, tuple)) else [control])
    own = tuple(kept(each) for each in controls)
    return str(ImageSeed(kept(image), None if mask is None else kept(mask), control=own, **parts))


def kept(image: str | Path | Image) -> str:
    """Return the path of a picture; one of Pillow is written into the cache first."""
    if isinstance(image, (str, Path)):
        return str(image)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    data = buffer.getvalue()
    folder = cache_folder("inputs")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{hashlib.sha256(data).hexdigest()[:32]}.png"
    if not path.exists():
        publish(path, partial(shutil.copyfileobj, io.BytesIO(data)))
    return str(path)


def as_source(script: str | Path) -> Source:
    """Return a script: a `Path` is a file, a text is itself.

    Raises:
        DgenError: `missing-file`, `bad-file`.
    """
    return read_script(script) if isinstance(script, Path) else Source("script", script)


def check(script: str | Path) -> list[Diagnostic]:
    """Return everything that is wrong or odd in a script; a `Path` is a file, a text is itself.

    Nothing is run, loaded or fetched.

    Raises:
        DgenError: `missing-file`, `bad-file`: the file cannot be read.
    """
    return check_source(as_source(script))


def plan(script: str | Path | Invocation, **options: Any) -> Plan:
    """Return what a script or an invocation would make: its jobs, and the files that they would become.

    Nothing is rendered, loaded, written or fetched. Directives that touch files, run programs or Python, or use the
    network are passed over and listed. `options` join every invocation.

    Raises:
        DgenError: something in the script is wrong.
    """
    line = WordLine("Python")
    line.add_options(options)
    if isinstance(script, Invocation):
        return plan_invocation(*script.words(), line.words())
    return plan_script(as_source(script), line.words())
