"""The ASGI application below ``/v1/``."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError

from ansf_platform.accounts import tokens
from ansf_platform.requests import SAFE_REQUEST_ID
from gateway import catalogue
from gateway.embedder import MINILM
from gateway.errors import Forbidden, GatewayError, ModelUnknown, NoModel, Unauthorised
from gateway.openai_api import bodies, reading, writing
from gateway.openai_api.bodies import Gone, Receive, Send
from gateway.openai_api.embedding import embeddings
from gateway.pipe import Terms, acomplete, astream
from gateway.threads import in_thread

logger = logging.getLogger(__name__)

PREFIX = "/v1/"
SCOPE = "gateway:call"
MOST_UNDER_WAY = 1_000
"""Calls that one process has under way; more are told to come back."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request whose sender is known."""

    tenant: str
    terms: Terms
    path: str
    content_type: str
    raw: bytes

    def body(self) -> Any:
        """The JSON that was sent. Raises Refused."""
        return bodies.parsed(self.raw, self.content_type)


Handler = Callable[[Asked, Send], Awaitable[None]]


class GatewayApi:
    """Answers below ``/v1/``, and leaves every other address to `otherwise`."""

    def __init__(self, otherwise: Any) -> None:
        self.otherwise = otherwise
        self._under_way = 0

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self.otherwise(scope, receive, send)
            return
        self._under_way += 1
        try:
            await self._answer(scope, receive, send)
        except Gone:
            pass
        finally:
            self._under_way -= 1

    async def _answer(self, scope: Any, receive: Receive, send: Send) -> None:
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        given = headers.get("x-request-id", "")
        request_id = given if SAFE_REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        sender = _Sender(send, request_id)
        try:
            await self._handle(scope, headers, receive, sender)
        except GatewayError as error:
            await sender.fail(error)
        except Gone:
            raise
        except Exception as error:  # noqa: BLE001 - the last one that could tell the client
            await sender.fail(_unforeseen(error, request_id))

    async def _handle(
        self, scope: Any, headers: Mapping[str, str], receive: Receive, send: Send
    ) -> None:
        raw = await bodies.read(receive)
        if self._under_way > MOST_UNDER_WAY:
            raise NoModel("too many calls are under way: try again", retry_after=1.0)
        handler = _handler(scope["method"], scope["path"])
        tenant, token = await in_thread(_caller, headers.get("authorization", ""))
        client = scope.get("client")
        terms = Terms(token=token, address=client[0] if client else None)
        asked = Asked(tenant, terms, scope["path"], headers.get("content-type", ""), raw)
        await _unless_gone(handler(asked, send), receive)


class _Sender:
    """Sends with the request's id; knows whether an answer has begun."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.begun = False

    async def __call__(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            fields = [*message["headers"], (b"x-request-id", self._request_id.encode())]
            message = {**message, "headers": fields}
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


# --- who asks -----------------------------------------------------------------------------
def _caller(authorization: str) -> tuple[str, str]:
    """Ids of tenant and token. Raises Unauthorised and Forbidden."""
    scheme, _, secret = authorization.partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthorised(
            "no API key was sent: pass a token of yours with the scope gateway:call as the key"
        )
    token = tokens.find(secret.strip())
    if token is None:
        raise Unauthorised("the token is unknown, expired or revoked: create another")
    if not token.tenant.enabled:
        raise Forbidden(f"tenant {token.tenant.slug!r} is disabled")
    if SCOPE not in token.scopes:
        raise Forbidden(f"the token lacks the scope {SCOPE}: create one that has it")
    return str(token.tenant_id), str(token.pk)


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
    body = asked.body()
    request = reading.request_of(body, asked.tenant)
    created = int(time.time())
    if request.stream:
        usage = reading.wants_usage(body)
        async with contextlib.aclosing(astream(request, asked.terms)) as chunks:
            await _stream(send, chunks, asked.terms.request_id, created, usage=usage)
        return
    answer = await acomplete(request, asked.terms)
    document = writing.completion(answer, asked.terms.request_id, created)
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
    document = await in_thread(embeddings, asked.body(), asked.tenant, asked.terms)
    await bodies.answer(send, 200, {}, writing.encoded(document))


async def _models(asked: Asked, send: Send) -> None:
    listed = await in_thread(_listed, int(asked.tenant))
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
