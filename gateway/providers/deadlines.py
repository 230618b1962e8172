"""One end for a whole call: connecting, sending, waiting and reading share the same seconds.

httpx counts anew for each of these, and for each block of a body: a server that sends drop by drop
never times out by itself, and one that pauses late takes twice the time.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from itertools import islice
from threading import Lock, Timer

import httpx

from gateway.errors import ProviderFailed
from gateway.providers.connections import CONNECT_S

_LEAST_S = 0.001
"""A timeout of nothing would mean none to some layers."""


@dataclass(slots=True)
class Until:
    """When a call must have ended, on this process's monotonic clock."""

    seconds: float
    end: float = field(init=False)

    def __post_init__(self) -> None:
        self.end = time.monotonic() + self.seconds

    @property
    def left(self) -> float:
        """Seconds; a thousandth once it is over."""
        return max(_LEAST_S, self.end - time.monotonic())

    def check(self) -> None:
        """Raises ProviderFailed once it is over."""
        if time.monotonic() > self.end:
            raise ProviderFailed(f"the provider did not finish within {self.seconds:g} s")


class Timeouts(dict[str, float]):
    """httpx's extension `timeout`: what is left whenever a phase of the call begins."""

    def __init__(self, until: Until) -> None:
        super().__init__()
        self._until = until

    def get(self, name: str, default: object = None) -> float:
        """Of a phase. Connecting has two, TCP and TLS, with one look at it."""
        del default
        left = self._until.left
        return min(CONNECT_S, left / 2) if name == "connect" else left


def blocks(response: httpx.Response, until: Until) -> Iterator[bytes]:
    """The body as it comes. Raises ProviderFailed at the end of the time, also amid a wait."""
    found = response.iter_bytes()
    for block in islice(found, 1):  # httpx itself waits no longer for the first one
        until.check()
        yield block
    with nullcontext() if _has_all(response) else _cut_off(response, until):
        for block in found:
            until.check()
            yield block
    until.check()  # a connection that is cut may look like a body that ends


def _has_all(response: httpx.Response) -> bool:
    """Whether nothing is to be waited for, as with most whole answers: no timer is needed."""
    told = response.headers.get("content-length", "")
    return told.isdecimal() and response.num_bytes_downloaded >= int(told)


async def ablocks(response: httpx.Response, until: Until) -> AsyncIterator[bytes]:
    """`blocks` for asyncio."""
    found = response.aiter_bytes()
    while True:
        try:
            async with asyncio.timeout(until.left):
                block = await anext(found)
        except StopAsyncIteration:
            return
        until.check()
        yield block


@contextmanager
def _cut_off(response: httpx.Response, until: Until) -> Iterator[None]:
    """Shut the response's connection down when its time is over, whoever waits for it."""
    connection = response.extensions["network_stream"].get_extra_info("socket")
    lock, over = Lock(), False

    def cut() -> None:
        with lock, suppress(OSError):
            if not over:  # else the connection may serve another call by now
                connection.shutdown(socket.SHUT_RDWR)

    timer = Timer(until.left, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        with lock:
            over = True
        timer.cancel()
