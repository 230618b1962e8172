"""Without Redis: what each policy lets pass, and what is owed to Redis for it.

`deny` lets nothing pass, `allow` everything, `local` this process's share of the quota: limit and
burst ÷ expected workers. From the moment Redis is away, all processes together admit at most
`burst + rate · T`, as long as no more of them live than were expected. A burst below the number
of workers leaves each less than one unit: then a process starts empty and admits its first unit
when its share of the rate has made one, which keeps the sum within `rate · T`.

Whatever passed is owed and charged when Redis is back, so that the rate holds over the outage.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from redis.exceptions import ResponseError

from ratelimit import level
from ratelimit.buckets import Bucket
from ratelimit.decision import BucketState, Decision, Grant, Reservation, combine
from ratelimit.quota import LONGEST_PERIOD_US, Quota
from ratelimit.scripts import Command

MOST_BUCKETS = 10_000
"""Subjects that one process counts without Redis; a further one is denied until some refill."""
_NS_IN_US = 1_000
_ASK_AGAIN_S = 1.0  # what a denied caller is told when nobody knows


def monotonic_us() -> int:
    """A clock that nobody sets."""
    return time.monotonic_ns() // _NS_IN_US


class Local:
    """This process's shares and what it owes. Threads may share it."""

    def __init__(self, workers: int, now_us: Callable[[], int] = monotonic_us) -> None:
        self.workers = max(1, workers)
        self.owing = False
        self._now_us = now_us
        self._lock = threading.RLock()
        self._full_at: dict[Bucket, int] = {}  # in parts of the share's 1/units µs
        self._owed: dict[Bucket, int] = {}
        self._held: dict[Bucket, int] = {}
        self._settled: dict[str, None] = {}

    def acquire(self, buckets: Sequence[Bucket], cost: int) -> Decision:
        """All or none, as each bucket's policy says."""
        with self._lock:
            states = tuple([self._look(bucket, cost) for bucket in buckets])
            allowed = not any(state.short and not state.shadow for state in states)
            if allowed and cost:
                for bucket, state in zip(buckets, states, strict=True):
                    if not state.short:
                        self._spend(bucket, cost)
        return combine(states, allowed=allowed, degraded=True)

    def take(self, bucket: Bucket, at_most: int) -> Grant:
        """As many units as the policy lets pass."""
        with self._lock:
            free = bucket.without_redis == "allow"
            granted = at_most if free else max(0, min(at_most, self._look(bucket, 1).remaining))
            if granted:
                self._spend(bucket, granted)
            if granted == at_most or bucket.shadow:
                return Grant(at_most, None, degraded=True, shadowed=at_most - granted)
            return Grant(granted, self._look(bucket, 1).retry_after, degraded=True)

    def state(self, bucket: Bucket) -> BucketState:
        """As far as this process knows."""
        with self._lock:
            return self._look(bucket, 1)

    def settle(self, reservation: Reservation, change: int) -> bool:
        """Correct, once, what is owed for a reservation that was made without Redis."""
        with self._lock:
            if reservation.id in self._settled:
                return False
            if len(self._settled) >= MOST_BUCKETS:
                del self._settled[next(iter(self._settled))]
            self._settled[reservation.id] = None
            self.owe(reservation.charged, change)
        return True

    def enter(self, buckets: Sequence[Bucket]) -> Decision:
        """A place in every bucket, or none: of this process's share of the places."""
        with self._lock:
            states = tuple([self._places(bucket) for bucket in buckets])
            allowed = not any(state.short and not state.shadow for state in states)
            if allowed:
                for bucket in buckets:
                    self._held[bucket] = self._held.get(bucket, 0) + 1
        return combine(states, allowed=allowed, degraded=True)

    def leave(self, buckets: Sequence[Bucket]) -> None:
        """Give back what `enter` gave."""
        with self._lock:
            for bucket in buckets:
                self._held[bucket] = self._held.get(bucket, 0) - 1
                if self._held[bucket] < 1:
                    del self._held[bucket]

    def owe(self, buckets: Sequence[Bucket], units: int) -> None:
        """Remember a charge, or a refund (−), that Redis has not heard of."""
        with self._lock:
            for bucket in buckets:
                if bucket in self._owed or len(self._owed) < MOST_BUCKETS:
                    self._owed[bucket] = self._owed.get(bucket, 0) + units
                    self.owing = True

    def hear(self, command: Command, reply: Any, ago_us: int) -> None:
        """What a reply that came too late says was charged is owed back: nobody used it."""
        if command.left is None or isinstance(reply, ResponseError):
            return
        for bucket, units in command.left(reply, ago_us):
            self.owe((bucket,), -units)

    def debts(self) -> list[tuple[Bucket, int]]:
        """What Redis is to be told, handed out once; the caller tells it."""
        with self._lock:
            owed, self._owed, self.owing = self._owed, {}, False
        return [(bucket, units) for bucket, units in owed.items() if units]

    def forget(self, bucket: Bucket) -> None:
        """A bucket that was reset starts anew here too."""
        with self._lock:
            self._full_at.pop(bucket, None)
            self._owed.pop(bucket, None)

    def _look(self, bucket: Bucket, cost: int) -> BucketState:
        if bucket.unit == "concurrency":
            return self._places(bucket)
        quota = bucket.quota
        if bucket.without_redis == "allow":
            return BucketState(
                bucket.name, quota.burst, 0.0, shadow=bucket.shadow, limit=quota.limit
            )
        own = share(quota, self.workers)
        if bucket.without_redis == "deny" or not self._known(bucket, own):
            return BucketState(
                bucket.name, 0, _ASK_AGAIN_S, _ASK_AGAIN_S, False, bucket.shadow, quota.limit
            )
        ahead = max(0, self._full_at[bucket] - self._now_us() * own.units)
        state = level.state_of(replace(bucket, quota=own), ahead, cost, charged=False)
        if own.burst < cost <= quota.burst:
            state = state._replace(never=False, retry_after=_ASK_AGAIN_S)  # Redis may be back
        return state._replace(limit=quota.limit)

    def _places(self, bucket: Bucket) -> BucketState:
        places = {
            "allow": bucket.quota.limit,
            "deny": 0,
            "local": bucket.quota.limit // self.workers,
        }[bucket.without_redis]
        free = places - self._held.get(bucket, 0)
        short = free < 1 and bucket.without_redis != "allow"
        return BucketState(
            bucket.name,
            free,
            0.0,
            _ASK_AGAIN_S if short else None,
            False,
            bucket.shadow,
            bucket.quota.limit,
        )

    def _known(self, bucket: Bucket, own: Quota) -> bool:
        if bucket in self._full_at:
            return True
        now_us = self._now_us()
        if len(self._full_at) >= MOST_BUCKETS:
            # A full bucket and an unknown one are alike.
            self._full_at = {
                known: full_at
                for known, full_at in self._full_at.items()
                if full_at > now_us * share(known.quota, self.workers).units
            }
        if len(self._full_at) >= MOST_BUCKETS:
            return False
        starts_empty = bucket.quota.burst < self.workers
        self._full_at[bucket] = now_us * own.units + (own.full if starts_empty else 0)
        return True

    def _spend(self, bucket: Bucket, units: int) -> None:
        own = share(bucket.quota, self.workers)
        if bucket in self._full_at:
            start = max(self._full_at[bucket], self._now_us() * own.units)
            self._full_at[bucket] = start + units * own.micros
        self.owe((bucket,), units)


@lru_cache(maxsize=1024)
def share(quota: Quota, workers: int) -> Quota:
    """One worker's part of a quota, rounded down; at least one unit at once."""
    burst, period_us = max(1, quota.burst // workers), quota.period_us * workers
    if period_us <= LONGEST_PERIOD_US:
        return Quota(quota.limit, period_us, burst)
    return Quota(max(1, quota.limit * LONGEST_PERIOD_US // period_us), LONGEST_PERIOD_US, burst)
