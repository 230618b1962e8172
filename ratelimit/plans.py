"""What each verb asks of Redis and makes of the answer, without asking anything itself.

A plan is a generator: it yields an `Ask` and is sent the replies, or None when Redis is away; it
yields a `Pause` to let time pass; it returns the verb's result. The synchronous and the
asynchronous limiter drive the same plans.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from ratelimit import level
from ratelimit.buckets import Bucket
from ratelimit.calls import Calls
from ratelimit.decision import (
    UNLIMITED,
    BucketState,
    Decision,
    Grant,
    Reservation,
    charged_of,
)
from ratelimit.degraded import Local
from ratelimit.quota import SECOND_US
from ratelimit.scripts import Command

_SHORTEST_PAUSE_S = 0.01
T = TypeVar("T")
Request = tuple[Sequence[Bucket], int]
Change = tuple[Bucket, int]


@dataclass(slots=True)
class Ask:
    """Commands for one round trip."""

    commands: Sequence[Command]
    unsure: bool = False
    """Noted by the driver where there is no answer: some of it may have been done."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Let so many seconds pass."""

    seconds: float


Plan = Generator[Ask | Pause, Any, T]
Replies = list[Any]


@dataclass(frozen=True, slots=True)
class Plans:
    """The plans of one limiter: what it calls, and what it decides alone."""

    calls: Calls
    alone: Local

    # --- spending ---------------------------------------------------------------------------
    def acquire(self, buckets: Sequence[Bucket], cost: int, wait_s: float = 0.0) -> Plan[Decision]:
        """Charge all or none; with `wait_s`, pause until the time slot that was given.

        Without Redis there are no slots to be given: pause, and ask again while there is time.
        """
        left = wait_s
        while True:
            decision = yield from self._charge(buckets, cost, int(left * SECOND_US), "")
            if decision.allowed and decision.wait:
                yield from self._pause(charged_of(buckets, decision), cost, decision.wait)
            after = decision.retry_after
            if decision.allowed or not decision.degraded or after is None or after > left:
                return decision
            step = max(after, _SHORTEST_PAUSE_S)
            yield Pause(step)
            left -= step

    def acquire_many(self, requests: Sequence[Request]) -> Plan[list[Decision]]:
        """Independent decisions in order; in one round trip unless tenants have shards."""
        if any(not b or len(self.calls.shards(b)) > 1 for b, _ in requests):
            decisions = []
            for buckets, cost in requests:
                decisions.append((yield from self.acquire(buckets, cost)))
            return decisions
        if not requests:
            return []
        replies = yield Ask([self.calls.charge(tuple(b), cost, 0) for b, cost in requests])
        if replies is None:
            return [self.alone.acquire(buckets, cost) for buckets, cost in requests]
        return [
            level.decide(buckets, cost, reply)
            for (buckets, cost), reply in zip(requests, replies, strict=True)
        ]

    def take_many(self, wishes: Sequence[tuple[Bucket, int]]) -> Plan[list[Grant]]:
        """From each bucket as many whole units as fit, in one round trip."""
        if not wishes:
            return []
        replies = yield Ask([self.calls.take(bucket, at_most) for bucket, at_most in wishes])
        if replies is None:
            return [self.alone.take(bucket, at_most) for bucket, at_most in wishes]
        return [level.grant_of(*wish, reply) for wish, reply in zip(wishes, replies, strict=True)]

    def charge(self, changes: Sequence[Change]) -> Plan[bool]:
        """Charge so many units of each bucket without asking, in one round trip: as a debt if
        need be. False: done when Redis is back.
        """
        return (yield from self._adjust([(b, level.checked_units(n)) for b, n in changes]))

    def refund(self, changes: Sequence[Change]) -> Plan[bool]:
        """Give so many units back to each bucket, in one round trip. False: done when Redis is
        back, or, where Redis was told and did not answer, perhaps never.
        """
        bounded = [(b, min(level.checked_units(n), level.most_owed(b.quota))) for b, n in changes]
        return (yield from self._adjust([(bucket, -units) for bucket, units in bounded]))

    def _adjust(self, changes: Sequence[Change]) -> Plan[bool]:
        calls = [self.calls.adjust((bucket,), units) for bucket, units in changes if units]
        if not calls:
            return True
        ask = Ask(calls)
        replies = yield ask
        if replies is None:
            for bucket, units in changes:
                # What may have been given back is not given back again: rather never than twice.
                if units > 0 or not ask.unsure:
                    self.alone.owe((bucket,), units)
        return replies is not None

    # --- looking ----------------------------------------------------------------------------
    def peek_many(self, buckets: Sequence[Bucket]) -> Plan[list[BucketState]]:
        """The state of each bucket, in one round trip; changes nothing."""
        if not buckets:
            return []
        shards = self.calls.looked_at_together(buckets)
        replies = yield Ask([self.calls.look(shard) for shard in shards])
        if replies is None:
            return [self.alone.state(bucket) for bucket in buckets]
        found: dict[Bucket, BucketState] = {}
        for shard, reply in zip(shards, replies, strict=True):
            found.update(zip(shard, level.seen(shard, reply), strict=True))
        return [found[bucket] for bucket in buckets]

    def reset(self, buckets: Sequence[Bucket]) -> Plan[bool]:
        """Fill the buckets up, and let go of every slot. False: Redis is away."""
        for bucket in buckets:
            self.alone.forget(bucket)
        if not buckets:
            return True
        replies = yield Ask([call for bucket in buckets for call in self.calls.reset(bucket)])
        return replies is not None

    # --- reserving --------------------------------------------------------------------------
    def reserve(self, buckets: Sequence[Bucket], estimate: int, life_s: float) -> Plan[Reservation]:
        """Charge an estimate and keep it under an id until it is settled."""
        identity = self.calls.new_reservation(buckets)
        decision = yield from self._charge(buckets, estimate, 0, identity, life_s)
        return Reservation(identity, decision, tuple(buckets), estimate)

    def settle(self, reservation: Reservation | str, actual: int | None) -> Plan[bool]:
        """Correct the estimate by what it was (None: by nothing at all, cancelled).

        False when it was settled before, has expired, was not allowed, or Redis is away.
        """
        if isinstance(reservation, str):
            found = yield from self._find(reservation)
            if found is None:
                return False
            reservation = found
        if not reservation.allowed:
            return False
        change = level.checked_units(actual or 0) - reservation.estimate
        for bucket in reservation.buckets:
            level.checked_debt(change, bucket.quota)
        if reservation.decision.degraded:
            return self.alone.settle(reservation, change)
        first, *others = reversed(self.calls.shards(reservation.buckets))
        replies = yield Ask((self.calls.adjust(first, change, reservation.id),))
        if not replies or not replies[0]:
            return False
        charged = set(reservation.charged)
        for shard in others:
            yield from self._adjust([(bucket, change) for bucket in shard if bucket in charged])
        return True

    def _find(self, identity: str) -> Plan[Reservation | None]:
        replies = yield Ask((self.calls.find(identity),))
        if not replies or replies[0] is None:
            return None
        return self.calls.reservation_of(identity, replies[0])

    # --- steps ------------------------------------------------------------------------------
    def _charge(
        self,
        buckets: Sequence[Bucket],
        cost: int,
        patience_us: int,
        reservation: str,
        life_s: float = 0.0,
    ) -> Plan[Decision]:
        """Shard by shard; when a later one denies, what earlier ones took is given back."""
        if not buckets:
            return UNLIMITED
        shards = self.calls.shards(buckets)
        leads: dict[Bucket, tuple[int, int]] = {}
        taken: list[Bucket] = []
        for n, shard in enumerate(shards):
            call = self.calls.charge(shard, cost, patience_us)
            if reservation and n == len(shards) - 1:
                call = self.calls.recorded(call, reservation, (*taken, *shard), cost, life_s)
            replies = yield Ask((call,))
            if replies is None:
                yield from self.refund([(bucket, cost) for bucket in taken])
                return self.alone.acquire(buckets, cost)
            reply = replies[0]
            if len(shards) == 1:
                return level.decide(buckets, cost, reply)
            found = dict(zip(shard, zip(reply[1::2], reply[2::2], strict=True), strict=True))
            leads |= found
            if reply[0] == 1:
                taken += [b for b in shard if not b.shadow or level.fits(b, *found[b], cost)]
            else:
                yield from self.refund([(bucket, cost) for bucket in taken])
                asked = [bucket for bucket in buckets if bucket in leads]
                flat = [number for bucket in asked for number in leads[bucket]]
                return level.judge(asked, cost, flat, allowed=False)
        flat = [number for bucket in buckets for number in leads[bucket]]
        return level.judge(buckets, cost, flat, allowed=True)

    def _pause(self, charged: Sequence[Bucket], cost: int, seconds: float) -> Plan[None]:
        """Sleep until the slot; whoever is interrupted gives it back."""
        try:
            yield Pause(seconds)
        except GeneratorExit:
            raise  # nobody is there to ask any more
        except BaseException:
            yield from self.refund([(bucket, cost) for bucket in charged])
            raise


def together(plans: Sequence[Plan[Any]]) -> Plan[list[Any]]:
    """Plans side by side, their results in order; what they ask goes in one round trip.

    Where one pauses the others wait with it. What one raises ends all.
    """
    results: list[Any] = [None] * len(plans)
    steps: dict[int, Ask | Pause] = {}

    def advance(number: int, told: Replies | None) -> None:
        try:
            steps[number] = plans[number].send(told)
        except StopIteration as done:
            results[number] = done.value

    for number in range(len(plans)):
        advance(number, None)
    while steps:
        taken, steps = steps, {}
        asks = {n: step for n, step in taken.items() if isinstance(step, Ask)}
        whole = Ask([each for ask in asks.values() for each in ask.commands])
        replies: Replies | None = (yield whole) if asks else []
        rest = None if replies is None else iter(replies)
        for number, ask in asks.items():
            ask.unsure = whole.unsure
            advance(number, None if rest is None else list(islice(rest, len(ask.commands))))
        for number, step in taken.items():
            if isinstance(step, Pause):
                yield step
                advance(number, None)
    return results
