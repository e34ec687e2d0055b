"""A hub that is out of reach is told at the word, before anything is loaded, and the session goes on as it was."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from test_isolation import Runs

from dgen.diagnostic import DgenError, Source
from dgen.events import ComponentLoaded, Event

NAMED = (
    "org/model --prompts x",
    "toy --prompts x --loras org/lora",
    "toy --prompts x --post-processors 'hed;model=org/hed'",
    "toy --prompts x --vae 'AutoencoderKL;model=org/vae'",
    "toy --prompts x --unet org/unet",
    "toy --prompts x --control-nets org/net --image-seeds seed.png",
    "toy --prompts x --textual-inversions org/word",
    "toy-xl --prompts x --sdxl-refiner org/refiner",
)
"""Statements that name something on the hub."""


class Busy(BaseHTTPRequestHandler):
    """Answers that it can't."""

    def do_GET(self) -> None:
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *args: object) -> None:
        pass


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture(params=["closed", "busy"])
def endpoint(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a hub that nobody answers at, and of one that is overloaded."""
    if request.param == "closed":
        yield f"http://127.0.0.1:{closed_port()}"
        return
    with ThreadingHTTPServer(("127.0.0.1", 0), Busy) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Told(Runs):
    """Runs that keep what was loaded."""

    def __init__(self) -> None:
        self.loaded: list[str] = []
        super().__init__()

    def listen(self, event: Event) -> None:
        if isinstance(event, ComponentLoaded):
            self.loaded.append(event.kind)
        super().listen(event)


@pytest.fixture(scope="module")
def told() -> Iterator[Told]:
    runs = Told()
    yield runs
    runs.session.close()


def test_hub_out_of_reach_is_told_at_the_word_and_the_session_goes_on(
    told: Told, endpoint: str, workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for entry in workshop.iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    first = told.run("toy", "")
    told.loaded.clear()
    for text in NAMED:
        with pytest.raises(DgenError) as caught:
            told.session.run(Source("test", text + "\n"))
        (found,) = caught.value.diagnostics
        assert found.code == "offline", text
        assert "org/" in found.message
        assert "--offline-mode" not in found.message + (found.help or "")
        assert found.span is not None
        assert "org/" in text[found.span.start : found.span.end]
    assert told.run("toy", "") == first
    assert told.loaded == []
