"""Pools of HTTP connections: one for the process's threads, one for each event loop."""

from __future__ import annotations

import asyncio
import os
from functools import cache
from weakref import WeakKeyDictionary

import httpx

LIMITS = httpx.Limits(max_connections=256, max_keepalive_connections=64, keepalive_expiry=30.0)
CONNECT_S = 5.0
HEADERS = {"User-Agent": "ansf", "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}
"""Of every request; the pools add none of their own."""
_by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = WeakKeyDictionary()


@cache
def client() -> httpx.Client:
    """The threads' pool; a fork makes its own."""
    return httpx.Client(limits=LIMITS, follow_redirects=False)


def async_client() -> httpx.AsyncClient:
    """The running loop's pool."""
    loop = asyncio.get_running_loop()
    found = _by_loop.get(loop)
    if found is None:
        found = httpx.AsyncClient(limits=LIMITS, follow_redirects=False)
        _by_loop[loop] = found
    return found


async def close_async() -> None:
    """Close the running loop's connections; the next call opens new ones."""
    found = _by_loop.pop(asyncio.get_running_loop(), None)
    if found is not None:
        await found.aclose()


os.register_at_fork(after_in_child=client.cache_clear)
