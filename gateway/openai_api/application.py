"""The ASGI application below ``/v1/``."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import DatabaseError

from ansf_platform.requests import SAFE_REQUEST_ID
from gateway import catalogue
from gateway.embedder import MINILM
from gateway.errors import GatewayError, ModelUnknown, NoModel, Unauthorised
from gateway.openai_api import bodies, reading, writing
from gateway.openai_api.bodies import Gone, Receive, Send
from gateway.openai_api.callers import Caller, caller_of
from gateway.openai_api.embedding import Turns, embeddings
from gateway.pipe import Terms, acomplete, astream
from gateway.request import Request
from gateway.threads import in_thread

logger = logging.getLogger(__name__)

PREFIX = "/v1/"
MOST_UNDER_WAY = 1_000
"""Calls that one process has under way; more are told to come back."""
MOST_BYTES_UNDER_WAY = 256 * 1024 * 1024
"""Of bodies that one process is reading or has read; likewise."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that has been read."""

    request_id: str
    caller: Callable[[], Caller]
    """To be asked in a thread: it may look at rows. Raises Unauthorised and Forbidden."""
    path: str
    address: str | None
    body: Any
    """The JSON that was sent."""

    def terms(self, caller: Caller) -> Terms:
        """How the caller's call is made."""
        return Terms(request_id=self.request_id, token=caller.token, address=self.address)


EMBEDDING = Turns()
Handler = Callable[[Asked, Send], Awaitable[None]]


class GatewayApi:
    """Answers below ``/v1/``, and leaves every other address to `otherwise`."""

    def __init__(self, otherwise: Any) -> None:
        self.otherwise = otherwise
        self._under_way = 0
        self._bytes = 0

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self.otherwise(scope, receive, send)
            return
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        size = bodies.length_of(headers)
        self._under_way += 1
        self._bytes += size
        try:
            await self._answer(scope, headers, receive, send)
        except Gone:
            pass
        finally:
            self._under_way -= 1
            self._bytes -= size

    async def _answer(
        self, scope: Any, headers: Mapping[str, str], receive: Receive, send: Send
    ) -> None:
        sender = _Sender(send, headers.get("x-request-id", ""))
        try:
            if self._under_way > MOST_UNDER_WAY or self._bytes > MOST_BYTES_UNDER_WAY:
                raise NoModel("too many calls are under way: try again", retry_after=1.0)  # noqa: TRY301 - told below
            await _handle(scope, headers, receive, sender)
        except GatewayError as error:
            await sender.fail(error)
        except Gone:
            raise
        except Exception as error:  # noqa: BLE001 - the last one that could tell the client
            await sender.fail(_unforeseen(error, sender.request_id))


async def _handle(
    scope: Any, headers: Mapping[str, str], receive: Receive, sender: _Sender
) -> None:
    """Read and answer. What is large is read only of callers who may call, and parsed apart."""
    handler = _handler(scope["method"], scope["path"])
    caller = partial(caller_of, headers.get("authorization", ""))
    small = bodies.length_of(headers) <= bodies.SMALL_BYTES
    if not small:
        known = await in_thread(caller)
        caller = partial(_same, known)
    raw = await bodies.read(receive)
    kind = headers.get("content-type", "")
    body: Any = None
    if scope["method"] == "POST" and small:
        try:
            body = bodies.parsed(raw, kind)
        except GatewayError:
            await in_thread(caller)  # who may not call is not told what is wrong
            raise
    elif scope["method"] == "POST":
        body = await in_thread(bodies.parsed, raw, kind)
    client = scope.get("client")
    address = client[0] if client else None
    asked = Asked(sender.request_id, caller, scope["path"], address, body)
    await _unless_gone(handler(asked, sender), receive)


def _same(caller: Caller) -> Caller:
    return caller


class _Sender:
    """Sends with the request's id; knows whether an answer has begun.

    The id is drawn here, and is the ledger's: what a client sends may come twice. It is sent back.
    """

    def __init__(self, send: Send, given: str) -> None:
        self._send = send
        self.request_id = uuid.uuid4().hex
        self._ids = [(b"x-request-id", self.request_id.encode())]
        if SAFE_REQUEST_ID.fullmatch(given):
            self._ids.append((b"x-client-request-id", given.encode()))
        self.begun = False

    async def __call__(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            message = {**message, "headers": [*message["headers"], *self._ids]}
        await self._send(message)

    async def fail(self, error: GatewayError) -> None:
        """An error as an answer, or as a stream's last event."""
        document = writing.failure(error)
        if self.begun:
            await self._send({"type": "http.response.body", "body": writing.event(document)})
            return
        headers = writing.failure_headers(error)
        if isinstance(error, Unauthorised):
            headers["www-authenticate"] = 'Bearer realm="ansf"'
        await bodies.answer(self, error.status, headers, writing.encoded(document))


async def _unless_gone(answering: Awaitable[None], receive: Receive) -> None:
    """Answer; the answer is cancelled when the client leaves."""
    work = asyncio.ensure_future(answering)
    watch = asyncio.ensure_future(bodies.gone(receive))
    try:
        await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work
            raise Gone
        work.result()
    finally:
        watch.cancel()
        work.cancel()


def _unforeseen(error: Exception, request_id: str) -> GatewayError:
    if isinstance(error, DatabaseError):
        logger.warning("a call could not be made: %s", error)
        return NoModel("the database does not answer: try again", retry_after=2.0)
    logger.error("a call failed", exc_info=error)
    return GatewayError(f"a defect: report it with the request id {request_id}")


# --- what is asked ------------------------------------------------------------------------
def _handler(method: str, path: str) -> Handler:
    known = path.removeprefix(PREFIX)
    wanted, handler = ("GET", _models) if known.startswith("models") else _POSTS.get(known, _NONE)
    if handler is None:
        raise _Nowhere(f"there is no {path[:200]}: see /api/v1/docs")
    if method != wanted:
        raise _WrongMethod(f"{path[:200]} is for {wanted}")
    return handler


class _Nowhere(GatewayError):
    status = 404
    kind = "invalid_request_error"
    code = "unknown_url"


class _WrongMethod(GatewayError):
    status = 405
    kind = "invalid_request_error"
    code = "method_not_supported"


async def _chat(asked: Asked, send: Send) -> None:
    def asking() -> tuple[Request, Terms]:
        caller = asked.caller()
        return reading.request_of(asked.body, caller.tenant), asked.terms(caller)

    created = int(time.time())
    if isinstance(asked.body, dict) and asked.body.get("stream") is True:
        usage = reading.wants_usage(asked.body)
        async with contextlib.aclosing(astream(asking)) as chunks:
            await _stream(send, chunks, asked.request_id, created, usage=usage)
        return
    answer = await acomplete(asking)
    document = writing.completion(answer, asked.request_id, created)
    await bodies.answer(send, 200, writing.headers(answer), writing.encoded(document))


async def _stream(send: Send, chunks: Any, request_id: str, created: int, *, usage: bool) -> None:
    first = True
    async for chunk in chunks:
        if first:
            opening = writing.opening_headers(chunk)
            kind = {"content-type": "text/event-stream; charset=utf-8", "x-accel-buffering": "no"}
            await bodies.begin(send, 200, kind | opening)
        events = writing.event(writing.piece(chunk, request_id, created, first=first))
        if chunk.answer is not None and usage:
            events += writing.event(writing.last_piece(chunk.answer, request_id, created))
        first = False
        await send({"type": "http.response.body", "body": events, "more_body": True})
    await send({"type": "http.response.body", "body": writing.DONE})


async def _embeddings(asked: Asked, send: Send) -> None:
    def made() -> dict[str, Any]:
        caller = asked.caller()
        return embeddings(asked.body, caller.tenant, asked.terms(caller))

    async with EMBEDDING.turn():
        document = await in_thread(made)
    await bodies.answer(send, 200, {}, writing.encoded(document))


async def _models(asked: Asked, send: Send) -> None:
    listed = await in_thread(lambda: _listed(int(asked.caller().tenant)))
    name = asked.path.removeprefix(f"{PREFIX}models").strip("/")
    if not name:
        document: Mapping[str, Any] = {"object": "list", "data": list(listed.values())}
    elif name in listed:
        document = listed[name]
    else:
        raise ModelUnknown(f"there is no model {name[:100]!r}", param="model")
    await bodies.answer(send, 200, {}, writing.encoded(document))


def _listed(tenant_id: int) -> dict[str, dict[str, Any]]:
    rows = catalogue.view().models_of(tenant_id)
    owners = {reading.AUTO: ("ansf", 0), MINILM.name: ("local", 0)}
    owners |= {
        row.name: (row.provider.name, int(row.created_at.timestamp()))
        for row in rows
        if row.provider.enabled
    }
    return {
        name: {"id": name, "object": "model", "created": created, "owned_by": owner}
        for name, (owner, created) in owners.items()
    }


_NONE: tuple[str, Handler | None] = ("", None)
_POSTS: dict[str, tuple[str, Handler | None]] = {
    "chat/completions": ("POST", _chat),
    "embeddings": ("POST", _embeddings),
}
