"""What each verb asks of Redis and makes of the answer, without asking anything itself.

A plan is a generator: it yields an `Ask` and is sent the replies, or None when Redis is away; it
yields a `Pause` to let time pass; it returns the verb's result. The synchronous and the
asynchronous limiter drive the same plans.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ratelimit import level
from ratelimit.buckets import Bucket
from ratelimit.decision import BucketState, Decision, Grant, Reservation, combine
from ratelimit.degraded import Local
from ratelimit.keys import Keys
from ratelimit.quota import SECOND_US
from ratelimit.scripts import Command, Scripts

Replies = list[Any] | None
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ask:
    """Commands for one round trip."""

    commands: Sequence[Command]


@dataclass(frozen=True, slots=True)
class Pause:
    """Let so many seconds pass."""

    seconds: float


Plan = Generator[Ask | Pause, Any, T]


Request = tuple[Sequence[Bucket], int]


class Plans:
    """The plans of one limiter: how its keys are named, its scripts, what it does alone."""

    def __init__(self, keys: Keys, scripts: Scripts, alone: Local) -> None:
        self.keys = keys
        self.scripts = scripts
        self.alone = alone

    # --- spending ---------------------------------------------------------------------------
    def acquire(self, buckets: Sequence[Bucket], cost: int, wait_s: float) -> Plan[Decision]:
        """Charge all or none; with `wait_s`, pause until the time slot that was given."""
        patience_us = max(0, int(wait_s * SECOND_US))
        command = self._charge(buckets, cost, patience_us)
        replies = yield Ask((command,))
        if replies is None:
            return self.alone.acquire(buckets, cost)
        decision = _decision(buckets, cost, replies[0])
        if decision.allowed and decision.wait:
            yield from self._pause(buckets, cost, decision.wait)
        return decision

    def acquire_many(self, requests: Sequence[Request]) -> Plan[list[Decision]]:
        """Independent decisions in one round trip, in order."""
        if not requests:
            return []
        replies = yield Ask([self._charge(buckets, cost, 0) for buckets, cost in requests])
        if replies is None:
            return [self.alone.acquire(buckets, cost) for buckets, cost in requests]
        return [
            _decision(buckets, cost, reply)
            for (buckets, cost), reply in zip(requests, replies, strict=True)
        ]

    def take_many(self, wishes: Sequence[tuple[Bucket, int]]) -> Plan[list[Grant]]:
        """From each bucket as many whole units as fit, in one round trip."""
        if not wishes:
            return []
        replies = yield Ask([self._take(bucket, at_most) for bucket, at_most in wishes])
        if replies is None:
            return [self.alone.take(bucket, at_most) for bucket, at_most in wishes]
        return [_grant(*wish, reply) for wish, reply in zip(wishes, replies, strict=True)]

    def refund(self, buckets: Sequence[Bucket], cost: int) -> Plan[bool]:
        """Give units back; a bucket is never fuller than its burst. False: Redis is away."""
        return (yield from self._adjust(buckets, -cost))

    def charge(self, buckets: Sequence[Bucket], cost: int) -> Plan[bool]:
        """Take units without asking, as a debt if need be. False: Redis is away."""
        return (yield from self._adjust(buckets, cost))

    # --- looking ----------------------------------------------------------------------------
    def peek_many(self, buckets: Sequence[Bucket]) -> Plan[list[BucketState]]:
        """The state of each bucket, in one round trip; changes nothing."""
        if not buckets:
            return []
        replies = yield Ask((self._peek(buckets),))
        if replies is None:
            return [self.alone.state(bucket) for bucket in buckets]
        leads = replies[0]
        return [
            _state(bucket, leads[2 * i], leads[2 * i + 1], 1, charged=False)
            for i, bucket in enumerate(buckets)
        ]

    def reset(self, buckets: Sequence[Bucket]) -> Plan[bool]:
        """Fill the buckets up, and let go of every slot. False: Redis is away."""
        names = [self.keys.of(kind, bucket) for bucket in buckets for kind in ("level", "slots")]
        for bucket in buckets:
            self.alone.forget(bucket)
        replies = yield Ask([Command(None, (name,), ("DEL", name)) for name in names])
        return replies is not None

    # --- reserving --------------------------------------------------------------------------
    def reserve(self, buckets: Sequence[Bucket], estimate: int, life_s: float) -> Plan[Reservation]:
        """Charge an estimate and remember it under an id until it is settled."""
        identity = uuid.uuid4().hex
        record = json.dumps([estimate, [_record_of(bucket) for bucket in buckets]])
        charge = self._charge(buckets, estimate, 0)
        life_ms = str(max(1, int(life_s * 1000)))
        reply = yield Ask(
            (
                Command(
                    self.scripts.acquire,
                    (*charge.keys, self._reservation_key(identity)),
                    (*charge.args, record, life_ms),
                ),
            )
        )
        if reply is None:
            decision = self.alone.acquire(buckets, estimate)
        else:
            decision = _decision(buckets, estimate, reply[0])
        return Reservation(identity, decision, tuple(buckets), estimate)

    def settle(self, reservation: Reservation, actual: int) -> Plan[bool]:
        """Correct the estimate; False when it was settled before, expired or Redis is away."""
        if not reservation.allowed:
            return False
        change = actual - reservation.estimate
        if reservation.decision.degraded:
            return self.alone.settle(reservation, change)
        return (yield from self._adjust(reservation.buckets, change, reservation.id))

    # --- building ---------------------------------------------------------------------------
    def _charge(self, buckets: Sequence[Bucket], cost: int, patience_us: int) -> Command:
        names, texts = [], []
        for bucket in buckets:
            level.checked_cost(cost, bucket.quota)
            names.append(self.keys.of("level", bucket))
            texts += level.charge_texts(bucket.quota, cost, patience_us, shadow=bucket.shadow)
        return Command(self.scripts.acquire, tuple(names), tuple(texts))

    def _take(self, bucket: Bucket, at_most: int) -> Command:
        level.checked_cost(at_most, bucket.quota)
        return Command(
            self.scripts.take,
            (self.keys.of("level", bucket),),
            level.take_texts(bucket.quota, at_most),
        )

    def _peek(self, buckets: Sequence[Bucket]) -> Command:
        texts: list[str] = []
        for bucket in buckets:
            texts += (level.ratio_text(bucket.quota), str(bucket.quota.units))
        names = tuple(self.keys.of("level", bucket) for bucket in buckets)
        return Command(self.scripts.peek, names, tuple(texts))

    def _adjust(self, buckets: Sequence[Bucket], units: int, reservation: str = "") -> Plan[bool]:
        names, texts = [], []
        for bucket in buckets:
            level.checked_cost(abs(units), bucket.quota)
            names.append(self.keys.of("level", bucket))
            texts += level.adjust_texts(bucket.quota, units)
        if reservation:
            names.append(self._reservation_key(reservation))
        replies = yield Ask((Command(self.scripts.adjust, tuple(names), tuple(texts)),))
        if replies is None:
            self.alone.adjust(buckets, units)
            return False
        return bool(replies[0])

    def _reservation_key(self, identity: str) -> str:
        return self.keys.named("reservation", "ansf", identity)

    def _pause(self, buckets: Sequence[Bucket], cost: int, seconds: float) -> Plan[None]:
        try:
            yield Pause(seconds)
        except BaseException:
            yield from self.refund(buckets, cost)
            raise


def _record_of(bucket: Bucket) -> list[Any]:
    quota = bucket.quota
    return [bucket.name, bucket.key, quota.limit, quota.period_us, quota.burst, bucket.tenant]


def _state(bucket: Bucket, whole: int, part: int, cost: int, *, charged: bool) -> BucketState:
    parts = level.parts_of(whole, part, bucket.quota)
    return level.state(bucket, parts, cost, charged=charged)


def _decision(buckets: Sequence[Bucket], cost: int, reply: Sequence[int]) -> Decision:
    allowed = reply[0] == 1
    states, wait = [], 0.0
    for i, bucket in enumerate(buckets):
        parts = level.parts_of(reply[2 * i + 1], reply[2 * i + 2], bucket.quota)
        missing = level.shortage(parts, bucket.quota, cost)
        charged = allowed and (missing <= 0 or not bucket.shadow)
        if charged and missing > 0:
            wait = max(wait, level.seconds(missing, bucket.quota))
        states.append(level.state(bucket, parts, cost, charged=charged))
    return combine(tuple(states), allowed=allowed, wait=wait)


def _grant(bucket: Bucket, at_most: int, reply: Sequence[int]) -> Grant:
    granted, whole, part = reply
    if granted >= at_most:
        return Grant(granted, None)
    quota = bucket.quota
    parts = level.parts_of(whole, part, quota) + granted * quota.micros
    return Grant(granted, level.seconds(level.shortage(parts, quota, 1), quota))
