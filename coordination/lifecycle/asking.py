"""What people and programs ask of tasks: cancel, and replay of what ended badly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from coordination import keys, lanes, sql
from coordination.lifecycle.settling import ENDED_COLUMNS, ended_from, settle

Cancelled = Literal["cancelled", "requested", "finished", "missing"]
Replayed = Literal["replayed", "not_ended", "missing"]

_CANCEL_WAITING = f"""
WITH picked AS (
    SELECT t.id FROM coordination_task t JOIN @rows(asked, id uuid) ON asked.id = t.id
    WHERE t.tenant_id = %(tenant)s
      AND @status(t) IN ('scheduled', 'blocked', 'ready', 'dispatched')
    ORDER BY t.id @lock(t))
UPDATE coordination_task SET status = 'cancelled', reason = 'asked', fence = fence + 1,
    finished_at = @now, due_at = NULL
WHERE id IN (SELECT id FROM picked) RETURNING {ENDED_COLUMNS}
"""  # noqa: S608 - a constant
_REQUEST = """
WITH picked AS (
    SELECT t.id FROM coordination_task t JOIN @rows(asked, id uuid) ON asked.id = t.id
    WHERE t.tenant_id = %(tenant)s AND @status(t) = 'running'
    ORDER BY t.id @lock(t))
UPDATE coordination_task SET cancel_requested_at = COALESCE(cancel_requested_at, @now)
WHERE id IN (SELECT id FROM picked) RETURNING id
"""
# Locked first, all in one order: none may move from one status to another between the statements
# that look for each.
_KNOWN = """
SELECT t.id FROM coordination_task t JOIN @rows(asked, id uuid) ON asked.id = t.id
WHERE t.tenant_id = %(tenant)s ORDER BY t.id @lock(t)
"""


@sql.retrying
def cancel(tenant_id: int, ids: Sequence[UUID]) -> dict[UUID, Cancelled]:
    """Cancel tasks: at once where they wait, by request where they run.

    ``finished`` means too late, ``missing`` that this tenant has no such task.
    """
    bound = {"tenant": tenant_id, "asked": [{"id": task.hex} for task in set(ids)]}
    with sql.atomic():
        known = {sql.as_uuid(row["id"]) for row in sql.fetch(_KNOWN, bound)}
        ended = ended_from(sql.fetch(_CANCEL_WAITING, bound))
        settle(ended)
        requested = {sql.as_uuid(row["id"]) for row in sql.fetch(_REQUEST, bound)}
    answers: dict[UUID, Cancelled] = dict.fromkeys(ids, "missing")
    answers.update(dict.fromkeys(known & set(ids), "finished"))
    answers.update(dict.fromkeys(requested, "requested"))
    answers.update(dict.fromkeys((end.id for end in ended), "cancelled"))
    return answers


_REPLAYABLE = """
SELECT t.id, t.run_id, t.lane_id, t.unique_key, t.status, l.key AS lane
FROM coordination_task t JOIN @rows(asked, id uuid) ON asked.id = t.id
LEFT JOIN coordination_lane l ON l.id = t.lane_id
WHERE t.tenant_id = %(tenant)s AND @status(t) IN ('dead', 'cancelled', 'expired')
ORDER BY t.id @lock(t)
"""
# Not those that another parent, ended badly and not replayed, would keep blocked for ever: they
# come back with that parent's replay.
_DESCENDANTS = """
SELECT t.id, t.run_id, t.lane_id, t.unique_key, t.status, NULL AS lane
FROM coordination_task t
WHERE t.status = 'cancelled' AND t.reason = 'upstream' AND t.id IN (
    SELECT e.child_id FROM coordination_edge e
    JOIN @rows(asked, id uuid) ON asked.id = e.parent_id
    WHERE NOT e.resolved)
  AND NOT EXISTS (
    SELECT 1 FROM coordination_edge e JOIN coordination_task p ON p.id = e.parent_id
    WHERE e.child_id = t.id AND NOT e.resolved AND p.status IN ('dead', 'cancelled', 'expired'))
ORDER BY t.id @lock(t)
"""
_REPLAY = """
UPDATE coordination_task SET
    waiting_on = replayed.waiting_on,
    status = CASE WHEN replayed.waiting_on > 0 THEN 'blocked' ELSE 'ready' END,
    fence = fence + 1, attempt = 0, solo = %(no)s, claim = NULL, envelope = NULL, reason = '',
    finished_at = NULL, started_at = NULL, cancel_requested_at = NULL, ready_at = @now,
    not_before = NULL, due_at = NULL, deadline = NULL, lane_id = replayed.lane_id,
    unique_key = CASE WHEN replayed.keyed = 1 THEN unique_key END
FROM @rows(replayed, id uuid, waiting_on integer, lane_id bigint, keyed integer)
WHERE coordination_task.id = replayed.id
"""
# A parent that ends meanwhile either has resolved its edge before we count, or waits for us and
# then finds its child blocked.
_LOCK_EDGES = """
SELECT e.id FROM coordination_edge e JOIN @rows(asked, id uuid) ON asked.id = e.child_id
WHERE NOT e.resolved ORDER BY e.id @lock(e)
"""
_WAITING_ON = """
SELECT e.child_id, count(*) AS parents FROM coordination_edge e
JOIN @rows(asked, id uuid) ON asked.id = e.child_id
WHERE NOT e.resolved GROUP BY e.child_id
"""


@sql.retrying
def replay(tenant_id: int, ids: Sequence[UUID]) -> dict[UUID, Replayed]:
    """Make ended tasks ready again with a new set of attempts, and restore their descendants.

    A deadline is dropped (it may be past). A unique key is taken again where it is free; a lane
    is joined again at its end.
    """
    answers: dict[UUID, Replayed] = dict.fromkeys(ids, "missing")
    bound = {"tenant": tenant_id, "asked": [{"id": task.hex} for task in set(ids)]}
    with sql.atomic():
        known = {sql.as_uuid(row["id"]) for row in sql.fetch(_KNOWN, bound)}
        answers.update(dict.fromkeys(known & set(ids), "not_ended"))
        generation = sql.fetch(_REPLAYABLE, bound)
        answers.update({sql.as_uuid(row["id"]): "replayed" for row in generation})
        while generation:
            _restore(tenant_id, generation)
            asked = [{"id": sql.as_uuid(row["id"]).hex} for row in generation]
            generation = sql.fetch(_DESCENDANTS, {"asked": asked})
        sql.notify()
    return answers


def _restore(tenant_id: int, tasks: Sequence[sql.Row]) -> None:
    ids = {sql.as_uuid(row["id"]): row for row in tasks}
    asked = [{"id": task.hex} for task in ids]
    sql.fetch(_LOCK_EDGES, {"asked": asked})
    waiting = {
        sql.as_uuid(row["child_id"]): row["parents"]
        for row in sql.fetch(_WAITING_ON, {"asked": asked})
    }
    kept = keys.retake(
        tenant_id, {row["unique_key"]: task for task, row in ids.items() if row["unique_key"]}
    )
    places = lanes.rejoin({task: row["lane_id"] for task, row in ids.items() if row["lane_id"]})
    sql.change(
        _REPLAY,
        {
            "no": False,
            "replayed": [
                {
                    "id": task.hex,
                    "waiting_on": waiting.get(task, 0) + places.get(task, 0),
                    "lane_id": row["lane_id"],
                    "keyed": int(row["unique_key"] in kept),
                }
                for task, row in ids.items()
            ],
        },
    )
