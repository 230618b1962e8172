"""``http.fetch``: get a page, within limits, and never from inside the network by default.

Each host name is resolved once and the connection goes to the address that was checked, so that
a name cannot point elsewhere between check and use; every redirect is checked anew.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
from celery import shared_task
from django.conf import settings

from workers.context import GiveUp, current_or_none

MAX_BYTES = 5_000_000
MAX_SECONDS = 60.0
MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
SCHEMAS: dict[str, dict[str, Any]] = {
    "http.fetch": {
        "type": "object",
        "required": ["url"],
        "additionalProperties": False,
        "properties": {
            "url": {"type": "string", "maxLength": 4096},
            "max_bytes": {"type": "integer", "minimum": 1, "maximum": MAX_BYTES},
            "timeout": {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_SECONDS},
            "max_redirects": {"type": "integer", "minimum": 0, "maximum": MAX_REDIRECTS},
        },
    },
}


@shared_task(name="http.fetch")
def fetch(
    url: str,
    max_bytes: int = 1_000_000,
    timeout: float = 20.0,
    max_redirects: int = 3,
) -> dict[str, Any]:
    """GET `url`; its status, type and text. Raises for refused addresses and broken limits."""
    context = current_or_none()
    give_up = time.monotonic() + min(timeout, context.seconds_left if context else timeout)
    target = url
    for _ in range(max_redirects + 1):
        answer = _get(target, max_bytes, give_up)
        if answer["status"] not in REDIRECTS or not answer["location"]:
            return answer
        target = urljoin(target, answer["location"])
        if context is not None:
            context.log(f"redirected to {target[:200]}")
    raise GiveUp(f"more than {max_redirects} redirects from {url[:200]}")


def _get(url: str, max_bytes: int, give_up: float) -> dict[str, Any]:
    address, host, pinned = pin(url)
    left = give_up - time.monotonic()
    if left <= 0:
        raise TimeoutError("no time left for the request")
    with (
        httpx.Client(timeout=left, follow_redirects=False, trust_env=False) as client,
        client.stream(
            "GET",
            pinned,
            headers={"Host": host, "User-Agent": "ansf"},
            extensions={"sni_hostname": urlsplit(url).hostname or ""},
        ) as response,
    ):
        body = bytearray()
        for chunk in response.iter_bytes(65_536):
            body += chunk
            if len(body) > max_bytes:
                raise GiveUp(f"the answer is larger than {max_bytes} bytes")
            if time.monotonic() > give_up:
                raise TimeoutError(f"{url[:200]} took too long")
        encoding = response.charset_encoding or "utf-8"
        return {
            "url": url,
            "address": str(address),
            "status": response.status_code,
            "location": response.headers.get("location", ""),
            "content_type": response.headers.get("content-type", ""),
            "bytes": len(body),
            "text": _text(bytes(body), encoding),
        }


def _text(body: bytes, encoding: str) -> str:
    try:
        text = body.decode(encoding, "replace")
    except LookupError:  # an encoding that nobody knows
        text = body.decode("utf-8", "replace")
    return text.replace("\x00", "\ufffd")


def pin(url: str) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, str, str]:
    """The checked address, the Host header, and the URL with the address in place of the name.

    Raises :class:`GiveUp` for other schemes, credentials, and addresses that are not public.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise GiveUp(f"{url[:200]!r} is no URL: {error}") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise GiveUp(f"{url[:200]!r} is refused: only http:// and https:// URLs are fetched")
    if parts.username or parts.password:
        raise GiveUp("a URL with credentials is refused")
    address = _resolve(parts.hostname, port)
    shown = f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004
    pinned = parts._replace(netloc=f"{shown}:{port}", fragment="").geturl()
    host = parts.netloc.rsplit("@", 1)[-1]
    return address, host, pinned


def _resolve(name: str, port: int) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise ConnectionError(f"{name} does not resolve: {error}") from error
    address = ipaddress.ip_address(str(found[0][4][0]).split("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    public = (mapped or address).is_global and not (mapped or address).is_multicast
    if not public and not settings.ANSF["ALLOW_PRIVATE_FETCH"]:
        raise GiveUp(
            f"{name} is {address}, not a public address: refused "
            "(ANSF_ALLOW_PRIVATE_FETCH=1 allows it)"
        )
    return address
