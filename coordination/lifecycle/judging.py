"""What the leader does to running tasks whose worker or claim is gone. Only a steady one may."""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass

from coordination import counters, retry, sql
from coordination.lifecycle.leading import BATCH, leading
from coordination.lifecycle.settling import ENDED_COLUMNS, ended_from, settle
from coordination.models import TERMINAL, Outcome, Status

logger = logging.getLogger(__name__)

STEADY_SECONDS = 6  # a leader judges leases only after renewing its own for a worker's lease
SEVERAL = 2  # leases that may run out together before that is suspicious

# A worker is gone when its lease has run out (`patience` seconds ago); a claim is gone when a
# living worker's last two beats, both later than the claim, do not name it.
_LOST = """
SELECT t.id, t.fence, t.solo, t.attempt, t.cancel_requested_at IS NOT NULL AS cancelled,
       d.max_attempts, d.backoff_seconds, d.backoff_cap_seconds,
       @epoch(@now) - @epoch(t.claimed_at) >= d.time_limit_seconds AS overdue
FROM coordination_task t
JOIN coordination_taskdefinition d ON d.id = t.definition_id
LEFT JOIN coordination_workernode w ON w.id = t.worker_id
WHERE t.status = 'running' AND (
    w.id IS NULL OR w.lease_expires_at <= @after(-%(patience)s) OR w.stopped_at IS NOT NULL
    OR (w.lease_expires_at > @now AND t.claimed_at < w.previous_beat_at
        AND NOT EXISTS (SELECT 1 FROM @each(w.claims) WHERE each.value = @hex(t.claim))
        AND NOT EXISTS (SELECT 1 FROM @each(w.previous_claims) WHERE each.value = @hex(t.claim))))
ORDER BY t.id LIMIT %(limit)s
"""
# Workers that stopped beating within one lease, and those that beat.
_LEASES = """
SELECT COUNT(CASE WHEN lease_expires_at <= @now THEN 1 END) AS lapsed,
       COUNT(CASE WHEN lease_expires_at > @now THEN 1 END) AS held
FROM coordination_workernode
WHERE stopped_at IS NULL AND lease_expires_at > @after(-%(steady)s)
"""
_STEADY = """
SELECT 1 AS ok FROM coordination_lease WHERE name = 'coordinator' AND term = %(term)s
AND steady_since <= @after(-%(steady)s)
"""
_JUDGE = f"""
WITH picked AS (
    SELECT t.id, lost.status, lost.charged, lost.solo, lost.reason, lost.retry_in
    FROM coordination_task t
    JOIN @rows(lost, id uuid, fence bigint, status text, charged integer, solo integer,
               reason text, retry_in float8) ON lost.id = t.id
    WHERE @status(t) = 'running' AND t.fence = lost.fence
    ORDER BY t.id @skip(t))
UPDATE coordination_task SET
    status = picked.status, fence = fence + 1, attempt = attempt + picked.charged,
    solo = picked.solo = 1, reason = picked.reason, envelope = NULL,
    ready_at = CASE WHEN picked.status = 'ready' THEN @now ELSE ready_at END,
    due_at = CASE picked.status WHEN 'scheduled' THEN @after(picked.retry_in)
                                WHEN 'ready' THEN deadline END,
    finished_at = CASE WHEN picked.status IN ('dead', 'cancelled') THEN @now END
FROM picked WHERE coordination_task.id = picked.id
RETURNING {", ".join(f"coordination_task.{name}" for name in ENDED_COLUMNS.split(", "))}
"""  # noqa: S608 - a constant
_RECORD_LOST = """
INSERT INTO coordination_attempt (
    task_id, fence, number, claim, definition_id, swarm_id, agent_id, worker_id, outcome,
    charged, started_at, ended_at, wait_ms, run_ms, error_type, error_message, traceback,
    note, log)
SELECT t.id, lost.fence, t.attempt + 1 - lost.charged, t.claim, t.definition_id, t.swarm_id,
    t.agent_id, t.worker_id, lost.outcome, lost.charged = 1, t.started_at, @now,
    (@epoch(t.started_at) - @epoch(t.ready_at)) * 1000.0,
    (@epoch(@now) - @epoch(t.started_at)) * 1000.0, lost.error_type, lost.reason, '', '', ''
FROM coordination_task t
JOIN @rows(lost, id uuid, fence bigint, outcome text, charged integer, error_type text,
           reason text) ON lost.id = t.id AND t.fence = lost.fence + 1
WHERE true
ON CONFLICT (task_id, fence) DO UPDATE SET number = excluded.number, charged = excluded.charged,
    outcome = excluded.outcome, ended_at = excluded.ended_at, run_ms = excluded.run_ms,
    error_type = excluded.error_type, error_message = excluded.error_message
"""


def _verdict(row: sql.Row) -> sql.Row:
    """What becomes of one lost task.

    Only a task that was alone in its envelope is charged: it may be what kills its worker.
    The others travel alone next time, so that the guilty one is found.
    """
    charged = bool(row["solo"])
    outcome = Outcome.TIMED_OUT if charged and row["overdue"] else Outcome.LOST
    reason = "past its hard time limit" if outcome == Outcome.TIMED_OUT else "worker lost"
    retry_in = 0.0
    if row["cancelled"]:
        status, outcome, reason = Status.CANCELLED, Outcome.CANCELLED, "cancelled"
    elif not charged:
        status = Status.READY
    elif row["attempt"] + 1 >= row["max_attempts"]:
        status = Status.DEAD
    else:
        status = Status.SCHEDULED
        policy = retry.Backoff(row["backoff_seconds"], row["backoff_cap_seconds"])
        retry_in = policy.delay(row["attempt"] + 1, random.random())
    return {
        "status": status.value,
        "outcome": outcome.value,
        "charged": int(charged),
        "solo": int(status in {Status.READY, Status.SCHEDULED}),
        "reason": reason,
        "error_type": "TimeLimitExceeded" if outcome == Outcome.TIMED_OUT else "WorkerLost",
        "retry_in": retry_in,
    }


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What judging the leases led to."""

    charged: int = 0
    uncharged: int = 0


@sql.retrying
def judge(term: int) -> Verdicts:
    """Take back running tasks whose worker or claim is gone.

    Does nothing until the leader has been steady for one whole worker lease.
    """
    if not sql.fetch(_STEADY, {"term": term, "steady": STEADY_SECONDS}):
        return Verdicts()
    found = sql.fetch(_LOST, {"limit": BATCH, "patience": _patience()})
    if not found:
        return Verdicts()
    lost = [{"id": sql.as_uuid(r["id"]).hex, "fence": r["fence"], **_verdict(r)} for r in found]
    with leading(term):
        moved = ended_from(sql.fetch(_JUDGE, {"lost": lost}))
        taken = {end.id.hex: end for end in moved}
        lost = [row for row in lost if row["id"] in taken]
        sql.change(_RECORD_LOST, {"lost": lost})
        settle([end for end in moved if end.status in TERMINAL])
        charged = sum(row["charged"] for row in lost)
        counters.add("lost_claims", len(lost))
    return Verdicts(charged, len(lost) - charged)


def _patience() -> float:
    """How long a lease must have run out before its worker is gone: not at once when most do.

    Several workers that stop beating together did not all die: something between them and the
    database did, or it was slow for them, and they get the time of one more lease.
    """
    leases = sql.fetch(_LEASES, {"steady": STEADY_SECONDS})[0]
    if leases["lapsed"] < SEVERAL or leases["lapsed"] <= leases["held"]:
        return 0.0
    logger.error("%(lapsed)s worker leases ran out at once, %(held)s did not: waiting", leases)
    return float(STEADY_SECONDS)
