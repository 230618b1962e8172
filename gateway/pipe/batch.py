"""Many calls of one task: a bounded number at a time, with progress, and an end when asked to.

They run on an event loop of their own in the calling thread: calls wait for their models without
a thread each, and what they do in between shares a few threads, which end with the batch: a worker
has many processes, and each keeps no more connections than it needs.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway import threads
from gateway.errors import GatewayError, LimitReached, ProviderLimited
from gateway.pipe.driving import acomplete
from gateway.pipe.exchange import Terms
from gateway.pipe.surroundings import Surroundings
from gateway.providers.connections import close_async
from gateway.request import Answer, Request

MOST_PARALLEL = 64
LOOK_EVERY_S = 0.2
"""How often it is asked whether to stop."""
_MOST_WAITS = 20
"""Times that one call waits for a limit."""


class Stopped(Exception):
    """It was to stop; calls under way were ended, and what had been answered is paid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """How to make many calls."""

    parallel: int = 8
    seconds: float = 300.0
    """For all of them together."""
    stop: Callable[[], bool] = lambda: False
    done: Callable[[int, int], None] = lambda *_: None
    """Told after each call how many of all have ended."""
    request_id: str = ""
    """Prefix of the calls' ids; empty: each draws its own."""
    around: Surroundings | None = None


Outcome = Answer | GatewayError
LIMITS = (LimitReached, ProviderLimited)


def complete_many(requests: Sequence[Request], batch: Batch) -> list[Outcome]:
    """One answer or error for each request, in their order. Raises Stopped."""
    with threads.rented(batch.parallel):
        try:
            return asyncio.run(_all(requests, batch))
        finally:
            threads.finish()  # a worker's processes end without waiting for anything


async def _all(requests: Sequence[Request], batch: Batch) -> list[Outcome]:
    loop = asyncio.get_running_loop()
    until = loop.time() + batch.seconds
    room = asyncio.Semaphore(max(1, min(MOST_PARALLEL, batch.parallel)))
    ended = 0

    async def one(number: int, request: Request) -> Outcome:
        nonlocal ended
        async with room:
            outcome = await _patiently(request, number, batch, until)
        ended += 1
        batch.done(ended, len(requests))
        return outcome

    working = asyncio.gather(*(one(n, request) for n, request in enumerate(requests)))
    try:
        while not working.done():
            if batch.stop():
                raise Stopped
            await asyncio.wait({working}, timeout=LOOK_EVERY_S)
        return working.result()
    finally:
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await working
        await close_async()


async def _patiently(request: Request, number: int, batch: Batch, until: float) -> Outcome:
    """One call; for a limit that passes in time it waits instead of giving up."""
    loop = asyncio.get_running_loop()
    for attempt in range(_MOST_WAITS):
        left = until - loop.time()
        if left <= 0:
            break
        terms = Terms(seconds=left)
        if batch.request_id:
            terms = Terms(seconds=left, request_id=f"{batch.request_id}-{number}-{attempt}")
        try:
            return await acomplete(request, terms, batch.around)
        except GatewayError as error:
            after = error.retry_after if isinstance(error, LIMITS) else None
            if after is None or loop.time() + after >= until:
                return error
            await asyncio.sleep(after)
    return LimitReached("the time of the task was over before a limit let the call pass")
