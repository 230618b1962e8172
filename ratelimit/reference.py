"""The rules in the plainest words: rational numbers, one clock, no Redis.

What the scripts do in integers this does in fractions, so it cannot round. The tests hold both
against each other; a forecast may ask it what would happen.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, floor

from ratelimit.buckets import Bucket
from ratelimit.decision import BucketState, Decision, Grant, combine
from ratelimit.quota import SECOND_US, Quota


class Reference:
    """Buckets at a moment; `advance` moves it. Keys are those of `Bucket`: name and key."""

    def __init__(self) -> None:
        self.now_us = Fraction()
        self._full_at: dict[tuple[str, str], Fraction] = {}

    def advance(self, microseconds: int) -> None:
        """Let time pass."""
        self.now_us += microseconds

    def acquire(self, buckets: Sequence[Bucket], cost: int = 1) -> Decision:
        """Charge all or none; a shadow never denies and is only charged what fits."""
        states = [self._state(bucket, cost) for bucket in buckets]
        allowed = not any(state.short and not state.shadow for state in states)
        for i, bucket in enumerate(buckets):
            if allowed and not states[i].short:
                self.charge(bucket, cost)
                after = self._state(bucket, 0)
                states[i] = states[i]._replace(
                    remaining=after.remaining, reset_after=after.reset_after
                )
        return combine(tuple(states), allowed=allowed)

    def take(self, bucket: Bucket, at_most: int) -> Grant:
        """Charge as many whole units as fit."""
        granted = max(0, min(at_most, self._state(bucket, 0).remaining))
        self.charge(bucket, granted)
        if granted == at_most or bucket.shadow:
            return Grant(at_most, None, shadowed=at_most - granted)
        return Grant(granted, self._state(bucket, 1).retry_after)

    def charge(self, bucket: Bucket, units: int) -> None:
        """Charge (+) or give back (−) without asking."""
        self._full_at[bucket.name, bucket.key] = max(
            self.now_us, self._full(bucket) + units * _interval(bucket.quota)
        )

    def full_at(self, bucket: Bucket) -> Fraction:
        """When it is full again, in µs."""
        return self._full(bucket)

    def correct(self, bucket: Bucket, charged_until: Fraction, units: int) -> None:
        """Settle a charge after which the bucket was full again at `charged_until`: what has been
        refilled since then is not given back.
        """
        change = units * _interval(bucket.quota)
        change = max(change, min(Fraction(), self.now_us - charged_until))
        full_at = max(self.now_us, self._full(bucket) + change)
        self._full_at[bucket.name, bucket.key] = full_at

    def peek(self, bucket: Bucket) -> BucketState:
        """How a bucket stands to one unit."""
        return self._state(bucket, 1)

    def change(self, bucket: Bucket, quota: Quota) -> None:
        """Another quota: what was taken stays taken."""
        taken = (self._full(bucket) - self.now_us) / _interval(bucket.quota)
        self._full_at[bucket.name, bucket.key] = self.now_us + taken * _interval(quota)

    def _full(self, bucket: Bucket) -> Fraction:
        return max(self.now_us, self._full_at.get((bucket.name, bucket.key), Fraction()))

    def _state(self, bucket: Bucket, cost: int) -> BucketState:
        quota = bucket.quota
        ahead = self._full(bucket) - self.now_us
        left = quota.burst - ahead / _interval(quota)
        never = cost > quota.burst
        missing = (cost - left) * _interval(quota)
        return BucketState(
            bucket.name,
            floor(left),
            _seconds(ahead),
            _seconds(missing) if missing > 0 and not never else None,
            never,
            bucket.shadow,
            quota.limit,
        )


def _interval(quota: Quota) -> Fraction:
    """Microseconds in which one unit refills."""
    return Fraction(quota.period_us, quota.limit)


def _seconds(microseconds: Fraction) -> float:
    return ceil(microseconds) / SECOND_US
