"""A bound on request bodies, before anything keeps them.

Django's ASGI handler writes a whole body to a temporary file before it calls a view, so a limit
in the view comes too late for the disk. A body that is announced or found to be too large is
read on and thrown away, because a client that is still sending would never see the answer; one
that does not end soon is cut off.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ansf_platform.json_body import MAX_BYTES
from ansf_platform.problems import CONTENT_TYPE, TYPES_PAGE

Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Any, Receive, Send], Awaitable[Any]]

LIMIT = MAX_BYTES + 1  # what the view itself still reads and refuses, with a request id
DISCARDED = 8 * MAX_BYTES  # bytes read on, at most, so that the client sees its answer


class _TooLarge(Exception):
    """Told by `receive` to the application, which has not answered yet."""


class BodyLimit:
    """An ASGI application that answers 413 instead of passing on more than :data:`LIMIT` bytes."""

    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        try:
            _check_announced(scope)
            await self.application(scope, _counted(receive), send)
        except _TooLarge:
            await _discard(receive)
            await _refuse(scope, send)


def _check_announced(scope: Any) -> None:
    length = dict(scope["headers"]).get(b"content-length", b"0")
    if length.isdigit() and int(length) > LIMIT:
        raise _TooLarge


def _counted(receive: Receive) -> Receive:
    total = 0

    async def counted() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > LIMIT:
            raise _TooLarge
        return message

    return counted


async def _discard(receive: Receive) -> None:
    total = 0
    while total < DISCARDED:
        message = await receive()
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return
        total += len(message.get("body", b""))


async def _refuse(scope: Any, send: Send) -> None:
    told = {
        "type": f"{TYPES_PAGE}#problem-413",
        "title": "Request Entity Too Large",
        "status": 413,
        "detail": f"the body is larger than {MAX_BYTES} bytes: send it in several requests",
        "instance": scope.get("raw_path", b"").decode("ascii", "replace"),
        "request_id": "",
    }
    headers = [(b"content-type", CONTENT_TYPE.encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(told).encode()})
