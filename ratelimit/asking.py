"""Asking about one bucket of a policy: which it is, what it holds, filling it up."""

from __future__ import annotations

from collections.abc import Mapping

from ansf_platform.problems import FieldError
from ratelimit import policies, pool
from ratelimit.buckets import Bucket
from ratelimit.decision import BucketState
from ratelimit.errors import Invalid
from ratelimit.models import Policy
from ratelimit.subject import Subject, fields_of


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


def state_of(bucket: Bucket) -> tuple[BucketState, bool]:
    """The bucket's state, and whether it was told without Redis."""
    decision = pool.limiter().peek([bucket])
    return decision.per_bucket[0], decision.degraded


def reset(bucket: Bucket) -> bool:
    """Fill the bucket up; whether Redis did it."""
    return pool.limiter().reset([bucket])
