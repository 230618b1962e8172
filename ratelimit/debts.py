"""What Redis is told when it is back: charges that it has not heard of, and refunds.

A charge is told until it was heard, for twice is better than never. A refund is told until it was
sent, for never is better than twice.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from redis.exceptions import ResponseError

from ratelimit.buckets import Bucket
from ratelimit.calls import Calls
from ratelimit.level import most_owed
from ratelimit.line import Replies, Unreachable, is_spoilt
from ratelimit.scripts import Command

logger = logging.getLogger(__name__)

AT_ONCE = 100
Debt = tuple[Bucket, int]


def commands(calls: Calls, debts: Sequence[Debt]) -> list[Command]:
    """A call for each; of what would take longer than ten years to refill, ten years."""
    return [calls.adjust((bucket,), _bounded(bucket, units)) for bucket, units in debts]


def _bounded(bucket: Bucket, units: int) -> int:
    most = most_owed(bucket.quota)
    return max(-most, min(units, most))


def unpaid(debts: Sequence[Debt], replies: Replies) -> list[Debt]:
    """Those that the server refused; what cannot be charged to a bucket is dropped and logged."""
    left = []
    for debt, reply in zip(debts, replies, strict=True):
        if not isinstance(reply, ResponseError):
            continue
        if is_spoilt(reply):
            bucket, units = debt
            told = "%s, %s: %d units stay uncharged: %s"
            logger.warning(told, bucket.name, bucket.key, units, reply)
        else:
            left.append(debt)
    return left


def after(error: BaseException, debts: Sequence[Debt]) -> list[Debt]:
    """What is still owed after an exchange about these debts failed."""
    if isinstance(error, Unreachable):
        return list(debts)
    return [(bucket, units) for bucket, units in debts if units > 0]
