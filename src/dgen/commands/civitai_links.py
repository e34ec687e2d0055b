"""`civitai-links`: what a CivitAI model page offers, as words for a command line.

The interface is documented at <https://developer.civitai.com/site/reference/models>.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from dgen.commands import CommandHost
from dgen.diagnostic import DgenError, Span, fail
from dgen.fetch import shown
from dgen.plan.bind import Bound, request_table

_PAGE = re.compile(r"/models/(\d+)(?:/.*)?")
_EXAMPLE = "https://civitai.com/models/4384"
_CHUNK_BYTES, _MOST_CHUNKS = 2**20, 16

# Kinds of models and files, the option that takes them, and how.
_OPTIONS = {
    "LORA": ("--loras", "{}"),
    "LoCon": ("--loras", "{}"),
    "DoRA": ("--loras", "{}"),
    "TextualInversion": ("--textual-inversions", "{}"),
    "Controlnet": ("--control-nets", "{}"),
    "VAE": ("--vae", "AutoencoderKL;model={}"),
}


@dataclass(frozen=True, slots=True)
class Page:
    """A model page: its site, the model, and the version that was picked."""

    site: str
    model: int
    version: int | None
    span: Span
    token: str | None

    @property
    def host(self) -> str:
        """The server that may be told the token."""
        return urlsplit(self.site).netloc


def run(host: CommandHost, bound: Bound) -> None:
    """Ask the site of a page what its model offers, and write a link for each file of each version.

    Raises:
        DgenError: `bad-value`, `sandboxed`, `offline`, `hub-refused`, `bad-file`.
    """
    host.permissions.require("network", bound.span_of("url"), "use the network")
    page = _page(bound)
    model = _ask(page)
    versions = [v for v in _rows(model, "modelVersions") if page.version in (None, v.get("id"))]
    if not versions:
        what = f"version {page.version}" if page.version else "version"
        raise fail("hub-refused", f"model {page.model} of `{page.host}` has no {what}", page.span)
    maker = model.get("creator")
    by = f", by {_plain(maker.get('username'))}" if isinstance(maker, Mapping) else ""  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    host.write(f"{_plain(model.get('name'))} ({_plain(model.get('type'))}{by})\n")
    for version in versions:
        host.write(f"\n{_plain(version.get('name'))} ({_plain(version.get('baseModel'))})\n")
        for line in _file_lines(page, str(model.get("type")), version):
            host.write(f"  {line}\n")


def _page(bound: Bound) -> Page:
    text, span = bound.value("url"), bound.span_of("url")
    parts = urlsplit(text)
    path = _PAGE.fullmatch(parts.path)
    if parts.scheme not in ("http", "https") or not parts.netloc or path is None:
        raise fail("bad-value", f"expected the address of a CivitAI model page, found `{shown(text)}`", span,
                   f"as in `{_EXAMPLE}`")  # fmt: skip
    picked = parse_qs(parts.query).get("modelVersionId", [""])[0]
    if picked and not picked.isdecimal():
        raise fail("bad-value", f"expected the number of a version, found `{picked}`", span)
    site = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return Page(site, int(path[1]), int(picked) if picked else None, span, bound.value("token"))


# ---- the site --------------------------------------------------------------------------------------------------


def _ask(page: Page) -> Mapping[str, Any]:
    """Return what the site says of a model."""
    import httpx

    headers = {"Accept": "application/json"}
    if page.token:
        headers["Authorization"] = f"Bearer {page.token}"
    address = f"{page.site}/api/v1/models/{page.model}"
    try:
        with httpx.stream("GET", address, headers=headers, follow_redirects=True, timeout=_timeout()) as answer:
            if answer.status_code != 200:
                raise _refusal(page, answer.status_code)
            body = b"".join(islice(answer.iter_bytes(_CHUNK_BYTES), _MOST_CHUNKS))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise fail("offline", f"`{page.host}` is out of reach ({type(error).__name__})", page.span) from None
    return _read(page, body)


def _timeout() -> Any:
    import httpx

    return httpx.Timeout(30.0, connect=10.0)


def _refusal(page: Page, status: int) -> DgenError:
    if status == 404:
        return fail("hub-refused", f"`{page.host}` has no model {page.model}", page.span)
    if status in (401, 403):
        help = "is the token right?" if page.token else "give your API key with `--token`"
        return fail("hub-refused", f"`{page.host}` shows model {page.model} to its users alone", page.span, help)
    return fail("hub-refused", f"`{page.host}` answered with status {status}", page.span)


def _read(page: Page, body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("modelVersions"), list):  # pyright: ignore[reportUnknownMemberType]
        message = f"what `{page.host}` answered is no description of a model"
        raise fail("bad-file", message, page.span, "is this the address of a CivitAI model page?")
    return found  # pyright: ignore[reportUnknownVariableType]


def _rows(owner: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found: Any = owner.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []  # pyright: ignore[reportUnknownVariableType]


# ---- links -----------------------------------------------------------------------------------------------------


def _file_lines(page: Page, kind: str, version: Mapping[str, Any]) -> Iterator[str]:
    files = [f for f in _rows(version, "files") if _is_address(f.get("downloadUrl"))]
    if not files:
        yield "no file to download"
    for file in files:
        yield _description(file)
        yield f"  {_link(page, kind, file)}"


def _is_address(text: Any) -> bool:
    return isinstance(text, str) and text.startswith(("http://", "https://")) and text.isprintable() and '"' not in text


def _description(file: Mapping[str, Any]) -> str:
    metadata = file.get("metadata")
    facts = [metadata.get(n) for n in ("format", "size", "fp")] if isinstance(metadata, dict) else []  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    told = " ".join(_plain(f) for f in facts if f)  # pyright: ignore[reportUnknownVariableType]
    kilobytes = file.get("sizeKB")
    size = f", {kilobytes / 1024:.1f} MiB" if isinstance(kilobytes, int | float) else ""
    return f"{_plain(file.get('name'))}: {_plain(file.get('type'))}{', ' if told else ''}{told}{size}"


def _link(page: Page, kind: str, file: Mapping[str, Any]) -> str:
    """Return a file's link in quotes, after the option that takes it, as far as there is one."""
    address = _with_token(page, str(file["downloadUrl"]))
    named = "VAE" if file.get("type") == "VAE" else kind if file.get("type") in ("Model", "Pruned Model") else ""
    flag, form = _OPTIONS.get(named, ("", "{}"))
    if flag not in request_table().flags:
        return f'"{address}"'
    return f'{flag} "{form.format(address)}"'


def _with_token(page: Page, address: str) -> str:
    """Add the token to an address of the page's own server that wants one."""
    if page.token is None or urlsplit(address).netloc != page.host or not _wants_token(address):
        return address
    return f"{address}{'&' if urlsplit(address).query else '?'}token={quote(page.token, safe='')}"


def _wants_token(address: str) -> bool:
    """Ask for a file without a token: a refusal, and the way to the login page, mean that one is wanted."""
    import httpx

    try:
        with httpx.stream("GET", address, follow_redirects=False, timeout=_timeout()) as answer:
            leads_to_login = "login" in urlsplit(answer.headers.get("location", "")).path
            return answer.status_code in (401, 403) or (answer.is_redirect and leads_to_login)
    except (httpx.HTTPError, httpx.InvalidURL):
        return True


def _plain(text: Any) -> str:
    """Return a text of the site without what would move the cursor of a terminal."""
    return "".join(c for c in str(text) if c.isprintable()) if text is not None else "unnamed"
