"""Numbers, texts, choices, sizes and paths."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from dgen.schema import BadValue, Kind


class Size(NamedTuple):
    """A width and a height in pixels; height 0 means that only the width was said."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}" if self.height else str(self.width)


class Point(NamedTuple):
    """Coordinates in pixels, from the left and from the top."""

    x: int
    y: int

    def __str__(self) -> str:
        return f"{self.x},{self.y}"


def _range(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f" from {low} to {high}"
    if low is not None:
        return f" of at least {low}"
    return "" if high is None else f" of at most {high}"


class Integer(Kind):
    """A whole number, within bounds that belong to it."""

    low: int | None = None
    high: int | None = None
    metavar: str = "N"

    def parse(self, text: str) -> int:
        """Read a decimal integer."""
        if not re.fullmatch(r"[+-]?\d{1,30}", text.strip()):
            raise BadValue(f"expected an integer{_range(self.low, self.high)}, found `{text}`")
        number = int(text)
        if (self.low is not None and number < self.low) or (self.high is not None and number > self.high):
            raise BadValue(f"expected an integer{_range(self.low, self.high)}, found `{text}`")
        return number

    def format(self, value: int) -> str:
        """Write a decimal integer."""
        return str(value)


class Odd(Integer):
    """An odd number: as many pixels lie on one side of the middle as on the other."""

    def parse(self, text: str) -> int:
        """Read an odd number."""
        number = super().parse(text)
        if number % 2 == 0:
            raise BadValue(f"expected an odd number, found `{text}`")
        return number


class Real(Kind):
    """A number, within bounds that belong to it; never infinite."""

    low: float | None = None
    high: float | None = None
    metavar: str = "X"

    def parse(self, text: str) -> float:
        """Read a decimal number, also with an exponent."""
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        ok = abs(number) != float("inf") and number == number and "_" not in text
        if not ok or (self.low is not None and number < self.low) or (self.high is not None and number > self.high):
            raise BadValue(f"expected a number{_range(self.low, self.high)}, found `{text}`")
        return number

    def format(self, value: float) -> str:
        """Write the shortest text that reads back as the same number."""
        return repr(float(value))


class Text(Kind):
    """Any text; `forbidden` lists characters that cannot stand in it."""

    metavar: str = "TEXT"
    forbidden: str = ""

    def parse(self, text: str) -> str:
        """Take the word as it is."""
        for position, char in enumerate(text):
            if char in self.forbidden:
                raise BadValue(f"`{char}` cannot stand in it", position, position + 1)
        return text

    def format(self, value: str) -> str:
        """Give the text."""
        return value


class Choice(Kind):
    """One of several names; `aliases` are accepted and written as what they stand for."""

    names: tuple[str, ...]
    aliases: Mapping[str, str] = MappingProxyType({})
    metavar: str = "NAME"

    def parse(self, text: str) -> str:
        """Read a name, in any case."""
        name = text.strip().lower()
        name = self.aliases.get(name, name)
        if name not in self.names:
            from dgen.diagnostic import did_you_mean

            listed = ", ".join(f"`{n}`" for n in self.names)
            raise BadValue(f"expected one of {listed}, found `{text}`", help=did_you_mean(name, self.names))
        return name

    def format(self, value: str) -> str:
        """Give the name."""
        return value


class Flag(Kind):
    """A truth value inside a URI."""

    metavar: str = "BOOL"

    def parse(self, text: str) -> bool:
        """Read true or false, yes or no, on or off, 1 or 0, in any case."""
        known = {
            "true": True,
            "yes": True,
            "on": True,
            "1": True,
            "false": False,
            "no": False,
            "off": False,
            "0": False,
        }
        if text.strip().lower() not in known:
            raise BadValue(f"expected `true` or `false`, found `{text}`")
        return known[text.strip().lower()]

    def format(self, value: bool) -> str:
        """Write `true` or `false`."""
        return "true" if value else "false"


class SizeText(Kind):
    """A size in pixels, `WIDTHxHEIGHT`; one number where `single` says what it means."""

    single: str = "square"  # "square": N is NxN; "width": N is the width alone; "": not allowed
    multiple: int = 1
    metavar: str = "WxH"

    def parse(self, text: str) -> Size:
        """Read a size."""
        found = re.fullmatch(r"\s*(\d{1,6})\s*(?:[xX]\s*(\d{1,6})\s*)?", text)
        allowed = "`WIDTHxHEIGHT`" + (" or one number" if self.single else "")
        if found is None or (found[2] is None and not self.single):
            raise BadValue(f"expected a size such as {allowed}, found `{text}`")
        width = int(found[1])
        height = int(found[2]) if found[2] is not None else (width if self.single == "square" else 0)
        if width == 0 or (found[2] is not None and height == 0):
            raise BadValue(f"a size has at least 1 pixel each way, found `{text}`")
        return Size(width, height)

    def format(self, value: Size) -> str:
        """Write a size; a square one in full."""
        return str(Size(*value))


class PointText(Kind):
    """Coordinates in pixels, `X,Y`."""

    metavar: str = "X,Y"

    def parse(self, text: str) -> Point:
        """Read coordinates."""
        found = re.fullmatch(r"\s*(-?\d{1,6})\s*,\s*(-?\d{1,6})\s*", text)
        if found is None:
            raise BadValue(f"expected coordinates such as `0,0`, found `{text}`")
        return Point(int(found[1]), int(found[2]))

    def format(self, value: Point) -> str:
        """Write coordinates."""
        return str(Point(*value))


class FilePath(Kind):
    """The path of a file or folder."""

    metavar: str = "PATH"

    def parse(self, text: str) -> str:
        """Take a path that is not empty."""
        if not text or "\0" in text:
            raise BadValue("expected a path, found an empty word" if not text else "a path cannot hold a NUL character")
        return text

    def format(self, value: str) -> str:
        """Give the path."""
        return value

    def map_paths(self, value: str, change: Callable[[str], str]) -> str:
        """Change the path."""
        return change(value)


class FileEnding(FilePath):
    """The path of a file whose name ends in one of several ways."""

    metavar: str = "FILE"
    endings: tuple[str, ...] = ()

    def parse(self, text: str) -> str:
        """Take a path with one of the endings."""
        if not text.lower().endswith(tuple(f".{each}" for each in self.endings)):
            listed = " or ".join(f"`.{each}`" for each in self.endings)
            raise BadValue(f"expected a file that ends in {listed}, found `{text}`")
        return super().parse(text)


class ModelSource(Kind):
    """Where a model comes from: a hub repository, a folder, a file, a URL, or `builtin:NAME`."""

    names_models = True
    metavar: str = "MODEL"
    kind: str = "model"  # or what else is wanted: "lora", "textual inversion", "controlnet"

    def parse(self, text: str) -> str:
        """Take a source that is not empty."""
        if not text.strip() or "\0" in text:
            raise BadValue("expected a model: a hub repository, a folder, a file or a URL")
        return text

    def format(self, value: str) -> str:
        """Give the source."""
        return value

    def map_paths(self, value: str, change: Callable[[str], str]) -> str:
        """Change it when it is a path of this machine."""
        return change(value) if is_local(value) else value


HUB_NAMES = "a hub repository is written `ORGANISATION/NAME`"
"""What to say of a name that is none."""


def is_url(text: str) -> bool:
    """Whether a text is an http(s) address."""
    return text.startswith(("http://", "https://"))


_WEIGHTS = (".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".onnx", ".gguf")


def is_local(source: str) -> bool:
    """Whether a model source is a path of this machine rather than a hub repository, a URL or a built-in model."""
    if is_url(source) or source.startswith("builtin:"):
        return False
    if source.startswith((".", "~", "/", "\\")) or os.path.isabs(source):
        return True
    return os.path.exists(source) or source.lower().endswith(_WEIGHTS)


def real_place(source: str) -> str:
    """Return where a model source of this machine leads, through links; any other one as it is."""
    try:
        return os.path.realpath(os.path.expanduser(source)) if is_local(source) else source
    except ValueError:  # there are characters that no path has
        return source
