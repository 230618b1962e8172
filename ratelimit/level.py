"""Exact arithmetic on a bucket's level, in parts of 1/units µs.

The level is the time by which a bucket's theoretical arrival time (TAT) lies ahead of now. Redis
keeps it as whole microseconds and a remainder in parts of 1/units µs; a unit weighs `micros`
parts, because a rate of units/micros refills one unit in micros/units µs. Python's integers have
no bound, so all products are made here and the scripts only add, compare and carry.
"""

from __future__ import annotations

from functools import lru_cache

from ratelimit.buckets import Bucket
from ratelimit.decision import BucketState
from ratelimit.quota import LONGEST_FILL_US, SECOND_US, Quota

Texts = tuple[str, ...]


@lru_cache(maxsize=4096)
def charge_texts(quota: Quota, cost: int, patience_us: int, *, shadow: bool) -> Texts:
    """The seven arguments of acquire.lua for one bucket."""
    charge = cost * quota.micros
    slack = (quota.burst - cost) * quota.micros
    if cost <= quota.burst:
        slack += patience_us * quota.units
    return (
        ratio_text(quota),
        str(quota.units),
        *split(charge, quota),
        *split(slack, quota),
        "1" if shadow else "0",
    )


@lru_cache(maxsize=4096)
def take_texts(quota: Quota, at_most: int) -> Texts:
    """The seven arguments of take.lua for one bucket."""
    full = quota.burst * quota.micros
    return (
        ratio_text(quota),
        str(quota.units),
        *split(quota.micros, quota),
        *split(full, quota),
        str(min(at_most, quota.burst)),
    )


@lru_cache(maxsize=4096)
def adjust_texts(quota: Quota, units: int) -> Texts:
    """The five arguments of adjust.lua for one bucket: charge (+) or give back (−) `units`."""
    sign = "-1" if units < 0 else "1"
    return (ratio_text(quota), str(quota.units), sign, *split(abs(units) * quota.micros, quota))


def ratio_text(quota: Quota) -> str:
    """The rate as the scripts store it beside the level it belongs to."""
    return f"{quota.units}/{quota.micros}"


def split(parts: int, quota: Quota) -> tuple[str, str]:
    """Whole microseconds (rounded down) and the parts that remain."""
    whole, part = divmod(parts, quota.units)
    return str(whole), str(part)


def parts_of(whole: int, part: int, quota: Quota) -> int:
    """A level as the scripts report it, in parts."""
    return whole * quota.units + part


def seconds(parts: int, quota: Quota) -> float:
    """Parts as seconds, rounded up to a microsecond: a retry after it is never too early."""
    return -(-parts // quota.units) / SECOND_US if parts > 0 else 0.0


def shortage(parts: int, quota: Quota, cost: int) -> int:
    """Parts that must drain before `cost` fits; zero or less when it fits."""
    return parts - (quota.burst - cost) * quota.micros


def state(bucket: Bucket, parts: int, cost: int, *, charged: bool) -> BucketState:
    """What to tell of a bucket that stood at `parts` when `cost` was asked for."""
    quota = bucket.quota
    never = cost > quota.burst
    missing = shortage(parts, quota, cost)
    after = parts + cost * quota.micros if charged else parts
    return BucketState(
        bucket.name,
        (quota.burst * quota.micros - after) // quota.micros,
        seconds(after, quota),
        seconds(missing, quota) if missing > 0 and not never else None,
        never,
        bucket.shadow,
        quota.limit,
    )


def checked_cost(cost: int, quota: Quota) -> int:
    """The cost itself. Raises ValueError when it is no number of units that can be counted."""
    if isinstance(cost, bool) or not isinstance(cost, int) or cost < 0:
        raise ValueError(f"cost: {cost!r} is not a whole number from 0 on")
    if cost * quota.micros > LONGEST_FILL_US * quota.units:
        raise ValueError(f"cost: {cost} would take more than ten years to refill")
    return cost
