"""The process's limiter: what it decides is counted for pages, metrics and checks.

Looking is not deciding. Units that come back, by a refund or a settlement, are counted as such,
for a counter only grows; a settlement above its estimate is charged, and so allowed, afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

from ratelimit import counting
from ratelimit.buckets import Bucket
from ratelimit.decision import Decision, Grant, Reservation
from ratelimit.limiter import RESERVATION_S, Limiter
from ratelimit.plans import Change, Plan, Plans, Request
from ratelimit.slots import SlotPlan, Worth


class CountedSlotPlan(SlotPlan):
    """A holder's way in, counted once however often it was tried."""

    def enter(self, wait_s: float, worth: Worth | None = None) -> Plan[Decision]:
        decision = yield from super().enter(wait_s, worth)
        counting.count(self.buckets, decision)
        return decision


class CountedPlans(Plans):
    """The verbs that others drive, each counted when it has come to its end."""

    def acquire(self, buckets: Sequence[Bucket], cost: int, wait_s: float = 0.0) -> Plan[Decision]:
        decision = yield from super().acquire(buckets, cost, wait_s)
        if cost:
            counting.count(buckets, decision, cost)
        return decision

    def refund(self, changes: Sequence[Change]) -> Plan[bool]:
        counting.count_returned(changes)
        return (yield from super().refund(changes))

    def reserve(self, buckets: Sequence[Bucket], estimate: int, life_s: float) -> Plan[Reservation]:
        reservation = yield from super().reserve(buckets, estimate, life_s)
        counting.count(buckets, reservation.decision, estimate)
        return reservation

    def settle(self, reservation: Reservation | str, actual: int | None) -> Plan[bool]:
        settled = yield from super().settle(reservation, actual)
        if settled:
            _note_settled(reservation, actual or 0)
        return settled


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
        counting.count_returned((bucket, unused) for bucket in reservation.charged)


class CountedLimiter(Limiter):
    """A limiter whose decisions are counted."""

    _slot_plan = CountedSlotPlan

    @property
    def plans(self) -> Plans:
        return CountedPlans(self._calls, self.alone)

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

    def charge_many(self, changes: Sequence[Change]) -> bool:
        counting.count_returned((bucket, -units) for bucket, units in changes)
        return super().charge_many(changes)

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
