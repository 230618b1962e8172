"""The process's limiter, on REDIS_URL; a fork makes its own."""

from __future__ import annotations

import os
from functools import cache

import redis
from django.conf import settings

from ratelimit.counted import CountedLimiter
from ratelimit.limiter import Limiter

_MS = 0.001


@cache
def limiter() -> Limiter:
    """One for the process. Without REDIS_URL it decides for this process alone."""
    budget_s = settings.ANSF["LIMIT_BUDGET_MS"] * _MS
    if not settings.REDIS_URL:
        return CountedLimiter(None, workers=1, budget_s=budget_s)
    client = redis.Redis.from_url(settings.REDIS_URL)
    return CountedLimiter(client, workers=settings.ANSF["LIMIT_WORKERS"], budget_s=budget_s)


os.register_at_fork(after_in_child=limiter.cache_clear)
