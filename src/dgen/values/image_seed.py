"""Image seeds: `IMAGE;MASK;SIZE` and their named parts, read by `grammar/image_seed.lark`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, cast

from dgen.schema import BadValue, Kind, Value
from dgen.values.scalars import FilePath, Flag, Integer, Size, SizeText, is_url

SEVERAL = ("control",)
"""The parts that list files with commas between them."""

_PLAIN = r"[^;,+|\"'\s=]([^;,+|=]*[^;,+|=\s])?"
_SIZE = SizeText(single="width")

ARGUMENTS: dict[str, Value] = {
    "mask": FilePath(),
    "control": FilePath(),
    "resize": _SIZE,
    "aspect": Flag(),
    "align": Integer(1, 4096),
}


@dataclass(frozen=True, slots=True)
class ImageSeed:
    """An image to start from; what is None was not said."""

    image: str
    mask: str | None = None
    resize: Size | None = None
    aspect: bool | None = None
    align: int | None = None
    control: tuple[str, ...] = ()  # control images beside the image
    further: tuple[str, ...] = ()  # control images that follow the first in its place

    @property
    def paths(self) -> tuple[str, ...]:
        """Every file or URL it names."""
        mask = () if self.mask is None else (self.mask,)
        return (self.image, *self.further, *mask, *self.control)

    @property
    def beside(self) -> tuple[tuple[str, str], ...]:
        """The files that are brought to the size of the first one, each after what it is called."""
        mask = () if self.mask is None else (("mask", self.mask),)
        return (*mask, *(("control image", path) for path in (*self.further, *self.control)))

    def __str__(self) -> str:
        """Write the seed as one word."""
        parts = [", ".join(map(_quote, (self.image, *self.further)))]
        for name, kind in ARGUMENTS.items():
            held = getattr(self, name)
            if held not in (None, ()):
                parts.append(f"{name}={_written(kind, held)}")
        return ";".join(parts)


def _written(kind: Value, held: Any) -> str:
    if isinstance(kind, FilePath):
        return ", ".join(map(_quote, held if isinstance(held, tuple) else (held,)))  # type: ignore[arg-type]
    return kind.format(held)


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
        given: dict[str, Any] = {}
        for node in parts:
            name, value, token = _part(node)
            if name in given:
                raise _bad(f"the seed has a second {name}", token)
            given[name] = value
        image, *further = (_unquote(path.children[0]) for path in head.children)
        if further and ("mask" in given or "control" in given):
            token = head.children[1].children[0]
            raise _bad("several images in front are control images", token, "name them with `control=` instead")
        return ImageSeed(image=image, further=tuple(further), **given)

    def format(self, value: ImageSeed) -> str:
        """Write an image seed."""
        return str(value)

    def map_paths(self, value: ImageSeed, change: Callable[[str], str]) -> ImageSeed:
        """Change the paths of its files; URLs stay."""

        def changed(path: str) -> str:
            return path if is_url(path) else change(path)

        mask = None if value.mask is None else changed(value.mask)
        control, further = (tuple(map(changed, paths)) for paths in (value.control, value.further))
        return replace(value, image=changed(value.image), mask=mask, control=control, further=further)


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


def _part(node: Any) -> tuple[str, Any, Any]:
    """Return the name, the value and the token of a part."""
    if node.data == "size":
        return "resize", _SIZE.parse(node.children[0]), node.children[0]
    if node.data == "positional":
        token = node.children[0].children[0]
        return "mask", _unquote(token), token
    name, *tokens = (child.children[0] if hasattr(child, "data") else child for child in node.children)
    token = tokens[0]
    if name not in ARGUMENTS:
        from dgen.diagnostic import did_you_mean

        listed = "its parts are " + ", ".join(f"`{n}`" for n in ARGUMENTS)
        raise _bad(f"an image seed has no part named `{name}`", name, did_you_mean(str(name), ARGUMENTS, listed))
    if len(tokens) > 1 and name not in SEVERAL:
        raise _bad(f"`{name}` takes 1 value, got {len(tokens)}", tokens[1])
    try:
        values = tuple(ARGUMENTS[name].parse(_unquote(token)) for token in tokens)
        return str(name), values if name in SEVERAL else values[0], name
    except BadValue as error:
        raise _bad(error.message, token, error.help) from None
