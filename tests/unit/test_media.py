"""Pictures in and out."""

from __future__ import annotations

import errno
import io
import threading
from pathlib import Path

import pytest
from PIL import Image

from dgen.media import encode, metadata, names, publish, read, write
from dgen.options.request import Request
from dgen.plan.resolve import Job
from dgen.schema import BadValue
from dgen.values.prompt import Prompt
from dgen.values.scalars import Size
from dgen.values.uri import NamedUri


def job(**said: object) -> Job:
    request = Request(**{"model": "m", "seed": 7, "guidance_scale": 5.0, "num_inference_steps": 30, **said})
    return Job(request=request, family="sd", mode="txt2img", pipeline="StableDiffusionPipeline", size=Size(64, 64))


def test_name_holds_what_was_set_in_its_order() -> None:
    assert names.stem(job(), 1) == "s_7_g_5-0_i_30_step_1"
    full = job(output_prefix="x", scheduler=NamedUri("DDIMScheduler"), strength=0.8, clip_skip=2)
    assert names.stem(full, 3, image=2) == "x_DDIMScheduler_s_7_st_0-8_g_5-0_i_30_cs_2_step_3_image_2"


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_flattened_onto_white(tmp_path: Path, mode: str) -> None:
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    clear.convert(mode).save(tmp_path / "a.png") if mode != "P" else clear.save(tmp_path / "a.webp", lossless=True)
    path = next(tmp_path.iterdir())
    assert read.PictureFiles().image(str(path), Size(4, 4)).getpixel((0, 0)) == (255, 255, 255)


def test_sixteen_bit_grey_keeps_its_range(tmp_path: Path) -> None:
    Image.new("I;16", (2, 2), 32896).save(tmp_path / "a.png")
    red, *_ = read.PictureFiles().image(str(tmp_path / "a.png"), Size(2, 2)).getpixel((0, 0))
    assert abs(red - 128) <= 1


def test_exif_orientation_is_honoured(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 4)).save(tmp_path / "a.jpg", exif=exif)
    files = read.PictureFiles()
    assert files.size(str(tmp_path / "a.jpg")) == Size(4, 8)
    assert files.image(str(tmp_path / "a.jpg"), Size(4, 8)).size == (4, 8)


def test_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    files = read.PictureFiles()
    Image.new("RGB", (2, 2), "red").save(path)
    assert files.image(str(path), Size(2, 2)).getpixel((0, 0)) == (255, 0, 0)
    Image.new("RGB", (2, 2), "blue").save(path)
    path.touch()
    assert files.image(str(path), Size(2, 2)).getpixel((0, 0)) == (0, 0, 255)


@pytest.mark.parametrize("ending", encode.FORMATS)
@pytest.mark.parametrize("text", ["plain", "ünïcödé 日本 🙂"])
def test_config_survives_every_format(tmp_path: Path, ending: str, text: str) -> None:
    path = tmp_path / f"a.{ending}"
    texts = {metadata.CONFIG: text, metadata.PARAMETERS: "Steps: 1"}
    publish.publish(path, lambda file: encode.encode(Image.new("RGB", (8, 8)), ending, texts, file))
    assert metadata.read_config(path) == text


@pytest.mark.parametrize("ending", encode.FORMATS)
def test_same_picture_gives_the_same_bytes(ending: str) -> None:
    made: list[bytes] = []
    for _ in range(2):
        file = io.BytesIO()
        encode.encode(Image.new("RGB", (8, 8), "red"), ending, {metadata.CONFIG: "x"}, file)
        made.append(file.getvalue())
    assert made[0] == made[1]


def test_picture_without_config_cannot_be_replayed(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(BadValue, match="carries no config"):
        metadata.read_config(tmp_path / "a.png")


def test_interrupted_write_leaves_nothing(tmp_path: Path) -> None:
    def fill(file: object) -> None:
        file.write(b"half")  # type: ignore[attr-defined]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publish.publish(tmp_path / "a.png", fill)
    assert list(tmp_path.iterdir()) == []


def page(folder: Path, **more: object) -> write.Page:
    said = {"image": Image.new("RGB", (8, 8)), "folder": folder, "stem": "a", "ending": "png", **more}
    return write.Page(**said)  # type: ignore[arg-type]


def test_taken_name_gets_a_number(tmp_path: Path) -> None:
    pool = write.WriterPool(lambda number, files: None)
    for number in range(3):
        pool.submit(number, page(tmp_path))
    pool.finish()
    pool.submit(3, page(tmp_path, overwrite=True))
    written = pool.finish()
    pool.close()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "a_duplicate_1.png", "a_duplicate_2.png"]
    assert [w.image.name for w in written] == ["a.png"]


def test_picture_and_config_keep_one_name(tmp_path: Path) -> None:
    (tmp_path / "a.dgen").write_text("mine", encoding="utf-8")
    pool = write.WriterPool(lambda number, files: None)
    pool.submit(1, page(tmp_path, config=lambda: "x", writes_config=True))
    (files,) = pool.finish()
    pool.close()
    assert files.image.stem == "a_duplicate_1"
    assert (tmp_path / "a.dgen").read_text(encoding="utf-8") == "mine"


def test_queue_of_pages_is_bounded(tmp_path: Path) -> None:
    gate = threading.Event()
    pool = write.WriterPool(lambda number, files: gate.wait(10) and None, workers=1, waiting=2)
    pool.submit(1, page(tmp_path))
    pool.submit(2, page(tmp_path))
    third = threading.Thread(target=pool.submit, args=(3, page(tmp_path)))
    third.start()
    third.join(0.3)
    assert third.is_alive()
    gate.set()
    third.join(10)
    assert len(pool.finish()) == 3
    pool.close()


def test_full_disk_is_named_and_the_picture_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))
    full = tmp_path / "full"
    full.mkdir()

    def published(path: Path, fill: object, *, replaces: bool = True) -> str:
        if path.parent == full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return publish.publish(path, fill, replaces=replaces)  # type: ignore[arg-type]

    monkeypatch.setattr(write, "publish", published)
    pool = write.WriterPool(lambda number, files: None)

    def write_all() -> None:  # it fails at once, or when the pool is asked to finish
        pool.submit(1, page(full))
        pool.finish()

    with pytest.raises(BadValue) as caught:
        write_all()
    pool.close()
    assert caught.value.code == "disk-full"
    assert [p.name for p in elsewhere.rglob("*.png")] == ["a.png"]


def test_prompt_is_in_the_parameters_text() -> None:
    from dgen.config import a1111_parameters

    text = a1111_parameters(job(prompt=Prompt("a cat", "blurry")))
    assert text == "a cat\nNegative prompt: blurry\nSteps: 30, CFG scale: 5.0, Seed: 7, Size: 64x64, Model: m"
