"""Video and animations: read and written as streams by the real ffmpeg and Pillow."""

from __future__ import annotations

import errno
import itertools
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from PIL import Image

from dgen.media import ffmpeg, films, record, video
from dgen.media.read import PictureFiles
from dgen.media.sound import Sound, has_sound
from dgen.schema import BadValue
from dgen.values.scalars import Size

H264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "12")
PAUSE = ("-vf", "select='not(between(n,5,9))'", "-fps_mode", "vfr")
Made = Callable[..., Path]


def grey(frame: int) -> int:
    return 10 + frame * 7 % 240


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Make a video whose frame k is grey(k), as other programs make them."""
    folder = tmp_path_factory.mktemp("videos")

    def make(name: str, *words: str, rate: str = "25", frames: int = 30, before: tuple[str, ...] = ()) -> Path:
        pixels = b"".join(bytes([grey(k)]) * (32 * 16 * 3) for k in range(frames))
        shape = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "32x16", "-r", rate, "-i", "-")
        target = folder / name
        words = (*before, *shape, *words, "-y", str(target))
        subprocess.run([ffmpeg.program(), "-v", "error", *words], input=pixels, check=True)
        return target

    return make


def shades(frames: Iterator[Image.Image]) -> list[int]:
    return [image.getpixel((4, 4))[0] for image in frames]


@pytest.mark.parametrize(
    ("name", "rate", "words"),
    [
        ("a.mp4", "25", H264), ("b.mp4", "30000/1001", H264), ("c.mkv", "24000/1001", H264), ("d.ts", "25", H264),
        ("e.webm", "12", ("-c:v", "libvpx")), ("f.avi", "25", ("-c:v", "mjpeg")),
    ],
)  # fmt: skip
def test_every_frame_is_found_from_wherever_reading_starts(
    made: Made, name: str, rate: str, words: tuple[str, ...]
) -> None:
    path = made(name, *words, rate=rate)
    clip = video.clip_of(path)
    assert clip is not None
    assert (clip.size, clip.frames, clip.rate) == (Size(32, 16), 30, Fraction(rate))
    for start in (0, 1, 11, 12, 29):
        found = shades(video.frames_of(path, clip, start))
        assert len(found) == 30 - start
        assert all(abs(a - grey(k)) <= 4 for k, a in enumerate(found, start))


def test_picture_that_stands_longer_is_repeated(made: Made) -> None:
    path = made("vfr.mp4", *PAUSE, *H264)
    clip = video.clip_of(path)
    assert clip is not None
    assert (clip.frames, clip.rate) == (30, Fraction(25))
    for start in (0, 7):
        expected = [grey(4 if 5 <= k <= 9 else k) for k in range(start, 30)]
        found = shades(video.frames_of(path, clip, start))
        assert all(abs(a - b) <= 4 for a, b in zip(found, expected, strict=True))


def test_rotation_and_tall_pixels_are_honoured(made: Made) -> None:
    path = made("upright.mp4", *H264, frames=3)
    turned, wide = path.with_name("turned.mp4"), made("wide.mp4", "-vf", "setsar=2", *H264, frames=3)
    words = ("-display_rotation", "90", "-i", str(path), "-c", "copy", "-y", str(turned))
    subprocess.run([ffmpeg.program(), "-v", "error", *words], check=True)
    files = PictureFiles()
    assert [files.size(str(p)) for p in (turned, wide)] == [Size(16, 32), Size(64, 16)]
    assert [files.picture(str(p), 2).size for p in (turned, wide)] == [(16, 32), (64, 16)]
    files.close()


@pytest.mark.parametrize("ending", record.FORMATS)
@pytest.mark.parametrize("rate", ["25", "30000/1001"])
def test_animation_reads_back_as_it_was_written(tmp_path: Path, ending: str, rate: str) -> None:
    path = tmp_path / f"a.{ending}"
    recorder = record.Recorder(path, ending, Size(33, 21), Fraction(rate))
    for k in range(12):
        recorder.add(Image.new("RGB", (33, 21), (grey(k), 255 - grey(k), 90)))
    recorder.finish()
    clip = video.clip_of(path)
    assert clip is not None
    assert clip.size == (Size(34, 22) if ending == "mp4" else Size(33, 21))
    assert clip.frames == 12
    assert abs(clip.rate / Fraction(rate) - 1) < Fraction(1, 50)  # a gif counts in hundredths of a second
    assert clip.rate == Fraction(rate) or ending in ("gif", "webp")
    assert all(abs(a - grey(k)) <= 4 for k, a in enumerate(shades(video.frames_of(path, clip))))


def test_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        recorder = record.Recorder(tmp_path / name, "mp4", Size(32, 32), Fraction(25))
        for k in range(8):
            recorder.add(Image.new("RGB", (32, 32), (grey(k), 9, 9)))
        recorder.finish()
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_gif_with_times_of_its_own_keeps_them(tmp_path: Path) -> None:
    images = [Image.new("RGB", (8, 8), (v, v, v)) for v in (0, 100, 200)]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], duration=[100, 300, 200])
    clip = video.clip_of(tmp_path / "a.gif")
    assert clip is not None
    assert (clip.frames, clip.rate) == (6, Fraction(10))
    assert shades(video.frames_of(tmp_path / "a.gif", clip, 1)) == [100, 100, 100, 200, 200]


def test_truncated_video_gives_its_good_frames(made: Made) -> None:
    path = made("cut.mkv", "-c:v", "mjpeg")
    whole = video.clip_of(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    assert whole is not None
    found: list[Image.Image] = []
    with pytest.raises(video.Ended, match=r"ends after (1[5-9]|2\d) of 30 frames"):
        found += itertools.islice(_kept(found, video.frames_of(path, whole)), 40)
    assert 15 <= len(found) < 30


def _kept(found: list[Image.Image], frames: Iterator[Image.Image]) -> Iterator[Image.Image]:
    for image in frames:
        found.append(image)
    yield from ()


@pytest.mark.parametrize(("name", "text"), [("text.mp4", b"this is text\n" * 9), ("none.mkv", b"")])
def test_file_that_is_no_video_is_told(tmp_path: Path, name: str, text: bytes) -> None:
    (tmp_path / name).write_bytes(text)
    with pytest.raises(BadValue, match="is no video that can be read"):
        video.clip_of(tmp_path / name)


def test_list_of_other_files_is_no_video(tmp_path: Path, made: Made) -> None:
    path = made("listed.mp4", *H264, frames=2)
    (tmp_path / "a.mp4").write_text(f"ffconcat version 1.0\nfile '{path}'\n")
    (tmp_path / "b.ts").write_text(f"#EXTM3U\n#EXTINF:1,\n{path}\n#EXT-X-ENDLIST\n")
    for name in ("a.mp4", "b.ts"):
        with pytest.raises(BadValue):
            video.clip_of(tmp_path / name)


def test_frames_are_kept_for_who_asks_again_and_skipped_to_for_who_goes_on(made: Made) -> None:
    path = made("films.mp4", *H264)
    clip = video.clip_of(path)
    assert clip is not None
    opened = films.Films()
    first = opened.frame(path, clip, 3)
    assert opened.frame(path, clip, 3) is first
    for number in (4, 9, 29, 0):
        assert abs(opened.frame(path, clip, number).getpixel((4, 4))[0] - grey(number)) <= 4
    opened.close()


def test_disk_that_fills_in_the_middle_is_named(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, before[1]))
    recorder = record.Recorder(tmp_path / "a.mp4", "mp4", Size(128, 128), Fraction(25))
    recorder.add(Image.new("RGB", (128, 128)))  # ffmpeg starts with it, and keeps the limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with pytest.raises(OSError, match="File too large") as caught:
        _fill(recorder)
    recorder.abandon()
    assert caught.value.errno == errno.EFBIG
    assert list(tmp_path.iterdir()) == []


def _fill(recorder: record.Recorder) -> None:
    for _ in range(400):
        recorder.add(Image.frombytes("RGB", (128, 128), os.urandom(128 * 128 * 3)))
    recorder.finish()


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_sound_of_the_source_goes_along(made: Made, tmp_path: Path, codec: str) -> None:
    tone = ("-f", "lavfi", "-i", "sine=frequency=440:duration=1")
    path = made(f"loud-{codec}.mkv", *H264, "-c:a", codec, before=tone)
    recorder = record.Recorder(tmp_path / "a.mp4", "mp4", Size(32, 16), Fraction(25))
    for k in range(10):
        recorder.add(Image.new("RGB", (32, 16), (grey(k),) * 3))
    recorder.finish(Sound(path=path, start=Fraction(1, 5)))
    assert has_sound(tmp_path / "a.mp4")
    clip = video.clip_of(tmp_path / "a.mp4")
    assert clip is not None
    assert clip.frames == 10
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_frames_with_transparency_are_written_and_kept_with_it(tmp_path: Path) -> None:
    from dgen.media.spool import Spool

    kept = Spool(tmp_path / "a.frames", resumes=False)
    recorder = record.Recorder(tmp_path / "a.apng", "apng", Size(8, 6), Fraction(5), spool=kept)
    frames = [Image.new("RGBA", (8, 6), (200, 40 * k, 9, 50 * k)) for k in range(4)]
    for frame in frames:
        recorder.add(frame)
    recorder.finish()
    assert [kept.frame(k).tobytes() for k in range(4)] == [frame.tobytes() for frame in frames]
    with Image.open(tmp_path / "a.apng") as film:
        for k, frame in enumerate(frames):
            film.seek(k)
            assert film.convert("RGBA").getchannel("A").tobytes() == frame.getchannel("A").tobytes()
    kept.remove()
