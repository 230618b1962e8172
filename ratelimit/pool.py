"""The process's limiters, on REDIS_URL; a fork makes its own."""

from __future__ import annotations

import asyncio
import os
from functools import cache
from weakref import WeakKeyDictionary

import redis
from django.conf import settings

from ratelimit.asynchronous import AsyncLimiter
from ratelimit.counted import CountedAsyncLimiter, CountedLimiter
from ratelimit.limiter import Limiter
from ratelimit.wire import CONNECT_S

_MS = 0.001
_by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncLimiter] = WeakKeyDictionary()


@cache
def limiter() -> Limiter:
    """One for the process. Without REDIS_URL it decides for this process alone."""
    budget_s = settings.ANSF["LIMIT_BUDGET_MS"] * _MS
    if not settings.REDIS_URL:
        return CountedLimiter(None, workers=1, budget_s=budget_s)
    client = redis.Redis.from_url(settings.REDIS_URL)
    return CountedLimiter(client, workers=settings.ANSF["LIMIT_WORKERS"], budget_s=budget_s)


def async_limiter() -> AsyncLimiter:
    """One for the running event loop; without Redis it shares what `limiter()` may spend."""
    loop = asyncio.get_running_loop()
    if loop not in _by_loop:
        beside = limiter()
        client = redis.asyncio.Redis.from_url(
            settings.REDIS_URL or "redis://127.0.0.1:1/0",
            socket_connect_timeout=CONNECT_S,
            socket_timeout=CONNECT_S,
            retry=None,
        )
        _by_loop[loop] = CountedAsyncLimiter(
            client,
            budget_s=settings.ANSF["LIMIT_BUDGET_MS"] * _MS,
            alone=beside.alone,
            breaker=beside.breaker,
        )
    return _by_loop[loop]


os.register_at_fork(after_in_child=limiter.cache_clear)
