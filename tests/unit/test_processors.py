"""Image processors against OpenCV, Pillow and plain formulas, and what always holds of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFilter

from dgen.cli.main import main
from dgen.darkroom import Darkroom
from dgen.media.read import PictureFiles
from dgen.processors import PROCESSORS, chains
from dgen.schema import BadValue
from dgen.values.uri import OpenUri


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def drawing() -> np.ndarray:
    """An RGB drawing with noise, (60, 90, 3)."""
    noise = np.random.default_rng(7).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    pixels = cv2.GaussianBlur(noise, (5, 5), 0)
    cv2.circle(pixels, (40, 30), 18, (200, 30, 90), -1)
    cv2.rectangle(pixels, (60, 5), (85, 50), (20, 220, 60), 3)
    return pixels


PIXELS = drawing()


def process(*uris: str, pixels: np.ndarray = PIXELS) -> np.ndarray:
    room = Darkroom(PictureFiles())
    (chain,) = chains([OpenUri().parse(u) for u in uris], "processors")
    return np.asarray(room.develop(Image.fromarray(pixels), chain))


def furthest(one: np.ndarray, other: np.ndarray) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other.astype(int)).max())


def grey(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).convert("L"))


def as_rgb(pixels: np.ndarray) -> np.ndarray:
    return np.repeat(pixels[..., None], 3, axis=2)


# ---- against OpenCV ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "wanted"),
    [
        ("canny", cv2.Canny(PIXELS, 50, 100)),
        ("canny;lower=100;upper=50", cv2.Canny(PIXELS, 50, 100)),
        ("canny;lower=200;upper=500", cv2.Canny(PIXELS, 200, 500)),
        ("canny;aperture-size=5;lower=500;upper=1500", cv2.Canny(PIXELS, 500, 1500, apertureSize=5)),
        ("canny;L2-gradient=yes", cv2.Canny(PIXELS, 50, 100, L2gradient=True)),
        ("canny;gray=yes", cv2.Canny(grey(PIXELS), 50, 100)),
        ("canny;blur=yes", cv2.Canny(cv2.GaussianBlur(PIXELS, (3, 3), 0), 50, 100)),
    ],
)
def test_edges_are_those_of_opencv(uri: str, wanted: np.ndarray) -> None:
    assert wanted.any()
    assert (process(uri) == as_rgb(wanted)).all()


def test_edges_at_the_widest_aperture_are_nearly_those_of_opencv() -> None:
    """OpenCV rounds the gradients of that aperture, of which a few pixels hang."""
    wanted = cv2.Canny(PIXELS, 500, 1500, apertureSize=7)
    assert (process("canny;aperture-size=7;lower=500;upper=1500") != as_rgb(wanted)).mean() < 0.005


@pytest.mark.parametrize("name", ["otsu", "triangle", "median"])
def test_thresholds_are_found_in_the_picture(name: str) -> None:
    flags = {"otsu": cv2.THRESH_OTSU, "triangle": cv2.THRESH_TRIANGLE}
    shade = cv2.threshold(grey(PIXELS), 0, 255, flags[name])[0] if name in flags else np.median(grey(PIXELS))
    near = [cv2.Canny(PIXELS, int(0.8 * s), int(min(255, 1.2 * s))) for s in (shade - 1, shade, shade + 1)]
    made = process(f"canny;threshold-algo={name};sigma=0.2")
    assert any((made == as_rgb(each)).all() for each in near)


def test_edges_are_looked_for_at_another_size() -> None:
    made = process("canny;detect-resolution=45")
    small = Image.fromarray(PIXELS).resize((45, 30), Image.Resampling.LANCZOS)
    edges = Image.fromarray(as_rgb(cv2.Canny(np.asarray(small), 50, 100)))
    assert (made == np.asarray(edges.resize((90, 60), Image.Resampling.LANCZOS))).all()


@pytest.mark.parametrize(("size", "sigma"), [(5, 1.3), (9, 3.0), (31, 0.0)])
def test_blur_is_that_of_opencv(size: int, sigma: float) -> None:
    made = process(f"gaussian-blur;size={size};sigma-x={sigma}")
    assert furthest(made, cv2.GaussianBlur(PIXELS, (size, size), sigma)) <= 1


def test_blur_differs_across_and_down() -> None:
    made = process("gaussian-blur;size=9;sigma-x=3;sigma-y=0.5")
    assert furthest(made, cv2.GaussianBlur(PIXELS, (9, 9), 3, sigmaY=0.5)) <= 1


@pytest.mark.parametrize(("shape", "kernel"), [("rectangle", cv2.MORPH_RECT), ("cross", cv2.MORPH_CROSS)])
def test_dilation_is_that_of_opencv(shape: str, kernel: int) -> None:
    wanted = cv2.dilate(PIXELS, cv2.getStructuringElement(kernel, (5, 5)), iterations=2)
    assert (process(f"dilate;size=5;steps=2;shape={shape}") == wanted).all()


def test_a_dot_dilates_into_a_disc() -> None:
    dot = np.zeros((21, 21, 3), np.uint8)
    dot[10, 10] = 255
    down, across = np.mgrid[-10:11, -10:11]
    assert (process("dilate;size=9;shape=circle", pixels=dot)[..., 0] == 255 * (down**2 + across**2 <= 16)).all()


def test_lines_are_what_is_darker_than_its_surroundings() -> None:
    pixels = np.full((40, 40, 3), 200, np.uint8)
    pixels[20, 5:35] = 20
    made = process("lineart-standard", pixels=pixels)
    wanted = (cv2.GaussianBlur(pixels.astype(np.float64), (49, 49), 6) - pixels).min(axis=2).clip(0, 255)
    wanted = wanted / max(16, np.median(wanted[wanted > 8])) * 127
    assert furthest(made[..., 0], wanted.round().clip(0, 255)) <= 1
    assert made[20, 20, 0] > 100
    assert made[5, 5, 0] < 10


# ---- against formulas --------------------------------------------------------------------------------------------

HALF = PIXELS.astype(np.float64)
FORMULAS: dict[str, Any] = {
    "invert": 255 - PIXELS,
    "posterize;bits=3": PIXELS & 0b11100000,
    "solarize": np.where(PIXELS < 128, PIXELS, 255 - PIXELS),
    "solarize;threshold=200": np.where(PIXELS < 200, PIXELS, 255 - PIXELS),
    "grayscale": as_rgb(HALF @ [0.299, 0.587, 0.114]),
    "brightness;factor=0.5": HALF * 0.5,
    "contrast;factor=0": np.full_like(HALF, grey(PIXELS).mean().round()),
    "contrast;factor=1.5": (HALF - grey(PIXELS).mean().round()) * 1.5 + grey(PIXELS).mean().round(),
    "saturation;factor=0": as_rgb(HALF @ [0.299, 0.587, 0.114]),
    "mirror": PIXELS[:, ::-1],
    "flip": PIXELS[::-1],
    "crop;box=10x20x50x45": PIXELS[20:45, 10:50],
    "rotate;degrees=90": np.rot90(PIXELS),
    "rotate;degrees=180;expand=no": PIXELS[::-1, ::-1],
    "hue;degrees=0": PIXELS,
    "resize;scale=2;algo=nearest": PIXELS.repeat(2, axis=0).repeat(2, axis=1),
    "resize;size=45;algo=box": HALF.reshape(30, 2, 45, 2, 3).mean(axis=(1, 3)),
    "letterbox;box-size=5x6x7x8;box-is-padding=yes": np.pad(PIXELS, ((6, 8), (5, 7), (0, 0))),
    "letterbox;box-size=100x60;inner-size=90;box-color=#ffffff": np.pad(
        PIXELS, ((0, 0), (5, 5), (0, 0)), constant_values=255
    ),
    "sharpen;amount=0": PIXELS,
    "film-grain;strength=0": PIXELS,
}


@pytest.mark.parametrize("uri", FORMULAS)
def test_processor_computes_its_formula(uri: str) -> None:
    assert furthest(process(uri), np.clip(np.asarray(FORMULAS[uri], np.float64).round(), 0, 255)) <= 1


def test_hue_turns_red_into_green() -> None:
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 255
    assert furthest(process("hue;degrees=120", pixels=red)[..., 1], np.full((4, 4), 255)) <= 3


def test_sharpening_is_unsharp_masking() -> None:
    soft = cv2.GaussianBlur(HALF, (13, 13), 2)
    assert furthest(process("sharpen;amount=0.7"), np.clip(HALF + 0.7 * (HALF - soft), 0, 255).round()) <= 1


def test_contrast_is_stretched_to_black_and_white() -> None:
    flat = (HALF / 4 + 60).astype(np.uint8)
    made = process("auto-contrast", pixels=flat)
    assert made.min(axis=(0, 1)).tolist() == [0, 0, 0]
    assert made.max(axis=(0, 1)).tolist() == [255, 255, 255]


def test_colours_of_another_picture_are_taken() -> None:
    other = np.clip(np.random.default_rng(1).normal((90, 120, 150), (10, 15, 20), (50, 50, 3)), 0, 255).astype(np.uint8)
    Image.fromarray(other).save("other.png")
    made = process("color-match;image=other.png").astype(np.float64)
    assert np.abs(made.mean(axis=(0, 1)) - other.mean(axis=(0, 1))).max() < 1
    assert np.abs(made.std(axis=(0, 1)) - other.std(axis=(0, 1))).max() < 1
    assert furthest(process("color-match;image=other.png;strength=0"), PIXELS) == 0


def test_grain_is_the_same_for_a_seed_and_spares_black_and_white() -> None:
    one, same, other = (process(f"film-grain;seed={seed}") for seed in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()
    extremes = np.zeros((8, 8, 3), np.uint8)
    extremes[4:] = 255
    assert (process("film-grain;strength=1", pixels=extremes) == extremes).all()
    noise = process("film-grain;strength=0.1", pixels=np.full((200, 200, 3), 128, np.uint8)).astype(np.float64)
    assert 0.09 < noise.std() / 255 < 0.11
    assert abs(noise.mean() - 128) < 0.5


# ---- several pictures --------------------------------------------------------------------------------------------


def mask(box: tuple[int, int, int, int]) -> None:
    picture = Image.new("L", (90, 60))
    picture.paste(255, box)
    picture.save("mask.png")


def test_what_lies_under_a_mask_is_kept() -> None:
    mask((10, 20, 30, 50))
    assert (process("crop-to-mask;mask=mask.png") == PIXELS[20:50, 10:30]).all()
    assert (process("crop-to-mask;mask=mask.png;padding=5x10") == PIXELS[10:60, 5:35]).all()
    turned = process("crop-to-mask;mask=mask.png;mask-processors='mirror flip'")
    assert (turned == PIXELS[10:40, 60:80]).all()


def test_mask_for_outpainting_is_white_at_its_sides() -> None:
    made = process("outpaint-mask;box=5x6x7x8")
    assert (made[6:52, 5:83] == 0).all()
    assert (made == 255).sum() == 3 * (90 * 60 - 78 * 46)


def test_a_picture_is_pasted() -> None:
    other = 255 - PIXELS[:20, :30]
    Image.fromarray(other).save("other.png")
    made = process("paste;image=other.png;position=10,15")
    wanted = PIXELS.copy()
    wanted[15:35, 10:40] = other
    assert (made == wanted).all()
    turned = process("paste;image=other.png;position=10,15;image-processors=mirror")
    assert (turned[15:35, 10:40] == other[:, ::-1]).all()
    below = process("paste;image=other.png;reverse=yes")
    assert below.shape == other.shape
    assert (below == PIXELS[:20, :30]).all()


def test_a_pasted_picture_fades_at_its_edge_and_follows_masks() -> None:
    Image.new("RGB", (90, 60), "white").save("other.png")
    faded = process("paste;image=other.png;feather=10", pixels=np.zeros_like(PIXELS))
    assert faded[30, :12, 0].tolist() == [round(255 * n / 10) for n in range(1, 11)] + [255, 255]
    mask((10, 20, 30, 50))
    masked = process("paste;image=other.png;mask=mask.png", pixels=np.zeros_like(PIXELS))
    assert (masked[20:50, 10:30] == 255).all()
    assert masked.sum() == 255 * 3 * 30 * 20
    placed = process("paste;image=other.png;position-mask=mask.png", pixels=np.zeros_like(PIXELS))
    assert (placed == masked).all()


def test_text_stands_where_it_is_put() -> None:
    black = np.zeros((100, 200, 3), np.uint8)
    made = process("text;text=Hello;position=top-left;color=#ff0000;margin=10", pixels=black)
    inked = np.argwhere(made[..., 0] > 128)
    assert inked.min(axis=0).tolist()[0] in range(10, 13)
    assert inked.min(axis=0).tolist()[1] in range(10, 13)
    assert inked.max(axis=0)[0] < 50
    assert not made[..., 1:].any()
    assert (process("text;text=Hello;opacity=0", pixels=black) == black).all()


def test_a_watermark_covers_a_corner() -> None:
    Image.new("RGB", (20, 20), "black").save("mark.png")
    made = process("watermark;image=mark.png;scale=0.2;margin=4;opacity=0.5")
    wanted = HALF.copy()
    wanted[38:56, 68:86] *= 0.5
    assert furthest(made, wanted.round()) <= 1


# ---- what always holds -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["invert", "mirror", "flip", "rotate;degrees=180"])
def test_twice_is_as_before(name: str) -> None:
    assert (process(name, name) == PIXELS).all()


@pytest.mark.parametrize("name", ["grayscale", "posterize;bits=2", "saturation;factor=0"])
def test_again_changes_nothing(name: str) -> None:
    assert (process(name, name) == process(name)).all()


def test_every_processor_refuses_a_picture_with_words_or_processes_it() -> None:
    """A picture of one pixel is the smallest there is."""
    Image.new("RGB", (1, 1), "white").save("one.png")
    Image.new("RGB", (1, 1), "black").save("black.png")
    given = {
        "crop": "box=0x0x1x1", "outpaint-mask": "box=0x0x0x0", "letterbox": "box-size=2x2", "resize": "scale=2",
        "rotate": "degrees=45", "posterize": "bits=1", "hue": "degrees=90", "paste": "image=one.png",
        "watermark": "image=one.png", "color-match": "image=one.png", "text": "text=a",
        "patchmatch": "mask=black.png",
    }  # fmt: skip
    factors = dict.fromkeys(("brightness", "contrast", "saturation"), "factor=2")
    for name in [n for n, row in PROCESSORS.rows().items() if not row.has_model]:
        words = (given | factors).get(name)
        made = process(f"{name};{words}" if words else name, pixels=np.full((1, 1, 3), 255, np.uint8))
        assert made.dtype == np.uint8, name


@pytest.mark.parametrize("row", PROCESSORS.rows().values(), ids=lambda r: r.name)
def test_every_argument_has_help(row: Any) -> None:
    assert row.help.endswith(".")
    for written, argument in row.arguments.items():
        assert argument.help.endswith("."), written


def test_a_picture_is_processed_once_for_each_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    row = PROCESSORS.rows()["invert"]
    monkeypatch.setitem(PROCESSORS._rows, "invert", type(row)(row.name, row.options, _counting(calls, row.call)))
    room = Darkroom(PictureFiles())
    image = Image.fromarray(PIXELS)
    for uris in (["invert"], ["invert"], ["invert", "mirror"], ["mirror", "invert"]):
        room.develop(image, chains([OpenUri().parse(u) for u in uris], "processors")[0])
    assert len(calls) == 2


def _counting(calls: list[str], call: Any) -> Any:
    def counted(said: Any, image: Any, bench: Any) -> Any:
        """Count."""
        calls.append(said.name)
        return call(said, image, bench)

    return counted


def test_a_changed_file_is_read_again() -> None:
    room = Darkroom(PictureFiles())
    chain = chains([OpenUri().parse("paste;image=other.png")], "processors")[0]
    made: list[Any] = []
    for shade, side in ((10, 8), (200, 9)):
        Image.new("RGB", (side, side), (shade,) * 3).save("other.png")
        made.append(room.develop(Image.fromarray(PIXELS), chain).getpixel((0, 0)))
    assert made == [(10, 10, 10), (200, 200, 200)]


# ---- the command -------------------------------------------------------------------------------------------------


def test_command_processes_files_folders_and_patterns(capsys: pytest.CaptureFixture[str]) -> None:
    Path("in").mkdir()
    for name in ("in/b.png", "in/a.png", "c.jpg"):
        Image.fromarray(PIXELS).save(name)
    Path("in/notes.txt").write_text("no picture")
    assert main(["image-process", "in", "c.jpg", "in/a*", "--processors", "invert", "-o", "out", "--resize", "45"]) == 0
    assert sorted(p.name for p in Path("out").iterdir()) == ["a.png", "a_duplicate_1.png", "b.png", "c.jpg"]
    small = Image.fromarray(PIXELS).resize((45, 30), Image.Resampling.LANCZOS)
    assert (np.asarray(Image.open("out/b.png")) == 255 - np.asarray(small)).all()


def test_command_gives_each_picture_its_chain() -> None:
    for name in ("a.png", "b.png"):
        Image.fromarray(PIXELS).save(name)
    assert main(["image-process", "a.png", "b.png", "-p", "invert", "+", "mirror", "flip"]) == 0
    assert (np.asarray(Image.open("a_processed.png")) == 255 - PIXELS).all()
    assert (np.asarray(Image.open("b_processed.png")) == PIXELS[::-1, ::-1]).all()


def test_directive_leaves_its_pictures_to_the_script(capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(PIXELS).save("a.png")
    Path("s.dgen").write_text(
        "\\image_process a.png --processors crop;box=0x0x9x8 -o x.png\n\\print {{ image_size(last_images[0]) }}\n"
    )
    assert main(["s.dgen", "--quiet"]) == 0
    assert capsys.readouterr().out == "9x8\n"


def test_work_before_the_size_change_is_done_before() -> None:
    Image.fromarray(PIXELS).save("a.png")
    words = ["image-process", "a.png", "--resize", "20", "-p"]
    assert main([*words, "crop;box=0x0x40x20;pre-resize=yes", "-o", "early.png"]) == 0
    assert main([*words, "crop;box=0x0x10x10", "-o", "late.png"]) == 0
    assert np.asarray(Image.open("early.png")).shape == (10, 20, 3)
    assert np.asarray(Image.open("late.png")).shape == (10, 10, 3)


def test_what_a_processor_makes_can_be_looked_at() -> None:
    Image.fromarray(PIXELS).save("a.png")
    for _ in range(2):
        assert main(["image-process", "a.png", "-p", "invert;output-file=seen/i.png", "mirror", "-o", "x.png"]) == 0
    assert sorted(p.name for p in Path("seen").iterdir()) == ["i.png", "i_duplicate_1.png"]
    assert (np.asarray(Image.open("seen/i.png")) == 255 - PIXELS).all()


def test_a_sandboxed_processor_writes_only_into_the_output_folder(capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(PIXELS).save("a.png")
    script = Path("s.dgen")
    for chain in ("invert;output-file=i.png", "paste;image=a.png;image-processors='invert;output-file=i.png'"):
        script.write_text(f'\\image_process a.png -p "{chain}" -o output/x.png\n')
        assert main(["--sandbox", "s.dgen"]) == 2
        assert "error[sandboxed]" in capsys.readouterr().err
        assert not Path("i.png").exists()
    script.write_text("\\image_process a.png -p invert -o elsewhere.png\n")
    assert main(["--sandbox", "s.dgen"]) == 2
    assert not Path("elsewhere.png").exists()


# ---- plugins -----------------------------------------------------------------------------------------------------

OWN = '''
from dgen.plugins import Integer, Processing, image_processor, opt, options, record

@record
@options("dim")
class Dim(Processing):
    """Arguments of `dim`."""
    by: int = opt(..., value=Integer(1, 9), help="How many times as dark.")

@image_processor("dim", Dim)
def dim(said, image, bench):
    """Make it dark."""
    return image.point(lambda v: v // said.by)
'''


def test_a_plugin_brings_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    Path("own.py").write_text(OWN)
    Image.fromarray(PIXELS).save("a.png")
    Path("s.dgen").write_text("\\import_plugins own.py\n\\image_process a.png -p dim;by=3 -o x.png\n")
    assert main(["check", "s.dgen"]) == 0
    assert main(["s.dgen", "--quiet"]) == 0
    assert (np.asarray(Image.open("x.png")) == PIXELS // 3).all()
    capsys.readouterr()
    assert main(["plugins", "--json"]) == 0
    (own,) = [each for each in json.loads(capsys.readouterr().out) if each["name"] == "dim"]
    assert own == {"name": "dim", "kind": "image processor", "file": "own.py", "line": 10, "help": "Make it dark."}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"dim", Dim', '"canny", Dim', "is registered twice"),
        ('    """Make it dark."""\n', "", "has no docstring"),
        ("@record\n", "", "are no `@record`"),
        ("Dim(Processing)", "Dim", "do not join `Processing`"),
        (", bench):", "):", "takes 2 arguments, not 3"),
        (', help="How many times as dark."', "", "lacks a `value` or a `help`"),
    ],
)
def test_a_wrong_plugin_is_blamed_by_file_and_line(
    old: str, new: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert old in OWN
    Path("wrong.py").write_text(OWN.replace(old, new).replace('processor("dim"', 'processor("dimmed"'))
    assert main(["plugins", "wrong.py"]) == 2
    error = capsys.readouterr().err
    assert "error[bad-plugin]" in error
    assert told in error
    assert " --> wrong.py:" in error
    assert "@image_processor(" in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('@directive("bare")\ndef bare(run, span):\n    pass', "the directive \\bare has no docstring"),
        ('@directive("two words")\ndef two(run, span):\n    """Two."""', "letters, digits and `_`, not `two words`"),
        ('@directive("lone")\ndef lone(run):\n    """One."""', "does not take the interpreter and a span"),
        ('@directive("print")\ndef again(run, span):\n    """Again."""', "the directive \\print is registered twice"),
        ("@function()\ndef bare(text):\n    return text", "the template function bare has no docstring"),
        ('@function()\ndef first(text):\n    """First."""', "the template function first is registered twice"),
        ("1 / 0", "ZeroDivisionError"),
        ("import dgen_has_no_such_module", "ModuleNotFoundError"),
        ("raise SystemExit", "SystemExit"),
        ("def (", "SyntaxError"),
    ],
)
def test_a_wrong_plugin_of_another_kind_is_blamed_by_file_and_line(
    body: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("wrong.py").write_text(f"from dgen.plugins import directive, function\n\n{body}\n")
    assert main(["plugins", "wrong.py"]) == 2
    error = capsys.readouterr().err
    assert "error[bad-plugin]" in error
    assert told in error
    assert " --> wrong.py:3" in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("1 / 0", "failed: ZeroDivisionError"),
        ("None", "returned a NoneType"),
        ("image.crop((0, 0, 2, 2))", "no `resizes`"),
    ],
)
def test_a_plugin_that_fails_is_named(body: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    name = f"fails{len(body)}"
    Path(f"{name}.py").write_text(
        OWN.replace('"dim", Dim', f'"{name}", Dim').replace("image.point(lambda v: v // said.by)", body)
    )
    Image.fromarray(PIXELS).save("a.png")
    Path("s.dgen").write_text(f"\\import_plugins {name}.py\n\\image_process a.png -p {name};by=3\n")
    assert main(["s.dgen", "--quiet"]) == 2
    error = capsys.readouterr().err
    assert "error[bad-plugin]" in error
    assert told in error
    assert f"`{name}.py`, line 10" in error
    assert "s.dgen:2:" in error
    assert "Traceback" not in error


def test_nested_processors_are_checked_at_their_characters() -> None:
    from dgen.processors import PROCESSORS

    text = "paste;image=a.png;image-processors='invert cany;x=1'"
    with pytest.raises(BadValue) as caught:
        PROCESSORS.read(text)
    assert text[caught.value.start : caught.value.end] == "cany"


def test_blur_of_pillow_is_near() -> None:
    wanted = np.asarray(Image.fromarray(PIXELS).filter(ImageFilter.GaussianBlur(2)))
    assert np.abs(process("gaussian-blur;size=13;sigma-x=2").astype(int) - wanted).mean() < 2
