"""What the end of a task sets free: its unique key, its children, its lane.

It runs in the transaction that ended the task. Each step is derived from rows and idempotent:
an edge is resolved once, a key is deleted once, a lane entry leaves once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from coordination import keys, lanes, sql
from coordination.models import Status


@dataclass(frozen=True, slots=True)
class Ended:
    """A task that just reached a terminal status."""

    id: UUID
    status: Status
    run_id: UUID | None
    lane_id: int | None
    unique_key: str | None


ENDED_COLUMNS = "id, status, run_id, lane_id, unique_key"


def ended_from(rows: Iterable[sql.Row]) -> list[Ended]:
    """Rows of :data:`ENDED_COLUMNS` as values."""
    return [
        Ended(
            sql.as_uuid(row["id"]),
            Status(row["status"]),
            sql.as_uuid(row["run_id"]) if row["run_id"] else None,
            row["lane_id"],
            row["unique_key"],
        )
        for row in rows
    ]


def holding(rows: Iterable[sql.Row]) -> list[sql.Row]:
    """Those :data:`ENDED_COLUMNS` rows whose end sets something free: most tasks hold nothing."""
    return [
        row
        for row in rows
        if row["run_id"] is not None or row["lane_id"] is not None or row["unique_key"] is not None
    ]


_RESOLVE = """
WITH over AS (SELECT over.id, over.succeeded FROM @rows(over, id uuid, succeeded integer)),
     edge AS (
        SELECT e.id FROM coordination_edge e JOIN over ON over.id = e.parent_id
        WHERE NOT e.resolved AND (over.succeeded = 1 OR e."when" = 'always')
        ORDER BY e.id @lock(e))
UPDATE coordination_edge SET resolved = %(yes)s WHERE id IN (SELECT id FROM edge)
RETURNING child_id
"""
_UNBLOCK = """
WITH hit AS (
        SELECT t.id, freed.parents FROM coordination_task t
        JOIN @rows(freed, id uuid, parents integer) ON freed.id = t.id
        WHERE @status(t) = 'blocked' AND t.waiting_on >= freed.parents
        ORDER BY t.id @lock(t))
UPDATE coordination_task SET
    waiting_on = waiting_on - hit.parents,
    status = CASE WHEN waiting_on > hit.parents THEN 'blocked'
                  WHEN not_before > @now THEN 'scheduled' ELSE 'ready' END,
    ready_at = CASE WHEN waiting_on > hit.parents OR not_before > @now THEN ready_at
                    ELSE @now END,
    due_at = CASE WHEN waiting_on = hit.parents AND not_before > @now
                       AND (deadline IS NULL OR deadline > not_before) THEN not_before
                  ELSE deadline END
FROM hit WHERE coordination_task.id = hit.id
"""
# All generations in one statement: a chain may be ten thousand long, and the leader, who cancels
# as well, cannot renew its lease meanwhile.
_CANCEL_DESCENDANTS = f"""
WITH RECURSIVE doomed(id) AS (
        SELECT over.id FROM @rows(over, id uuid)
        UNION
        SELECT e.child_id FROM coordination_edge e JOIN doomed ON doomed.id = e.parent_id
        WHERE NOT e.resolved AND e."when" = 'success'),
     child AS (
        SELECT t.id FROM coordination_task t
        WHERE @status(t) = 'blocked' AND t.id IN (SELECT doomed.id FROM doomed)
        ORDER BY t.id @lock(t))
UPDATE coordination_task SET status = 'cancelled', reason = 'upstream', fence = fence + 1,
    finished_at = @now, due_at = NULL
WHERE id IN (SELECT id FROM child) RETURNING {ENDED_COLUMNS}
"""  # noqa: S608 - a constant


def settle(ended: Sequence[Ended]) -> None:
    """Set free what tasks held, and cancel what can no longer run, down the whole graph."""
    while ended:
        held = [task.id for task in ended if task.unique_key is not None]
        if held:
            keys.release(held)
        freed: Counter[UUID] = Counter(
            lanes.leave((t.id, t.lane_id, t.status) for t in ended if t.lane_id is not None)
        )
        parents = [task for task in ended if task.run_id is not None]
        freed.update(_resolve(parents))
        unblock(freed)
        failed = [task.id for task in parents if task.status != Status.SUCCEEDED]
        ended = cancel_descendants(failed) if failed else []


def _resolve(parents: Sequence[Ended]) -> list[UUID]:
    if not parents:
        return []
    over = [{"id": t.id.hex, "succeeded": int(t.status == Status.SUCCEEDED)} for t in parents]
    rows = sql.fetch(_RESOLVE, {"over": over, "yes": True})
    return [sql.as_uuid(row["child_id"]) for row in rows]


def unblock(freed: Counter[UUID]) -> int:
    """Count down what blocked tasks wait for; those that reach 0 become ready or scheduled."""
    if not freed:
        return 0
    rows = [{"id": task.hex, "parents": count} for task, count in sorted(freed.items())]
    return sql.change(_UNBLOCK, {"freed": rows})


def cancel_descendants(failed: Sequence[UUID]) -> list[Ended]:
    """Cancel the blocked tasks that needed one of these to succeed, directly or through others."""
    over = [{"id": task.hex} for task in failed]
    return ended_from(sql.fetch(_CANCEL_DESCENDANTS, {"over": over}))
