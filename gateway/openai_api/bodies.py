"""Requests in, answers out, on ASGI's messages: bounded, and aware of who has gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from rest_framework.exceptions import APIException

from ansf_platform import json_body
from gateway.errors import Refused, TooLarge

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

MOST_BYTES = 8 * 1024 * 1024
"""Of a request: a prompt of two million tokens."""
SMALL_BYTES = 64 * 1024
"""Read before anybody knows who sends it, and parsed where it is read."""
DISCARDED = 8 * MOST_BYTES
"""Bytes read on, at most, so that a client that still sends sees its answer."""
PATIENCE_S = 60.0
JSON = "application/json"


class Gone(Exception):
    """The client left before its request was complete."""


async def read(receive: Receive) -> bytes:
    """The whole body. Raises TooLarge, Refused when it comes too slowly, and Gone."""
    body, total = bytearray(), 0
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                block = message.get("body", b"")
                total += len(block)
                if total <= MOST_BYTES:
                    body += block
                if not message.get("more_body") or total > DISCARDED:
                    break
    except TimeoutError as error:
        raise Refused(f"the body did not arrive within {PATIENCE_S:.0f} s") from error
    if total > MOST_BYTES:
        raise TooLarge(f"the body is larger than {MOST_BYTES} bytes: shorten the prompt")
    return bytes(body)


def length_of(headers: Mapping[str, str]) -> int:
    """Bytes of the body that is announced; as many as are read where none are told."""
    told = headers.get("content-length", "")
    if told.isascii() and told.isdecimal():
        return min(int(told), MOST_BYTES)
    return MOST_BYTES if "transfer-encoding" in headers else 0


def parsed(raw: bytes, content_type: str) -> Any:
    """The JSON of a body. Raises Refused."""
    if content_type.partition(";")[0].strip().lower() != JSON:
        raise Refused(f"the content type is {content_type[:100]!r}: send {JSON}")
    try:
        return json_body.parse(raw)
    except (APIException, RecursionError) as error:
        raise Refused(str(error)) from error


async def gone(receive: Receive) -> None:
    """Returns when the client has left."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return


async def answer(
    send: Send, status: int, headers: Mapping[str, str], body: bytes, kind: str = JSON
) -> None:
    """A whole answer."""
    fields = {"content-type": kind, "content-length": str(len(body)), **headers}
    await begin(send, status, fields)
    await send({"type": "http.response.body", "body": body})


async def begin(send: Send, status: int, headers: Mapping[str, str]) -> None:
    """Status and headers."""
    fields = {"cache-control": "no-store", "x-content-type-options": "nosniff", **headers}
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
