"""OpenAI-compatible servers over HTTP: one attempt each; the format is `wire`'s."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import lru_cache

import httpx

from gateway.errors import KeyMissing, ProviderFailed
from gateway.providers import wire
from gateway.providers.call import Call, Piece, Reply
from gateway.providers.connections import HEADERS, async_client, client
from gateway.providers.deadlines import Timeouts, Until, ablocks, blocks

MOST_BYTES = 16 * 1024 * 1024
"""Of one answer, unpacked."""
MOST_OF_AN_ERROR = 16 * 1024


@dataclass(frozen=True, slots=True)
class OpenAIHttp:
    """One server. `key_env` names the variable with its key; empty: it needs none."""

    name: str
    base_url: str
    key_env: str = ""

    # --- in threads -------------------------------------------------------------------------
    def complete(self, call: Call) -> Reply:
        """The whole answer."""
        with self._opened(call, stream=False) as (response, until):
            return wire.reply_of(_read(response, until))

    def stream(self, call: Call) -> Generator[Piece, None, None]:
        """The answer as it comes."""
        with self._opened(call, stream=True) as (response, until):
            events = wire.Events()
            for block in blocks(response, until):
                yield from _said(events, block)
            _complete(events)

    @contextmanager
    def _opened(self, call: Call, *, stream: bool) -> Iterator[tuple[httpx.Response, Until]]:
        until = Until(call.seconds)
        with _told_plainly(self.name, until):
            response = client().send(self._asked(call, until, stream=stream), stream=True)
            try:
                if response.status_code != httpx.codes.OK:
                    raw = _read(response, until, MOST_OF_AN_ERROR)
                    raise wire.failure_of(response.status_code, response.headers, raw)
                yield response, until
            finally:
                response.close()

    # --- in asyncio -------------------------------------------------------------------------
    async def acomplete(self, call: Call) -> Reply:
        """`complete` for asyncio."""
        async with self._aopened(call, stream=False) as (response, until):
            return wire.reply_of(await _aread(response, until))

    async def astream(self, call: Call) -> AsyncGenerator[Piece, None]:
        """`stream` for asyncio."""
        async with self._aopened(call, stream=True) as (response, until):
            events = wire.Events()
            async for block in ablocks(response, until):
                for piece in _said(events, block):
                    yield piece
            _complete(events)

    @asynccontextmanager
    async def _aopened(
        self, call: Call, *, stream: bool
    ) -> AsyncIterator[tuple[httpx.Response, Until]]:
        until = Until(call.seconds)
        with _told_plainly(self.name, until):
            request = self._asked(call, until, stream=stream)
            async with asyncio.timeout(until.left):
                response = await async_client().send(request, stream=True)
            try:
                if response.status_code != httpx.codes.OK:
                    raw = await _aread(response, until, MOST_OF_AN_ERROR)
                    raise wire.failure_of(response.status_code, response.headers, raw)
                yield response, until
            finally:
                await response.aclose()

    # --- what both send ---------------------------------------------------------------------
    def _asked(self, call: Call, until: Until, *, stream: bool) -> httpx.Request:
        # Not by the client: to merge its URL, cookies and headers with ours takes it as long as
        # to send the request.
        return httpx.Request(
            "POST",
            _address(self.base_url),
            json=wire.body_of(call, stream=stream),
            headers=HEADERS | self._headers(),
            extensions={"timeout": Timeouts(until)},
        )

    def _headers(self) -> dict[str, str]:
        if not self.key_env:
            return {}
        key = os.environ.get(self.key_env, "").strip()
        if not key:
            raise KeyMissing(
                f"provider {self.name!r} needs its key in the variable {self.key_env}: set it "
                "where the web and worker processes start"
            )
        if not (key.isascii() and key.isprintable()):
            raise KeyMissing(f"the key in {self.key_env} cannot be sent: it holds other than ASCII")
        return {"Authorization": f"Bearer {key}"}


@lru_cache(maxsize=1024)
def _address(base_url: str) -> httpx.URL:
    return httpx.URL(f"{base_url.rstrip('/')}/chat/completions")


@contextmanager
def _told_plainly(name: str, until: Until) -> Iterator[None]:
    """Errors of the network as ours; the message names the provider and no address."""
    try:
        yield
    except (httpx.TimeoutException, TimeoutError) as error:
        raise ProviderFailed(f"provider {name!r} did not answer in time") from error
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
        until.check()  # the connection was cut because the time was over
        kind = type(error).__name__
        raise ProviderFailed(f"the connection to provider {name!r} failed ({kind})") from error


def _read(response: httpx.Response, until: Until, most: int = MOST_BYTES) -> bytes:
    body = bytearray()
    for block in blocks(response, until):
        body += block
        _within(len(body), most)
    return bytes(body)


async def _aread(response: httpx.Response, until: Until, most: int = MOST_BYTES) -> bytes:
    body = bytearray()
    async for block in ablocks(response, until):
        body += block
        _within(len(body), most)
    return bytes(body)


def _said(events: wire.Events, block: bytes) -> Iterator[Piece]:
    events.taken += len(block)
    _within(events.taken, MOST_BYTES)
    for data in events.feed(block):
        piece = wire.piece_of(data)
        # Not every server sends the end mark, but all say why they ended.
        events.ended = events.ended or piece.finish_reason is not None
        yield piece


def _within(size: int, most: int) -> None:
    if size > most:
        raise ProviderFailed(f"the provider's answer is larger than {most} bytes")


def _complete(events: wire.Events) -> None:
    if not events.ended:
        raise ProviderFailed("the provider's answer was cut off")
