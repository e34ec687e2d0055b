"""The image processors, as rows: what changes a picture before a run, after it, or without one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dgen.registry import Chosen, PluginRow, Registry
from dgen.schema import BadValue, NamesPaths, opt, options, record
from dgen.values.scalars import FilePath, Flag, Integer, SizeText, Text, is_url
from dgen.values.uri import NamedUri, OpenUri, split_uri

if TYPE_CHECKING:
    from PIL.Image import Image

NEXT = "+"
"""The word between the processors of one picture and those of the next."""


class Device(Text):
    """The name of a device."""

    metavar: str = "DEVICE"

    def parse(self, text: str) -> str:
        """Read `cpu`, `cuda`, `cuda:1` …"""
        if not re.fullmatch(r"(cpu|cuda|xpu|mps)(:\d+)?", text):
            raise BadValue(f"expected a device such as `cpu` or `cuda:0`, found `{text}`")
        return text


class ColorText(Text):
    """A colour: a name such as `black`, or `#rrggbb`."""

    metavar: str = "COLOR"

    def parse(self, text: str) -> Any:
        """Read a colour as its red, green and blue."""
        from PIL import ImageColor

        try:
            return ImageColor.getrgb(text)[:3]
        except ValueError:
            raise BadValue(f"expected a colour such as `black` or `#ff8800`, found `{text}`") from None

    def format(self, value: Any) -> str:
        """Write a colour as `#rrggbb`."""
        return "#{:02x}{:02x}{:02x}".format(*value)


@record
@options("image processor")
class Processing:
    """What every image processor takes."""

    name: str = opt(..., positional=True, value=Text(metavar="NAME"), help="Its name.")
    output_file: str | None = opt(
        None, value=FilePath("FILE"), help="Write what it makes into a file as well, to look at."
    )
    output_overwrite: bool = opt(
        False, value=Flag(), help="Replace that file instead of adding `_duplicate_N` to its name."
    )
    pre_resize: bool = opt(
        False, value=Flag(), help="Work before the picture is brought to the size of the run instead of after."
    )


@record
@options("image processor")
class Detection(Processing):
    """What processors take that find something in a picture."""

    detect_resolution: Any = opt(
        None, value=SizeText(single="width"), help="The size at which it looks; the result has the picture's own size."
    )
    detect_aspect: bool = opt(True, value=Flag(), help="Keep the aspect at that size, fitting the width.")
    detect_align: int = opt(1, value=Integer(1, 4096), help="Make that size a multiple of this.")


@record
@options("image processor")
class Computing(Processing):
    """What processors take that run a model."""

    device: str | None = opt(None, value=Device(), help="Where its model computes; by default where models do.")
    model_offload: bool = opt(False, value=Flag(), help="Bring its model back to the host's memory once it has looked.")


@record
@options("image processor")
class Seeing(Detection, Computing):
    """What processors take that look through a model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lens:
    """A model that a processor looks through: where it is found, what it should be, and how it is made.

    `classes`: how the name of its class may end, of transformers or of a pipeline of diffusers. Without them it is one
    weights file: `file` is its name in a folder with several. `make` makes the model of its tensors by name, and
    `open` of the path of a file that holds no code; without both, the tensors by name are the model. `instead` says
    by which class one that a model names is loaded.
    """

    noun: str
    model: str
    classes: tuple[str, ...] = ()
    instead: tuple[tuple[str, str], ...] = ()
    preparing: str = "AutoImageProcessor"  # the class of transformers that prepares pictures; "": none does
    revision: str | None = None
    subfolder: str | None = None
    file: str = ""
    make: Callable[[Any], Any] | None = None
    open: Callable[[Path], Any] | None = None
    dtype: str = "float32"


@dataclass(frozen=True, slots=True)
class Seer:
    """A model that is ready to look: itself, what prepares pictures for it, and the device where both are."""

    model: Any
    preparing: Any
    device: str


class Unseen(Exception):
    """Models are not run now, as when a plan is made: the processor's row says what its picture will be like."""


class Bench(Protocol):
    """What a processor can ask for beside its picture."""

    def picture(self, path: str) -> Image:
        """Return another picture, as RGB of its own size.

        Raises:
            BadValue: it is missing or cannot be read.
        """
        ...

    def processed(self, image: Image, chain: Sequence[NamedUri]) -> Image:
        """Return a picture after other processors."""
        ...

    def look(self, lens: Lens, said: Any) -> AbstractContextManager[Seer]:
        """Give a model, which is loaded once, for as long as a block lasts; `said` are arguments that join `Computing`.

        What fails in the block is told as the model's failure.

        Raises:
            EngineError: the model cannot be had, or fails.
            Unseen: models are not run now.
        """
        ...

    def repaint(self, image: Image, said: Any) -> Image:
        """Return a picture of which parts were painted again by the pipeline that made it, as `Repainting` says.

        Raises:
            BadValue: no pipeline made the picture, or it cannot paint parts.
            EngineError: the model cannot be had, or fails.
            Unseen: models are not run now.
        """
        ...


Process = Callable[[Any, Any, Bench], Any]
"""Takes the arguments as an instance of the row's class, an RGB picture, and a bench; returns a picture."""


@dataclass(frozen=True, slots=True)
class Row(PluginRow):
    """An image processor; `resizes`: what it returns may have another size. `example` is how it may be written.

    `unseen` makes what stands for its picture where models are not run; without it that is the picture it was given.
    `repaints`: it asks for the pipeline of the job whose picture it works on.
    """

    resizes: bool = False
    example: str = ""
    unseen: Callable[[Any, Any], Any] | None = None
    repaints: bool = False

    @property
    def has_model(self) -> bool:
        """Whether it looks through a model."""
        return any(getattr(row.value, "names_models", False) for row in self.arguments.values())

    @property
    def shown(self) -> str:
        """How it may be written."""
        return self.example


PROCESSORS: Registry[Row] = Registry("image processor", Processing, takes=3)


def image_processor(
    name: str, options: type, resizes: bool = False, example: str = "", unseen: Callable[[Any, Any], Any] | None = None,
    repaints: bool = False,
) -> Callable[[Process], Process]:  # fmt: skip
    """Register a function as the image processor of a name; `options` is a `@record` class that joins `Processing`."""
    return PROCESSORS.registering(lambda call: Row(name, options, call, resizes, example, unseen, repaints))


class ProcessorText(OpenUri):
    """An image processor in one word, or the `+` after which those of the next picture follow."""

    def map_paths(self, value: NamedUri, change: Callable[[str], str]) -> NamedUri:
        """Change the paths in its arguments; URLs stay."""
        rows = _arguments(value)

        def mapped(name: str, text: str) -> str:
            row = rows.get(name.replace("_", "-"))
            kind = row.value if row is not None else None
            return _map_paths(kind, text, change) if isinstance(kind, NamesPaths) and not is_url(text) else text

        return NamedUri(value.name, tuple((n, mapped(n, t)) for n, t in value.arguments))

    def recorded(self, value: NamedUri) -> NamedUri:
        """Leave out where it computes, and the files that it writes."""
        rows = _arguments(value)

        def kept(name: str, text: str) -> str:
            row = rows.get(name.replace("_", "-"))
            if row is None or not isinstance(row.value, ChainText):
                return text
            inner = row.value.parse(text)
            less = tuple(ProcessorText().recorded(each) for each in inner)
            return text if less == inner else row.value.format(less)

        told = ((n, kept(n, t)) for n, t in value.arguments if n not in _OF_THE_RUN)
        return NamedUri(value.name, tuple(told))


_OF_THE_RUN = ("device", "detector_device", "output_file", "output_overwrite")


def _arguments(value: NamedUri) -> dict[str, Any]:
    if not value.arguments or value.name not in PROCESSORS.rows():
        return {}
    return PROCESSORS.rows()[value.name].arguments


_LINKS = re.compile(r"""(?:[^\s"']|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')+""")


class ChainText(ProcessorText):
    """Image processors in one argument, white space between them."""

    metavar: str = '"NAME;ARG=VALUE NAME…"'

    def parse(self, text: str) -> tuple[NamedUri, ...]:  # type: ignore[override]
        """Read processors; each is looked up and checked."""
        found: list[NamedUri] = []
        for link in _LINKS.finditer(text):
            try:
                PROCESSORS.read(link[0])
            except BadValue as error:
                end = link.end() if error.end is None else link.start() + error.end
                start = link.start() + error.start
                raise BadValue(error.message, start, end, code=error.code, help=error.help) from None
            found.append(super().parse(link[0]))
        return tuple(found)

    def format(self, value: Sequence[NamedUri]) -> str:  # type: ignore[override]
        """Write processors."""
        return " ".join(str(each) for each in value)

    def map_paths(self, value: Sequence[NamedUri], change: Callable[[str], str]) -> tuple[NamedUri, ...]:  # type: ignore[override]
        """Change the paths in their arguments."""
        return tuple(super(ChainText, self).map_paths(each, change) for each in value)


@record
@options("image processor")
class Completing(Processing):
    """What processors take that paint the white part of a mask."""

    mask: str | None = opt(None, value=FilePath("IMAGE"), help="What is painted: the white part of this picture.")
    mask_processors: Any = opt((), value=ChainText(), help="What is done with the mask before.")
    image: str | None = opt(
        None, value=FilePath("IMAGE"), help="Instead of a mask: the picture to complete, whose mask the other one is."
    )
    image_processors: Any = opt((), value=ChainText(), help="What is done with that picture before.")

    def sort(self, other: Image, bench: Bench) -> tuple[Image, Image]:
        """Return the picture and the mask, both of the size of the `other` one, which is the one that is not named.

        Raises:
            BadValue: both of them or none are named, or the named one cannot be read.
        """
        from PIL import Image as Pictures

        if (self.mask is None) == (self.image is None):
            raise BadValue("give either `mask` or `image`")
        chain = self.mask_processors if self.mask else self.image_processors
        found = bench.processed(bench.picture(self.mask or self.image or ""), chain)
        named = found.resize(other.size, Pictures.Resampling.LANCZOS)
        return (other, named) if self.mask else (named, other)


@dataclass(frozen=True, slots=True)
class Step:
    """A processor of a chain, and where it stands: which word of which option."""

    chosen: Chosen[Row]
    uri: NamedUri
    option: str
    index: int

    @property
    def key(self) -> str:
        """What it does, in one text."""
        return str(self.uri)


Chain = tuple[Step, ...]


def chains(uris: Sequence[NamedUri], option: str) -> tuple[Chain, ...]:
    """Cut the processors of an option at each `+`.

    Raises:
        BadValue: one of them is wrong.
    """
    found: list[list[Step]] = [[]]
    for index, uri in enumerate(uris):
        if uri.name == NEXT:
            found.append([])
        else:
            found[-1].append(Step(PROCESSORS.read(str(uri)), uri, option, index))
    return tuple(map(tuple, found)) if uris else ()


def chain_of(found: Sequence[Chain], number: int) -> Chain:
    """Return the chain of a picture, counted from 0: a single one serves all, and of several each serves one."""
    if len(found) == 1:
        return found[0]
    return found[number] if number < len(found) else ()


def surplus(uris: Sequence[NamedUri], pictures: int) -> int | None:
    """Return which word is the `+` after which a chain without a picture starts; None when there is none."""
    places = [index for index, uri in enumerate(uris) if uri.name == NEXT]
    if pictures == 0:
        return 0
    return places[pictures - 1] if len(places) >= pictures else None


@dataclass(frozen=True, slots=True)
class Link:
    """A processor that a word names, itself or in an argument of another, and where its text starts in the word."""

    uri: NamedUri
    text: str
    start: int

    @property
    def end(self) -> int:
        """Where its text ends in the word."""
        return self.start + len(self.text)

    def local_models(self) -> Iterator[tuple[str, str]]:
        """Yield its models that are files or folders of this machine, each after the argument that names it."""
        rows, found = _arguments(self.uri), list[tuple[str, str]]()
        for name, text in self.uri.arguments:
            row = rows.get(name.replace("_", "-"))
            if row is not None and getattr(row.value, "names_models", False):
                _map_paths(row.value, text, lambda path, name=name: found.append((name, path)) or path)
        yield from found

    def place_of(self, argument: str, held: str) -> tuple[int, int]:
        """Return where in the word an argument says `held`: those characters, or else its whole value."""
        part = next(p for p in split_uri(self.text) if p.name.replace("-", "_") == argument)
        start = self.text.find(held, part.value_start, part.end)
        first, length = (part.value_start, len(part.value)) if start < 0 else (start, len(held))
        return self.start + first, self.start + first + length


def links_in(text: str, start: int = 0) -> Iterator[Link]:
    """Yield the processor that a word names and those in its arguments; what cannot be read is told of elsewhere."""
    try:
        uri, parts = OpenUri().parse(text), tuple(split_uri(text))
    except BadValue:
        return
    yield Link(uri, text, start)
    rows = _arguments(uri)
    for part in parts[1:]:
        row = rows.get(part.name.replace("_", "-"))
        if row is not None and isinstance(row.value, ChainText):
            for found in _LINKS.finditer(part.value):
                yield from links_in(found[0], start + part.value_start + found.start())


def _map_paths(kind: Any, text: str, change: Callable[[str], str]) -> str:
    """Return a value with its paths changed; a wrong one stays, and is told of elsewhere."""
    try:
        return kind.format(kind.map_paths(kind.parse(text), change))
    except BadValue:
        return text


def paths_in(uris: Sequence[NamedUri]) -> Iterator[str]:
    """Yield the files that processors name."""
    found: list[str] = []
    for uri in uris:
        ProcessorText().map_paths(ProcessorText().recorded(uri), lambda path: found.append(path) or path)
    yield from found
