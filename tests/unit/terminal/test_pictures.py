"""Pictures in a terminal: each protocol, read back, is the picture."""

from __future__ import annotations

import base64
import io
import itertools
import re
from pathlib import Path

import pyte
import pytest
from PIL import Image, ImageDraw

from dgen.terminal import pictures


class Stream(io.StringIO):
    def __init__(self, is_terminal: bool = True) -> None:
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal


@pytest.fixture
def flag() -> Image.Image:
    """Left half red, right half blue, 8 x 12."""
    image = Image.new("RGB", (8, 12), "red")
    ImageDraw.Draw(image).rectangle((4, 0, 8, 12), fill="blue")
    return image


@pytest.mark.parametrize(
    ("environment", "way"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM_PROGRAM": "ghostty"}, "kitty"),
        ({"KONSOLE_VERSION": "240800"}, "kitty"),
        ({"TERM_PROGRAM": "iTerm.app"}, "iterm2"),
        ({"TERM_PROGRAM": "WezTerm"}, "iterm2"),
        ({"TERM": "xterm-256color"}, "blocks"),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/x"}, "blocks"),
        ({"TERM": "xterm-256color", "DGEN_PICTURES": "sixel"}, "sixel"),
        ({"TERM": "dumb"}, None),
    ],
)
def test_way_is_chosen_by_what_the_terminal_says(environment: dict[str, str], way: str | None) -> None:
    assert pictures.way_of(Stream(), environment) == way


def test_picture_is_not_drawn_into_a_pipe(tmp_path: Path, flag: Image.Image) -> None:
    flag.save(tmp_path / "flag.png")
    stream = Stream(is_terminal=False)
    pictures.show_files((str(tmp_path / "flag.png"),), stream)
    assert stream.getvalue() == f"{tmp_path / 'flag.png'} 8x12\n"


def test_kitty_gets_the_picture_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = Image.effect_noise((100, 100), 90).convert("RGB")
    parts = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", pictures.kitty(noise))
    assert len(parts) > 1
    assert parts[0][0] == "m=1,a=T,f=100,q=2"
    assert [keys for keys, _ in parts[1:]] == ["m=1"] * (len(parts) - 2) + ["m=0"]
    assert all(len(data) <= 4096 for _, data in parts)
    found = Image.open(io.BytesIO(base64.b64decode("".join(data for _, data in parts))))
    assert found.tobytes() == noise.tobytes()


def test_iterm2_gets_the_picture(flag: Image.Image) -> None:
    found = re.fullmatch(r"\x1b\]1337;File=inline=1;width=8px;height=12px;size=\d+:(.*)\x07", pictures.iterm2(flag))
    assert found is not None
    assert Image.open(io.BytesIO(base64.b64decode(found[1]))).tobytes() == flag.tobytes()


def drawn_sixels(text: str) -> Image.Image:
    """Draw sixels, as the VT340's manual says."""
    head = re.match(r'\x1bPq"1;1;(\d+);(\d+)', text)
    assert head is not None
    image = Image.new("RGB", (int(head[1]), int(head[2])))
    colours: dict[str, tuple[int, ...]] = {}
    x = top = 0
    colour = ""
    for part in re.finditer(r"#(\d+);2;(\d+);(\d+);(\d+)|#(\d+)|!(\d+)([?-~])|([?-~])|([$-])", text[head.end() : -2]):
        if part[1]:
            colours[part[1]] = tuple(round(int(part[i]) * 255 / 100) for i in (2, 3, 4))
        elif part[5]:
            colour = part[5]
        elif part[9]:
            x, top = 0, top + 6 * (part[9] == "-")
        else:
            count = int(part[6] or 1)
            bits = [bit for bit in range(6) if (ord(part[7] or part[8]) - 63) >> bit & 1]
            for place in itertools.product(range(x, x + count), (top + bit for bit in bits)):
                image.putpixel(place, colours[colour])
            x += count
    return image


def test_sixels_drawn_back_are_the_picture(flag: Image.Image) -> None:
    assert drawn_sixels(pictures.sixel(flag)).tobytes() == flag.tobytes()


@pytest.mark.parametrize(("colours", "red"), [("truecolor", "ff0000"), ("", "ff0000")])
def test_half_blocks_have_the_colours_of_the_picture(flag: Image.Image, colours: str, red: str) -> None:
    screen = pyte.Screen(40, 10)
    pyte.Stream(screen).feed(pictures.blocks(flag, {"COLORTERM": colours}).replace("\n", "\r\n"))
    assert screen.display[0].rstrip() == "▀" * 8
    assert sum(line.startswith("▀") for line in screen.display) == 6
    assert screen.buffer[0][0].fg == screen.buffer[5][3].bg == red
    assert screen.buffer[0][4].fg == "0000ff"


@pytest.mark.parametrize("way", sorted(pictures.WAYS))
def test_large_picture_is_made_to_fit(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("LINES", "10")
    text = pictures.WAYS[way](Image.new("RGB", (2000, 1000), "green"))
    shown = {"sixel": r'"1;1;(\d+);', "iterm2": r"width=(\d+)px"}
    if way in shown:
        found = re.search(shown[way], text)
        assert found is not None
        assert int(found[1]) <= 19 * pictures.cell_px()[0]
    elif way == "blocks":
        assert all(line.count("▀") <= 19 for line in text.split("\n"))
