"""The process's limiters: what they decide is counted for pages, metrics and checks."""

from __future__ import annotations

from collections.abc import Sequence

from ratelimit import counting
from ratelimit.asynchronous import AsyncLimiter
from ratelimit.buckets import Bucket
from ratelimit.decision import Decision, Grant, Reservation
from ratelimit.limiter import RESERVATION_S, Limiter
from ratelimit.plans import Request


class CountedLimiter(Limiter):
    """A limiter whose decisions are counted; looking is not deciding."""

    def acquire(
        self, buckets: Sequence[Bucket], cost: int = 1, *, wait: float | None = None
    ) -> Decision:
        decision = super().acquire(buckets, cost, wait=wait)
        if cost:
            counting.count(buckets, decision, cost)
        return decision

    def acquire_many(self, requests: Sequence[Request]) -> list[Decision]:
        decisions = super().acquire_many(requests)
        for (buckets, cost), decision in zip(requests, decisions, strict=True):
            if cost:
                counting.count(buckets, decision, cost)
        return decisions

    def take(self, bucket: Bucket, at_most: int) -> Grant:
        grant = super().take(bucket, at_most)
        counting.count_grant(bucket, grant)
        return grant

    def take_many(self, wishes: Sequence[tuple[Bucket, int]]) -> list[Grant]:
        grants = super().take_many(wishes)
        for (bucket, _), grant in zip(wishes, grants, strict=True):
            counting.count_grant(bucket, grant)
        return grants

    def reserve(
        self, buckets: Sequence[Bucket], estimate: int, *, life_s: float = RESERVATION_S
    ) -> Reservation:
        reservation = super().reserve(buckets, estimate, life_s=life_s)
        counting.count(buckets, reservation.decision, estimate)
        return reservation


class CountedAsyncLimiter(AsyncLimiter):
    """The same, awaited."""

    async def acquire(
        self, buckets: Sequence[Bucket], cost: int = 1, *, wait: float | None = None
    ) -> Decision:
        decision = await super().acquire(buckets, cost, wait=wait)
        if cost:
            counting.count(buckets, decision, cost)
        return decision

    async def reserve(
        self, buckets: Sequence[Bucket], estimate: int, *, life_s: float = RESERVATION_S
    ) -> Reservation:
        reservation = await super().reserve(buckets, estimate, life_s=life_s)
        counting.count(buckets, reservation.decision, estimate)
        return reservation
