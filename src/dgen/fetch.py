"""Fetches files from the web into the user's cache, once."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from dgen.schema import BadValue

IMAGE_BYTES = 512 * 2**20


def cache_folder(name: str) -> Path:
    """Return a folder of the user's cache; `DGEN_CACHE` moves the whole cache."""
    from platformdirs import user_cache_path

    root = os.environ.get("DGEN_CACHE")
    return (Path(root) if root else user_cache_path("dgen", appauthor=False)) / name


def shown(url: str) -> str:
    """Return an address as messages may show it: without user, password, query and fragment."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to fetch, and what is acceptable."""

    url: str
    folder: str = "web"  # of the cache
    limit_bytes: int = IMAGE_BYTES
    types: tuple[str, ...] = ("image/", "application/octet-stream", "binary/octet-stream")
    headers: tuple[tuple[str, str], ...] = ()
    offline: bool = False

    @property
    def target(self) -> Path:
        """Where the file lies once it is fetched."""
        name = os.path.basename(urlsplit(self.url).path) or "file"
        digest = hashlib.sha256(self.url.encode()).hexdigest()[:24]
        return cache_folder(self.folder) / f"{digest}-{name[-80:]}"


def fetch(order: Order, announce: Callable[[str], None] = lambda what: None) -> Path:
    """Return the cached file of an address, fetching it first when it is not there.

    Raises:
        BadValue: `offline`: the network is forbidden or out of reach; `bad-file`: the answer is refused, too
            large or of the wrong type.
    """
    target = order.target
    if target.exists():
        return target
    if order.offline:
        message = f"`{shown(order.url)}` is not in the cache, and `--offline-mode` forbids the network"
        raise BadValue(message, code="offline")
    announce(shown(order.url))
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=target.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            _stream(order, file)
        os.replace(part, target)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    return target


def _stream(order: Order, file: Any) -> None:
    import httpx

    timeout = httpx.Timeout(30.0, connect=10.0)
    try:
        with httpx.stream(
            "GET", order.url, headers=dict(order.headers), follow_redirects=True, timeout=timeout
        ) as answer:
            _accept(order, answer.status_code, answer.headers)
            taken = 0
            for chunk in answer.iter_bytes(2**20):
                taken += len(chunk)
                _within(order, taken)
                file.write(chunk)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise BadValue(f"`{shown(order.url)}` cannot be fetched: {type(error).__name__}", code="offline") from None


def _accept(order: Order, status: int, headers: Any) -> None:
    if status != 200:
        raise BadValue(f"`{shown(order.url)}` cannot be fetched: the server answered {status}", code="bad-file")
    kind = headers.get("content-type", "application/octet-stream").partition(";")[0].strip().lower()
    if order.types and not kind.startswith(order.types):
        raise BadValue(f"`{shown(order.url)}` is `{kind}`, expected {' or '.join(order.types)}", code="bad-file")
    _within(order, int(headers.get("content-length") or 0))


def _within(order: Order, size: int) -> None:
    if size > order.limit_bytes:
        limit = order.limit_bytes // 2**20
        raise BadValue(f"`{shown(order.url)}` is larger than the {limit} MiB that are allowed", code="bad-file")
