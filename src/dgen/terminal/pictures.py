"""Draws pictures in a terminal: by the protocols of kitty, iTerm2 and sixel, otherwise with half blocks."""

from __future__ import annotations

import base64
import io
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from PIL.Image import Image

VARIABLE = "DGEN_PICTURES"
"""The environment variable that chooses the way: a name of `WAYS`."""

_CELL_PX = 10, 20  # of a terminal that does not tell; most are near
_CHUNK = 4096  # the most that kitty takes at a time
_ANSWER_S = 2.0  # how long a terminal may take to say what it can; what comes later would be taken for typed


def way_of(stream: TextIO, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return how pictures are drawn on a stream: a name of `WAYS`; None when it is no terminal."""
    if not stream.isatty() or environment.get("TERM") == "dumb":
        return None
    if environment.get(VARIABLE) in WAYS:
        return environment[VARIABLE]
    named = _named(environment)
    if named is None and _answers_sixel(stream):
        return "sixel"
    return named or "blocks"


def _named(environment: Mapping[str, str]) -> str | None:
    """Return the protocol of a terminal that says its name; a multiplexer would swallow those of kitty and iTerm2."""
    if environment.get("TMUX") or environment.get("TERM", "").startswith(("screen", "tmux")):
        return None
    program = environment.get("TERM_PROGRAM", "") + environment.get("LC_TERMINAL", "")
    if "KITTY_WINDOW_ID" in environment or "kitty" in environment.get("TERM", "") or "ghostty" in program:
        return "kitty"
    if "iTerm" in program or "WezTerm" in program or "mintty" in program:
        return "iterm2"
    return "kitty" if "KONSOLE_VERSION" in environment else None


@cache
def _answers_sixel(stream: TextIO) -> bool:
    """Ask a terminal for its attributes; 4 among them is sixel."""
    if sys.platform == "win32" or not sys.stdin.isatty():
        return False
    return bool(re.search(r"\x1b\[\?[\d;]*;4(?:;|c)", _ask(stream, "\x1b[c", "c")))


def _ask(stream: TextIO, question: str, last: str) -> str:
    """Return the answer of a terminal, without showing it."""
    import select
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    answer = ""
    try:
        tty.setcbreak(descriptor, termios.TCSANOW)
        stream.write(question)
        stream.flush()
        while not answer.endswith(last) and select.select([descriptor], [], [], _ANSWER_S)[0]:
            answer += os.read(descriptor, 1).decode("ascii", "replace")
    finally:
        termios.tcsetattr(descriptor, termios.TCSANOW, before)
    return answer


def draw(image: Image, stream: TextIO, way: str) -> None:
    """Draw a picture below the cursor, no wider than the terminal, and leave the cursor on a line of its own."""
    stream.write(WAYS[way](image, environment=os.environ) + "\n")
    stream.flush()


def _room() -> tuple[int, int]:
    """Return the columns and rows that a picture may take."""
    columns, rows = shutil.get_terminal_size()
    return max(2, columns - 1), max(2, rows - 2)


def cell_px() -> tuple[int, int]:
    """Return the width and height of a character of this terminal in pixels."""
    try:
        import fcntl
        import struct
        import termios

        rows, columns, width, height = struct.unpack("HHHH", fcntl.ioctl(1, termios.TIOCGWINSZ, b"\0" * 8))
    except (ImportError, OSError):
        return _CELL_PX
    return (width // columns, height // rows) if width and height and columns and rows else _CELL_PX


def _fitted(image: Image) -> Image:
    """Make a picture smaller when it is larger than the terminal; never larger."""
    columns, rows = _room()
    width, height = cell_px()
    return _within(image, columns * width, rows * height)


def _within(image: Image, width: int, height: int) -> Image:
    factor = min(1.0, width / image.width, height / image.height)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return image if size == image.size else image.resize(size)


def _png(image: Image) -> str:
    data = io.BytesIO()
    image.save(data, format="PNG", compress_level=1)
    return base64.standard_b64encode(data.getvalue()).decode("ascii")


def kitty(image: Image, **_: Any) -> str:
    """Write a picture in the graphics protocol of kitty: PNG in chunks."""
    data = _png(_fitted(image))
    chunks = [data[i : i + _CHUNK] for i in range(0, len(data), _CHUNK)]
    parts = [f"\x1b_Gm={int(n < len(chunks))}{',a=T,f=100,q=2' * (n == 1)};{c}\x1b\\" for n, c in enumerate(chunks, 1)]
    return "".join(parts)


def iterm2(image: Image, **_: Any) -> str:
    """Write a picture in the inline protocol of iTerm2."""
    shown = _fitted(image)
    data = _png(shown)
    return f"\x1b]1337;File=inline=1;width={shown.width}px;height={shown.height}px;size={len(data)}:{data}\x07"


def sixel(image: Image, **_: Any) -> str:
    """Write a picture as sixels: 255 colours, bands of six rows, runs shortened."""
    shown = _fitted(image).convert("RGB").quantize(255)
    palette = shown.getpalette() or []
    colours = [palette[i : i + 3] for i in range(0, len(palette), 3)]
    defined = "".join(f"#{n};2;" + ";".join(str(round(v * 100 / 255)) for v in rgb) for n, rgb in enumerate(colours))
    pixels: Any = shown.load()
    bands = "-".join(_band(pixels, shown.size, top) for top in range(0, shown.height, 6))
    return f'\x1bPq"1;1;{shown.width};{shown.height}{defined}{bands}\x1b\\'


def _band(pixels: Any, size: tuple[int, int], top: int) -> str:
    """Write six rows, colour by colour."""
    width, height = size
    columns: dict[int, list[int]] = {}
    for y in range(top, min(top + 6, height)):
        for x in range(width):
            columns.setdefault(pixels[x, y], [0] * width)[x] |= 1 << (y - top)
    return "$".join(f"#{colour}{''.join(_runs(bits))}" for colour, bits in columns.items())


def _runs(bits: list[int]) -> Iterator[str]:
    start = 0
    for place in range(1, len(bits) + 1):
        if place < len(bits) and bits[place] == bits[start]:
            continue
        count, character = place - start, chr(63 + bits[start])
        yield f"!{count}{character}" if count > 3 else character * count
        start = place


def blocks(image: Image, environment: Mapping[str, str] = os.environ) -> str:
    """Write a picture as characters of two pixels each, the upper in the colour of the ink."""
    columns, rows = _room()
    shown = _within(image.convert("RGB"), columns, 2 * rows)
    ink = _true if environment.get("COLORTERM") in ("truecolor", "24bit") else _of_256
    pixels: Any = shown.load()
    lines: list[str] = []
    for y in range(0, shown.height, 2):
        below = y + 1 if y + 1 < shown.height else y
        cells = (f"\x1b[38;{ink(pixels[x, y])};48;{ink(pixels[x, below])}m▀" for x in range(shown.width))
        lines.append("".join(cells) + "\x1b[0m")
    return "\n".join(lines)


def _true(rgb: tuple[int, int, int]) -> str:
    return "2;{};{};{}".format(*rgb)


def _of_256(rgb: tuple[int, int, int]) -> str:
    """Return the nearest colour of the cube of 6 by 6 by 6."""
    red, green, blue = (round(value / 255 * 5) for value in rgb)
    return f"5;{16 + 36 * red + 6 * green + blue}"


WAYS: dict[str, Callable[..., str]] = {"kitty": kitty, "iterm2": iterm2, "sixel": sixel, "blocks": blocks}


def show_files(paths: tuple[str, ...], stream: TextIO) -> None:
    """Draw picture files in a terminal, several as one; elsewhere write their names and sizes."""
    from dgen.media.read import PictureFiles
    from dgen.media.sheet import sheet

    way, files = way_of(stream), PictureFiles()
    if way is None:
        stream.writelines(f"{path} {files.size(path)}\n" for path in paths)
        stream.flush()
        return
    images = [files.picture(path) for path in paths]
    draw(images[0] if len(images) == 1 else sheet(images), stream, way)
