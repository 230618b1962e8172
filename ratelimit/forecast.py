"""What would happen: a request against a bucket's state, changing nothing."""

from __future__ import annotations

from dataclasses import dataclass

from ratelimit.buckets import Bucket
from ratelimit.decision import BucketState

MOST_COST = 100_000_000
MOST_TIMES = 100_000


@dataclass(frozen=True, slots=True)
class Forecast:
    """How `times` requests of one cost would fare, made now and repeated as told."""

    allowed: bool
    """Whether the first would pass now."""
    passes: int
    """How many would pass now."""
    left: int
    """Units left after those."""
    retry_after: float | None
    """Seconds until the first would pass; None when it would now, or never."""
    last_after: float | None
    """Seconds until the last would have passed; None for never, and for slots."""
    never: bool


def forecast(bucket: Bucket, state: BucketState, cost: int = 1, times: int = 1) -> Forecast:
    """Judge a request by the state of its bucket. Raises ValueError for a cost below 1."""
    if not (1 <= cost <= MOST_COST and 1 <= times <= MOST_TIMES):
        raise ValueError(f"cost is 1 to {MOST_COST:,} units, times 1 to {MOST_TIMES:,}")
    quota = bucket.quota
    left = max(0, state.remaining)
    if cost > quota.burst:
        return Forecast(False, 0, left, None, None, never=True)
    passes = min(times, left // cost)
    if bucket.unit == "concurrency":
        return Forecast(passes > 0, passes, left - passes * cost, None, None, never=False)
    rate = float(quota.rate)
    first = max(0.0, state.reset_after - (quota.burst - cost) / rate)
    last = max(0.0, state.reset_after + (times * cost - quota.burst) / rate)
    allowed = passes > 0
    after = None if allowed else first
    return Forecast(allowed, passes, left - passes * cost, after, last, never=False)
