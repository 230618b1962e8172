"""Taking tasks into a worker's hands, and giving them back. All of it is fenced.

A claim is the identity of one execution of one envelope. It holds a task only while the task's
fence is the one the message carried; once a task was taken back its fence has grown, and every
later word of the old claim is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from coordination import bodies, sql
from coordination.lifecycle.settling import ENDED_COLUMNS, ended_from, settle
from coordination.models import TERMINAL, TaskBody


@dataclass(frozen=True, slots=True)
class Claimed:
    """A task in a worker's hands."""

    id: UUID
    fence: int
    attempt: int
    payload: Any
    has_references: bool
    run_id: UUID | None
    deadline_in: float | None
    """Seconds until the deadline when it was claimed."""


_CLAIM = """
WITH picked AS (
    SELECT t.id FROM coordination_task t
    JOIN @rows(members, id uuid, fence bigint) ON members.id = t.id
    WHERE t.fence = members.fence
      AND (@status(t) = 'dispatched' OR (@status(t) = 'running' AND t.claim = %(claim)s))
      AND (t.deadline IS NULL OR t.deadline > @now)
    ORDER BY t.id @lock(t))
UPDATE coordination_task SET status = 'running', claim = %(claim)s, worker_id = %(worker)s,
    claimed_at = @now, started_at = @now, solo = (SELECT count(*) FROM picked) = 1
WHERE id IN (SELECT id FROM picked)
RETURNING id, fence, attempt, payload, payload_bytes, has_references, run_id,
          @epoch(deadline) - @epoch(claimed_at) AS deadline_in
"""


@sql.retrying
def claim(claim_id: UUID, worker_id: int, members: Sequence[tuple[UUID, int]]) -> list[Claimed]:
    """Take those (task, fence) pairs that are still as they were dispatched, with payloads.

    Repeating a claim whose reply was lost gives the same tasks again. The order is that of
    `members`.
    """
    rows = sql.fetch(
        _CLAIM,
        {
            "claim": claim_id,
            "worker": worker_id,
            "members": [{"id": task.hex, "fence": fence} for task, fence in members],
        },
    )
    large = [sql.as_uuid(r["id"]) for r in rows if r["payload_bytes"] > bodies.INLINE_BYTES]
    payloads = bodies.read(TaskBody.Kind.PAYLOAD, large) if large else {}
    claimed = {task.id: task for task in (_claimed(row, payloads) for row in rows)}
    return [claimed[task] for task, _ in members if task in claimed]


def _claimed(row: sql.Row, payloads: dict[UUID, Any]) -> Claimed:
    task_id = sql.as_uuid(row["id"])
    payload = payloads[task_id] if task_id in payloads else sql.parse_json(row["payload"])
    return Claimed(
        task_id,
        row["fence"],
        row["attempt"],
        payload,
        bool(row["has_references"]),
        sql.as_uuid(row["run_id"]) if row["run_id"] else None,
        row["deadline_in"],
    )


_GIVE_BACK = f"""
WITH picked AS (
    SELECT t.id FROM coordination_task t
    JOIN @rows(members, id uuid, fence bigint) ON members.id = t.id
    WHERE t.fence = members.fence
      AND (@status(t) = 'dispatched' OR (@status(t) = 'running' AND t.claim = %(claim)s))
    ORDER BY t.id @lock(t))
UPDATE coordination_task SET
    status = CASE WHEN cancel_requested_at IS NULL THEN 'ready' ELSE 'cancelled' END,
    reason = CASE WHEN cancel_requested_at IS NULL THEN %(reason)s ELSE 'asked' END,
    finished_at = CASE WHEN cancel_requested_at IS NULL THEN NULL ELSE @now END,
    fence = fence + 1, claim = NULL, envelope = NULL, solo = %(no)s, ready_at = @now,
    due_at = deadline
WHERE id IN (SELECT id FROM picked) RETURNING {ENDED_COLUMNS}
"""  # noqa: S608 - a constant


@sql.retrying
def give_back(
    claim_id: UUID, members: Sequence[tuple[UUID, int]], reason: str = "given back"
) -> int:
    """Return tasks that were not begun to `ready`, uncharged; how many were still held.

    Those that were asked to stop meanwhile end as cancelled.
    """
    if not members:
        return 0
    bound = {
        "claim": claim_id,
        "members": [{"id": task.hex, "fence": fence} for task, fence in members],
        "reason": reason,
        "no": False,
    }
    with sql.atomic():
        returned = ended_from(sql.fetch(_GIVE_BACK, bound))
        settle([end for end in returned if end.status in TERMINAL])
        sql.notify()
    return len(returned)
