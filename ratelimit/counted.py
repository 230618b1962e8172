"""The process's limiters: what they decide is counted for pages, metrics and checks.

Looking is not deciding. Units that come back, by a refund or a settlement, are counted as such,
for a counter only grows; a settlement above its estimate is charged, and so allowed, afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

from ratelimit import counting
from ratelimit.asynchronous import AsyncLimiter
from ratelimit.buckets import Bucket
from ratelimit.decision import Decision, Grant, Reservation
from ratelimit.limiter import RESERVATION_S, Limiter
from ratelimit.plans import Change, Plan, Request
from ratelimit.slots import SlotPlan


class CountedSlotPlan(SlotPlan):
    """A holder's way in, counted once however often it was tried."""

    def enter(self, wait_s: float) -> Plan[Decision]:
        decision = yield from super().enter(wait_s)
        counting.count(self.buckets, decision)
        return decision


def _noted(requests: Sequence[Request], decisions: list[Decision]) -> list[Decision]:
    for (buckets, cost), decision in zip(requests, decisions, strict=True):
        if cost:
            counting.count(buckets, decision, cost)
    return decisions


def _noted_grants(wishes: Sequence[Change], grants: list[Grant]) -> list[Grant]:
    for (bucket, _), grant in zip(wishes, grants, strict=True):
        counting.count_grant(bucket, grant)
    return grants


def _note_settled(reservation: Reservation | str, actual: int) -> None:
    """By its id alone nobody knows what it was an estimate of."""
    if isinstance(reservation, Reservation):
        unused = reservation.estimate - actual
        counting.count_returned((bucket, unused) for bucket in reservation.buckets)


class CountedLimiter(Limiter):
    """A limiter whose decisions are counted."""

    _slot_plan = CountedSlotPlan

    def acquire(
        self, buckets: Sequence[Bucket], cost: int = 1, *, wait: float | None = None
    ) -> Decision:
        decision = super().acquire(buckets, cost, wait=wait)
        if cost:
            counting.count(buckets, decision, cost)
        return decision

    def acquire_many(self, requests: Sequence[Request]) -> list[Decision]:
        return _noted(requests, super().acquire_many(requests))

    def take(self, bucket: Bucket, at_most: int) -> Grant:
        grant = super().take(bucket, at_most)
        counting.count_grant(bucket, grant)
        return grant

    def take_many(self, wishes: Sequence[Change]) -> list[Grant]:
        return _noted_grants(wishes, super().take_many(wishes))

    def refund(self, buckets: Sequence[Bucket], cost: int) -> bool:
        counting.count_returned((bucket, cost) for bucket in buckets)
        return super().refund(buckets, cost)

    def refund_many(self, changes: Sequence[Change]) -> bool:
        counting.count_returned(changes)
        return super().refund_many(changes)

    def reserve(
        self, buckets: Sequence[Bucket], estimate: int, *, life_s: float = RESERVATION_S
    ) -> Reservation:
        reservation = super().reserve(buckets, estimate, life_s=life_s)
        counting.count(buckets, reservation.decision, estimate)
        return reservation

    def settle(self, reservation: Reservation | str, actual: int) -> bool:
        settled = super().settle(reservation, actual)
        if settled:
            _note_settled(reservation, actual)
        return settled

    def cancel(self, reservation: Reservation | str) -> bool:
        return self.settle(reservation, 0)


class CountedAsyncLimiter(AsyncLimiter):
    """The same, awaited."""

    _slot_plan = CountedSlotPlan

    async def acquire(
        self, buckets: Sequence[Bucket], cost: int = 1, *, wait: float | None = None
    ) -> Decision:
        decision = await super().acquire(buckets, cost, wait=wait)
        if cost:
            counting.count(buckets, decision, cost)
        return decision

    async def acquire_many(self, requests: Sequence[Request]) -> list[Decision]:
        return _noted(requests, await super().acquire_many(requests))

    async def take(self, bucket: Bucket, at_most: int) -> Grant:
        grant = await super().take(bucket, at_most)
        counting.count_grant(bucket, grant)
        return grant

    async def take_many(self, wishes: Sequence[Change]) -> list[Grant]:
        return _noted_grants(wishes, await super().take_many(wishes))

    async def refund(self, buckets: Sequence[Bucket], cost: int) -> bool:
        counting.count_returned((bucket, cost) for bucket in buckets)
        return await super().refund(buckets, cost)

    async def refund_many(self, changes: Sequence[Change]) -> bool:
        counting.count_returned(changes)
        return await super().refund_many(changes)

    async def reserve(
        self, buckets: Sequence[Bucket], estimate: int, *, life_s: float = RESERVATION_S
    ) -> Reservation:
        reservation = await super().reserve(buckets, estimate, life_s=life_s)
        counting.count(buckets, reservation.decision, estimate)
        return reservation

    async def settle(self, reservation: Reservation | str, actual: int) -> bool:
        settled = await super().settle(reservation, actual)
        if settled:
            _note_settled(reservation, actual)
        return settled

    async def cancel(self, reservation: Reservation | str) -> bool:
        return await self.settle(reservation, 0)
