"""What the pipe works with in this process: cache, limiter, breakers, providers."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from gateway.breaker.shared import Breakers
from gateway.cache.pool import response_cache
from gateway.cache.response_cache import ResponseCache
from gateway.models import Provider as ProviderRow
from gateway.providers.call import Provider
from gateway.providers.registry import provider_of
from ratelimit import pool
from ratelimit.limiter import Limiter


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The services of one process; threads share them."""

    cache: ResponseCache
    breakers: Breakers
    limiter: Limiter
    provider_of: Callable[[ProviderRow], Provider] = field(default=provider_of)


@cache
def surroundings() -> Surroundings:
    """Those of this process; a fork makes its own."""
    responses = response_cache()
    return Surroundings(responses, Breakers(responses.connection), pool.limiter())


os.register_at_fork(after_in_child=surroundings.cache_clear)
