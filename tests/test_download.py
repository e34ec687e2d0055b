r"""`\download` and `download()` as scripts use them, from a real server on this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dgen.cli.main import main


class Site(BaseHTTPRequestHandler):
    asked: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        Site.asked.append(self.path)
        kind = "text/html" if self.path.startswith("/page") else "application/zip"
        body = f"answer {len(Site.asked)}".encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    monkeypatch.setenv("DGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    Site.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def run(script: str, *flags: str) -> int:
    Path("story.dgen").write_text(script, encoding="utf-8")
    return main(["story.dgen", *flags])


def test_a_file_is_fetched_once_into_the_cache(site: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert (
        run(f"\\download x {site}/a.zip\n\\download y {site}/a.zip\n\\setp same x == y\n\\print {{{{ same }}}}\n") == 0
    )
    assert "True" in capfd.readouterr().out
    assert len(Site.asked) == 1


def test_a_file_is_fetched_to_a_path_and_replaced_only_when_asked(site: str) -> None:
    Path("there.zip").write_text("mine")
    assert run(f"\\download x {site}/a.zip -o there.zip\n") == 0
    assert (Path("there.zip").read_text(), Site.asked) == ("mine", [])
    assert run(f"\\download x {site}/a.zip -o there.zip -x\n") == 0
    assert Path("there.zip").read_text() == "answer 1"


def test_a_page_is_taken_with_the_flag_alone(site: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(f"\\download x {site}/page\n") == 2
    assert "is `text/html`, not a file" in capfd.readouterr().err
    assert run(f"\\download x {site}/page --text --output page.html\n\\print {{{{ x }}}}\n", "--quiet") == 0
    assert capfd.readouterr().out == "page.html\n"


def test_the_function_does_the_same(site: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(f"\\set x {{{{ download('{site}/a.zip', output='b.zip') }}}}\n\\print {{{{ x }}}}\n", "--quiet") == 0
    assert capfd.readouterr().out == "b.zip\n"
    assert run(f"\\print {{{{ download('{site}/page') }}}}\n") == 2
    assert "story.dgen:1:8" in capfd.readouterr().err


def test_no_event_tells_a_secret(site: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(f"\\download x {site}/a.zip?token=secret\n", "--json") == 0
    assert "secret" not in "".join(capfd.readouterr())


def test_a_folder_that_is_missing_is_told_at_the_path(site: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(f"\\download x {site}/a.zip -o none/a.zip\n") == 2
    assert "error[file-failed]" in capfd.readouterr().err
