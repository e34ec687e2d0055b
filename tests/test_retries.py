"""A run waits for a network that comes back, and for nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dgen.cli.main import main


class Busy(BaseHTTPRequestHandler):
    """Answers after a few refusals, those of which the path tells the status."""

    refusals: int
    asked: int
    picture: bytes

    def do_GET(self) -> None:
        type(self).asked += 1
        status = int(self.path.split("/")[1]) if self.asked <= self.refusals else 200
        self.send_response(status)
        self.send_header("Content-Type", "image/png")
        self.send_header("Content-Length", str(len(self.picture)))
        self.end_headers()
        self.wfile.write(self.picture)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def site(at_work: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr("dgen.patience.FIRST_S", 0.01)
    Busy.refusals, Busy.asked, Busy.picture = 2, 0, (at_work / "seed.png").read_bytes()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Busy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def run(address: str, *argv: str) -> int:
    words = ["toy", "--prompts", "a", "--seeds", "1", "--inference-steps", "1", "-o", "out"]
    return main([*words, "--image-seeds", address, "--image-seed-strengths", "1", "--quiet", *argv])


def test_overloaded_server_is_asked_again(site: str, at_work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"{site}/503/a.png", "--retries", "2") == 0
    assert len(list((at_work / "out").glob("*.png"))) == 1
    told = capsys.readouterr().err
    assert told.count("cannot be fetched: the server answered 503; trying again in") == 2


@pytest.mark.parametrize(
    ("status", "argv", "asked"),
    [(503, ["--retries", "1"], 2), (503, [], 1), (404, ["--retries", "2"], 1),
     (503, ["--retries", "2", "--offline-mode"], 0)],
    ids=["too often", "not told to", "a lasting refusal", "no network is wanted"],
)  # fmt: skip
def test_what_does_not_come_back_fails(site: str, at_work: Path, status: int, argv: list[str], asked: int) -> None:
    assert run(f"{site}/{status}/a.png", *argv) == 2
    assert Busy.asked == asked
