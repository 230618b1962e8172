"""``http.fetch``: get a page, within limits, and never from inside the network by default.

Each host name is resolved once and the connection goes to the address that was judged, so that
a name cannot point elsewhere between judgement and use; every redirect is judged anew. What a
body unpacks to is bounded while it is unpacked: a small answer may hold gigabytes.
"""

from __future__ import annotations

import http.client
import time
import zlib
from typing import Any
from urllib.parse import urljoin

import httpx
from celery import shared_task
from django.conf import settings

from ansf_platform import addresses, retrieval
from ansf_platform.text import made_storable
from workers.context import GiveUp, current_or_none

MAX_BYTES = 5_000_000
MAX_SECONDS = 60.0
MAX_REDIRECTS = 5
CHUNK_BYTES = 64 * 1024
HEADERS = {"User-Agent": "ansf", "Accept": "*/*", "Accept-Encoding": "gzip"}
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
    until = time.monotonic() + min(timeout, context.seconds_left if context else timeout)
    target = url
    for _ in range(max_redirects + 1):
        answer = _get(target, max_bytes, until)
        if not answer.location:
            return _told(target, answer)
        target = urljoin(target, answer.location)
        if context is not None:
            context.log(f"redirected to {target[:200]}")
    raise GiveUp(f"more than {max_redirects} redirects from {url[:200]}")


def _get(url: str, max_bytes: int, until: float) -> retrieval.Answer:
    try:
        return retrieval.get(
            _place(url),
            private=settings.ANSF["ALLOW_PRIVATE_FETCH"],
            until=until,
            headers=HEADERS,
            read=lambda response: read_body(response, max_bytes),
        )
    except addresses.AddressRefused as error:
        raise GiveUp(f"{error}: refused (ANSF_ALLOW_PRIVATE_FETCH=1 allows it)") from error


def _place(url: str) -> retrieval.Place:
    """The URL taken apart, with international names and paths encoded as browsers do."""
    try:
        return retrieval.split_url(str(httpx.URL(url)))
    except (httpx.InvalidURL, retrieval.UrlRefused) as error:
        raise GiveUp(f"{url[:200]!r} is refused: {error}") from error


def read_body(response: http.client.HTTPResponse, limit: int) -> bytes:
    """The unpacked body. Raises GiveUp above `limit` bytes, ConnectionError when it ends early."""
    unpacker = _unpacker(response.getheader("Content-Encoding", ""))
    body = bytearray()
    chunk = b""
    while following := response.read(CHUNK_BYTES):
        chunk = following
        body += _unpacked(unpacker, chunk, limit + 1 - len(body)) if unpacker else chunk
        if len(body) > limit:
            raise GiveUp(f"the answer is larger than {limit} bytes")
        if unpacker and unpacker.eof:
            return bytes(body)
    if response.length or (unpacker and chunk):
        raise ConnectionError("the answer was cut short")
    return bytes(body)


def _unpacker(encoding: str) -> zlib._Decompress | None:
    if encoding.strip().lower() in {"", "identity"}:
        return None
    if encoding.strip().lower() in {"gzip", "x-gzip"}:
        return zlib.decompressobj(zlib.MAX_WBITS | 16)  # 16: with a gzip header
    raise GiveUp(f"the answer is encoded as {encoding[:40]!r}, which was not asked for")


def _unpacked(unpacker: zlib._Decompress, chunk: bytes, at_most: int) -> bytes:
    try:
        return unpacker.decompress(chunk, at_most)
    except zlib.error as error:
        raise ConnectionError(f"the answer cannot be unpacked: {error}") from error


def _told(url: str, answer: retrieval.Answer) -> dict[str, Any]:
    content_type = answer.headers.get("content-type", "")
    return {
        "url": url,
        "address": answer.address,
        "status": answer.status,
        "location": _text(answer.headers.get("location", "").encode(), "utf-8"),
        "content_type": _text(content_type.encode(), "utf-8"),
        "bytes": len(answer.body),
        "text": _text(answer.body, _charset(content_type)),
    }


def _charset(content_type: str) -> str:
    message = http.client.HTTPMessage()
    message["Content-Type"] = content_type
    return message.get_content_charset() or "utf-8"


def _text(body: bytes, encoding: str) -> str:
    try:
        text = body.decode(encoding, "replace")
    except (LookupError, UnicodeError):  # an encoding that nobody knows, or one for names only
        text = body.decode("utf-8", "replace")
    return made_storable(text)  # UTF-7 can spell half a character
