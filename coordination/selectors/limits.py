"""What waits for which policy, and about how long.

Levels come from Redis in one call; while it is away they are this process's own guess, as the
policies say. Nothing is charged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from ansf_platform.accounts.models import Tenant
from coordination import sql
from coordination.allowances import Key
from coordination.models import WAITING, Task
from coordination.subjects import Pair, Subjects
from ratelimit import pool
from ratelimit.buckets import Bucket

AHEAD_BOUND = 10_000  # beyond it nothing is foretold
COUNT_BOUND = 100_000


@dataclass(frozen=True, slots=True)
class Hold:
    """A policy that a waiting task needs a unit of."""

    policy: str
    key: str
    unit: str
    left: int
    next_in: float | None
    """Seconds until there is a unit; 0: there is one; None: when another task ends."""
    starts_in: float | None
    """Seconds until about this task's turn, by this policy alone; None: cannot be told."""


@dataclass(frozen=True, slots=True)
class LimitQueue:
    """What is ready and needs units of one key."""

    policy: str
    key: str
    unit: str
    waiting: int
    left: int
    next_in: float | None


@dataclass(frozen=True, slots=True)
class _Level:
    bucket: Bucket
    left: int
    next_in: float | None


def holds_of(task: Task) -> list[Hold]:
    """The policies of a task that has not been dispatched yet."""
    pair = task.swarm_id, task.limit_set
    if task.status not in WAITING:
        return []
    subjects = Subjects()
    subjects.refresh([pair])
    levels = _levels(subjects, subjects.need(pair).keys)
    ahead = _ahead(task) if levels else 0
    return [
        Hold(
            level.bucket.name,
            level.bucket.key,
            level.bucket.unit,
            level.left,
            level.next_in,
            _turn(level, ahead),
        )
        for level in levels.values()
    ]


def _turn(level: _Level, ahead: int) -> float | None:
    if level.next_in is None or ahead > AHEAD_BOUND or level.bucket.unit != "requests":
        return None
    missing = ahead + 1 - max(level.left, 0)
    return 0.0 if missing <= 0 else level.next_in + (missing - 1) / float(level.bucket.quota.rate)


_AHEAD = """
SELECT count(*) AS n FROM (
    SELECT 1 FROM coordination_task WHERE status = 'ready' AND pool = %(pool)s
        AND swarm_id = %(swarm)s AND limit_set = %(set)s
        AND (priority > %(priority)s OR (priority = %(priority)s AND (ready_at, id) < (
            SELECT ready_at, id FROM coordination_task WHERE id = %(id)s)))
    LIMIT %(bound)s) AS before
"""


def _ahead(task: Task) -> int:
    bound = {
        "pool": task.pool,
        "swarm": task.swarm_id,
        "set": task.limit_set,
        "priority": task.priority,
        "id": task.pk,
        "bound": AHEAD_BOUND + 1,
    }
    count: int = sql.fetch(_AHEAD, bound)[0]["n"]
    return count


_BY_SET = """
SELECT swarm_id, limit_set, count(*) AS n FROM (
    SELECT swarm_id, limit_set FROM coordination_task
    WHERE status = 'ready' AND tenant_id = %(tenant)s LIMIT %(bound)s) AS waiting
GROUP BY swarm_id, limit_set
"""


def limit_queues(tenant: Tenant) -> list[LimitQueue]:
    """What is ready by the keys that it needs, the longest queue first (counted up to a bound)."""
    rows = sql.fetch(_BY_SET, {"tenant": tenant.pk, "bound": COUNT_BOUND})
    subjects = Subjects()
    subjects.refresh({(row["swarm_id"], row["limit_set"]) for row in rows})
    waiting: Counter[Key] = Counter()
    for row in rows:
        pair: Pair = row["swarm_id"], row["limit_set"]
        waiting.update(dict.fromkeys(subjects.need(pair).keys, row["n"]))
    levels = _levels(subjects, waiting)
    return [
        LimitQueue(*key, levels[key].bucket.unit, n, levels[key].left, levels[key].next_in)
        for key, n in waiting.most_common()
    ]


def _levels(subjects: Subjects, keys: Iterable[Key]) -> dict[Key, _Level]:
    buckets = {key: subjects.bucket(key) for key in keys}
    asked = {key: bucket for key, bucket in buckets.items() if bucket.unit != "concurrency"}
    states = pool.limiter().peek_many(list(asked.values())) if asked else []
    levels = {
        key: _Level(bucket, state.remaining, 0.0 if state.remaining > 0 else state.retry_after)
        for (key, bucket), state in zip(asked.items(), states, strict=True)
    }
    slots = buckets.keys() - asked.keys()
    running = _running(subjects) if slots else Counter()
    for key in slots:
        left = buckets[key].quota.limit - running[key]
        levels[key] = _Level(buckets[key], left, 0.0 if left > 0 else None)
    return levels


def _running(subjects: Subjects) -> Counter[Key]:
    rows = sql.fetch(
        """
        SELECT swarm_id, limit_set, count(*) AS n FROM coordination_task
        WHERE status IN ('dispatched', 'running') GROUP BY swarm_id, limit_set
        """
    )
    subjects.refresh({(row["swarm_id"], row["limit_set"]) for row in rows})
    running: Counter[Key] = Counter()
    for row in rows:
        pair = row["swarm_id"], row["limit_set"]
        running.update(dict.fromkeys(subjects.need(pair).keys, row["n"]))
    return running
