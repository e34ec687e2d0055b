"""Files from the web: fetched once, checked, never half there. The server is real and on this machine."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dgen.fetch import Order, fetch, shown
from dgen.media.read import PictureFiles
from dgen.schema import BadValue
from dgen.values.scalars import Size


def png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 4), "red").save(file, "PNG")
    return file.getvalue()


class Site(BaseHTTPRequestHandler):
    asked: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        Site.asked.append(self.path)
        kind, body, length = {
            "/a.png": ("image/png", png(), None),
            "/page": ("text/html; charset=utf-8", b"<html>", None),
            "/lying.bin": ("application/octet-stream", b"<!DOCTYPE html><p>", None),
            "/a.zip": ("application/zip", b"PK", None),
            "/large.png": ("image/png", b"x", 2**40),
            "/cut.png": ("image/png", b"x" * 10, 100),
        }.get(self.path.partition("?")[0], ("", b"", None))
        self.send_response(200 if kind else 404)
        self.send_header("Content-Type", kind or "text/plain")
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


WHOLE = bytes(range(256)) * 40_000


class Fragile(BaseHTTPRequestHandler):
    """Breaks each connection after a part of the file, and continues it when it is asked with its own mark."""

    mark = '"v1"'
    asked: list[str | None] = []  # noqa: RUF012
    breaks_at = 3_000_000

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        Fragile.asked.append(wanted)
        start = int(wanted[6:-1]) if wanted and self.headers.get("If-Range") == Fragile.mark else 0
        body = WHOLE[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(WHOLE) - 1}/{len(WHOLE)}")
        self.send_header("Content-Type", "application/zip")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", Fragile.mark)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: Fragile.breaks_at])

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def fragile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    monkeypatch.setenv("DGEN_CACHE", str(tmp_path / "cache"))
    Fragile.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Fragile) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/a.zip?token=secret"
        server.shutdown()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    monkeypatch.setenv("DGEN_CACHE", str(tmp_path / "cache"))
    Site.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_picture_is_fetched_once(site: str) -> None:
    told: list[str] = []
    for _ in range(2):
        files = PictureFiles(told.append)
        assert files.size(f"{site}/a.png?token=secret") == Size(8, 4)
        assert files.image(f"{site}/a.png?token=secret", Size(8, 4)).getpixel((0, 0)) == (255, 0, 0)
    assert len(Site.asked) == 1
    assert told == [f"{site}/a.png"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/page?key=secret", "is `text/html`"), ("/large.png", "larger than"), ("/none.png", "answered 404"),
        ("/cut.png", "cannot be fetched"),
    ],
)  # fmt: skip
def test_wrong_answer_is_refused_and_leaves_nothing(site: str, path: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(BadValue, match=message) as caught:
        fetch(Order(url=site + path))
    assert "secret" not in caught.value.message
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]


def test_offline_mode_asks_nobody(site: str) -> None:
    with pytest.raises(BadValue) as caught:
        fetch(Order(url=f"{site}/a.png", offline=True))
    assert caught.value.code == "offline"
    assert Site.asked == []


def test_address_is_shown_without_secrets() -> None:
    assert shown("https://user:password@example.org/a.png?token=secret#part") == "https://example.org/a.png"


def order(url: str, **more: Any) -> Order:
    return Order(url=url, types=(), **more)


def test_broken_download_is_taken_up_where_it_broke(fragile: str, tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="cannot be fetched") as caught:
        fetch(order(fragile))
    assert "secret" not in caught.value.message
    assert len(Fragile.asked) == 3
    found = fetch(order(fragile))
    assert found.read_bytes() == WHOLE
    assert Fragile.asked[1:] == [f"bytes={n * 3_000_000}-" for n in (1, 2, 3)]
    assert [p.name for p in found.parent.iterdir()] == [found.name]


def test_changed_file_is_fetched_anew(fragile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadValue):
        fetch(order(fragile))
    monkeypatch.setattr(Fragile, "mark", '"v2"')
    monkeypatch.setattr(Fragile, "breaks_at", len(WHOLE))
    assert fetch(order(fragile)).read_bytes() == WHOLE


def test_pages_are_refused_unless_text_is_wanted(site: str) -> None:
    with pytest.raises(BadValue, match="is `text/html`, not a file") as caught:
        fetch(order(f"{site}/page"))
    assert caught.value.help == "take it with `-t`, if a text is wanted"
    assert fetch(order(f"{site}/page", text=True, folder="text")).read_bytes() == b"<html>"
    with pytest.raises(BadValue, match="a web page, whatever it says"):
        fetch(order(f"{site}/lying.bin"))


def test_other_files_are_welcome(site: str) -> None:
    assert fetch(order(f"{site}/a.zip")).read_bytes() == b"PK"
