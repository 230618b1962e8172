"""Exact arithmetic on a bucket's level, in parts of 1/units µs.

The level is the time by which a bucket's theoretical arrival time (TAT) lies ahead of now. Redis
keeps it as whole microseconds and a remainder in parts of 1/units µs; a unit weighs `micros`
parts, because a rate of units/micros refills one unit in micros/units µs. Python's integers have
no bound, so all products are made here and the scripts only add, compare and carry.
"""

from __future__ import annotations

from collections.abc import Sequence

from ratelimit.buckets import Bucket
from ratelimit.decision import UNLIMITED, BucketState, Decision, Grant, combine
from ratelimit.quota import LONGEST_FILL_US, SECOND_US, Quota

Texts = tuple[str, ...]


def charge_texts(quota: Quota, cost: int, patience_us: int, *, shadow: bool) -> Texts:
    """The seven arguments of acquire.lua for one bucket.

    What exceeds the burst never fits, by however much: the scripts see one unit above it.
    """
    charge = min(cost, quota.burst + 1) * quota.micros
    slack = quota.full - charge
    if cost <= quota.burst:
        slack += patience_us * quota.units
    return (
        *rate_texts(quota),
        *_split(charge, quota),
        *_split(slack, quota),
        "1" if shadow else "0",
    )


def take_texts(quota: Quota, at_most: int) -> Texts:
    """The seven arguments of take.lua for one bucket."""
    one, full = _split(quota.micros, quota), _split(quota.full, quota)
    return (*rate_texts(quota), *one, *full, str(min(at_most, quota.burst)))


def adjust_texts(quota: Quota, units: int) -> Texts:
    """The five arguments of adjust.lua for one bucket: charge (+) or give back (−) `units`."""
    sign = "-1" if units < 0 else "1"
    return (*rate_texts(quota), sign, *_split(abs(units) * quota.micros, quota))


def rate_texts(quota: Quota) -> Texts:
    """The rate as the scripts store it beside the level it belongs to, and its denominator."""
    return (f"{quota.units}/{quota.micros}", str(quota.units))


def _split(parts: int, quota: Quota) -> Texts:
    whole, part = divmod(parts, quota.units)
    return str(whole), str(part)


def checked_units(units: int) -> int:
    """The number itself. Raises ValueError when it is no number of units."""
    if type(units) is not int or units < 0:
        raise ValueError(f"cost: {units!r} is not a whole number from 0 on")
    return units


def checked_debt(units: int, quota: Quota) -> int:
    """A charge that nobody is asked about. Raises ValueError when ten years do not refill it."""
    if abs(units) > most_owed(quota):
        raise ValueError(f"cost: {abs(units)} would take more than ten years to refill")
    return units


def most_owed(quota: Quota) -> int:
    """Units that refill in ten years: more than that is not charged at once."""
    return LONGEST_FILL_US * quota.units // quota.micros


def fits(bucket: Bucket, whole: int, part: int, cost: int) -> bool:
    """Whether a cost fits at once upon a level as the scripts report it."""
    quota = bucket.quota
    return parts_of(whole, part, quota) + cost * quota.micros <= quota.full


def parts_of(whole: int, part: int, quota: Quota) -> int:
    """A level as the scripts report it, in parts."""
    return whole * quota.units + part


def decide(buckets: Sequence[Bucket], cost: int, reply: Sequence[int]) -> Decision:
    """The decision that acquire.lua replied. The usual case is written out: it is the hot path."""
    if reply[0] != 1:
        return judge(buckets, cost, reply[1:], allowed=False)
    states, least, full_after, at = [], None, 0.0, 1
    for bucket in buckets:
        quota = bucket.quota
        micros, units = quota.micros, quota.units
        parts = reply[at] * units + reply[at + 1] + cost * micros
        remaining = (quota.full - parts) // micros
        if bucket.shadow or remaining < 0:
            return judge(buckets, cost, reply[1:], allowed=True)
        reset_after = -(-parts // units) / SECOND_US
        state = BucketState(bucket.name, remaining, reset_after, None, False, False, quota.limit)
        states.append(state)
        if least is None or remaining < least.remaining:
            least = state
        full_after = max(full_after, reset_after)
        at += 2
    if least is None:
        return UNLIMITED
    return Decision(
        True, least.remaining, least.limit, None, full_after, (), False, False, 0.0, tuple(states)
    )


def judge(buckets: Sequence[Bucket], cost: int, leads: Sequence[int], *, allowed: bool) -> Decision:
    """The decision on levels as they were before; `allowed` says whether they were charged."""
    states, wait = [], 0.0
    for i, bucket in enumerate(buckets):
        quota = bucket.quota
        parts = parts_of(leads[2 * i], leads[2 * i + 1], quota)
        missing = parts + cost * quota.micros - quota.full
        charged = allowed and (missing <= 0 or not bucket.shadow)
        if charged and cost:
            wait = max(wait, _seconds(missing, quota))
        states.append(state_of(bucket, parts, cost, charged=charged))
    return combine(tuple(states), allowed=allowed, wait=wait)


def seen(buckets: Sequence[Bucket], reply: Sequence[int]) -> list[BucketState]:
    """The states that peek.lua replied, or slot.lua for buckets of places."""
    if buckets[0].unit == "concurrency":
        return [place_of(b, *reply[1 + 2 * i : 3 + 2 * i]) for i, b in enumerate(buckets)]
    return [
        state_of(b, parts_of(reply[2 * i], reply[2 * i + 1], b.quota), 1, charged=False)
        for i, b in enumerate(buckets)
    ]


def place_of(bucket: Bucket, held: int, first_us: int) -> BucketState:
    """How many places are free; `first_us` is the time until the first holder is given up."""
    free = bucket.quota.limit - held
    after = first_us / SECOND_US
    return BucketState(
        bucket.name,
        free,
        after if held else 0.0,
        after if free < 1 else None,
        False,
        bucket.shadow,
        bucket.quota.limit,
    )


def state_of(bucket: Bucket, parts: int, cost: int, *, charged: bool) -> BucketState:
    """What to tell of a bucket that stood at `parts` when `cost` was asked for."""
    quota = bucket.quota
    never = cost > quota.burst
    charge = cost * quota.micros
    missing = parts + charge - quota.full
    after = parts + charge if charged else parts
    return BucketState(
        bucket.name,
        (quota.full - after) // quota.micros,
        _seconds(after, quota),
        _seconds(missing, quota) if missing > 0 and not never else None,
        never,
        bucket.shadow,
        quota.limit,
    )


def grant_of(bucket: Bucket, at_most: int, reply: Sequence[int]) -> Grant:
    """What take.lua replied."""
    granted, whole, part = reply
    if granted >= at_most or bucket.shadow:
        return Grant(at_most, None, shadowed=at_most - granted)
    quota = bucket.quota
    parts = parts_of(whole, part, quota) + (granted + 1) * quota.micros
    return Grant(granted, _seconds(parts - quota.full, quota))


def left_of_charge(
    buckets: Sequence[Bucket], cost: int, reply: Sequence[int], ago_us: int
) -> list[tuple[Bucket, int]]:
    """What acquire.lua charged so long ago and time has not refilled since, by bucket."""
    if reply[0] != 1:
        return []
    found = []
    for i, bucket in enumerate(buckets):
        whole, part = reply[1 + 2 * i], reply[2 + 2 * i]
        if not bucket.shadow or fits(bucket, whole, part, cost):
            found.append((bucket, _left(bucket.quota, whole, part, cost, ago_us)))
    return found


def left_of_grant(bucket: Bucket, reply: Sequence[int], ago_us: int) -> list[tuple[Bucket, int]]:
    """The same for what take.lua granted."""
    granted, whole, part = reply
    return [(bucket, _left(bucket.quota, whole, part, granted, ago_us))]


def _left(quota: Quota, whole: int, part: int, charged: int, ago_us: int) -> int:
    ahead = parts_of(whole, part, quota) + charged * quota.micros - ago_us * quota.units
    return max(0, min(charged, ahead // quota.micros))


def _seconds(parts: int, quota: Quota) -> float:
    """Parts as seconds, rounded up to a microsecond: a retry after it is never too early."""
    return -(-parts // quota.units) / SECOND_US if parts > 0 else 0.0
