"""Request bodies, bounded in size and time before anything else happens.

Django's ASGI handler writes a whole body to a temporary file before it calls a view, so a limit
in the view comes too late for the disk; and who sends slowly would occupy what serves others.
Here a body is taken in first, and passed on when it is complete. One that is too large is read
on and thrown away, because a client that is still sending would never see the answer; one that
does not end soon is cut off.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from ansf_platform.json_body import MAX_BYTES
from ansf_platform.problems import CONTENT_TYPE, TYPES_PAGE

Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Any, Receive, Send], Awaitable[Any]]

LIMIT = MAX_BYTES + 1  # what the view itself still reads and refuses, with a request id
IN_MEMORY = 1024 * 1024  # bytes of one body; more of it waits in a file
DISCARDED = 8 * MAX_BYTES  # bytes read on, at most, so that the client sees its answer
PATIENCE = 60.0  # seconds for the whole body
CHUNK = 256 * 1024  # bytes


class _Refused(Exception):
    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class BodyLimit:
    """An ASGI application that passes complete bodies on, and answers 413 or 408 to others."""

    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        with SpooledTemporaryFile(IN_MEMORY) as body:
            try:
                complete = await _collect(scope, receive, body)
            except _Refused as refused:
                await refuse(scope, send, refused.status, str(refused))
                return
            if complete:
                body.seek(0)
                await self.application(scope, _replay(body, receive), send)


async def _collect(scope: Any, receive: Receive, body: IO[bytes]) -> bool:
    """Take the body in; False when the client left before its end."""
    try:
        async with asyncio.timeout(PATIENCE):
            length = dict(scope["headers"]).get(b"content-length", b"0")
            total = int(length) if length.isdigit() else 0
            if total <= LIMIT:
                total = await _take(receive, body)
            if total > LIMIT:
                await _discard(receive)
                raise _Refused(
                    413, f"the body is larger than {MAX_BYTES} bytes: send several requests"
                )
    except TimeoutError as error:
        raise _Refused(408, f"the body did not arrive within {PATIENCE:.0f} s") from error
    return total >= 0


async def _take(receive: Receive, body: IO[bytes]) -> int:
    """Write the body down; its size as far as it was taken, -1 when the client left."""
    total = 0
    while total <= LIMIT:
        message = await receive()
        if message["type"] == "http.disconnect":
            return -1
        block = message.get("body", b"")
        total += len(block)
        body.write(block)
        if not message.get("more_body"):
            break
    return total


async def _discard(receive: Receive) -> None:
    total = 0
    while total < DISCARDED:
        message = await receive()
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return
        total += len(message.get("body", b""))


def _replay(body: IO[bytes], receive: Receive) -> Receive:
    ended = False

    async def replay() -> Message:
        nonlocal ended
        if ended:
            return await receive()
        block = body.read(CHUNK)
        ended = len(block) < CHUNK
        return {"type": "http.request", "body": block, "more_body": not ended}

    return replay


async def refuse(scope: Any, send: Send, status: int, detail: str) -> None:
    """Answer with a problem, from before there is a request."""
    told = {
        "type": f"{TYPES_PAGE}#problem-{status}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": scope.get("raw_path", b"").decode("ascii", "replace"),
        "request_id": "",
    }
    headers = [(b"content-type", CONTENT_TYPE.encode()), (b"connection", b"close")]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append((b"retry-after", b"2"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(told).encode()})
