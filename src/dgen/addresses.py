"""Tells addresses of this machine and its network from public ones, and keeps fetches away from them."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from dgen.schema import BadValue

_PUBLIC_ONLY = ContextVar("public_only", default=False)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@contextmanager
def public_only() -> Generator[None]:
    """Refuse what is not public to every fetch of this thread while the block lasts: nobody trusts who asks."""
    token = _PUBLIC_ONLY.set(True)
    try:
        yield
    finally:
        _PUBLIC_ONLY.reset(token)


class Gate:
    """Looks at each request of one fetch before it is made, those included that a server sends it on to.

    A public server may never send a fetch on to an address inside; nothing inside is reached in `public_only`. It
    looks names up as the connection will, which closes the door to all but a name server that answers twice
    differently; `seen` closes it to what such a server sends.
    """

    def __init__(self) -> None:
        """Start a fetch."""
        self._is_public = _PUBLIC_ONLY.get()

    def asked(self, request: Any) -> None:
        """Let a request of httpx pass, or not.

        Raises:
            BadValue: `inner-address`.
        """
        host = request.url.host
        if not any(map(is_inner, _numbers_of(host))):
            self._is_public = True
        elif self._is_public:
            raise _refusal(host)

    def seen(self, answer: Any) -> None:
        """Let an answer of httpx pass, by the address that it came from; behind a proxy that is the proxy's.

        Raises:
            BadValue: `inner-address`.
        """
        from urllib.request import getproxies

        stream = answer.extensions.get("network_stream")
        peer = stream.get_extra_info("server_addr") if stream is not None else None
        if self._is_public and peer and not getproxies() and is_inner(peer[0]):
            raise _refusal(answer.request.url.host)


def is_inner(number: str) -> bool:
    """Whether an IP address, as text, is not one of the public internet: loopback, link-local, private and the like."""
    address = ipaddress.ip_address(number.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        carried = address.ipv4_mapped or address.sixtofour
        if carried is None and address in _NAT64:
            carried = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        address = carried or address
    return not address.is_global or address.is_multicast


def _numbers_of(host: str) -> Iterator[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return  # the connection will say so, or a proxy knows it
    yield from dict.fromkeys(str(each[4][0]) for each in found)


def _refusal(host: str) -> BadValue:
    help = "a file on this machine is named by its path"
    return BadValue(f"`{host}` is an address of this machine or its network", code="inner-address", help=help)
