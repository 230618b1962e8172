"""Looking for what should be impossible, mending it and counting it (expected: 0).

A blocked task waits for its unresolved edges and, unless it is the head of a lane that runs, for
its lane. If the stored count ever differs, the task would wait for ever, or run too early.
"""

from __future__ import annotations

import logging

from coordination import counters, sql
from coordination.lifecycle.leading import leading
from coordination.lifecycle.settling import cancel_descendants, settle

logger = logging.getLogger(__name__)

BATCH = 500

_ASTRAY = """
SELECT t.id, t.waiting_on, (
    (SELECT count(*) FROM coordination_edge e WHERE e.child_id = t.id AND NOT e.resolved)
    + (SELECT count(*) FROM coordination_laneentry mine
       JOIN coordination_lane l ON l.id = mine.lane_id
       WHERE mine.task_id = t.id AND (l.halted OR EXISTS (
           SELECT 1 FROM coordination_laneentry ahead
           WHERE ahead.lane_id = mine.lane_id AND ahead.seq < mine.seq)))) AS expected
FROM coordination_task t WHERE t.status = 'blocked' AND t.id > %(after)s
ORDER BY t.id LIMIT %(limit)s
"""
_MEND = """
WITH picked AS (
    SELECT t.id, astray.expected FROM coordination_task t
    JOIN @rows(astray, id uuid, waiting_on integer, expected integer) ON astray.id = t.id
    WHERE @status(t) = 'blocked' AND t.waiting_on = astray.waiting_on
    ORDER BY t.id @lock(t))
UPDATE coordination_task SET waiting_on = picked.expected,
    status = CASE WHEN picked.expected > 0 THEN 'blocked'
                  WHEN not_before > @now THEN 'scheduled' ELSE 'ready' END,
    ready_at = CASE WHEN picked.expected > 0 OR not_before > @now THEN ready_at ELSE @now END,
    due_at = CASE WHEN picked.expected = 0 AND not_before > @now
                       AND (deadline IS NULL OR deadline > not_before) THEN not_before
                  ELSE deadline END
FROM picked WHERE coordination_task.id = picked.id
"""
# A child replayed without its parent, or in the moment in which that ended.
_FORSAKING = """
SELECT p.id FROM coordination_task p
WHERE @status(p) IN ('dead', 'cancelled', 'expired') AND p.id IN (
    SELECT e.parent_id FROM coordination_edge e
    JOIN @rows(blocked, id uuid) ON blocked.id = e.child_id
    WHERE NOT e.resolved AND e."when" = 'success')
ORDER BY p.id {lock}
"""
_LEFT_KEYS = """
DELETE FROM coordination_livekey WHERE task_id IN (
    SELECT k.task_id FROM coordination_livekey k
    LEFT JOIN coordination_task t ON t.id = k.task_id
    WHERE t.id IS NULL OR t.status IN ('succeeded', 'dead', 'cancelled', 'expired'))
"""


def reconcile(term: int) -> int:
    """Mend blocked tasks that wait for the wrong number, and keys that nobody holds."""
    mended = 0
    after = "0" * 32
    while True:
        page = sql.fetch(_ASTRAY, {"after": after, "limit": BATCH})
        wrong = [
            {
                "id": sql.as_uuid(row["id"]).hex,
                "waiting_on": row["waiting_on"],
                "expected": row["expected"],
            }
            for row in page
            if row["waiting_on"] != row["expected"]
        ]
        if wrong:
            with leading(term):
                mended += sql.change(_MEND, {"astray": wrong})
        _cancel_forsaken(term, [{"id": sql.as_uuid(row["id"]).hex} for row in page])
        if len(page) < BATCH:
            break
        after = sql.as_uuid(page[-1]["id"]).hex
    with leading(term):
        mended += sql.change(_LEFT_KEYS)
        if mended:
            logger.error("reconciled %s rows that should have been right", mended)
            counters.add("reconciled", mended)
    return mended


def _cancel_forsaken(term: int, blocked: list[dict[str, str]]) -> None:
    """Cancel what waits for the success of a parent that ended badly: it would wait for ever."""
    bound = {"blocked": blocked}
    if not blocked or not sql.fetch(_FORSAKING.format(lock=""), bound):
        return
    with leading(term):
        parents = sql.fetch(_FORSAKING.format(lock="@lock(p)"), bound)
        settle(cancel_descendants([sql.as_uuid(row["id"]) for row in parents]))
