"""Without Redis: when to stop asking, and what to answer meanwhile.

Each policy says what it does: `deny`, `allow`, or `local`: this process's share of the quota,
limit ÷ expected workers, so that all of them together admit at most `burst + rate · T`. What was
admitted is kept and charged when Redis is back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from fractions import Fraction

from ratelimit import level
from ratelimit.buckets import Bucket
from ratelimit.decision import BucketState, Decision, Grant, Reservation, combine
from ratelimit.quota import LONGEST_PERIOD_US, Quota

MOST_BUCKETS = 10_000
_NS_IN_US = 1_000


def monotonic_us() -> int:
    """A clock that nobody sets."""
    return time.monotonic_ns() // _NS_IN_US


class Local:
    """This process's shares, and what it owes."""

    def __init__(self, workers: int, now_us: Callable[[], int] = monotonic_us) -> None:
        self._workers = max(1, workers)
        self._now_us = now_us
        self._ends: dict[tuple[str, str], Fraction] = {}
        self._owed: dict[tuple[str, str], tuple[Bucket, int]] = {}

    def acquire(self, buckets: Sequence[Bucket], cost: int) -> Decision:
        """All or none, as each bucket's policy says."""
        states = tuple(self._look(bucket, cost) for bucket in buckets)
        allowed = not any(s.short and not s.shadow for s in states)
        if allowed and cost:
            for bucket, state in zip(buckets, states, strict=True):
                if not state.short:
                    self._spend(bucket, cost)
        return combine(states, allowed=allowed, degraded=True)

    def take(self, bucket: Bucket, at_most: int) -> Grant:
        """As many units as the policy lets pass."""
        state = self._look(bucket, 1)
        granted = at_most if bucket.without_redis == "allow" else min(at_most, state.remaining)
        if granted > 0:
            self._spend(bucket, granted)
        retry_after = None if granted >= at_most else self._look(bucket, 1).retry_after
        return Grant(max(0, granted), retry_after, degraded=True)

    def state(self, bucket: Bucket) -> BucketState:
        """As far as this process knows."""
        return self._look(bucket, 1)

    def settle(self, reservation: Reservation, change: int) -> bool:
        """Correct what is owed for a reservation that was made without Redis."""
        self.adjust(reservation.buckets, change)
        return True

    def adjust(self, buckets: Sequence[Bucket], units: int) -> None:
        """Remember a charge or a refund that Redis did not hear of."""
        for bucket in buckets:
            self._owe(bucket, units)

    def forget(self, bucket: Bucket) -> None:
        """A reset bucket starts anew here too."""
        self._ends.pop((bucket.name, bucket.key), None)
        self._owed.pop((bucket.name, bucket.key), None)

    def settle_up(self) -> list[tuple[Bucket, int]]:
        """What Redis is to be told, once; the caller tells it."""
        owed, self._owed = self._owed, {}
        return [entry for entry in owed.values() if entry[1]]

    def share(self, quota: Quota) -> Quota:
        """One worker's part of a quota; at least one unit at once, or it would never pass."""
        period_us = min(quota.period_us * self._workers, LONGEST_PERIOD_US)
        return Quota(quota.limit, period_us, max(1, quota.burst // self._workers))

    def _look(self, bucket: Bucket, cost: int) -> BucketState:
        quota = bucket.quota
        if bucket.without_redis == "allow":
            return BucketState(
                bucket.name, quota.burst, 0.0, None, False, bucket.shadow, quota.limit
            )
        if bucket.without_redis == "deny":
            return BucketState(bucket.name, 0, 1.0, 1.0, False, bucket.shadow, quota.limit)
        share = self.share(quota)
        own = Bucket(bucket.name, bucket.key, share, shadow=bucket.shadow)
        return level.state(own, self._parts(bucket, share), cost, charged=False)

    def _parts(self, bucket: Bucket, share: Quota) -> int:
        ahead = self._ends.get((bucket.name, bucket.key), Fraction()) - self._now_us()
        return max(0, -(-ahead.numerator * share.units // ahead.denominator))

    def _spend(self, bucket: Bucket, units: int) -> None:
        share = self.share(bucket.quota)
        key = (bucket.name, bucket.key)
        start = max(self._ends.get(key, Fraction()), Fraction(self._now_us()))
        if len(self._ends) >= MOST_BUCKETS:
            self._ends.pop(next(iter(self._ends)))
        self._ends[key] = start + Fraction(units * share.micros, share.units)
        self._owe(bucket, units)

    def _owe(self, bucket: Bucket, units: int) -> None:
        key = (bucket.name, bucket.key)
        if key not in self._owed and len(self._owed) >= MOST_BUCKETS:
            return
        self._owed[key] = (bucket, self._owed.get(key, (bucket, 0))[1] + units)
