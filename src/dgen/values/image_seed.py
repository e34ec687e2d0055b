"""Image seeds: `IMAGE;MASK;SIZE` and their named parts, read by `grammar/image_seed.lark`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, cast

from dgen.schema import BadValue, Kind, Value
from dgen.values.scalars import FilePath, Flag, Integer, Size, SizeText, is_url

SEVERAL = ("control", "latents")
"""The parts that list files with commas between them; `mask` does after `images:`."""

_PLAIN = r"(?!(images|adapter|latents)\s*:)[^;,+|\"'\s=]([^;,+|=]*[^;,+|=\s])?"
_SIZE = SizeText(single="width")

MODIFIERS: dict[str, Value] = {"resize": _SIZE, "aspect": Flag(), "align": Integer(1, 4096)}
"""What can follow an adapter image after a `|`."""

ARGUMENTS: dict[str, Value] = {
    "mask": FilePath(),
    "last": FilePath(),
    "control": FilePath(),
    "adapter": FilePath(),
    "latents": FilePath(),
    "floyd": FilePath(),
    **MODIFIERS,
    "frame-start": Integer(0),
    "frame-end": Integer(0),
}


LATENTS_ENDINGS = (".safetensors", ".pt", ".pth")
"""How the names of files of latents end."""


def is_latents(path: str) -> bool:
    """Whether a path names a file of latents."""
    return path.lower().endswith(LATENTS_ENDINGS)


CONTROL_IMAGE = "control image"
"""What errors call a picture that ControlNets follow."""


@dataclass(frozen=True, slots=True)
class AdapterImage:
    """An image for an IP-adapter, with a size of its own; what is None was not said."""

    path: str
    resize: Size | None = None
    aspect: bool | None = None
    align: int | None = None

    def __str__(self) -> str:
        """Write it as it stands in a group."""
        held = ((name, getattr(self, name)) for name in MODIFIERS)
        return _quote(self.path) + "".join(f"|{n}={MODIFIERS[n].format(v)}" for n, v in held if v is not None)


@dataclass(frozen=True, slots=True)
class ImageSeed:
    """An image to start from; what is None was not said."""

    image: str | None = None  # without one, the seed brings adapter images or latents alone
    mask: str | None = None
    last: str | None = None  # what a video ends with
    resize: Size | None = None
    aspect: bool | None = None
    align: int | None = None
    control: tuple[str, ...] = ()  # control images beside the image
    further: tuple[str, ...] = ()  # control images that follow the first in its place
    batch: tuple[str, ...] = ()  # the images after the first of `images:`, each changed on its own
    batch_masks: tuple[str, ...] = ()  # their masks; without, the first mask serves all
    adapter: tuple[tuple[AdapterImage, ...], ...] = ()  # a group for each IP-adapter
    latents: tuple[str, ...] = ()
    floyd: str | None = None  # what the first stage of DeepFloyd made
    frame_start: int | None = None  # inclusive, from 0
    frame_end: int | None = None

    @property
    def is_latent(self) -> bool:
        """Whether a file of latents stands in place of its image."""
        return self.image is not None and is_latents(self.image)

    @property
    def masks(self) -> tuple[str, ...]:
        """Its masks: none, one for all images, or one for each."""
        return () if self.mask is None else (self.mask, *self.batch_masks)

    @property
    def beside(self) -> tuple[tuple[str, str], ...]:
        """The files that are brought to the size of the first one, each after what it is called."""
        controls = ((CONTROL_IMAGE, path) for path in (*self.further, *self.control))
        masks, last = (("mask", path) for path in self.masks), (("last frame", path) for path in (self.last,) if path)
        return (*(("image", path) for path in self.batch), *masks, *last, *controls)

    @property
    def pictures(self) -> tuple[str, ...]:
        """Every picture it names, as a file or URL."""
        own = [p for p in (self.image, self.floyd) if p is not None and not is_latents(p)]
        return (*own, *(path for _, path in self.beside), *(image.path for group in self.adapter for image in group))

    @property
    def paths(self) -> tuple[str, ...]:
        """Every file or URL it names."""
        return (*self.pictures, *self.latent_files)

    @property
    def latent_files(self) -> tuple[str, ...]:
        """Every file of latents it names."""
        return (*((self.image,) if self.image is not None and self.is_latent else ()), *self.latents)

    @property
    def frame(self) -> int | None:
        """The only frame of its animations that it wants; None when it wants several."""
        return self.frame_start if self.frame_start == self.frame_end else None

    def at_frame(self, number: int) -> ImageSeed:
        """Return the seed of one frame."""
        return replace(self, frame_start=number, frame_end=number)

    def __str__(self) -> str:
        """Write the seed as one word."""
        head, said = self._head()
        parts = [head]
        for name, kind in ARGUMENTS.items():
            held = self.masks if name == "mask" else getattr(self, name.replace("-", "_"))
            if held not in (None, ()) and name != said:
                parts.append(f"{name}={_written(kind, held)}")
        return ";".join(parts)

    def _head(self) -> tuple[str, str]:
        """Return the first part, and the name of what it says."""
        if self.image is not None:
            several = (self.image, *(self.batch or self.further))
            return ("images: " if self.batch else "") + ", ".join(map(_quote, several)), ""
        name = "adapter" if self.adapter else "latents"
        return f"{name}: {_written(ARGUMENTS[name], getattr(self, name))}", name


def _written(kind: Value, held: Any) -> str:
    if isinstance(kind, FilePath):
        return ", ".join(_listed(each) for each in (held if isinstance(held, tuple) else (held,)))  # type: ignore[arg-type]
    return kind.format(held)


def _listed(each: Any) -> str:
    return " + ".join(map(str, each)) if isinstance(each, tuple) else _quote(each)  # type: ignore[arg-type]


def _quote(path: str) -> str:
    if re.fullmatch(_PLAIN, path) and not re.fullmatch(r"\d+([xX]\d+)?", path):
        return path
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unquote(text: str) -> str:
    if text[:1] in {'"', "'"}:
        return re.sub(r"\\([\\\"'])", r"\1", text[1:-1])
    return text


@cache
def _parser() -> Any:
    from lark import Lark

    from dgen.resources import grammar

    return Lark(grammar("image_seed.lark"), parser="lalr", maybe_placeholders=False, propagate_positions=True)


class ImageSeedText(Kind):
    """An image seed in one word."""

    metavar: str = "IMAGE[;MASK][;SIZE][;NAME=VALUE]"

    def parse(self, text: str) -> ImageSeed:
        """Read an image seed; unknown, repeated and malformed parts are errors at their characters."""
        head, *parts = _tree(text).children
        given = dict(_head_of(head))
        for node in parts:
            for name, value, token in _part(node, "batch" in given):
                if name in given:
                    raise _bad(f"the seed has a second {name.replace('_', '-')}", token)
                given[name] = value
        if given.get("further") and ("mask" in given or "control" in given):
            token = head.children[1].children[0]
            raise _bad("several images in front are control images", token, "name them with `control=` instead")
        _check(given, text)
        return ImageSeed(**given)

    def format(self, value: ImageSeed) -> str:
        """Write an image seed."""
        return str(value)

    def map_paths(self, value: ImageSeed, change: Callable[[str], str]) -> ImageSeed:
        """Change the paths of its files; URLs stay."""

        def changed(held: Any) -> Any:
            if isinstance(held, AdapterImage):
                return replace(held, path=changed(held.path))
            if isinstance(held, tuple):
                return tuple(map(changed, cast("tuple[Any, ...]", held)))
            return held if held is None or is_url(held) else change(held)

        return replace(value, **{name: changed(getattr(value, name)) for name in _PATHS})


_PATHS = ("image", "mask", "last", "control", "further", "batch", "batch_masks", "adapter", "latents", "floyd")


def _tree(text: str) -> Any:
    from lark.exceptions import UnexpectedCharacters, UnexpectedInput

    try:
        return _parser().parse(text)
    except UnexpectedCharacters as error:
        raise _misread(text, cast(Any, error).pos_in_stream) from None
    except UnexpectedInput as error:
        token = cast(Any, getattr(error, "token", None))
        start = len(text) if not token else token.start_pos
        if start is None or start >= len(text):
            raise _seed_error("expected a file after this" if text.strip() else "expected a file, found nothing",
                              max(0, len(text) - 1), len(text)) from None  # fmt: skip
        raise _misread(text, start) from None


def _misread(text: str, position: int) -> BadValue:
    char = text[position]
    if char in "\"'":
        return _seed_error("this quote is never closed", position, position + 1)
    if char in ",+|":
        return _seed_error(f"`{char}` in a file's name stands in quotes", position, position + 1)
    return _seed_error(f"expected `;` or the end, found `{char}`", position, position + 1)


def _seed_error(message: str, start: int, end: int, help: str | None = None) -> BadValue:
    return BadValue(message, start, end, code="bad-image-seed", help=help)


def _bad(message: str, token: Any, help: str | None = None) -> BadValue:
    return _seed_error(message, token.start_pos, token.end_pos, help)


def _check(given: dict[str, Any], text: str) -> None:
    """Refuse parts that contradict one another, or that nothing is there for."""
    needs_image = next((n for n in ("mask", "last", "control", "floyd") if n in given and "image" not in given), None)
    if needs_image is not None:
        start = text.find(needs_image)
        raise _seed_error(f"a {needs_image} needs an image to start from", max(0, start), len(text))
    masks = len(given.get("batch_masks", ()))
    if masks and masks != len(given.get("batch", ())):
        message = f"`images:` names {1 + len(given.get('batch', ()))}, and `mask` {masks + 1}"
        raise _seed_error(message, max(0, text.find("mask")), len(text), "give one mask for all, or one for each")
    first, last = given.get("frame_start"), given.get("frame_end")
    if first is not None and last is not None and first > last:
        start = text.find("frame-end")
        raise _seed_error(f"the last frame, {last}, comes before the first, {first}", start, len(text))


def _head_of(head: Any) -> Iterator[tuple[str, Any]]:
    """Yield what the first part says."""
    if head.data == "adapter":
        yield "adapter", tuple(map(_group, head.children[1:]))
        return
    first, *others = (_path(node) for node in head.children if not isinstance(node, str))
    if head.data == "latents":
        yield "latents", (first, *others)
        return
    yield "image", first
    if others or head.data == "batch":
        yield ("batch" if head.data == "batch" else "further"), tuple(others)


def _path(node: Any) -> str:
    return _unquote(node.children[0])


def _group(node: Any) -> tuple[AdapterImage, ...]:
    return tuple(_adapter_image(image) for image in node.children)


def _adapter_image(node: Any) -> AdapterImage:
    path, *modifiers = node.children
    said: dict[str, Any] = {}
    for modifier in modifiers:
        name, token = modifier.children
        if name not in MODIFIERS:
            raise _unknown(name, MODIFIERS, "an adapter image")
        if str(name) in said:
            raise _bad(f"the image has a second {name}", name)
        said[str(name)] = _read(MODIFIERS[name], token)
    return AdapterImage(_path(path), **said)


def _unknown(name: Any, known: dict[str, Value], whose: str) -> BadValue:
    from dgen.diagnostic import did_you_mean

    listed = "its parts are " + ", ".join(f"`{n}`" for n in known)
    return _bad(f"{whose} has no part named `{name}`", name, did_you_mean(str(name), known, listed))


def _read(kind: Value, token: Any) -> Any:
    try:
        return kind.parse(_unquote(token))
    except BadValue as error:
        raise _bad(error.message, token, error.help) from None


def _part(node: Any, is_batch: bool) -> Iterator[tuple[str, Any, Any]]:
    """Yield the names, the values and the token of a part."""
    if node.data == "size":
        yield "resize", _read(_SIZE, node.children[0]), node.children[0]
        return
    if node.data == "positional":
        token = node.children[0].children[0]
        yield "mask", _unquote(token), token
        return
    if node.data == "groups":
        yield "adapter", tuple(map(_group, node.children[1:])), node.children[0]
        return
    name, *tokens = (child.children[0] if hasattr(child, "data") else child for child in node.children)
    if name not in ARGUMENTS:
        raise _unknown(name, ARGUMENTS, "an image seed")
    several = name in SEVERAL or (name == "mask" and is_batch)
    if len(tokens) > 1 and not several:
        raise _bad(f"`{name}` takes 1 value, got {len(tokens)}", tokens[1])
    values = tuple(_read(ARGUMENTS[name], token) for token in tokens)
    yield name.replace("-", "_"), values if name in SEVERAL else values[0], name
    if name == "mask" and len(values) > 1:
        yield "batch_masks", values[1:], name
