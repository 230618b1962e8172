"""Rate limiters that people would use instead, each set up as its documentation shows.

They are imported by name when they are measured: whoever only runs this system lacks them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from math import ceil, floor
from typing import Any, Literal

import redis

Ask = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """`limit` in `seconds`, and for buckets `burst` at once."""

    limit: int
    seconds: int
    burst: int

    def exact(self, kind: Literal["bucket", "window"], elapsed_s: float) -> int:
        """What a limiter of a kind admits of enough requests, by its own definition."""
        if kind == "bucket":
            return self.burst + floor(self.limit / self.seconds * elapsed_s)
        return self.limit * ceil(elapsed_s / self.seconds)


@dataclass(frozen=True, slots=True)
class Peer:
    """A limiter of a library: what it promises, and how to ask it whether one more may pass."""

    name: str
    distribution: str
    kind: Literal["bucket", "window"]
    make: Callable[[str, str, Rule], Ask]


def _limits(strategy: str) -> Callable[[str, str, Rule], Ask]:
    def make(url: str, key: str, rule: Rule) -> Ask:
        library: Any = import_module("limits")
        storage = import_module("limits.storage").storage_from_string(url)
        limiter = getattr(import_module("limits.strategies"), strategy)(storage)
        item = library.RateLimitItemPerSecond(rule.limit, rule.seconds)
        return lambda: bool(limiter.hit(item, key))

    return make


def _throttled(algorithm: str) -> Callable[[str, str, Rule], Ask]:
    def make(url: str, key: str, rule: Rule) -> Ask:
        library: Any = import_module("throttled")
        per_duration = import_module("throttled.rate_limiter").per_duration
        limiter = library.Throttled(
            key=key,
            using=algorithm,
            quota=per_duration(timedelta(seconds=rule.seconds), rule.limit, rule.burst),
            store=library.store.RedisStore(server=url),
        )
        return lambda: not limiter.limit().limited

    return make


def _pyrate(url: str, key: str, rule: Rule) -> Ask:
    library: Any = import_module("pyrate_limiter")
    client = redis.Redis.from_url(url)
    rates = [library.Rate(rule.limit, rule.seconds * 1000)]
    limiter = library.Limiter(library.RedisBucket.init(rates, client, key))
    return lambda: bool(limiter.try_acquire("request", blocking=False))


PEERS = (
    Peer("limits_moving_window", "limits", "window", _limits("MovingWindowRateLimiter")),
    Peer("throttled_gcra", "throttled-py", "bucket", _throttled("gcra")),
    Peer("throttled_token_bucket", "throttled-py", "bucket", _throttled("token_bucket")),
    Peer("pyrate_limiter", "pyrate-limiter", "window", _pyrate),
)
