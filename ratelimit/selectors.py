"""Reads of policies with what is seen of them; the tenant first."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import redis
from django.conf import settings
from django.db.models import Q, QuerySet

from ansf_platform.accounts.models import Tenant
from ratelimit import asking, counting, policies
from ratelimit.buckets import Bucket
from ratelimit.decision import BucketState
from ratelimit.errors import NotFound
from ratelimit.models import Policy

WINDOW_S = 60  # seconds of history that are shown
MOST_TOP_KEYS = 10
AT_ONCE = 100  # policies asked about in one round trip: others wait meanwhile


@dataclass(frozen=True, slots=True)
class Denial:
    """The last time that a policy said no."""

    key: str
    at: datetime
    retry_after: float | None


@dataclass(frozen=True, slots=True)
class KeyLevel:
    """A subject that a policy counted, units it asked for lately, and its bucket's state."""

    key: str
    asked: int
    bucket: Bucket
    state: BucketState | None

    @property
    def left(self) -> float:
        """What is left, in percent of the burst; 0 below it."""
        if self.state is None:
            return 0.0
        return min(100.0, max(0.0, 100.0 * self.state.remaining / self.bucket.quota.burst))


@dataclass(frozen=True, slots=True)
class Seen:
    """What all processes saw of a policy. `known` is false while Redis cannot be asked."""

    known: bool = False
    allowed: tuple[int, ...] = ()
    """Units in each of the last :data:`WINDOW_S` seconds, oldest first, this one included."""
    denied: tuple[int, ...] = ()
    shadowed: tuple[int, ...] = ()
    degraded: tuple[int, ...] = ()
    returned: tuple[int, ...] = ()
    totals: Mapping[str, int] = field(default_factory=dict)
    top: tuple[tuple[str, int], ...] = ()
    denial: Denial | None = None

    def rate(self, outcome: str, seconds: int = 10) -> float:
        """Units per second over the last whole seconds."""
        series: Sequence[int] = getattr(self, outcome)
        return sum(series[-seconds:]) / seconds


@dataclass(frozen=True, slots=True)
class PolicyView:
    """A policy with what is seen of it, its busiest keys first."""

    row: Policy
    seen: Seen
    keys: tuple[KeyLevel, ...] = ()

    @property
    def allowed_s(self) -> float:
        """Units allowed per second."""
        return self.seen.rate("allowed")

    @property
    def denied_s(self) -> float:
        """Units denied per second."""
        return self.seen.rate("denied")

    @property
    def shadowed_s(self) -> float:
        """Units per second that a shadow would have denied."""
        return self.seen.rate("shadowed")

    @property
    def lowest(self) -> KeyLevel | None:
        """The key that has least left."""
        known = [each for each in self.keys if each.state is not None]
        return min(known, key=lambda each: each.left, default=None)


def visible(tenant: Tenant | None) -> QuerySet[Policy]:
    """The tenant's policies and the platform's; without a tenant all there are."""
    rows = Policy.objects.select_related("tenant")
    if tenant is None:
        return rows
    return rows.filter(Q(tenant=tenant) | Q(tenant=None))


def policy(tenant: Tenant | None, name: str) -> Policy:
    """The policy of that name: the tenant's own, else the platform's. Raises NotFound."""
    rows = sorted(visible(tenant).filter(name=name), key=lambda row: row.tenant_id is None)
    if not rows:
        raise NotFound(f"there is no policy named {name}: `limit list` shows those there are")
    return rows[0]


def views(rows: Iterable[Policy], tenant: Tenant | None) -> list[PolicyView]:
    """Policies with what is seen of them and the levels of their busiest keys.

    Two round trips for each hundred of them. Of a platform's policy a tenant is shown only the keys
    that are its own. While Redis is away there is nothing to show of the levels.
    """
    listed = list(rows)
    seen = _seen(listed, _everything)
    wanted = [_busiest(row, each, tenant) for row, each in zip(listed, seen, strict=True)]
    states = _peek([bucket for each in wanted for _, _, bucket in each])
    levels = iter(states)
    return [
        PolicyView(row, each, tuple(KeyLevel(*key, next(levels)) for key in keys))
        for row, each, keys in zip(listed, seen, wanted, strict=True)
    ]


def view_of(row: Policy, tenant: Tenant | None) -> PolicyView:
    """One policy, the same."""
    return views([row], tenant)[0]


def degraded_percent(rows: Sequence[Policy]) -> float:
    """How much of what these policies decided in the last minute was decided without Redis."""
    seen = _seen(rows, _lately)
    degraded = sum(sum(each.degraded) for each in seen)
    decided = sum(sum(each.allowed) + sum(each.denied) + sum(each.shadowed) for each in seen)
    return min(100.0, 100.0 * degraded / decided) if decided else 0.0


def _busiest(row: Policy, seen: Seen, tenant: Tenant | None) -> list[tuple[str, int, Bucket]]:
    active = policies.of_row(row)
    if row.scope == Policy.Scope.GLOBAL:
        bucket = active.bucket("all")
        return [("all", dict(seen.top).get(bucket.key, 0), bucket)]
    found = [(key, asked) for key, asked in seen.top if row.tenant_id or _may_see(key, row, tenant)]
    return [(shown(key), asked, _bucket(active, key)) for key, asked in found[:MOST_TOP_KEYS]]


def _bucket(active: policies.ActivePolicy, key: str) -> Bucket:
    part = shown(key)
    # Where a scope names the tenant, it does so first: "swarm:7:research".
    named = "{tenant}" in active.template and ":" in part
    return active.bucket(part, part.split(":")[1] if named else None)


def shown(key: str) -> str:
    """A bucket's key without its owner."""
    return key.partition("/")[2] if key.startswith("@") else key


def _may_see(key: str, row: Policy, tenant: Tenant | None) -> bool:
    if tenant is None:
        return True
    named = row.scope in {"tenant", "swarm", "agent", "definition"}
    return named and key.split(":")[1:2] == [str(tenant.pk)]


def _peek(buckets: Sequence[Bucket]) -> Sequence[BucketState | None]:
    states = asking.states_of(buckets)
    return [None] * len(buckets) if states is None else states


def _identity(row: Policy) -> str:
    return counting.policy_identity(str(row.tenant_id or ""), row.name)


Reading = Callable[[Any, int, str], int]
"""Puts commands about one policy at that second into a pipe; how many."""


def _seen(rows: Sequence[Policy], reading: Reading) -> list[Seen]:
    if not rows or not settings.REDIS_URL:
        return [Seen() for _ in rows]
    try:
        client = counting.connected()
        now = int(client.time()[0])
        names = [_identity(row) for row in rows]
        portions = [names[at : at + AT_ONCE] for at in range(0, len(names), AT_ONCE)]
        return [seen for portion in portions for seen in _read(client, now, portion, reading)]
    except (redis.RedisError, OSError):
        return [Seen() for _ in rows]


def _read(client: Any, now: int, names: Sequence[str], reading: Reading) -> list[Seen]:
    with client.pipeline(transaction=False) as pipe:
        counts = [reading(pipe, now, name) for name in names]
        replies = iter(pipe.execute())
    return [_seen_of(now, list(islice(replies, count))) for count in counts]


def _lately(pipe: Any, now: int, name: str) -> int:
    """The last seconds alone."""
    for minute in (now // 60 - 1, now // 60):
        pipe.hgetall(counting.seconds_key(name, minute))
    return 2


def _everything(pipe: Any, now: int, name: str) -> int:
    """The last seconds, the busiest keys, the last denial and the totals."""
    _lately(pipe, now, name)
    for quarter in (now // counting.KEYS_KEPT_S - 1, now // counting.KEYS_KEPT_S):
        pipe.zrevrange(counting.keys_key(name, quarter), 0, counting.KEPT_KEYS - 1, withscores=True)
    pipe.get(counting.denial_key(name))
    pipe.hmget(counting.TOTALS, [f"{name}|{outcome}" for outcome in counting.OUTCOMES])
    return 6


def _seen_of(now: int, replies: Sequence[Any]) -> Seen:
    before, this, *more = replies
    minutes = {now // 60 - 1: before, now // 60: this}
    seconds = range(now - WINDOW_S + 1, now + 1)
    series = {
        outcome: tuple(int(minutes[at // 60].get(f"{at % 60}:{outcome}", 0)) for at in seconds)
        for outcome in counting.OUTCOMES
    }
    if not more:
        return Seen(known=True, totals={}, top=(), denial=None, **series)
    old_keys, new_keys, denial, totals = more
    asked: dict[str, int] = {}
    for key, units in (*old_keys, *new_keys):
        asked[key] = asked.get(key, 0) + int(units)
    top = tuple(sorted(asked.items(), key=lambda pair: -pair[1]))
    sums = {name: int(value or 0) for name, value in zip(counting.OUTCOMES, totals, strict=True)}
    return Seen(known=True, totals=sums, top=top, denial=_denial(denial), **series)


def _denial(text: str | None) -> Denial | None:
    if not text:
        return None
    told = json.loads(text)
    at = datetime.fromtimestamp(told["at"], UTC)
    return Denial(shown(told["key"]), at, told["retry_after"])
