"""Fetches files from the web into the user's cache, once."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from dgen.addresses import Gate
from dgen.cache import cache_folder
from dgen.schema import BadValue

IMAGE_BYTES = 512 * 2**20
DOWNLOAD_BYTES = 64 * 2**30
_ATTEMPTS = 3
_TEXT_TYPES = ("text/", "application/xhtml", "application/xml")
_PAGE = re.compile(rb"\s*(?:\xef\xbb\xbf\s*)?<(?:!doctype html|html|head|\?xml)", re.IGNORECASE)


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
    types: tuple[str, ...] = ("image/", "video/", "application/octet-stream", "binary/octet-stream")
    text: bool = False  # whether a text or a web page is acceptable too
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
            large or of the wrong type; `inner-address`: who asks or who sends it on may not reach that place.
    """
    target = order.target
    if target.exists():
        return target
    if order.offline:
        message = f"`{shown(order.url)}` is not in the cache, and `--offline-mode` forbids the network"
        raise BadValue(message, code="offline")
    announce(shown(order.url))
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, suffix=".part")
    os.close(handle)
    part = _Part(Path(name), target)
    try:
        _fill(order, part)
        os.replace(part.path, target)
    except BaseException:
        part.leave()
        raise
    return target


@dataclass(slots=True)
class _Part:
    """A file that is being fetched, and the mark by which the server knows which version it belongs to."""

    path: Path
    target: Path
    mark: str = ""  # ETag or Last-Modified; none: it cannot be continued

    @property
    def _kept(self) -> tuple[Path, Path]:
        """Where an unfinished file and its mark wait for the next attempt."""
        return self.target.with_name(f"{self.target.name}.resume"), self.target.with_name(f"{self.target.name}.mark")

    def take_up(self) -> None:
        """Go on with what an earlier attempt left; of two processes only one gets it."""
        body, mark = self._kept
        try:
            text = mark.read_text(encoding="latin-1")
            os.replace(body, self.path)
            self.mark = text
            mark.unlink(missing_ok=True)
        except OSError:
            return

    def leave(self) -> None:
        """Keep what was fetched for the next attempt when it can be continued; leave nothing otherwise."""
        body, mark = self._kept
        if self.mark and self.path.exists() and self.path.stat().st_size:
            mark.write_text(self.mark, encoding="latin-1")
            os.replace(self.path, body)
        else:
            self.path.unlink(missing_ok=True)

    def start_over(self) -> None:
        """Forget what was fetched."""
        self.mark = ""
        self.path.write_bytes(b"")


def _fill(order: Order, part: _Part) -> None:
    """Fetch into a part; a connection that breaks is taken up again where it broke."""
    import httpx

    part.take_up()
    for attempt in range(1, _ATTEMPTS + 1):
        before = part.path.stat().st_size
        try:
            _stream(order, part)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            went_on = part.mark and part.path.stat().st_size > before
            if attempt == _ATTEMPTS or not went_on:
                message = f"`{shown(order.url)}` cannot be fetched: {type(error).__name__}"
                raise BadValue(message, code="offline") from None
        except BadValue:
            part.mark = ""
            raise
        else:
            return


def _stream(order: Order, part: _Part) -> None:
    import httpx

    have = part.path.stat().st_size if part.mark else 0
    headers = {**dict(order.headers), "Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": part.mark}
    timeout = httpx.Timeout(30.0, connect=10.0)
    gate = Gate()
    with (
        httpx.Client(event_hooks={"request": [gate.asked], "response": [gate.seen]}, timeout=timeout) as client,
        client.stream("GET", order.url, headers=headers, follow_redirects=True) as answer,
    ):
        if have and answer.status_code == 206 and answer.headers.get("content-range", "").startswith(f"bytes {have}-"):
            _accept(order, 200, answer.headers, have)
        else:
            part.start_over()
            have = 0
            _accept(order, answer.status_code if answer.status_code != 416 else 200, answer.headers, 0)
            part.mark = _mark(answer.headers)
        _append(order, part, have, answer.iter_bytes())


def _append(order: Order, part: _Part, have: int, chunks: Iterator[bytes]) -> None:
    with part.path.open("ab") as file:
        for chunk in chunks:
            if not have and not order.text and _PAGE.match(chunk):
                raise BadValue(f"`{shown(order.url)}` is a web page, whatever it says it is", code="bad-file")
            have += len(chunk)
            _within(order, have)
            file.write(chunk)


def _mark(headers: Any) -> str:
    """Return what names this version of a file, when the server can continue it: a strong ETag, or its date."""
    if headers.get("accept-ranges", "").lower() != "bytes" or headers.get("content-encoding"):
        return ""
    tag = headers.get("etag", "")
    return tag if tag and not tag.startswith("W/") else headers.get("last-modified", "")


def _accept(order: Order, status: int, headers: Any, have: int) -> None:
    if status != 200:
        message = f"`{shown(order.url)}` cannot be fetched: the server answered {status}"
        raise BadValue(message, code="offline" if is_passing(status) else "bad-file")
    kind = headers.get("content-type", "application/octet-stream").partition(";")[0].strip().lower()
    if order.types and not kind.startswith(order.types):
        raise BadValue(f"`{shown(order.url)}` is `{kind}`, expected {' or '.join(order.types)}", code="bad-file")
    if not order.types and not order.text and kind.startswith(_TEXT_TYPES):
        help = "take it with `-t`, if a text is wanted"
        raise BadValue(f"`{shown(order.url)}` is `{kind}`, not a file", code="bad-file", help=help)
    length = headers.get("content-length") or ""
    _within(order, have + (int(length) if length.isdecimal() else 0))


def is_passing(status: int) -> bool:
    """Whether the same request may be answered later: the server is overloaded or broken."""
    return status in (408, 429) or status >= 500


def _within(order: Order, size: int) -> None:
    if size > order.limit_bytes:
        limit = order.limit_bytes // 2**20
        raise BadValue(f"`{shown(order.url)}` is larger than the {limit} MiB that are allowed", code="bad-file")
