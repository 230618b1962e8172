"""One GET to an address that was judged first, within a time that covers all of it.

Redirects are not followed here: where one leads is for the caller to judge, by asking again.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import certifi

from ansf_platform import addresses

DEFAULT_PORTS = {"http": 80, "https": 443}
REDIRECTS = frozenset({301, 302, 303, 307, 308})

ReadBody = Callable[[http.client.HTTPResponse], bytes]


class UrlRefused(ValueError):
    """A URL that is not asked; the message says what is accepted."""


@dataclass(frozen=True, slots=True)
class Place:
    """A URL taken apart; `target` is path and query as they are sent."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def host_header(self) -> str:
        """The host as the header names it: IPv6 in brackets, the port where it is unusual."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == DEFAULT_PORTS[self.scheme] else f"{name}:{self.port}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and from which address; header names in lower case."""

    address: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def location(self) -> str:
        """Where the answer redirects to, or nothing."""
        return self.headers.get("location", "") if self.status in REDIRECTS else ""


def split_url(url: str) -> Place:
    """Take an http or https URL apart. Raises UrlRefused."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UrlRefused(f"not a URL: {error}") from error
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise UrlRefused("use an http:// or https:// URL")
    if parts.username is not None or parts.password is not None:
        raise UrlRefused("put no credentials into a URL: it is shown to everybody")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise UrlRefused("percent-encode spaces and other characters outside ASCII")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Place(parts.scheme, parts.hostname, port or DEFAULT_PORTS[parts.scheme], path)


def get(
    place: Place,
    *,
    private: bool,
    until: float,
    headers: Mapping[str, str],
    read: ReadBody,
) -> Answer:
    """One request to the address the host resolves to now; `read` bounds the body.

    Raises OSError (AddressRefused and TooLate among them), http.client.HTTPException, and what
    `read` raises. `until` is a time of the monotonic clock.
    """
    found = addresses.resolve(place.host, place.port, private=private, until=until)
    connection = http.client.HTTPConnection(place.host, place.port)
    raw = addresses.connect(found, place.port, until)
    address = str(raw.getpeername()[0])
    with closing(connection), raw, addresses.closed_at(raw, until):
        connection.sock = _secured(raw, place.host) if place.scheme == "https" else raw
        _ask(connection, place, headers)
        with connection.getresponse() as response:
            said = {name.lower(): value for name, value in response.getheaders()}
            return Answer(address, response.status, said, read(response))


def _ask(connection: http.client.HTTPConnection, place: Place, headers: Mapping[str, str]) -> None:
    connection.putrequest("GET", place.target, skip_host=True, skip_accept_encoding=True)
    connection.putheader("Host", place.host_header)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.putheader("Connection", "close")
    connection.endheaders()


@cache
def _trust() -> ssl.SSLContext:
    """The machine's own authorities, and well-known ones where it has none."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _secured(raw: Any, host: str) -> ssl.SSLSocket:
    return _trust().wrap_socket(raw, server_hostname=host)
