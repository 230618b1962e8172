"""What an answer tells about limits: draft-ietf-httpapi-ratelimit-headers-11 and Retry-After.

``RateLimit-Policy`` says what holds: `q` units in each window of `w` seconds, and as vendor
parameters the burst and units that no registry knows. ``RateLimit`` says what is left: `r` units,
and `t`, the seconds over which the client may spread them. A bucket refills steadily, so `t` is
what `r` units last at the policy's rate: who divides one by the other finds that rate. At zero
`t` is the wait for the next unit, and Retry-After is never earlier.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil

from ratelimit.buckets import Bucket
from ratelimit.decision import BucketState, Decision

REGISTERED_UNITS = {"requests": "", "concurrency": ';qu="concurrent-requests"'}
MICRO = 1_000_000


def headers_of(buckets: Sequence[Bucket], decision: Decision) -> dict[str, str]:
    """The fields of an answer; none when nothing limits it. Shadow policies are not told of."""
    shown = [bucket for bucket in buckets if not bucket.shadow]
    if not shown:
        return {}
    told = {"RateLimit-Policy": policy_field(shown)}
    limits = limit_field(buckets, decision)
    if limits:
        told["RateLimit"] = limits
    wait = wait_of(decision)
    if wait is not None:
        told["Retry-After"] = str(wait)
    return told


def wait_of(decision: Decision) -> int | None:
    """Whole seconds until a denied request may be tried again; None when allowed or never."""
    if decision.allowed or decision.retry_after is None:
        return None
    return max(1, ceil(decision.retry_after))


def policy_field(buckets: Iterable[Bucket]) -> str:
    """The value of ``RateLimit-Policy``."""
    return ", ".join(map(_policy_item, buckets))


def _policy_item(bucket: Bucket) -> str:
    quota = bucket.quota
    unit = REGISTERED_UNITS.get(bucket.unit, f';qu="ansf-{bucket.unit}"')
    if bucket.unit == "concurrency":
        return f'"{bucket.name}";q={quota.limit}{unit}'
    window = max(1, ceil(quota.period_us / MICRO))
    units = quota.limit * window * MICRO // quota.period_us
    return f'"{bucket.name}";q={units}{unit};w={window};ansf-burst={quota.burst}'


def limit_field(buckets: Sequence[Bucket], decision: Decision) -> str:
    """The value of ``RateLimit``; of a denial only what denied, so that no window is longer.

    The decision tells of the buckets in their order.
    """
    pairs = zip(buckets, decision.per_bucket, strict=False)
    shown = [pair for pair in pairs if not pair[0].shadow and (decision.allowed or pair[1].short)]
    return ", ".join(_limit_item(bucket, state) for bucket, state in shown)


def _limit_item(bucket: Bucket, state: BucketState) -> str:
    left = max(0, state.remaining)
    item = f'"{bucket.name}";r={left}'
    if bucket.unit == "concurrency":
        return item
    if left:
        spread = ceil(left * bucket.quota.period_us / bucket.quota.limit / MICRO)
        return f"{item};t={max(1, spread)}"
    wait = state.retry_after
    if wait is None:  # the last unit has just been given away
        wait = state.reset_after - (bucket.quota.burst - 1) / float(bucket.quota.rate)
    return f"{item};t={max(1, ceil(wait))}"
