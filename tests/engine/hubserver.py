"""A model hub on 127.0.0.1 that answers what huggingface_hub asks."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REFUSALS = {"org/gated": (403, "GatedRepo"), "org/private": (401, "RepoNotFound"), "org/broken": (400, "")}


class Hub(ThreadingHTTPServer):
    """Serves the folders of `root` as repositories `org/NAME`, revision `main`; keeps what was asked."""

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.root, self.asked = root, list[str]()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def downloaded(self) -> list[str]:
        """The files whose bytes were sent."""
        return sorted(
            a.split(f"{COMMIT}/")[-1].split("main/")[-1] for a in self.asked if "GET" in a and "/resolve/" in a
        )


class Answer(BaseHTTPRequestHandler):
    """One answer."""

    server: Hub

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def answer(self) -> None:
        path = self.path.partition("?")[0].strip("/")
        self.server.asked.append(f"{self.command} {self.path}")
        words = path.removeprefix("api/models/").split("/")
        repository = "/".join(words[:2])
        folder = self.server.root / words[1] if len(words) > 1 else self.server.root
        if repository in REFUSALS or not folder.is_dir():
            self.refuse(*REFUSALS.get(repository, (404, "RepoNotFound")))
        elif path.startswith("api/"):
            self.tell(folder, words[2:])
        else:
            self.send_file(folder / "/".join(words[4:]), words[3])

    def tell(self, folder: Path, words: list[str]) -> None:
        files = sorted(p for p in folder.rglob("*") if p.is_file())
        if words and words[1] not in ("main", COMMIT):
            self.refuse(404, "RevisionNotFound")
        elif words and words[0] == "tree":
            self.send(json.dumps([entry(p, folder) for p in files]).encode(), {})
        else:
            names = [{"rfilename": str(p.relative_to(folder))} for p in files]
            told = {"id": f"org/{folder.name}", "sha": COMMIT, "siblings": names, "private": False, "tags": []}
            self.send(json.dumps(told).encode(), {})

    def send_file(self, path: Path, revision: str) -> None:
        if not path.is_file():
            self.refuse(404, "EntryNotFound")
            return
        body = path.read_bytes()
        self.send(body, {"ETag": f'"{hashlib.sha1(body).hexdigest()}"', "X-Repo-Commit": COMMIT})

    def refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
            self.send_header("X-Error-Message", "the hub says no, hf_secret")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send(self, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(200)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def entry(path: Path, folder: Path) -> dict[str, Any]:
    body = path.read_bytes()
    name = str(path.relative_to(folder))
    return {"type": "file", "path": name, "size": len(body), "oid": hashlib.sha1(body).hexdigest()}


@contextmanager
def serving(root: Path) -> Iterator[Hub]:
    """Run the hub while the block lasts."""
    hub = Hub(root)
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()
