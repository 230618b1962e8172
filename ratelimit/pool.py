"""The process's limiter, on REDIS_URL."""

from __future__ import annotations

from functools import cache

import redis
from django.conf import settings

from ratelimit.limiter import Limiter

CONNECT_S = 0.05


@cache
def limiter() -> Limiter:
    """One for the process; without REDIS_URL every decision is degraded."""
    url = settings.REDIS_URL or "redis://127.0.0.1:1/0"
    client = redis.Redis.from_url(
        url, socket_connect_timeout=CONNECT_S, socket_timeout=CONNECT_S, retry=None
    )
    return Limiter(client)
