"""A bound on what the web server does at once, and threads that keep their database connection.

Left alone, Django under ASGI runs each request in a thread of its own. A hundred callers are then
a hundred threads, each of which opens a database connection, uses it once and leaves it to the
garbage collector: PostgreSQL runs out of connections, for workers and coordinator as well.
(Measured with 100 callers: 200 connections, 164 of 1000 submissions refused.)

Here a request borrows one of :data:`THREADS` threads. They live as long as the server, so their
connections do too. Who finds no thread free for :data:`PATIENCE` seconds is told to come back.

A stream of events has no end, and would keep its thread: it gets one of its own, and lets go of
its connection itself.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Awaitable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from asgiref.sync import ThreadSensitiveContext

from ansf_platform import env
from ansf_platform.body_limit import Application, Receive, Send, refuse

THREADS = env.integer("ANSF_WEB_THREADS", 32)
PATIENCE = 10.0  # seconds
STREAMS = frozenset({"/feed"})


class WebThreads:
    """An ASGI application whose requests share a fixed set of threads."""

    def __init__(self, application: Application, threads: int = THREADS) -> None:
        self.application = application
        # First in, last out: few callers use few threads, and so few connections.
        self._free: asyncio.LifoQueue[ThreadPoolExecutor] = asyncio.LifoQueue()
        for number in range(max(1, threads)):
            self._free.put_nowait(ThreadPoolExecutor(1, thread_name_prefix=f"web-{number}"))

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in STREAMS:
            await self._apart(scope, receive, send)
            return
        try:
            executor = await asyncio.wait_for(self._free.get(), PATIENCE)
        except TimeoutError:
            await refuse(scope, send, 503, "the server is busy: try again in a moment")
            return
        async with self._lent(executor):
            await self.application(scope, receive, send)

    async def _apart(self, scope: Any, receive: Receive, send: Send) -> None:
        # A connection that is kept inherits the context of the request that it last waited in,
        # and with it a thread that was given back: in an empty one Django takes a new thread.
        loop = asyncio.get_running_loop()
        answering = self.application(scope, receive, send)
        await loop.create_task(_awaited(answering), context=contextvars.Context())

    @asynccontextmanager
    async def _lent(self, executor: ThreadPoolExecutor) -> AsyncIterator[None]:
        try:
            async with ThreadSensitiveContext(executor=executor):
                yield
        finally:
            self._free.put_nowait(executor)


async def _awaited(answering: Awaitable[Any]) -> None:
    await answering
