"""What the leader does to tasks: dispatch, wake, expire, take back, judge leases.

Moves between statuses that are not final are single autocommit statements that name the term
(``@lead``). Endings also settle what a task held, in one short transaction that locks the
lease row first: a paused leader loses it to ``idle_in_transaction_session_timeout`` long before
its lease runs out, and a change of leader waits for it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from coordination import counters, retry, sql
from coordination.lifecycle.settling import ENDED_COLUMNS, ended_from, settle
from coordination.models import TERMINAL, Outcome, Status

BATCH = 1000  # rows a sweeping statement moves at most; the next pass takes the rest
UNCLAIMED_SECONDS = 5  # with a free slot in the pool
UNCLAIMED_PATIENCE_SECONDS = 60  # without one
STEADY_SECONDS = 6  # a leader judges leases only after renewing its own for a worker's lease


class Deposed(RuntimeError):
    """Another leader has been elected: nothing was written."""


@dataclass(frozen=True, slots=True)
class Pick:
    """A ready task chosen for an envelope."""

    id: UUID
    envelope: UUID
    agent_id: int | None


_DISPATCH = """
WITH @lead,
     picked AS (
        SELECT t.id, picks.envelope, picks.agent FROM coordination_task t
        JOIN @rows(picks, id uuid, envelope uuid, agent bigint) ON picks.id = t.id
        WHERE @status(t) = 'ready' AND EXISTS (SELECT 1 FROM lead)
        ORDER BY t.id @skip(t))
UPDATE coordination_task SET status = 'dispatched', fence = fence + 1, claim = NULL,
    envelope = picked.envelope, agent_id = picked.agent, dispatched_at = @now, reason = ''
FROM picked WHERE coordination_task.id = picked.id
RETURNING coordination_task.id, coordination_task.fence
"""


def dispatch(term: int, picks: Sequence[Pick]) -> dict[UUID, int]:
    """Mark picked tasks as dispatched, committed before anything is published; their fences."""
    if not picks:
        return {}
    rows = [{"id": p.id.hex, "envelope": p.envelope.hex, "agent": p.agent_id} for p in picks]
    marked = sql.fetch(_DISPATCH, {"term": term, "picks": rows})
    return {sql.as_uuid(row["id"]): row["fence"] for row in marked}


_TAKE_BACK = """
WITH @lead,
     picked AS (
        SELECT t.id FROM coordination_task t
        WHERE t.status = 'dispatched' AND EXISTS (SELECT 1 FROM lead)
          AND {condition}
        ORDER BY t.id LIMIT %(limit)s @skip(t))
UPDATE coordination_task SET status = 'ready', fence = fence + 1, envelope = NULL,
    reason = %(reason)s, ready_at = @now, due_at = deadline
WHERE id IN (SELECT id FROM picked)
"""
_OF_ENVELOPES = """
    t.envelope IN (SELECT unsent.id FROM @rows(unsent, id uuid))"""
_UNCLAIMED = """
    (t.dispatched_at < @after(-%(patience)s)
     OR (t.dispatched_at < @after(-%(seconds)s) AND EXISTS (
        SELECT 1 FROM coordination_workernode w
        WHERE w.pool = t.pool AND w.stopped_at IS NULL AND w.lease_expires_at > @now
          AND NOT w.draining AND w.idle_beats >= 2)))"""


def take_back_unpublished(term: int, envelopes: Sequence[UUID]) -> int:
    """Return the members of envelopes that the broker did not take; how many there were."""
    if not envelopes:
        return 0
    return sql.change(
        _TAKE_BACK.format(condition=_OF_ENVELOPES),
        {
            "term": term,
            "unsent": [{"id": envelope.hex} for envelope in envelopes],
            "reason": "not published",
            "limit": BATCH * 10,
        },
    )


def take_back_unclaimed(term: int) -> int:
    """Return what was published but not claimed in time: a lost message, a flushed broker."""
    count = sql.change(
        _TAKE_BACK.format(condition=_UNCLAIMED),
        {
            "term": term,
            "patience": UNCLAIMED_PATIENCE_SECONDS,
            "seconds": UNCLAIMED_SECONDS,
            "reason": "not claimed",
            "limit": BATCH,
        },
    )
    if count:
        counters.add("unclaimed", count)
    return count


_WAKE = """
WITH @lead,
     picked AS (
        SELECT t.id FROM coordination_task t
        WHERE t.status = 'scheduled' AND t.due_at <= @now
          AND (t.deadline IS NULL OR t.deadline > @now) AND EXISTS (SELECT 1 FROM lead)
        ORDER BY t.id LIMIT %(limit)s @skip(t))
UPDATE coordination_task SET status = 'ready', ready_at = @now, due_at = deadline
WHERE id IN (SELECT id FROM picked)
"""


def wake(term: int) -> int:
    """Make scheduled tasks ready whose time has come."""
    return sql.change(_WAKE, {"term": term, "limit": BATCH})


_EXPIRED = f"""
WITH picked AS (
    SELECT t.id FROM coordination_task t
    WHERE t.deadline <= @now AND (
        (t.status IN ('scheduled', 'blocked', 'ready') AND t.due_at <= @now)
        OR t.status = 'dispatched')
    ORDER BY t.id LIMIT %(limit)s @skip(t))
UPDATE coordination_task SET status = 'expired', reason = 'deadline', fence = fence + 1,
    finished_at = @now, due_at = NULL
WHERE id IN (SELECT id FROM picked) RETURNING {ENDED_COLUMNS}
"""  # noqa: S608 - a constant


def expire(term: int) -> int:
    """End what waited past its deadline."""
    due = sql.fetch(
        """
        SELECT t.id FROM coordination_task t WHERE t.deadline <= @now AND (
            (t.status IN ('scheduled', 'blocked', 'ready') AND t.due_at <= @now)
            OR t.status = 'dispatched') LIMIT 1
        """
    )
    if not due:
        return 0
    with leading(term):
        ended = ended_from(sql.fetch(_EXPIRED, {"limit": BATCH}))
        settle(ended)
    return len(ended)


@contextmanager
def leading(term: int) -> Iterator[None]:
    """A transaction that holds off a change of leader. Raises :class:`Deposed`."""
    with sql.atomic():
        if not sql.fetch("WITH @lead SELECT ok FROM lead", {"term": term}):
            raise Deposed(f"term {term} is over")
        yield


# A worker is gone when its lease has run out; a claim is gone when a living worker's last two
# beats, both later than the claim, do not name it. Only a steady leader may judge.
_LOST = """
SELECT t.id, t.fence, t.solo, t.attempt, t.cancel_requested_at IS NOT NULL AS cancelled,
       d.max_attempts, d.backoff_seconds, d.backoff_cap_seconds,
       @epoch(@now) - @epoch(t.claimed_at) >= d.time_limit_seconds AS overdue
FROM coordination_task t
JOIN coordination_taskdefinition d ON d.id = t.definition_id
LEFT JOIN coordination_workernode w ON w.id = t.worker_id
WHERE t.status = 'running' AND (
    w.id IS NULL OR w.lease_expires_at <= @now OR w.stopped_at IS NOT NULL
    OR (t.claimed_at < w.previous_beat_at
        AND NOT EXISTS (SELECT 1 FROM @each(w.claims) WHERE each.value = @hex(t.claim))
        AND NOT EXISTS (SELECT 1 FROM @each(w.previous_claims) WHERE each.value = @hex(t.claim))))
ORDER BY t.id LIMIT %(limit)s
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


def judge(term: int) -> Verdicts:
    """Take back running tasks whose worker or claim is gone.

    Does nothing until the leader has been steady for one whole worker lease.
    """
    if not sql.fetch(_STEADY, {"term": term, "steady": STEADY_SECONDS}):
        return Verdicts()
    found = sql.fetch(_LOST, {"limit": BATCH})
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
