"""The commands that scripts have as directives too, on real models, pictures and a real server of this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image, ImageChops
from PIL.PngImagePlugin import PngInfo

from dgen.cli.main import main
from dgen.diagnostic import SECRET_FLAGS, Diagnostic, Source, render
from dgen.media.metadata import read_config
from dgen.options.commands import COMMANDS
from dgen.options.rows import ROWS

# ---- to-diffusers ----------------------------------------------------------------------------------------------


@pytest.fixture
def checkpoint(at_work: Path) -> Path:
    import toy_models

    return toy_models.make_single_file(at_work / "toy", at_work / "toy.safetensors")


def rendered(folder: str, *words: str) -> Image.Image:
    """The one picture that an invocation makes."""
    out = f"pictures-{len(list(Path().iterdir()))}"
    assert main([*words, "--prompts", "a star", "--seeds", "1", "--inference-steps", "2", "-o", out, "--quiet"]) == 0
    (picture,) = Path(out).glob("*.png")
    return Image.open(picture)


def furthest(one: Image.Image, other: Image.Image) -> int:
    return max(high for _, high in ImageChops.difference(one, other).getextrema())


def test_folder_of_a_checkpoint_renders_what_the_checkpoint_does(checkpoint: Path) -> None:
    words = ["to-diffusers", checkpoint.name, "--model-config", "toy", "-o", "made/new", "-t", "float16", "float32"]
    assert main(words) == 0
    names = {p.name for p in Path("made/new/unet").iterdir()}
    weights = {"diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors"}
    assert names == {"config.json", *weights}
    assert [p.name for p in Path("made").iterdir()] == ["new"]
    whole = rendered("one", "made/new")
    assert furthest(whole, rendered("two", checkpoint.name, "--model-config", "toy")) <= 1
    assert furthest(whole, rendered("three", "toy")) <= 1
    halves = rendered("four", "made/new", "--variant", "fp16")
    assert 0 < furthest(whole, halves) < 16


def test_folder_in_another_precision_keeps_every_part(at_work: Path) -> None:
    import toy_models

    toy_models.make_sd(at_work / "checked", checked=True)
    assert main(["to-diffusers", "checked", "--output", "half", "--dtypes", "bfloat16"]) == 0
    before, after = (json.loads(Path(f, "model_index.json").read_text()) for f in ("checked", "half"))
    assert {k: v for k, v in before.items() if k[0] != "_"} == {k: v for k, v in after.items() if k[0] != "_"}
    assert Path("half/safety_checker/model.bf16.safetensors").is_file()


def test_folder_is_replaced_only_when_asked(at_work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = Path("story.dgen")
    script.write_text("\\to_diffusers toy --output new\n\\to_diffusers toy-xl --output new\n")
    assert main(["story.dgen"]) == 2
    assert "`new` holds a model already" in capsys.readouterr().err
    assert not Path("new/text_encoder_2").exists()
    script.write_text("\\to_diffusers toy-xl --output new -ox\n")
    assert main(["story.dgen"]) == 0
    assert Path("new/text_encoder_2").is_dir()
    assert not [p for p in Path().iterdir() if p.name.startswith(".dgen-")]


def test_a_model_that_fails_leaves_no_folder(at_work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["to-diffusers", "cut-weights", "--output", "deep/new"]) == 2
    assert "error[bad-weights]" in capsys.readouterr().err
    assert not list(Path("deep").iterdir())


def test_a_sandboxed_script_converts_only_into_its_folder(at_work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("story.dgen").write_text("\\to_diffusers toy --output elsewhere\n")
    assert main(["--sandbox", "story.dgen"]) == 2
    assert "error[sandboxed]" in capsys.readouterr().err
    Path("story.dgen").write_text("\\to_diffusers toy --output output/inside\n")
    assert main(["--sandbox", "story.dgen"]) == 0


# ---- auto1111-metadata -----------------------------------------------------------------------------------------

TOLD = "a ☂ star\nNegative prompt: blurry\nSteps: 2, CFG scale: 5.0, Seed: 3, Size: 64x64, Model: toy"


@pytest.fixture
def picture(at_work: Path, request: pytest.FixtureRequest) -> Path:
    words = ["toy", "--prompts", "a ☂ star; blurry", "--seeds", "3", "--inference-steps", "2"]
    assert main([*words, "-o", "pictures", "-if", request.param, "--quiet"]) == 0
    (found,) = Path("pictures").glob("[!.]*")
    return found


def told(path: Path) -> str:
    with Image.open(path) as image:
        text = image.info.get("parameters")
        return text if text is not None else image.getexif()[0x010E].encode("latin-1").decode()


@pytest.mark.parametrize("picture", ["png", "jpg", "webp"], indirect=True)
def test_text_joins_a_picture_that_keeps_all_else(picture: Path) -> None:
    before, config = Image.open(picture), read_config(picture)
    pixels, profile = before.tobytes(), before.info.get("icc_profile")
    assert main(["auto1111-metadata", str(picture)]) == 0
    after = Image.open(picture)
    assert (after.tobytes(), after.info.get("icc_profile"), after.format) == (pixels, profile, before.format)
    assert (told(picture), read_config(picture)) == (TOLD, config)
    once = picture.read_bytes()
    assert main(["auto1111-metadata", str(picture)]) == 0
    assert picture.read_bytes() == once
    assert [p.name for p in picture.parent.glob("[!.]*")] == [picture.name]


def test_what_others_wrote_into_a_png_stays(at_work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notes = PngInfo()
    notes.add_text("Author", "someone")
    notes.add_text("parameters", "of before")
    Image.new("I;16", (8, 4), 40_000).save("deep.png", pnginfo=notes, dpi=(72, 72))
    Path("deep.dgen").write_text('toy --prompts "a star" --seeds 1\n')
    assert main(["auto1111-metadata", "deep.png", "--config", "deep.dgen", "-o", "new.png", "--verbose"]) == 0
    written = "a star\nSteps: 30, CFG scale: 5.0, Seed: 1, Size: 8x4, Model: toy"
    assert capsys.readouterr().out == f"{written}\n"
    with Image.open("new.png") as new, Image.open("deep.png") as old:
        assert (new.mode, new.tobytes(), new.info["dpi"]) == (old.mode, old.tobytes(), old.info["dpi"])
        assert (new.text, old.text["parameters"]) == ({"Author": "someone", "parameters": written}, "of before")


@pytest.mark.parametrize("kind", ["lossless", "lossy", "alpha", "profile"])
def test_every_kind_of_webp_stays_readable(at_work: Path, kind: str) -> None:
    image = Image.effect_noise((21, 13), 60).convert("RGBA" if kind == "alpha" else "RGB")
    if kind == "alpha":
        image.putalpha(90)
    more = {"icc_profile": b"not a real profile"} if kind == "profile" else {}
    image.save("x.webp", lossless=kind in ("lossless", "alpha"), **more)
    before = Image.open("x.webp").copy()
    Path("x.dgen").write_text('toy --prompts "a star" --seeds 1\n')
    assert main(["auto1111-metadata", "x.webp", "-c", "x.dgen"]) == 0
    after = Image.open("x.webp")
    assert (after.mode, after.size, after.tobytes()) == (before.mode, before.size, before.tobytes())
    assert after.info.get("icc_profile") == more.get("icc_profile")
    assert told(Path("x.webp")).endswith("Size: 21x13, Model: toy")


def test_seed_that_a_config_leaves_open_is_not_invented(at_work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("x.dgen").write_text("toy --prompts x\n")
    assert main(["auto1111-metadata", "seed.png", "-c", "x.dgen", "-o", "new.png", "-v"]) == 0
    assert "Seed" not in capsys.readouterr().out


def test_a_cut_jpeg_is_told_and_left_alone(at_work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (8, 4)).save("x.jpg")
    cut = Path("x.jpg").read_bytes()[:30]
    Path("x.jpg").write_bytes(cut)
    Path("x.dgen").write_text("toy --prompts x\n")
    assert main(["auto1111-metadata", "x.jpg", "-c", "x.dgen"]) == 2
    assert "error[bad-file]" in capsys.readouterr().err
    assert Path("x.jpg").read_bytes() == cut


# ---- civitai-links ---------------------------------------------------------------------------------------------


def file(port: int, name: str, number: int, **more: object) -> dict[str, object]:
    address = f"http://127.0.0.1:{port}/api/download/models/{number}?type=Model&format=SafeTensor"
    return {"name": name, "type": "Model", "sizeKB": 2048, "downloadUrl": address, **more}


def model(number: int, port: int) -> object:
    facts = {"format": "SafeTensor", "size": "pruned", "fp": "fp16"}
    free, login = file(port, "one.safetensors", 7, metadata=facts), file(port, "two.safetensors", 8)
    elsewhere = {**file(port, "three.ckpt", 9), "downloadUrl": "http://127.0.0.2:1/three"}
    vae = file(port, "vae.pt", 10, type="VAE")
    versions = [
        {"id": 11, "name": "v\x1b[2J2", "baseModel": "SDXL 1.0", "files": [free, login]},
        {"id": 12, "name": "v1", "baseModel": "SD 1.5", "files": [vae, elsewhere, {"downloadUrl": None}, 3]},
        {"id": 13, "name": "v0", "baseModel": None, "files": None},
    ]
    return {"id": number, "name": "Toy", "type": "Checkpoint", "creator": {"username": "me"}, "modelVersions": versions}


class Site(BaseHTTPRequestHandler):
    """What the interface of a site answers; models by number."""

    asked: list[tuple[str, str | None]] = []  # noqa: RUF012

    def do_GET(self) -> None:
        Site.asked.append((self.path, self.headers.get("Authorization")))
        number = self.path.partition("?")[0].rpartition("/")[2]
        if "/download/" in self.path:
            self.answer(307 if number == "8" else 200, b"", {"Location": "/login?returnUrl=/"})
            return
        port = self.server.server_address[1]
        bodies = {
            "1": (200, json.dumps(model(1, port)).encode()), "2": (404, b"{}"), "3": (200, b"{ broken"),
            "4": (401, b""), "5": (500, b""), "6": (200, b"[1, 2]"), "7": (200, b'{"modelVersions": []}'),
        }  # fmt: skip
        self.answer(*bodies[number], {})

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[str]:
    Site.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_links_of_every_file_of_every_version(site: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["civitai-links", f"{site}/models/1/toy-model?tab=files"]) == 0
    link = f"{site}/api/download/models/"
    assert capsys.readouterr().out.splitlines() == [
        "Toy (Checkpoint, by me)",
        "",
        "v[2J2 (SDXL 1.0)",
        "  one.safetensors: Model, SafeTensor pruned fp16, 2.0 MiB",
        f'    "{link}7?type=Model&format=SafeTensor"',
        "  two.safetensors: Model, 2.0 MiB",
        f'    "{link}8?type=Model&format=SafeTensor"',
        "",
        "v1 (SD 1.5)",
        "  vae.pt: VAE, 2.0 MiB",
        f'    --vae "AutoencoderKL;model={link}10?type=Model&format=SafeTensor"',
        "  three.ckpt: Model, 2.0 MiB",
        '    "http://127.0.0.2:1/three"',
        "",
        "v0 (unnamed)",
        "  no file to download",
    ]


def test_token_joins_only_the_links_that_want_one(site: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["civitai-links", f"{site}/models/1?modelVersionId=11", "--token", "se&cret"]) == 0
    out = capsys.readouterr().out
    assert [line.partition("SafeTensor")[2] for line in out.splitlines() if "http" in line] == [
        '"',
        '&token=se%26cret"',
    ]
    assert "v1" not in out
    assert ("/api/v1/models/1", "Bearer se&cret") in Site.asked
    assert all(header is None for path, header in Site.asked if "download" in path)
    assert main(["civitai-links", f"{site}/models/1?modelVersionId=12", "--token", "se&cret"]) == 0
    assert "cret" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("models/2", "error[hub-refused]: `{host}` has no model 2"),
        ("models/3", "error[bad-file]: what `{host}` answered is no description of a model"),
        ("models/4", "error[hub-refused]: `{host}` shows model 4 to its users alone"),
        ("models/5", "error[hub-refused]: `{host}` answered with status 500"),
        ("models/6", "error[bad-file]: what `{host}` answered is no description of a model"),
        ("models/7", "error[hub-refused]: model 7 of `{host}` has no version"),
        ("models/1?modelVersionId=99", "error[hub-refused]: model 1 of `{host}` has no version 99"),
        ("models/1?modelVersionId=x", "error[bad-value]: expected the number of a version, found `x`"),
    ],
)
def test_what_a_site_refuses_is_told_without_the_token(
    site: str, page: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["civitai-links", f"{site}/{page}", "--token", "secret"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(told.format(host=site.removeprefix("http://")))
    assert "Traceback" not in error
    assert "secret" not in error


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# ---- as sub-commands -------------------------------------------------------------------------------------------


def test_sub_command_takes_everything_after_it(site: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--sub-command", "civitai-links", f"{site}/models/1"]) == 0
    plain = capsys.readouterr().out
    assert main(["--sub-command=civitai-links", f"{site}/models/1"]) == 0
    assert capsys.readouterr().out == plain
    assert main(["--sub-command", "to-diffusers", "--help"]) == 0
    page = capsys.readouterr().out
    assert page.startswith("dgen to-diffusers MODEL -o FOLDER")
    assert main(["--sub-command-help", "to-diffusers"]) == 0
    assert capsys.readouterr().out == page
    assert main(["--sub-command-help"]) == 0
    assert {line.split()[1] for line in capsys.readouterr().out.splitlines()} >= {"to-diffusers", "check"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--sub-command", "to-difusers", "x"], "no command named `to-difusers`"),
        (["--sub-command"], "`--sub-command` lacks NAME"),
        (["--sub-command-help", "x"], "no command named `x`"),
        (["toy", "--sub-command", "check"], "`--sub-command` stands first"),
    ],
)
def test_a_wrong_sub_command_is_told(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert told in capsys.readouterr().err


def test_every_option_that_takes_a_token_is_kept_secret() -> None:
    rows = [row for command in COMMANDS.values() for row in command.rows.values()] + list(ROWS.values())
    secrets = {s for row in rows if row.value is not None and row.value.metavar == "TOKEN" for s in row.spellings}
    assert secrets == set(SECRET_FLAGS)
    source = Source("s", "toy --auth-token 'a b' -atk=x --token yy https://h/m?token=z&a=1\n")
    text = render([Diagnostic(code="bad-value", message="odd", span=source.span(0, 3))])
    assert "toy --auth-token ***** -atk=* --token ** https://h/m?token=*&a=1" in text
