"""A bucket: one policy's quota for one subject, and what happens when it is empty or unknown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ratelimit.quota import Quota

Unit = Literal["requests", "tokens", "cost", "concurrency"]
OnDeny = Literal["wait", "reject", "shed"]
WithoutRedis = Literal["deny", "allow", "local"]


@dataclass(frozen=True, slots=True)
class Bucket:
    """What is counted (`name`: the policy; `key`: the subject's part) and against which quota."""

    name: str
    key: str
    quota: Quota
    unit: Unit = "requests"
    on_deny: OnDeny = "reject"
    without_redis: WithoutRedis = "local"
    shadow: bool = False
    """Counts, never denies."""
    tenant: str = ""
    """Whose counts it belongs to, and where it lives under `shard_by="tenant"`; empty: all's."""

    def __hash__(self) -> int:
        # Hashed on every decision; the two strings tell buckets apart and know their hashes.
        return hash((self.name, self.key))
