"""Asking about single buckets: which it is, what it holds, filling it up.

Nobody's work waits for these answers, so they have more patience with Redis than a decision has,
and neither open nor mind the process's breaker.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import redis
from django.conf import settings

from ansf_platform.field_errors import FieldError
from ratelimit import policies, pool
from ratelimit.buckets import Bucket
from ratelimit.decision import BucketState
from ratelimit.errors import Invalid
from ratelimit.limiter import Limiter
from ratelimit.models import Policy
from ratelimit.quota import Quota
from ratelimit.subject import Subject, fields_of

PATIENCE_S = 0.5
PROBE = Bucket("ansf-probe", "all", Quota(1, 1_000_000, 1))


@contextmanager
def patient(patience_s: float = PATIENCE_S) -> Iterator[Limiter]:
    """A limiter for one question."""
    client = redis.Redis.from_url(settings.REDIS_URL) if settings.REDIS_URL else None
    made = Limiter(client, budget_s=patience_s)
    try:
        yield made
    finally:
        made.close()


def answers(patience_s: float = PATIENCE_S) -> bool:
    """Whether Redis decides."""
    with patient(patience_s) as limiter:
        return not limiter.peek([PROBE]).degraded


def bucket_of(row: Policy, about: Mapping[str, str]) -> Bucket:
    """The bucket of the subject with these fields. Raises Invalid that names what is missing."""
    active = policies.of_row(row)
    owner = None if row.tenant_id is None else str(row.tenant_id)
    subject = Subject(**{"tenant": owner, **about})
    bucket = active.bucket_for(subject)
    if bucket is None:
        missing = [name for name in fields_of(active.template) if getattr(subject, name) is None]
        if not missing:
            raise Invalid([FieldError("/tenant", f"{row.name} is another tenant's policy")])
        raise Invalid(
            FieldError(f"/{name}", f"is needed: {row.name} counts by it") for name in missing
        )
    return bucket


def states_of(buckets: Sequence[Bucket]) -> tuple[BucketState, ...] | None:
    """The states of the buckets; None when Redis cannot be asked."""
    if not buckets:
        return ()
    with patient() as limiter:
        states = tuple(limiter.peek_many(buckets))
        return None if limiter.breaker.failures or not settings.REDIS_URL else states


def state_of(bucket: Bucket) -> tuple[BucketState, bool]:
    """The bucket's state, and whether it was told without Redis."""
    states = states_of([bucket])
    if states is None:
        return pool.limiter().peek_many([bucket])[0], True
    return states[0], False


def reset(bucket: Bucket) -> bool:
    """Fill the bucket up. False: Redis is there for all processes, and does not answer."""
    pool.limiter().alone.forget(bucket)
    if not settings.REDIS_URL:
        return True
    with patient() as limiter:
        return limiter.reset([bucket])
