"""Leases: a process takes units in advance and decides on them by itself.

A decision on a lease costs no round trip and well under a microsecond. Units are charged when
they are leased, so the rate holds over time; what a process holds unspent is all that can be
late. For W processes with at most K units each, in any T seconds::

    admitted ≤ burst + rate · T + W · K

K adapts: a lease that is spent within `QUICK_S` is followed by one twice as large, up to `most`
and to a tenth of the burst; one that lasted longer than `SLOW_S` by one half as large. Units of a
lease that was not renewed for `IDLE_S` go back at the next renewal of any, or by `sweep`. A
denial is remembered until its `retry_after`: a caller that does not wait costs nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ratelimit.buckets import Bucket
from ratelimit.decision import BucketState, Decision, Grant, combine
from ratelimit.plans import Change

QUICK_S = 0.05
SLOW_S = 0.2
IDLE_S = 0.25
_SHARE_OF_BURST = 10  # no lease is larger than the burst ÷ this
_MOST_LEASES = 10_000


class Lessor(Protocol):
    """What a leased limiter needs of a limiter."""

    def acquire(self, buckets: Sequence[Bucket], cost: int = 1) -> Decision:
        """Decide at once."""

    def take(self, bucket: Bucket, at_most: int) -> Grant:
        """Take what fits."""

    def refund_many(self, changes: Sequence[Change]) -> bool:
        """Give back."""


@dataclass(slots=True)
class Lease:
    """What this process holds of one bucket."""

    bucket: Bucket
    renewed_at: float
    size: int = 1
    units: list[Decision] = field(default_factory=list)
    """One answer for each unit left: taking the last entry is taking a unit, in one step that
    no other thread can come between."""
    denied_until: float = 0.0
    """Until then there is not one unit more."""
    degraded: bool = False

    def spend(self, cost: int) -> bool:
        """Take units; all or none."""
        taken: list[Decision] = []
        try:
            for _ in range(cost):
                taken.append(self.units.pop())  # noqa: PERF401 - what was taken is needed at the end
        except IndexError:
            self.units.extend(taken)
            return False
        return True

    def give_back(self, cost: int) -> None:
        """Undo `spend`."""
        self.units.extend([self.answer(0)] * cost)

    def emptied(self) -> int:
        """Take all units there are, however many others take meanwhile."""
        taken = 0
        while self.spend(1):
            taken += 1
        return taken

    def answer(self, left: int) -> Decision:
        """What a unit of this lease is answered with."""
        quota = self.bucket.quota
        state = BucketState(self.bucket.name, left, 0.0, limit=quota.limit)
        return Decision(True, left, quota.limit, None, 0.0, degraded=self.degraded,
                        per_bucket=(state,))  # fmt: skip


class LeasedLimiter:
    """Answers `acquire` from leases of at most `most` units; threads share it, forks do not."""

    def __init__(
        self, limiter: Lessor, most: int = 100, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limiter = limiter
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._leases: dict[Bucket, Lease] = {}
        self._units: dict[int, list[Decision]] = {}  # of the same leases, by their bucket's id()
        self._swept_at = clock()

    def acquire(self, buckets: Sequence[Bucket], cost: int = 1) -> Decision:
        """Charge `cost` to all buckets or to none; asks Redis only when a lease is spent.

        `remaining` tells what this process held when the lease was renewed.
        """
        if cost == 1 and len(buckets) == 1:
            try:
                return self._units[id(buckets[0])].pop()
            except (IndexError, KeyError):
                pass  # spent, or another object for the same bucket
        with self._lock:
            if not 0 < cost <= self._most or not buckets or not self._has_room(buckets):
                return self._limiter.acquire(buckets, cost)
            if any(cost > bucket.quota.burst for bucket in buckets):
                return self._limiter.acquire(buckets, cost)
            return self._decide(buckets, cost)

    def _has_room(self, buckets: Sequence[Bucket]) -> bool:
        """Whether leases may be made; where there are too many, those that idle are ended."""
        if len(self._leases) < _MOST_LEASES:
            return True
        self._sweep(self._clock(), IDLE_S)
        return len(self._leases) < _MOST_LEASES or all(b in self._leases for b in buckets)

    def held(self) -> int:
        """Units leased and not spent, of all buckets."""
        with self._lock:
            return sum(len(lease.units) for lease in self._leases.values())

    def sweep(self, idle_s: float = IDLE_S) -> None:
        """Give back what was not renewed for `idle_s`."""
        with self._lock:
            self._sweep(self._clock(), idle_s)

    def close(self) -> None:
        """Give everything back."""
        self.sweep(idle_s=0.0)

    def _decide(self, buckets: Sequence[Bucket], cost: int) -> Decision:
        now = self._clock()
        spent: list[Lease] = []
        for bucket in buckets:
            lease = self._lease(bucket, now)
            if not (lease.spend(cost) or self._renew(lease, cost, now)):
                for earlier in spent:
                    earlier.give_back(cost)
                return _denied(lease, cost, now)
            spent.append(lease)
        self._sweep(now, IDLE_S)
        answers = [lease.answer(len(lease.units)) for lease in spent]
        if len(answers) == 1:
            return answers[0]
        states = tuple([answer.per_bucket[0] for answer in answers])
        degraded = any(lease.degraded for lease in spent)
        return combine(states, allowed=True, degraded=degraded)

    def _lease(self, bucket: Bucket, now: float) -> Lease:
        lease = self._leases.get(bucket)
        if lease is None:
            lease = self._leases[bucket] = Lease(bucket, now)
            self._units[id(bucket)] = lease.units
        return lease

    def _renew(self, lease: Lease, cost: int, now: float) -> bool:
        """Lease more and spend of it; False when that was not enough."""
        if lease.denied_until > now:
            return False
        self._resize(lease, now)
        wanted = max(lease.size, cost) - len(lease.units)
        grant = self._limiter.take(lease.bucket, wanted)
        lease.renewed_at, lease.degraded = now, grant.degraded
        lease.units.extend([lease.answer(grant.granted)] * grant.granted)
        if lease.spend(cost):
            return True
        lease.denied_until = now + (grant.retry_after or 0.0)
        return False

    def _resize(self, lease: Lease, now: float) -> None:
        lasted = now - lease.renewed_at
        if lasted < QUICK_S:
            lease.size *= 2
        elif lasted > SLOW_S:
            lease.size //= 2
        most = min(self._most, lease.bucket.quota.burst // _SHARE_OF_BURST)
        lease.size = max(1, min(lease.size, most))

    def _sweep(self, now: float, idle_s: float) -> None:
        if now - self._swept_at < idle_s:
            return
        self._swept_at = now
        idle = [
            lease
            for lease in self._leases.values()
            if now - lease.renewed_at >= idle_s and (lease.denied_until <= now or not idle_s)
        ]
        unspent: list[Change] = []
        for lease in idle:
            del self._leases[lease.bucket], self._units[id(lease.bucket)]
            if left := lease.emptied():
                unspent.append((lease.bucket, left))
        if unspent:
            self._limiter.refund_many(unspent)


def _denied(lease: Lease, cost: int, now: float) -> Decision:
    quota = lease.bucket.quota
    missing = max(1, cost - len(lease.units))
    wait = max(0.0, lease.denied_until - now) + float((missing - 1) / quota.rate)
    state = BucketState(lease.bucket.name, len(lease.units), 0.0, wait, limit=quota.limit)
    return combine((state,), allowed=False, degraded=lease.degraded)
